//! Anchoring: the decision by itself, under search and simulation, then against a real node.

mod consumer;
mod gas;
mod keys;
mod model;
mod quickstart;
mod runbooks;
mod search;
mod stage;
mod stories;
