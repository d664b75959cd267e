//! Anchoring by the real binary against a real EVM node.

mod agent_uri;
mod consumer;
mod crashes;
mod exactly_once;
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
mod gas;
mod ground;
mod idle;
mod kms;
mod providers;
mod scan;
mod signers;
mod stories;
