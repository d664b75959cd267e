//! What keeps a mint back although the nonce rule allows it, and what is said about it.

use std::collections::BTreeSet;

use super::{
    MINTS, holds,
    situation::{HOST_URI, Situation, URI, in_words, quiet, token},
};
use crate::{
    anchor::{
        AnchorReason,
        plan::{Denial, FormerAccount, Step, Testimony, Unconfirmed, is_decided},
        testing::{STRANGER, US, id, key},
    },
    registration::AgentName,
    testing::for_each_row,
};

fn former(final_count: u64, pending: u64, recorded: Option<u64>) -> FormerAccount {
    FormerAccount { final_count, pending, recorded }
}

#[test]
fn nothing_is_minted_while_a_former_account_may_still_mint() {
    const BUSY: &str = "rest; default FormerAccountBusy";
    holds(&[
        ("it never sent anything", |s| s.formers = vec![former(0, 0, None)], MINTS),
        ("all of it is final", |s| s.formers = vec![former(3, 3, Some(2))], MINTS),
        ("recorded at its final count", |s| s.formers = vec![former(3, 3, Some(3))], BUSY),
        ("recorded above it", |s| s.formers = vec![former(3, 3, Some(4))], BUSY),
        ("something is pending or not final", |s| s.formers = vec![former(3, 4, None)], BUSY),
        (
            "the second of two",
            |s| s.formers = vec![former(3, 3, None), former(0, 0, Some(0))],
            BUSY,
        ),
        (
            "an adoption waits too",
            |s| {
                s.formers = vec![former(3, 4, None)];
                s.view.tokens.insert(id(7), token(US, URI));
                s.agent().adopt = Some(id(7));
            },
            BUSY,
        ),
        (
            "a call that gives nothing a κ does not",
            |s| {
                s.formers = vec![former(3, 4, None)];
                s.on_chain(7, token(US, "https://old.example"));
            },
            "sign@5 default uri 7 https://seller.example/a; default Pending",
        ),
        (
            "nor does another agent's",
            |s| {
                s.formers = vec![former(3, 4, None)];
                s.with_host();
                s.view.agents.insert(key(2), id(8));
                s.view.tokens.insert(id(8), token(US, "https://old.example"));
            },
            "sign@5 host:audit.example uri 8 https://audit.example/a; default FormerAccountBusy; host:audit.example Pending",
        ),
        (
            "what is in flight is sent again",
            |s| {
                s.formers = vec![former(3, 4, None)];
                s.sent(5, 0, 99);
            },
            "broadcast; default FormerAccountBusy",
        ),
    ]);
}

#[test]
fn an_identity_that_cannot_be_read_holds_the_default_agent_until_somebody_decides() {
    fn unclear(s: &mut Situation) {
        s.agent().unclear = Some("\"#7\" is not an integer".to_owned());
    }
    holds(&[
        ("unclear", unclear, "rest; default IdentityUnclear"),
        (
            "mint beside",
            |s| {
                unclear(s);
                s.desired.mint_beside = true;
            },
            MINTS,
        ),
        (
            "adopted",
            |s| {
                unclear(s);
                s.agent().adopt = Some(id(7));
                s.view.tokens.insert(id(7), token(US, URI));
            },
            "confirm, sign@5 default adopt 7 k1; default Pending",
        ),
        (
            "on chain already",
            |s| {
                unclear(s);
                s.on_chain(7, token(US, URI));
            },
            "rest; default Anchored",
        ),
    ]);
    let mut situation = quiet();
    unclear(&mut situation);
    assert_eq!(situation.decide().details[&AgentName::Default], "\"#7\" is not an integer");
}

#[test]
fn a_second_token_with_the_key_is_named() {
    let mut situation = quiet();
    situation.on_chain(7, token(US, URI));
    situation.view.duplicates.insert(key(1), BTreeSet::from([id(8), id(9)]));
    let decision = situation.decide();
    assert_eq!(in_words(&decision), "rest; default DuplicateMint");
    let detail = &decision.details[&AgentName::Default];
    assert!(detail.starts_with("The account also holds agentId 8, 9, which carries"), "{detail}");
    // What is needed goes first.
    situation.view.tokens.insert(id(7), token(US, "https://old.example"));
    let expected = "sign@5 default uri 7 https://seller.example/a; default Pending";
    assert_eq!(in_words(&situation.decide()), expected);
}

#[test]
fn an_id_that_is_known_is_named_with_the_flag_that_takes_it_over() {
    let advice = |change: fn(&mut Situation)| {
        let mut situation = quiet();
        situation.agent().known = Some(id(7));
        change(&mut situation);
        let decision = situation.decide();
        let (agent, detail) = decision.details.first_key_value().unwrap();
        assert_eq!(decision.agents[agent], AnchorReason::AdoptFirst);
        detail.clone()
    };
    let ours = advice(|s| drop(s.view.tokens.insert(id(7), token(US, URI))));
    assert!(ours.contains("agentId 7 ") && ours.contains("with --adopt eip155:1=7, or"), "{ours}");
    let lost = advice(|s| drop(s.view.tokens.insert(id(7), token(STRANGER, URI))));
    assert!(lost.contains("owns it. Mint a new one with --mint-beside; or transfer"), "{lost}");
    assert!(!lost.contains("Take it over"), "{lost}");
    let missing = advice(|_| {});
    assert!(missing.contains("no such token") && !missing.contains("--adopt"), "{missing}");
    let host = advice(|s| {
        s.agent().known = None;
        s.desired.agents.remove(0);
        s.with_host();
        s.view.unkeyed.insert(HOST_URI.to_owned(), id(3));
        s.view.tokens.insert(id(3), token(US, HOST_URI));
    });
    assert!(host.contains("--adopt eip155:1/audit.example=3"), "{host}");
}

#[test]
fn a_decision_holds_until_something_changes_only_if_nothing_is_under_way() {
    type Case = (&'static str, fn(&mut Situation), bool);
    let cases: [Case; 7] = [
        ("a mint is needed", |_| {}, false),
        ("as it should be", |s| s.on_chain(7, token(US, URI)), true),
        ("held for a person", |s| s.agent().known = Some(id(0)), true),
        ("nothing is wanted", |s| s.desired.agents.clear(), true),
        (
            "bytes are out",
            |s| {
                s.on_chain(7, token(US, URI));
                s.sent(5, 0, 99);
            },
            false,
        ),
        ("waiting for finality", |s| s.head.mined = 6, false),
        ("a former account is busy", |s| s.formers = vec![former(3, 4, None)], false),
    ];
    for_each_row(cases.to_vec(), |(name, change, settled)| {
        let mut situation = quiet();
        change(&mut situation);
        assert_eq!(situation.decide().is_settled, settled, "{name}");
    });
}

#[test]
fn a_mint_is_signed_only_if_a_majority_of_all_endpoints_shows_its_absence() {
    let claim = || -> Unconfirmed {
        match quiet().decide().step {
            Step::Confirm(claim) => claim,
            step @ (Step::Wait | Step::Sign(_) | Step::Broadcast | Step::Release) => {
                panic!("{step:?}")
            }
        }
    };
    let absent = Testimony::Absent;
    let present = Testimony::Present(id(3));
    let none = Testimony::Unusable("it is down".to_owned());
    let other = Testimony::Present(id(4));
    let (signed, undecided, outvoted) = (None, Some(Denial::Undecided), Some(Denial::Outvoted));
    let cases = [
        (vec![&absent], 1, signed),
        (vec![&absent], 2, undecided),
        (vec![&absent, &none], 2, undecided),
        (vec![&absent, &absent], 2, signed),
        (vec![&absent, &present], 2, undecided),
        (vec![&absent, &present, &present], 3, outvoted),
        (vec![&absent, &present, &other], 3, undecided),
        (vec![&absent, &present, &none], 3, undecided),
        (vec![&absent, &present, &absent], 3, signed),
        (vec![&absent, &none, &absent], 3, signed),
        (vec![&absent, &absent, &none, &present], 4, undecided),
        (vec![&absent, &present, &present, &present], 4, outvoted),
        (vec![], 1, undecided),
    ];
    for_each_row(cases.to_vec(), |(said, endpoints, denied)| {
        let said: Vec<Testimony> = said.into_iter().cloned().collect();
        let judged = claim().judge(&said, endpoints);
        match denied {
            None => assert_eq!(judged.unwrap().nonce(), 5, "{said:?}"),
            Some(denial) => assert_eq!(judged, Err(denial), "{said:?}"),
        }
        // No answer of those that were not asked could have changed a verdict that is decided.
        assert_eq!(is_decided(&said, endpoints), denied != undecided, "{said:?}");
    });
    // What a view says: only the same count and no token are an absence.
    let view = |change: fn(&mut Situation)| {
        let mut situation = quiet();
        change(&mut situation);
        claim().testimony(&situation.view)
    };
    assert_eq!(view(|_| {}), Testimony::Absent);
    assert_eq!(view(|s| s.on_chain(7, token(STRANGER, URI))), Testimony::Present(id(7)));
    assert!(matches!(view(|s| s.view.count = 4), Testimony::Unusable(_)));
    assert!(matches!(view(|s| s.view.count = 6), Testimony::Unusable(_)));
    let former_sent = |s: &mut Situation| s.view.former_counts = [(STRANGER, 1)].into();
    assert!(matches!(view(former_sent), Testimony::Unusable(_)));
}
