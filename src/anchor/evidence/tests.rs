//! What evidence shows, and that evidence with a hole in it shows nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::anchor::{
    evidence::{Evidence, FirstMint, IncompleteEvidence, Transfer},
    testing::{FORMER, STRANGER, US, id, key},
};
use crate::testing::for_each_row;
use alloy::primitives::{Address, U256};

mod laws;
mod truth;

use self::truth::{Registry, accounts, place};

#[test]
fn only_what_an_account_of_ours_sent_gives_an_agent_its_token() {
    type Unkeyed = &'static [(&'static str, u64)];
    let new = Registry::new;
    let (k1, k2) = (key(1), key(2));
    type Case = (&'static str, Registry, &'static [(u8, u64)], Unkeyed);
    let cases: Vec<Case> = vec![
        ("nothing", new(), &[], &[]),
        ("our mint", new().mint(US, "a", Some(k1)), &[(1, 0)], &[]),
        ("a former account's mint", new().mint(FORMER, "a", Some(k1)), &[(1, 0)], &[]),
        ("a mint without κ", new().mint(US, "a", None), &[], &[("a", 0)]),
        ("a former account's without κ", new().mint(FORMER, "a", None), &[], &[("a", 0)]),
        (
            "a stranger's mint with our κ, sent to us",
            new().mint(STRANGER, "a", Some(k1)).transfer(0, US),
            &[],
            &[],
        ),
        (
            "a stranger's before ours",
            new().mint(STRANGER, "a", Some(k1)).transfer(0, US).mint(US, "a", Some(k1)),
            &[(1, 1)],
            &[],
        ),
        (
            "our mint, given away",
            new().mint(US, "a", Some(k1)).transfer(0, STRANGER),
            &[(1, 0)],
            &[],
        ),
        (
            "our mint, given away and back",
            new().mint(US, "a", Some(k1)).transfer(0, STRANGER).transfer(0, US),
            &[(1, 0)],
            &[],
        ),
        (
            "from a former account to the current one",
            new().mint(FORMER, "a", Some(k1)).transfer(0, US),
            &[(1, 0)],
            &[],
        ),
        (
            "two mints of one κ: the first",
            new().mint(US, "a", Some(k1)).mint(US, "b", Some(k1)).mint(FORMER, "c", Some(k2)),
            &[(1, 0), (2, 2)],
            &[],
        ),
        (
            "two mints without κ at one URI: the first",
            new().mint(US, "a", None).mint(US, "a", None).mint(US, "b", None),
            &[],
            &[("a", 0), ("b", 2)],
        ),
        ("adopted by us", new().mint(US, "a", None).adopt(0, US, k1), &[(1, 0)], &[]),
        (
            "adopted by a former account",
            new().mint(FORMER, "a", None).adopt(0, FORMER, k1),
            &[(1, 0)],
            &[],
        ),
        (
            "a stranger's token, adopted by us",
            new().mint(STRANGER, "a", None).transfer(0, US).adopt(0, US, k1),
            &[(1, 0)],
            &[],
        ),
        (
            "adopted by a stranger whom we allowed to",
            new().mint(US, "a", None).adopt(0, STRANGER, k1),
            &[],
            &[("a", 0)],
        ),
        (
            "by a stranger, then by us",
            new().mint(US, "a", None).adopt(0, STRANGER, k1).adopt(0, US, k1),
            &[(1, 0)],
            &[],
        ),
        (
            "by us, beside a token on which a stranger set the same",
            new().mint(US, "a", None).mint(US, "b", None).adopt(0, STRANGER, k1).adopt(1, US, k1),
            &[(1, 1)],
            &[("a", 0)],
        ),
        (
            "adopted, and given away: for good",
            new().mint(US, "a", None).adopt(0, US, k1).transfer(0, STRANGER),
            &[(1, 0)],
            &[],
        ),
        (
            "adopted, given away, and another κ set by the new owner",
            new().mint(US, "a", None).adopt(0, US, k1).transfer(0, STRANGER).adopt(0, STRANGER, k2),
            &[(1, 0)],
            &[],
        ),
        (
            "a stranger's token, adopted by us and given away",
            new().mint(STRANGER, "a", None).transfer(0, US).adopt(0, US, k1).transfer(0, STRANGER),
            &[(1, 0)],
            &[],
        ),
        (
            "adopted anew under another κ: both",
            new().mint(US, "a", None).adopt(0, US, k1).adopt(0, US, k2),
            &[(1, 0), (2, 0)],
            &[],
        ),
        (
            "set by us for a stranger who allowed us to, and sent to us",
            new().mint(STRANGER, "a", None).adopt(0, US, k1).transfer(0, US),
            &[],
            &[],
        ),
        (
            "set by us on a token that was given away, for the new owner",
            new().mint(US, "a", None).transfer(0, STRANGER).adopt(0, US, k1),
            &[],
            &[("a", 0)],
        ),
        (
            "one of two without κ is adopted: the other stays",
            new().mint(US, "a", None).mint(US, "a", None).adopt(0, US, k1),
            &[(1, 0)],
            &[("a", 1)],
        ),
        (
            "a mint's κ stays its own when another is set beside it",
            new().mint(US, "a", Some(k1)).adopt(0, US, k2),
            &[(1, 0), (2, 0)],
            &[],
        ),
        (
            "minted, then set on another token: the older",
            new().mint(US, "a", None).mint(US, "b", Some(k1)).adopt(0, US, k1),
            &[(1, 1)],
            &[],
        ),
        (
            "adopted, then minted: the older",
            new().mint(US, "a", None).adopt(0, US, k1).mint(FORMER, "b", Some(k1)),
            &[(1, 0)],
            &[],
        ),
    ];
    for_each_row(cases, |(name, registry, agents, unkeyed)| {
        let unkeyed: Vec<_> = unkeyed.iter().map(|(uri, id)| ((*uri).to_owned(), *id)).collect();
        assert_eq!(registry.seen(), (agents.to_vec(), unkeyed), "{name}");
    });
}

#[test]
fn a_view_is_of_its_own_block_with_its_tokens_as_they_stand() {
    let registry = Registry::new().mint(US, "a", Some(key(1))).mint(STRANGER, "b", None);
    let view = registry.view().unwrap();
    assert_eq!((view.block, view.count), (registry.evidence.block, 3));
    assert_eq!(view.tokens, registry.evidence.tokens);
}

#[test]
fn evidence_with_a_hole_is_short_and_says_where() {
    let whole = || {
        Registry::new()
            .mint(US, "a", Some(key(1)))
            .mint(FORMER, "b", Some(key(2)))
            .mint(US, "c", None)
            .adopt(2, US, key(3))
    };
    assert_eq!(whole().seen().0, [(1, 0), (2, 1), (3, 2)]);
    let short = |change: fn(&mut Evidence)| {
        let mut registry = whole();
        change(&mut registry.evidence);
        registry.view().unwrap_err()
    };
    type Case = (&'static str, fn(&mut Evidence), IncompleteEvidence);
    let cases: [Case; 12] = [
        (
            "a Registered is missing",
            |e| drop(e.mints.remove(0)),
            IncompleteEvidence::Mints { account: US, registered: 1, minted: 2 },
        ),
        (
            "a former account's Registered is missing",
            |e| drop(e.mints.remove(1)),
            IncompleteEvidence::Mints { account: FORMER, registered: 0, minted: 1 },
        ),
        (
            "a Transfer from zero is missing",
            |e| {
                e.transfers.remove(0);
            },
            IncompleteEvidence::Mints { account: US, registered: 2, minted: 1 },
        ),
        (
            "both events of a mint are missing",
            |e| drop((e.transfers.remove(0), e.mints.remove(0))),
            IncompleteEvidence::Balance { account: US, summed: 1, balance: U256::from(2) },
        ),
        (
            "all of a former account's are missing",
            |e| drop((e.transfers.remove(1), e.mints.remove(1))),
            IncompleteEvidence::Balance { account: FORMER, summed: 0, balance: U256::ONE },
        ),
        (
            "the balance is higher",
            |e| {
                e.balances.insert(US, U256::from(3));
            },
            IncompleteEvidence::Balance { account: US, summed: 2, balance: U256::from(3) },
        ),
        (
            "the balance is lower",
            |e| {
                e.balances.insert(US, U256::from(1));
            },
            IncompleteEvidence::Balance { account: US, summed: 2, balance: U256::from(1) },
        ),
        (
            "the balance was not read",
            |e| {
                e.balances.remove(&US);
            },
            IncompleteEvidence::Balance { account: US, summed: 2, balance: U256::ZERO },
        ),
        (
            "more went out than came in",
            |e| {
                let lost = Transfer { at: place(99), id: id(9), from: FORMER, to: STRANGER };
                e.transfers.extend([lost; 2]);
                e.balances.insert(FORMER, U256::MAX);
            },
            IncompleteEvidence::Balance { account: FORMER, summed: -1, balance: U256::MAX },
        ),
        (
            "a token was not read",
            |e| drop(e.tokens.remove(&id(0))),
            IncompleteEvidence::Token(id(0)),
        ),
        (
            "κ stands on a token, and no event says who set it",
            |e| e.key_events.retain(|event| event.id != id(2)),
            IncompleteEvidence::Key(id(2), key(3)),
        ),
        (
            "another κ than any event says",
            |e| e.tokens.get_mut(&id(0)).unwrap().key = Some(key(4)),
            IncompleteEvidence::Key(id(0), key(4)),
        ),
    ];
    for_each_row(cases, |(name, change, expected)| {
        assert_eq!(short(change), expected, "{name}");
    });
}

#[test]
fn a_mint_of_ours_that_went_away_must_have_been_looked_at_too() {
    let mut registry = Registry::new().mint(US, "a", Some(key(1))).transfer(0, STRANGER);
    assert!(registry.view().is_ok());
    registry.evidence.tokens.clear();
    assert_eq!(registry.view(), Err(IncompleteEvidence::Token(id(0))));
}

#[test]
fn what_is_held_follows_the_transfers_in_order() {
    let registry = Registry::new()
        .mint(US, "a", None)
        .mint(FORMER, "b", None)
        .mint(STRANGER, "c", None)
        .transfer(0, STRANGER)
        .transfer(1, US)
        .transfer(2, FORMER);
    assert_eq!(registry.evidence.owned(&accounts()), BTreeSet::from([id(1), id(2)]));
    let back = registry.transfer(0, US).transfer(1, Address::ZERO);
    assert_eq!(back.evidence.owned(&accounts()), BTreeSet::from([id(0), id(2)]));
}

#[test]
fn a_view_that_lacks_what_the_journal_records_is_not_believed() {
    let (k1, k2) = (key(1), key(2));
    let registry = || Registry::new().mint(US, "a", Some(k1)).mint(FORMER, "b", Some(k2));
    let view = |registry: Registry, minted: &[(u8, u64)]| {
        let minted = minted.iter().map(|(number, token)| (key(*number), id(*token)));
        registry.evidence.view(&accounts(), &minted.collect::<BTreeMap<_, _>>())
    };
    let contradicts =
        |number, token| Err(IncompleteEvidence::Contradicts { key: key(number), id: id(token) });
    assert!(view(registry(), &[]).is_ok());
    assert!(view(registry(), &[(1, 0), (2, 1)]).is_ok());
    assert!(view(registry().transfer(0, STRANGER), &[(1, 0)]).is_ok());
    assert_eq!(view(registry(), &[(1, 0), (3, 7)]), contradicts(3, 7));
    assert_eq!(view(registry(), &[(1, 1)]), contradicts(1, 1));
    // All of its events left out, in a way that adds up.
    assert_eq!(view(Registry::new(), &[(1, 0)]), contradicts(1, 0));
}

#[test]
fn a_second_token_with_one_key_is_reported_while_we_hold_it() {
    let k1 = key(1);
    let duplicates = |registry: Registry| {
        let view = registry.view().unwrap();
        assert_eq!(view.agents, BTreeMap::from([(k1, id(0))]));
        view.duplicates.get(&k1).cloned().unwrap_or_default()
    };
    let twice = || Registry::new().mint(FORMER, "a", Some(k1)).mint(US, "b", Some(k1));
    assert_eq!(duplicates(Registry::new().mint(US, "a", Some(k1))), BTreeSet::new());
    assert_eq!(duplicates(twice()), BTreeSet::from([id(1)]));
    assert_eq!(duplicates(twice().transfer(1, STRANGER)), BTreeSet::new());
    assert_eq!(duplicates(twice().mint(US, "c", Some(k1))), BTreeSet::from([id(1), id(2)]));
    // A stranger's is not ours to report.
    let forged = Registry::new().mint(US, "a", Some(k1)).mint(STRANGER, "a", Some(k1));
    assert_eq!(duplicates(forged.transfer(1, US)), BTreeSet::new());
}

#[test]
fn who_set_a_key_matters_only_while_the_token_is_ours() {
    let k1 = key(1);
    let registry = Registry::new()
        .mint(STRANGER, "a", Some(k1))
        .transfer(0, US)
        .adopt(0, STRANGER, k1)
        .mint(US, "b", Some(k1));
    let evidence = &registry.evidence;
    let claims: Vec<bool> =
        evidence.key_events.iter().map(|event| evidence.is_claim(event, &accounts())).collect();
    assert_eq!(claims, [false, true, false]);
    let mut untold = registry.evidence.clone();
    untold.key_events[0].sender = None;
    assert!(untold.view(&accounts(), &BTreeMap::new()).is_ok());
    untold.key_events[1].sender = None;
    let wrong = untold.view(&accounts(), &BTreeMap::new());
    assert_eq!(wrong, Err(IncompleteEvidence::Key(id(0), k1)));
}

#[test]
fn an_absence_needs_the_oldest_event_and_an_explanation_of_every_key() {
    let k1 = key(1);
    let registry = Registry::new().mint(STRANGER, "a", None).transfer(0, US).adopt(0, US, k1);
    let mut evidence = registry.evidence;
    evidence.tokens.clear();
    assert_eq!(evidence.unread(&accounts()), BTreeSet::from([id(0)]));
    let explained = |evidence: &Evidence, first| evidence.check_absence(first, [(id(0), k1)]);
    for first in [FirstMint::Served, FirstMint::None] {
        assert_eq!(explained(&evidence, first), Ok(()));
    }
    assert_eq!(explained(&evidence, FirstMint::Missing), Err(IncompleteEvidence::Pruned));
    let other = evidence.check_absence(FirstMint::Served, [(id(0), key(2))]);
    assert_eq!(other, Err(IncompleteEvidence::Key(id(0), key(2))));
    evidence.key_events.clear();
    let hidden = Err(IncompleteEvidence::Key(id(0), k1));
    assert_eq!(explained(&evidence, FirstMint::Served), hidden);
    // Accounts that never did anything have no events that could be missing.
    let mut unused = Registry::new().evidence;
    (unused.count, unused.former_counts) = (0, BTreeMap::new());
    assert_eq!(explained(&unused, FirstMint::Missing), Ok(()));
}

#[test]
fn accounts_are_unused_only_if_none_has_ever_sent_or_holds_anything() {
    let unused = || {
        let mut evidence = Registry::new().evidence;
        (evidence.count, evidence.former_counts) = (0, BTreeMap::from([(FORMER, 0)]));
        evidence
    };
    assert!(unused().is_unused());
    type Change = fn(&mut Evidence);
    let uses: [Change; 4] = [
        |e| e.count = 1,
        |e| {
            e.former_counts.insert(FORMER, 1);
        },
        |e| {
            e.balances.insert(US, U256::ONE);
        },
        |e| {
            e.balances.insert(FORMER, U256::ONE);
        },
    ];
    for change in uses {
        let mut evidence = unused();
        change(&mut evidence);
        assert!(!evidence.is_unused());
    }
}
