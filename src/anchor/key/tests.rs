//! κ: its encoding, and that nothing collides.

use alloy::primitives::{Address, keccak256};
use proptest::prelude::*;

use crate::{
    anchor::{
        key::{AnchorKey, Owner},
        testing::host,
    },
    registration::{AgentName, AgentRegistry},
};

#[test]
fn the_key_is_the_hash_of_length_prefixed_fields() {
    let registry = AgentRegistry { chain_id: 8453, address: Address::repeat_byte(0x80) };
    let owner = Owner { id: "harbour".to_owned(), incarnation: 12 };
    let mut bytes = Vec::new();
    let fields: [&[u8]; 7] = [
        b"erc8004-registrar/1",
        b"eip155:8453",
        &[0x80; 20],
        b"harbour",
        b"host",
        b"audit.example",
        b"12",
    ];
    for field in fields {
        bytes.extend_from_slice(&[0, 0, 0, u8::try_from(field.len()).unwrap()]);
        bytes.extend_from_slice(field);
    }
    let key = AnchorKey::derive(&registry, &owner, &host("AUDIT.example"));
    assert_eq!(key.as_bytes(), &keccak256(&bytes)[..20]);
    assert_eq!(AnchorKey::from_metadata(key.as_bytes()), Some(key));
    assert_eq!(AnchorKey::from_metadata(&[0; 32]), None);
}

proptest! {
    #[test]
    fn different_agents_never_share_a_key(
        chains in prop::array::uniform2(1_u64..3),
        registries in prop::array::uniform2(0_u8..2),
        owners in prop::array::uniform2("[ab/1]{0,3}"),
        agents in prop::array::uniform2(prop::sample::select(vec!["", "a.b", "a.bb", "default.host"])),
        incarnations in prop::array::uniform2(0_u64..12),
    ) {
        let parts = |at: usize| (chains[at], registries[at], &owners[at], agents[at], incarnations[at]);
        let key = |at: usize| {
            let registry = AgentRegistry { chain_id: chains[at], address: Address::repeat_byte(registries[at]) };
            let owner = Owner { id: owners[at].clone(), incarnation: incarnations[at] };
            let agent = if agents[at].is_empty() { AgentName::Default } else { host(agents[at]) };
            AnchorKey::derive(&registry, &owner, &agent)
        };
        prop_assert_eq!(parts(0) == parts(1), key(0) == key(1));
    }
}
