//! A node that leaves one log out changes nothing that is believed.

use std::collections::BTreeMap;

use crate::{
    anchor::{
        evidence::{Evidence, FirstMint, KeyEvent, View},
        key::AnchorKey,
        testing::{FORMER, STRANGER, US, id, key},
    },
    registration::AgentId,
    testing::law,
};
use alloy::primitives::{Address, U256};
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

/// What is believed of evidence once a mint depends on it: the view, and the κ of every token that
/// was ever ours.
fn believed(told: &Evidence, minted: &BTreeMap<AnchorKey, AgentId>) -> Option<View> {
    let view = told.view(&accounts(), minted).ok()?;
    let keys = told.tokens.iter().filter_map(|(id, token)| Some((*id, token.key?)));
    let held = told.ever_held(&accounts());
    let keys = keys.filter(|(id, _)| held.contains(id));
    told.check_absence(FirstMint::Served, keys).ok().map(|()| view)
}

/// Every way to leave out one log.
fn with_one_log_less(whole: &Evidence) -> Vec<(String, Evidence)> {
    let mut all = Vec::new();
    let mut less = |what: String, change: &dyn Fn(&mut Evidence)| {
        let mut told = whole.clone();
        change(&mut told);
        all.push((what, told));
    };
    for at in 0..whole.mints.len() {
        less(format!("Registered {at}"), &|told| drop(told.mints.remove(at)));
    }
    for at in 0..whole.transfers.len() {
        less(format!("Transfer {at}"), &|told| {
            told.transfers.remove(at);
        });
    }
    for at in 0..whole.key_events.len() {
        less(format!("MetadataSet {at}"), &|told| {
            told.key_events.remove(at);
        });
    }
    all
}

/// Whether our accounts set another κ over an adopted one: then the registry's state no longer
/// shows that there was an adoption, and nothing but its event and the journal do.
fn is_overwritten(whole: &Evidence) -> bool {
    let adoptions = || whole.key_events.iter().filter(|event| whole.is_claim(event, &accounts()));
    adoptions().any(|adoption| {
        let later = |event: &&KeyEvent| event.id == adoption.id && event.at > adoption.at;
        whole.key_events.iter().filter(later).any(|event| event.key != adoption.key)
    })
}

/// Whether our accounts set one κ on one token twice. If another token was minted with it in between,
/// the first event alone shows which of the two is older.
fn is_repeated(whole: &Evidence) -> bool {
    let adoptions = || whole.key_events.iter().filter(|event| whole.is_claim(event, &accounts()));
    let same = |one: &KeyEvent, other: &KeyEvent| (one.id, one.key) == (other.id, other.key);
    adoptions().any(|one| adoptions().any(|other| one.at < other.at && same(one, other)))
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
        let remembered = believed(&registry.evidence, &whole.agents);
        prop_assert_eq!(remembered.as_ref(), Some(&whole), "the journal agrees with the chain");
        let overwritten = is_overwritten(&registry.evidence);
        let repeated = is_repeated(&registry.evidence);
        for (what, told) in with_one_log_less(&registry.evidence) {
            let without = believed(&told, &BTreeMap::new());
            if what.starts_with("Registered") {
                prop_assert!(without.is_none(), "{}", what);
            }
            if repeated && !overwritten {
                let same = |view: View| view.agents.keys().eq(whole.agents.keys());
                prop_assert!(without.is_none_or(same), "{}, repeated", what);
            } else if !overwritten {
                prop_assert!(without.is_none_or(|view| view == whole), "{}", what);
            }
            // With what the journal records, no κ is ever missed, whatever was overwritten.
            let with = believed(&told, &whole.agents);
            prop_assert!(with.is_none_or(|view| view.agents == whole.agents), "{}, with a journal", what);
        }
    }

    #[test]
    fn with_a_journal_no_logs_that_are_left_out_hide_a_key(acts in acts(), keep in any::<u64>()) {
        let registry = history(&acts);
        let whole = registry.view().unwrap();
        let mut told = registry.evidence.clone();
        let mut at = 0_u32;
        let mut kept = || {
            at += 1;
            keep.rotate_right(at) & 1 == 1
        };
        told.mints.retain(|_| kept());
        told.transfers.retain(|_| kept());
        told.key_events.retain(|_| kept());
        // The node also lies about the balances, so that everything adds up.
        for account in accounts().all() {
            let sum: i64 = told.transfers.iter().map(|moved| {
                i64::from(moved.to == account) - i64::from(moved.from == account)
            }).sum();
            told.balances.insert(account, U256::from(sum.max(0).unsigned_abs()));
        }
        let seen = told.view(&accounts(), &whole.agents);
        prop_assert!(seen.is_err() || seen.is_ok_and(|view| view.agents == whole.agents));
    }
}
