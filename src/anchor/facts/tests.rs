//! What documents learn from the states of accounts and from a view.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256};

use crate::{
    anchor::{
        account::{AccountKey, AccountState, AgentRecord},
        evidence::{Accounts, Block, Token, View},
        facts::{IdRecord, id_record, on_chain_facts},
        plan::DesiredAgent,
        reason::AnchorReason,
        testing::{FORMER, STRANGER, US, desired, host, id, key, registry},
    },
    registration::{AgentName, OnChainAgent, OnChainId},
    testing::{at, for_each_row},
};

#[test]
fn what_a_view_shows_of_an_id_is_recorded() {
    let uri = "https://seller.example/a";
    let agent = |agent: AgentName, known: Option<u64>| DesiredAgent {
        known: known.map(id),
        ..desired(agent, key(1), uri)
    };
    let accounts = Accounts { current: US, former: BTreeSet::from([FORMER]) };
    let view = |keyed: Option<u64>, token: Option<(Address, &str)>| View {
        block: Block { number: 1, hash: B256::ZERO },
        count: 0,
        former_counts: BTreeMap::new(),
        agents: keyed.map(|number| (key(1), id(number))).into_iter().collect(),
        duplicates: BTreeMap::new(),
        unkeyed: BTreeMap::new(),
        tokens: token
            .map(|(owner, uri)| {
                (id(7), Token { owner, uri: uri.to_owned(), x402: true, key: None })
            })
            .into_iter()
            .collect(),
    };
    let ours = || IdRecord::Ours(id(7));
    let cases = [
        ("ours", None, view(Some(7), Some((US, "x"))), ours()),
        ("a former account's", None, view(Some(7), Some((FORMER, "x"))), ours()),
        ("ours, whatever an identity names", Some(6), view(Some(7), Some((US, "x"))), ours()),
        ("in other hands", None, view(Some(7), Some((STRANGER, uri))), IdRecord::Lost),
        ("named by κ and not there", None, view(Some(7), None), IdRecord::Lost),
        ("nothing", None, view(None, None), IdRecord::Unknown),
        ("an identity's, owned by us", Some(7), view(None, Some((US, "x"))), IdRecord::Unknown),
        (
            "an identity's, at our URI",
            Some(7),
            view(None, Some((STRANGER, uri))),
            IdRecord::Unknown,
        ),
        ("an identity's, neither", Some(7), view(None, Some((STRANGER, "x"))), IdRecord::Refuted),
        ("an identity's, not there", Some(7), view(None, None), IdRecord::Refuted),
        ("another than an identity's", Some(6), view(None, Some((US, uri))), IdRecord::Refuted),
    ];
    for_each_row(cases, |(name, known, view, expected)| {
        let recorded = id_record(&agent(AgentName::Default, known), &view, &accounts);
        assert_eq!(recorded, expected, "{name}");
    });
    let hosted = agent(host("a.example"), Some(7));
    assert_eq!(
        id_record(&hosted, &view(None, None), &accounts),
        IdRecord::Unknown,
        "an AgentIdentity describes the default agent only"
    );
}

fn record(reason: AnchorReason, id: IdRecord) -> AgentRecord {
    AgentRecord { reason, detail: None, id, failures: 0, content: None }
}

#[test]
fn what_is_recorded_of_ids_is_published() {
    let agents = [
        (AgentName::Default, record(AnchorReason::Anchored, IdRecord::Ours(id(0)))),
        (host("a.example"), record(AnchorReason::NotOwner, IdRecord::Lost)),
        (host("b.example"), record(AnchorReason::AdoptFirst, IdRecord::Refuted)),
        (host("c.example"), record(AnchorReason::Pending, IdRecord::Unknown)),
    ];
    let key = AccountKey { registry: registry(1), account: US };
    let state = AccountState { agents: agents.into(), ..AccountState::default() };
    let facts = on_chain_facts(&BTreeMap::from([(key, state)]));
    let expected = [
        (AgentName::Default, OnChainId::Own(id(0)), "Anchored"),
        (host("a.example"), OnChainId::Withheld, "NotOwner"),
        (host("b.example"), OnChainId::Withheld, "AdoptFirst"),
        (host("c.example"), OnChainId::Unknown, "Pending"),
    ];
    let expected =
        expected.map(|(agent, id, reason)| ((agent, registry(1)), OnChainAgent { id, reason }));
    assert_eq!(facts.0, expected.into());
}

#[test]
fn after_a_key_rotation_the_latest_decision_wins() {
    for (new, old) in [(US, FORMER), (FORMER, US)] {
        let key = |account: Address| AccountKey { registry: registry(1), account };
        let state = |account, record, decided_at: Option<&str>| AccountState {
            account,
            agents: [(AgentName::Default, record)].into(),
            decided_at: decided_at.map(at),
            ..AccountState::default()
        };
        let ours = record(AnchorReason::Anchored, IdRecord::Ours(id(0)));
        let lost = record(AnchorReason::NotOwner, IdRecord::Lost);
        let before = state(old, ours, Some("2026-11-24T00:00:00Z"));
        let cases = [
            ("nothing was decided with the new key", None, "Anchored"),
            ("decided with the new key", Some("2026-11-24T00:00:01Z"), "NotOwner"),
        ];
        for_each_row(cases, |(name, decided_at, reason)| {
            let after = state(new, lost.clone(), decided_at);
            let accounts = [(key(old), before.clone()), (key(new), after)].into();
            let facts = on_chain_facts(&accounts);
            assert_eq!(facts.0[&(AgentName::Default, registry(1))].reason, reason, "{name}");
        });
    }
}
