//! The decision by itself: the step and the reasons of every situation.

use crate::{
    anchor::{
        evidence::Token,
        plan::{BUMP_AFTER_DECISIONS, PAID_FAILURES},
        testing::{FORMER, STRANGER, US, id, in_flight, key},
    },
    registration::Selling,
    testing::for_each_row,
};

mod laws;
mod model;
mod once;
mod search;
mod situation;

use self::situation::{HOST_URI, Situation, URI, in_words, quiet, token};

type Case = (&'static str, fn(&mut Situation), &'static str);

/// Every case starts from a quiet situation, is changed, and leads to a decision in words.
fn holds(cases: &[Case]) {
    let failed = cases.iter().filter_map(|(name, change, expected)| {
        let mut situation = quiet();
        change(&mut situation);
        let decided = in_words(&situation.decide());
        (decided != *expected).then(|| format!("{name}: {decided}, not {expected}"))
    });
    assert_eq!(failed.collect::<Vec<_>>(), Vec::<String>::new());
}

const MINTS: &str = "confirm, sign@5 default mint https://seller.example/a k1; default Pending";

#[test]
fn what_is_in_flight_goes_before_what_is_wanted() {
    holds(&[
        ("nothing is wanted", |s| s.desired.agents.clear(), "rest"),
        ("below the final count", |s| s.sent(4, 0, 99), "forget; default Pending"),
        (
            "below it, and out of patience",
            |s| s.sent(4, BUMP_AFTER_DECISIONS, 0),
            "forget; default Pending",
        ),
        (
            "above the final count: an old view",
            |s| s.sent(6, BUMP_AFTER_DECISIONS, 0),
            "rest; default Pending",
        ),
        ("neither mined nor final", |s| s.sent(5, 0, 99), "broadcast; default Pending"),
        (
            "mined, not final",
            |s| (s.head.mined, s.in_flight) = (6, Some(in_flight(5, 0, 99))),
            "rest; default Pending",
        ),
        (
            "mined, not final, out of patience and underpriced",
            |s| (s.head.mined, s.in_flight) = (6, Some(in_flight(5, 99, 0))),
            "rest; default Pending",
        ),
        (
            "pending at the node, too",
            |s| (s.head.pending, s.in_flight) = (6, Some(in_flight(5, 0, 99))),
            "broadcast; default Pending",
        ),
        ("one decision short of patience", |s| s.sent(5, 9, 99), "broadcast; default Pending"),
        ("out of patience", |s| s.sent(5, 10, 99), "sign@5 bump; default Pending"),
        ("long out of patience", |s| s.sent(5, 11, 99), "sign@5 bump; default Pending"),
        ("the base fee meets the cap", |s| s.sent(5, 0, 10), "broadcast; default Pending"),
        ("the base fee passes the cap", |s| s.sent(5, 0, 9), "sign@5 bump; default Pending"),
        (
            "nothing is wanted any more, and bytes are out",
            |s| {
                s.desired.agents.clear();
                s.sent(5, 10, 99);
            },
            "sign@5 bump",
        ),
    ]);
}

#[test]
fn a_new_call_waits_for_quiet_but_not_for_ever() {
    holds(&[
        ("quiet", |_| {}, MINTS),
        ("a head behind the final block", |s| (s.head.mined, s.head.pending) = (4, 4), MINTS),
        (
            "mined, not final",
            |s| (s.head.mined, s.head.pending) = (6, 6),
            "rest; default WaitingForFinality",
        ),
        (
            "mined, not final, waited long",
            |s| (s.head.mined, s.head.pending, s.waited) = (6, 7, 99),
            "rest; default WaitingForFinality",
        ),
        (
            "mined, and nothing is wanted",
            |s| {
                s.desired.agents.clear();
                s.head.mined = 6;
            },
            "rest",
        ),
    ]);
    for waited in 0..=12 {
        let mut situation = quiet();
        (situation.head.pending, situation.waited) = (6, waited);
        let expected = if waited < 10 { "rest; default PendingUnknown" } else { MINTS };
        assert_eq!(in_words(&situation.decide()), expected, "waited {waited}");
    }
    assert_eq!(BUMP_AFTER_DECISIONS, 10);
}

#[test]
fn a_fee_is_raised_for_a_reason_only() {
    let sent = |decisions, is_known, base_fee, tip| {
        let mut situation = quiet();
        situation.sent(5, decisions, 30);
        (situation.head.is_known, situation.head.base_fee, situation.head.tip) =
            (is_known, base_fee, tip);
        in_words(&situation.decide())
    };
    let rows = [
        ("pending, and the market as it was", (1_000, true, 15, 0), "broadcast; default Pending"),
        ("pending nowhere, but not for long", (9, false, 15, 0), "broadcast; default Pending"),
        ("pending nowhere", (10, false, 15, 0), "sign@5 bump; default Pending"),
        ("the base fee moved", (10, true, 16, 0), "sign@5 bump; default Pending"),
        ("the tip moved", (10, true, 1, 1), "sign@5 bump; default Pending"),
        ("they moved just now", (9, true, 16, 0), "broadcast; default Pending"),
        ("the base fee is above the cap", (0, true, 31, 0), "sign@5 bump; default Pending"),
    ];
    for_each_row(rows, |(name, (decisions, is_known, base_fee, tip), expected)| {
        assert_eq!(sent(decisions, is_known, base_fee, tip), expected, "{name}");
    });
}

#[test]
fn an_agent_on_chain_is_kept_as_it_should_be() {
    holds(&[
        ("as it should be", |s| s.on_chain(7, token(US, URI)), "rest; default Anchored"),
        (
            "its URI drifted, and x402 is missing",
            |s| s.on_chain(7, Token { x402: false, ..token(US, "https://old.example") }),
            "sign@5 default uri 7 https://seller.example/a; default Pending",
        ),
        (
            "x402 is missing",
            |s| s.on_chain(7, Token { x402: false, ..token(US, URI) }),
            "sign@5 default x402 7; default Pending",
        ),
        (
            "a former account has it",
            |s| s.on_chain(7, token(FORMER, "https://old.example")),
            "rest; default NotOwner",
        ),
        ("a stranger has it", |s| s.on_chain(7, token(STRANGER, URI)), "rest; default NotOwner"),
        (
            "the view names it and does not hold it",
            |s| {
                s.view.agents.insert(key(1), id(7));
            },
            "rest; default ViewShort",
        ),
        (
            "nothing of it is published",
            |s| {
                s.on_chain(7, token(US, URI));
                s.agent().selling = Selling::Nothing;
            },
            "rest; default Anchored",
        ),
        (
            "a tombstone's URI drifted",
            |s| {
                s.on_chain(7, token(US, "https://old.example"));
                s.agent().selling = Selling::Nothing;
            },
            "sign@5 default uri 7 https://seller.example/a; default Pending",
        ),
        (
            "other ids are known besides",
            |s| {
                s.on_chain(7, token(US, URI));
                s.view.tokens.insert(id(3), token(US, URI));
                s.view.unkeyed.insert(URI.to_owned(), id(3));
                (s.agent().adopt, s.agent().known) = (Some(id(3)), Some(id(4)));
            },
            "rest; default Anchored",
        ),
        (
            "another agent's κ is on chain",
            |s| {
                s.view.agents.insert(key(2), id(7));
            },
            MINTS,
        ),
    ]);
}

#[test]
fn an_id_that_is_known_is_adopted_or_waived_first() {
    holds(&[
        (
            "named and ours",
            |s| {
                s.view.tokens.insert(id(7), token(US, "https://old.example"));
                s.agent().adopt = Some(id(7));
            },
            "confirm, sign@5 default adopt 7 k1; default Pending",
        ),
        (
            "named, ours, and a tombstone's",
            |s| {
                s.view.tokens.insert(id(0), token(US, URI));
                (s.agent().adopt, s.agent().selling) = (Some(id(0)), Selling::Nothing);
            },
            "confirm, sign@5 default adopt 0 k1; default Pending",
        ),
        (
            "named and a stranger's, mint beside or not",
            |s| {
                s.view.tokens.insert(id(7), token(STRANGER, URI));
                (s.agent().adopt, s.desired.mint_beside) = (Some(id(7)), true);
            },
            "rest; default NotOwner",
        ),
        (
            "named and a former account's",
            |s| {
                s.view.tokens.insert(id(7), token(FORMER, URI));
                s.agent().adopt = Some(id(7));
            },
            "rest; default NotOwner",
        ),
        ("named and missing", |s| s.agent().adopt = Some(id(7)), "rest; default NotOwner"),
        ("an AgentIdentity's", |s| s.agent().known = Some(id(0)), "rest; default AdoptFirst"),
        (
            "minted without κ at this URI",
            |s| {
                s.view.unkeyed.insert(URI.to_owned(), id(3));
            },
            "rest; default AdoptFirst",
        ),
        (
            "minted without κ at another URI",
            |s| {
                s.view.unkeyed.insert(HOST_URI.to_owned(), id(3));
            },
            MINTS,
        ),
        (
            "mint beside what an AgentIdentity names",
            |s| (s.agent().known, s.desired.mint_beside) = (Some(id(0)), true),
            MINTS,
        ),
        (
            "mint beside what has no κ",
            |s| {
                s.view.unkeyed.insert(URI.to_owned(), id(3));
                s.desired.mint_beside = true;
            },
            MINTS,
        ),
        (
            "known, of an earlier incarnation",
            |s| {
                s.view.agents.insert(key(9), id(7));
                s.agent().known = Some(id(7));
            },
            MINTS,
        ),
        (
            "known, beside an earlier incarnation's",
            |s| {
                s.view.agents.insert(key(9), id(7));
                s.agent().known = Some(id(6));
            },
            "rest; default AdoptFirst",
        ),
        (
            "known of an earlier incarnation, and another without κ",
            |s| {
                s.view.agents.insert(key(9), id(7));
                s.agent().known = Some(id(7));
                s.view.unkeyed.insert(URI.to_owned(), id(3));
            },
            "rest; default AdoptFirst",
        ),
        (
            "known, of another agent",
            |s| {
                s.view.agents.insert(key(2), id(7));
                s.agent().known = Some(id(7));
            },
            "rest; default AdoptFirst",
        ),
        (
            "held before it is looked at whether it sells",
            |s| (s.agent().known, s.agent().selling) = (Some(id(0)), Selling::Nothing),
            "rest; default AdoptFirst",
        ),
        (
            "nothing is published",
            |s| s.agent().selling = Selling::Nothing,
            "rest; default Tombstone",
        ),
        (
            "everything winds down",
            |s| s.agent().selling = Selling::Draining,
            "rest; default Draining",
        ),
    ]);
}

#[test]
fn what_was_paid_for_and_failed_three_times_waits_for_a_person() {
    assert_eq!(PAID_FAILURES, 3);
    holds(&[
        ("twice", |s| s.agent().failed = 2, MINTS),
        ("three times", |s| s.agent().failed = 3, "rest; default Reverted"),
        ("more often", |s| s.agent().failed = 4, "rest; default Reverted"),
        (
            "a change of URI",
            |s| {
                s.on_chain(7, token(US, "https://old.example"));
                s.agent().failed = 3;
            },
            "rest; default Reverted",
        ),
        (
            "nothing more is needed",
            |s| {
                s.on_chain(7, token(US, URI));
                s.agent().failed = 3;
            },
            "rest; default Anchored",
        ),
        (
            "another reason stands",
            |s| (s.agent().failed, s.agent().selling) = (3, Selling::Draining),
            "rest; default Draining",
        ),
        (
            "another agent goes on",
            |s| {
                s.agent().failed = 3;
                s.with_host();
            },
            "confirm, sign@5 host:audit.example mint https://audit.example/a k2; default Reverted; host:audit.example Pending",
        ),
    ]);
}

#[test]
fn agents_are_served_in_order_one_at_a_time() {
    holds(&[
        (
            "both are missing",
            |s| {
                s.with_host();
            },
            "confirm, sign@5 default mint https://seller.example/a k1; default Pending; host:audit.example Pending",
        ),
        (
            "the host stands first",
            |s| {
                s.with_host();
                s.desired.agents.reverse();
            },
            "confirm, sign@5 host:audit.example mint https://audit.example/a k2; default Pending; host:audit.example Pending",
        ),
        (
            "the first is as it should be",
            |s| {
                s.with_host();
                s.on_chain(7, token(US, URI));
            },
            "confirm, sign@5 host:audit.example mint https://audit.example/a k2; default Anchored; host:audit.example Pending",
        ),
        (
            "the first is held",
            |s| {
                s.with_host();
                s.agent().known = Some(id(7));
            },
            "confirm, sign@5 host:audit.example mint https://audit.example/a k2; default AdoptFirst; host:audit.example Pending",
        ),
        (
            "only the one in turn waits for finality",
            |s| {
                s.with_host();
                s.head.mined = 6;
            },
            "rest; default WaitingForFinality; host:audit.example Pending",
        ),
        (
            "only the one in turn waits for what is pending",
            |s| {
                s.with_host();
                s.on_chain(7, token(US, URI));
                s.head.pending = 6;
            },
            "rest; default Anchored; host:audit.example PendingUnknown",
        ),
    ]);
}
