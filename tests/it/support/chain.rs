//! Tests against a real EVM node, and the harness that starts one.
//!
//! A node takes a tenth of a second to start, so each test has its own.

mod anvil;
mod fixture;
mod levers;
mod registry;
mod rpc;
pub mod topics;

pub use anvil::Anvil;
pub use registry::{IMPLEMENTATION_SLOT, IdentityRegistry, registry_code};
pub use rpc::{Logged, Receipt, Refused, Rpc, quantity};
