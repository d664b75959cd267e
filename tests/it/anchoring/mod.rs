//! Anchoring: the decision by itself, under search and simulation, then against a real node.

mod evidence_views;
mod fences;
mod journals;
mod keys;
mod learning;
mod model;
mod paying;
mod planning;
mod search;
mod settings;
mod signing;
mod stage;
mod stories;
