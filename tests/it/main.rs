//! All integration tests, in one binary.

#![allow(missing_docs, reason = "test names are facts; nobody reads docs of a test binary")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod anchoring;
mod architecture;
mod bytes;
mod caching;
mod chain;
mod claims;
mod cluster;
mod contract;
mod decoding;
mod documents;
mod drains;
mod durations;
mod entries;
mod file_source;
mod golden;
mod hostile_urls;
mod instants;
mod judging;
mod laws;
mod listing;
mod manifests;
mod measuring;
mod process;
mod proxy;
mod publishing;
mod readme;
mod reference;
mod registrations;
mod running;
mod schemas;
mod sdk;
mod selectors;
mod serving;
mod site;
mod world;
