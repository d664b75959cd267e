//! The binary as operators meet it: settings, output, signals, exit codes.

mod anchor_settings;
mod manifests;
mod running;
mod secrets;
