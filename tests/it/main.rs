//! All integration tests, in one binary.

#![allow(missing_docs, reason = "test names are facts; nobody reads docs of a test binary")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod anchoring;
mod architecture;
mod caching;
mod chain;
mod cluster;
mod contract;
mod listing;
mod measuring;
mod process;
mod proxy;
mod readme;
mod running;
mod schemas;
mod sdk;
mod serving;
mod site;
mod world;
