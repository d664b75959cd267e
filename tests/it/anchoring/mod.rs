//! Anchoring: the decision by itself, under search and simulation, then against a real node.

mod cited;
mod consumer;
mod crashes;
mod evidence_laws;
mod evidence_views;
mod faults_chain;
mod faults_journal;
mod faults_logs;
mod faults_mempool;
mod faults_money;
mod faults_ownership;
mod faults_quorum;
mod faults_replies;
mod faults_secrets;
mod faults_wording;
mod faulty;
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
