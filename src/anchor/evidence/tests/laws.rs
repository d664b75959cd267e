//! A node that leaves one log out changes nothing that is believed.

use crate::{
    anchor::{
        evidence::Evidence,
        testing::{FORMER, STRANGER, US, id, key},
    },
    testing::law,
};
use alloy::primitives::Address;
use proptest::prelude::*;

use super::truth::{Registry, accounts};

/// Something that honest accounts, and strangers, may do.
#[derive(Clone, Copy, Debug)]
enum Act {
    Mint(Address, &'static str, Option<u8>),
    Transfer(u64, Address),
    Adopt(u64, u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = || prop::sample::select(vec![US, FORMER, STRANGER]);
    let uri = prop::sample::select(vec!["a", "b"]);
    let act = prop_oneof![
        3 => (who(), uri, prop::option::of(1_u8..3)).prop_map(|(who, uri, key)| Act::Mint(who, uri, key)),
        2 => (0_u64..4, who()).prop_map(|(id, to)| Act::Transfer(id, to)),
        2 => (0_u64..4, 1_u8..5).prop_map(|(id, key)| Act::Adopt(id, key)),
    ];
    prop::collection::vec(act, 0..9)
}

fn history(acts: &[Act]) -> Registry {
    acts.iter().fold(Registry::new(), |registry, act| match *act {
        // Strangers have every κ but those that are adopted: what an own event repeats cannot be
        // missed.
        Act::Mint(STRANGER, uri, key) => {
            registry.mint(STRANGER, uri, key.map(|key| self::key(key + 8)))
        }
        Act::Mint(who, uri, key) => registry.mint(who, uri, key.map(self::key)),
        Act::Transfer(number, to) if number < registry.minted => registry.transfer(number, to),
        Act::Adopt(number, key) if number < registry.minted => {
            match registry.evidence.tokens[&id(number)].owner {
                STRANGER => registry,
                owner => registry.adopt(number, owner, self::key(key)),
            }
        }
        Act::Transfer(..) | Act::Adopt(..) => registry,
    })
}

proptest! {
    #![proptest_config(law(2_048))]

    #[test]
    fn no_single_log_that_is_left_out_changes_what_is_believed(acts in acts()) {
        let registry = history(&acts);
        let whole = registry.view().unwrap();
        for mint in &registry.evidence.mints {
            let known = mint.key.is_none_or(|key| whole.agents.contains_key(&key));
            prop_assert!(known, "every κ of ours is seen");
        }
        let unharmed = |told: Evidence| match told.view(&accounts()) {
            Ok(view) => view == whole,
            Err(_) => true,
        };
        for at in 0..registry.evidence.mints.len() {
            let mut told = registry.evidence.clone();
            told.mints.remove(at);
            prop_assert!(told.view(&accounts()).is_err(), "Registered {}", at);
        }
        for at in 0..registry.evidence.transfers.len() {
            let mut told = registry.evidence.clone();
            told.transfers.remove(at);
            prop_assert!(unharmed(told), "Transfer {}", at);
        }
        for at in 0..registry.evidence.adoptions.len() {
            let mut told = registry.evidence.clone();
            told.adoptions.remove(at);
            prop_assert!(unharmed(told), "MetadataSet {}", at);
        }
    }
}
