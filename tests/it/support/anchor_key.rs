//! κ by a second, independent reading of its definition.

use alloy::primitives::{Address, Keccak256};

/// The metadata key that carries κ.
pub const KEY_METADATA: &str = "registrar.key";

/// κ of an agent on the tests' chain, of owner id `test` and incarnation 0. `agent` is `default` or
/// `host:NAME`.
pub fn anchor_key(registry: Address, agent: &str) -> [u8; 20] {
    let (kind, host) = agent.split_once(':').unwrap_or((agent, ""));
    let mut digest = Keccak256::new();
    for field in [
        b"erc8004-registrar/1".as_slice(),
        b"eip155:31337",
        registry.as_slice(),
        b"test",
        kind.as_bytes(),
        host.as_bytes(),
        b"0",
    ] {
        digest.update(u32::try_from(field.len()).unwrap().to_be_bytes());
        digest.update(field);
    }
    digest.finalize()[..20].try_into().unwrap()
}
