//! Anchoring: the decision by itself, under search and simulation, then against a real node.

mod consumer;
mod gas;
mod ground;
mod keys;
mod model;
mod quickstart;
mod search;
mod stories;

pub mod runbooks;
pub mod stage;
