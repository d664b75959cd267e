//! The transitions of an account's state.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};

use crate::{
    anchor::{
        account::{
            AccountKey, AccountState, AgentFinding, AgentRecord, CodeHashes, FinalOutcome,
            Observed, PricedCall, Spent,
        },
        evidence::{Block, View},
        facts::IdRecord,
        fees::{Budget, Fees},
        plan::{BUMP_AFTER_DECISIONS, Step},
        reason::AnchorReason,
        signer::tests::reservation,
        testing::{US, host, id, in_flight, key, registry},
    },
    registration::AgentName,
    testing::{at, for_each_row},
};

fn call(max_fee: u128, tip: u128) -> PricedCall {
    PricedCall {
        agent: AgentName::Default,
        call: "register".to_owned(),
        to: Address::repeat_byte(0x80),
        data: vec![1, 2, 3].into(),
        gas: 1_000,
        fees: Fees { max_fee, tip },
        data_fee: 0,
        budget: Budget::Daily,
    }
}

/// Records a signature that is told from others by one byte.
fn sign(state: &mut AccountState, number: u8, call: PricedCall, now: &str) {
    let reservation = reservation(5, state.in_flight.is_some());
    let (hash, raw) = (B256::repeat_byte(number), vec![number].into());
    state.record_signature(&reservation, call, hash, raw, at(now));
}

#[test]
fn a_signature_is_recorded_with_its_bytes_and_counts_in_full() {
    let mut state = AccountState { waited: 7, ..AccountState::default() };
    sign(&mut state, 1, call(100, 3), "2026-11-24T12:00:00Z");
    assert_eq!(state.spent, Spent { day: "2026-11-24".to_owned(), wei: 100_000 });
    assert_eq!(state.waited, 0);
    let sent = state.in_flight.unwrap();
    assert_eq!((sent.nonce, sent.decisions, sent.gas, sent.max_fee()), (5, 0, 1_000, 100));
    assert_eq!((&sent.agent, sent.call.as_str()), (&AgentName::Default, "register"));
    assert_eq!((sent.to, sent.data.as_ref()), (Address::repeat_byte(0x80), &[1, 2, 3][..]));
    let [attempt] = &sent.attempts[..] else { panic!("{sent:?}") };
    assert_eq!((attempt.hash, attempt.raw.as_ref()), (B256::repeat_byte(1), &[1][..]));
    assert_eq!((attempt.max_fee, attempt.tip), (100, 3));
}

#[test]
fn a_bump_is_a_further_signature_and_only_its_difference_counts() {
    let mut state = AccountState::default();
    sign(&mut state, 1, call(100, 3), "2026-11-24T12:00:00Z");
    state.in_flight.as_mut().unwrap().decisions = BUMP_AFTER_DECISIONS;
    sign(&mut state, 2, call(120, 4), "2026-11-24T12:00:00Z");
    assert_eq!(state.spent.on(at("2026-11-24T12:00:00Z")), 120_000);
    let sent = state.in_flight.clone().unwrap();
    assert_eq!((sent.nonce, sent.decisions, sent.attempts.len()), (5, 0, 2));
    assert_eq!(sent.max_fee(), 120, "the last one is what the next is measured by");
    // What was spent on another day is forgotten.
    sign(&mut state, 3, call(150, 5), "2026-11-25T00:00:00Z");
    assert_eq!(state.spent, Spent { day: "2026-11-25".to_owned(), wei: 30_000 });
}

/// A decision at a block with this final count.
fn observe(state: &mut AccountState, count: u64) {
    let block = Block { number: 10 * count, hash: B256::repeat_byte(9) };
    let view = View {
        block,
        count,
        former_counts: Default::default(),
        agents: Default::default(),
        duplicates: Default::default(),
        unkeyed: Default::default(),
        tokens: Default::default(),
    };
    let code = CodeHashes { proxy: B256::ZERO, implementation: B256::ZERO };
    let now = at("2026-11-24T12:00:00.9Z");
    state.observe(&view, Observed { account: US, code, balance: 7, at: now }, &Step::Wait);
}

#[test]
fn finalized_nonces_that_nobody_here_signed_for_are_counted() {
    let mut state = AccountState::default();
    observe(&mut state, 4);
    assert_eq!(state.foreign_nonces, 0, "what was before the first decision is not foreign");
    assert_eq!((state.final_count, state.final_block, state.balance), (4, 40, 7));
    assert_eq!(state.decided_at, Some(at("2026-11-24T12:00:00Z")));
    assert_eq!((state.checkpoint.unwrap().number, state.step.as_str()), (40, "rest"));
    let cases = [
        ("none is new", None, 4, 0),
        ("one is new", None, 5, 1),
        ("three are new", None, 7, 3),
        ("ours alone", Some(4), 5, 0),
        ("ours among others", Some(5), 7, 2),
        ("ours is not among them", Some(7), 6, 2),
    ];
    for_each_row(cases, |(name, nonce, count, foreign)| {
        let mut next =
            AccountState { in_flight: nonce.map(|nonce| in_flight(nonce, 0, 1)), ..state.clone() };
        observe(&mut next, count);
        assert_eq!(next.foreign_nonces, foreign, "{name}");
    });
}

#[test]
fn a_released_nonce_counts_for_its_agent_or_as_foreign() {
    let record = AgentRecord {
        reason: AnchorReason::Pending,
        detail: None,
        id: IdRecord::Unknown,
        failures: 2,
        content: None,
    };
    let cases = [
        ("succeeded", FinalOutcome::Succeeded, 0, 0),
        ("failed", FinalOutcome::Failed, 3, 0),
        ("somebody else's", FinalOutcome::Foreign, 2, 1),
    ];
    for_each_row(cases, |(name, outcome, failures, foreign)| {
        let mut state = AccountState {
            in_flight: Some(in_flight(5, 0, 1)),
            agents: [(AgentName::Default, record.clone())].into(),
            ..AccountState::default()
        };
        state.release(outcome);
        assert_eq!(state.in_flight, None, "{name}");
        let found = (state.agents[&AgentName::Default].failures, state.foreign_nonces);
        assert_eq!(found, (failures, foreign), "{name}");
    });
}

#[test]
fn data_counts_once_and_a_replacement_with_more_gas_counts_in_full() {
    let mut state = AccountState::default();
    let first = PricedCall { data_fee: 7_000, ..call(100, 3) };
    sign(&mut state, 1, first, "2026-11-24T12:00:00Z");
    assert_eq!(state.spent.wei, 107_000);
    let more = PricedCall { gas: 2_000, data_fee: 9_000, ..call(113, 4) };
    sign(&mut state, 2, more, "2026-11-24T12:05:00Z");
    assert_eq!(state.spent.wei, 107_000 + 2_000 * 113 - 1_000 * 100);
    assert_eq!(state.in_flight.unwrap().gas, 2_000);
}

#[test]
fn only_decisions_that_saw_something_unknown_pending_are_counted() {
    let mut state = AccountState { waited: 3, ..AccountState::default() };
    state.wait(true);
    assert_eq!(state.waited, 4);
    state.wait(false);
    assert_eq!(state.waited, 0);
    state.in_flight = Some(in_flight(5, 0, 1));
    state.count_broadcast();
    assert_eq!(state.in_flight.as_ref().unwrap().decisions, 1);
    state.bump_next();
    assert_eq!(state.in_flight.unwrap().decisions, BUMP_AFTER_DECISIONS);
}

#[test]
fn records_of_agents_that_are_not_anchored_stay_only_for_their_ids() {
    let record = |id| AgentRecord {
        reason: AnchorReason::Anchored,
        detail: None,
        id,
        failures: 2,
        content: None,
    };
    let mut state = AccountState {
        agents: [
            (AgentName::Default, record(IdRecord::Unknown)),
            (host("kept.example"), record(IdRecord::Ours(id(3)))),
            (host("gone.example"), record(IdRecord::Unknown)),
        ]
        .into(),
        ..AccountState::default()
    };
    let finding = |reason, id| AgentFinding { reason, detail: Some("why".to_owned()), id };
    let now = finding(AnchorReason::Pending, IdRecord::Unknown);
    state.record_agents([(AgentName::Default, now)].into());
    assert_eq!(state.agents[&AgentName::Default].message(), "why");
    assert_eq!(
        state.agents.keys().cloned().collect::<Vec<_>>(),
        [AgentName::Default, host("kept.example")]
    );
    assert_eq!(state.agents[&AgentName::Default].failures, 2);
    let anchored = finding(AnchorReason::Anchored, IdRecord::Ours(id(0)));
    state.record_agents([(AgentName::Default, anchored)].into());
    assert_eq!(state.agents[&AgentName::Default].failures, 0, "healthy again");
    state.block([AgentName::Default, host("new.example")].into_iter(), AnchorReason::NoQuorum);
    assert_eq!(state.agents[&AgentName::Default].id, IdRecord::Ours(id(0)), "ids remain");
    assert_eq!(state.agents[&host("new.example")].reason, AnchorReason::NoQuorum);
    let message = state.agents[&AgentName::Default].message();
    assert_eq!(message, AnchorReason::NoQuorum.message(), "what was found before is gone");
    assert_eq!(state.agents[&host("kept.example")].reason, AnchorReason::Anchored);
}

#[test]
fn an_accounts_key_is_text_and_is_read_back() {
    let key = AccountKey { registry: registry(1), account: US };
    assert_eq!(key.to_string().parse(), Ok(key));
    for text in ["", "nowhere", "eip155:1:0x80", &format!("{}:", registry(1))] {
        assert!(text.parse::<AccountKey>().is_err(), "{text}");
    }
}

#[test]
fn a_day_is_utc_and_what_was_spent_on_another_counts_for_nothing() {
    let spent = |day: &str, wei: u128| Spent { day: day.to_owned(), wei };
    let cases = [
        ("the same day", spent("2026-11-24", 7), "2026-11-24T00:00:00Z", 7),
        ("its last second", spent("2026-11-24", 7), "2026-11-24T23:59:59Z", 7),
        ("elsewhere it is tomorrow", spent("2026-11-24", 7), "2026-11-25T01:00:00+02:00", 7),
        ("the next day", spent("2026-11-24", 7), "2026-11-25T00:00:00Z", 0),
        ("the clock went back", spent("2026-11-24", 7), "2026-11-23T23:59:59Z", 0),
        ("nothing yet", Spent::default(), "2026-11-24T00:00:00Z", 0),
    ];
    for_each_row(cases, |(name, spent, now, expected)| {
        assert_eq!(spent.on(at(now)), expected, "{name}");
    });
}

#[test]
fn a_token_that_was_once_final_is_remembered_for_good() {
    let view = |agents: &[(u8, u64)]| View {
        block: Block { number: 1, hash: B256::ZERO },
        count: 1,
        former_counts: BTreeMap::new(),
        agents: agents.iter().map(|(number, token)| (key(*number), id(*token))).collect(),
        duplicates: BTreeMap::new(),
        unkeyed: BTreeMap::new(),
        tokens: BTreeMap::new(),
    };
    let mut state = AccountState::default();
    let ours = || [key(1), key(2)].into_iter();
    state.record_minted(ours(), &view(&[(1, 0), (9, 5)]));
    assert_eq!(state.minted, BTreeMap::from([(key(1), id(0))]), "only what is desired");
    state.record_minted(ours(), &view(&[(1, 7), (2, 3)]));
    state.record_minted(ours(), &view(&[]));
    assert_eq!(state.minted, BTreeMap::from([(key(1), id(0)), (key(2), id(3))]));
}

#[test]
fn failures_are_forgotten_when_a_person_says_so() {
    let record = |failures| AgentRecord {
        reason: AnchorReason::Reverted,
        detail: None,
        id: IdRecord::Unknown,
        failures,
        content: None,
    };
    let agents = [(AgentName::Default, record(3)), (host("a.example"), record(4))];
    let mut state = AccountState { agents: agents.into(), ..AccountState::default() };
    assert!(state.resume(&AgentName::Default));
    assert!(!state.resume(&AgentName::Default) && !state.resume(&host("b.example")));
    let failures: Vec<_> = state.agents.values().map(|record| record.failures).collect();
    assert_eq!(failures, [0, 4]);
}
