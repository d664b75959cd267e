//! Anchoring: the decision by itself, under search and simulation, then against a real node.

mod consumer;
mod evidence_laws;
mod evidence_views;
mod fences;
mod gas;
mod ground;
mod journals;
mod keys;
mod learning;
mod model;
mod paying;
mod planning;
mod planning_laws;
mod quickstart;
mod search;
mod settings;
mod settings_unseen;
mod signing;
mod situation;
mod stories;
mod truth;

pub mod runbooks;
pub mod stage;
