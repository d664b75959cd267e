//! Anchoring: the decision by itself, under search and simulation, then against a real node.

mod consumer;
mod gas;
mod keys;
mod model;
mod quickstart;
pub mod runbooks;
mod search;
pub mod stage;
mod stories;
