//! The binary as operators meet it: settings, output, signals, exit codes.

pub mod anchor_settings;
mod binary;
mod check;
mod keystore;
mod lint;
mod live;
mod manifests;
mod offer_settings;
mod people;
mod secrets;
