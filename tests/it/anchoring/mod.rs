//! Anchoring: the decision by itself, under search and simulation, then against a real node.

mod cited;
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
mod keys;
mod model;
mod search;
mod stage;
mod stories;
