//! The binary as operators meet it: settings, output, signals, exit codes.

mod anchor_settings;
mod offer_settings;
mod running;
mod secrets;
