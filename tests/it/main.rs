//! What needs a server or the binary: an API server, an EVM node, a real consumer, or a process
//! with its signals.
//!
//! Tests of pure code, and of both routers without a socket, stand beside the code under `src/`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "nobody calls a test binary")]

mod anchoring;
mod browser;
mod cli;
mod cluster;
mod docs;
mod http;
mod packages;
mod support;
