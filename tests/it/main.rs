//! All integration tests, in one binary.

#![allow(missing_docs, reason = "test names are facts; nobody reads docs of a test binary")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bytes;
mod claims;
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
mod manifests;
mod publishing;
mod reference;
mod registrations;
mod selectors;
mod world;
