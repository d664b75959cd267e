//! Anchoring: the decision by itself, under search and simulation, then against a real node.

mod crashes;
mod keys;
mod model;
mod search;
mod stage;
mod stories;
