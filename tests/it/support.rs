//! What the tests run against: the binary, an EVM node, and a faulty proxy between them.

pub mod anchor_key;
pub mod api_server;
pub mod chain;
pub mod histories;
pub mod leash;
pub mod process;
pub mod proxy;
pub mod relay;
#[path = "../support/resource.rs"]
#[allow(dead_code, reason = "the unit tests use the rest")]
pub mod resource;
#[path = "../support/rows.rs"]
pub mod rows;
pub mod stage;
pub mod standin;
pub mod wire;
