//! Which agents should be on chain, by the operator's policy and by what is published.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    anchor::{
        AnchorReason,
        account::AccountState,
        desired::{AnchorPolicy, Remembered},
        key::{AnchorKey, Owner},
        plan::DesiredState,
        testing::{US, host, id, registry},
    },
    offer::Hostname,
    registration::{AgentName, Identity, Ids, PublishedAgents, Selling, project},
    testing::{NOON, Resource, at, for_each_row, offer, offers, public_url, rules},
};

fn published(resources: &[Resource], identity: &[(u64, u64)], now: &str) -> PublishedAgents {
    let projection = project(&offers(resources), &Ids::default(), &public_url(), &rules(), at(now));
    let identity = identity.iter().map(|(chain, number)| (registry(*chain), id(*number)));
    let identity = Identity { registrations: identity.collect(), problems: Vec::new() };
    PublishedAgents::new(&projection, &public_url(), &identity)
}

/// What a policy asks for at noon, without retirements.
fn desired(
    policy: &AnchorPolicy,
    chain: u64,
    published: &PublishedAgents,
    state: &AccountState,
) -> DesiredState {
    let remembered = Remembered { state, retirements: &BTreeMap::new() };
    policy.desired(&registry(chain), US, published, remembered, at(NOON))
}

fn owner(incarnation: u64) -> Owner {
    Owner { id: "harbour".to_owned(), incarnation }
}

#[test]
fn the_default_agent_and_the_named_hosts_are_desired() {
    let agent = host("audit.example");
    let policy = AnchorPolicy {
        owner: owner(2),
        hosts: ["audit.example", "empty.example"].map(|name| Hostname::parse(name).unwrap()).into(),
        adopt: BTreeMap::from([((1, AgentName::Default), id(4)), ((2, agent.clone()), id(5))]),
        mint_beside: false,
        data_uris: BTreeSet::new(),
        uri_settle: Duration::from_secs(86_400),
    };
    let drain = ["2026-05-24T11:30:00Z", "1h"];
    let resources = [
        offer("llm/chat"),
        offer("llm/audit").path("/a").host("audit.example").draining(drain[0], drain[1]),
        offer("llm/other").path("/b").host("other.example"),
    ];
    let published = published(&resources, &[(1, 9)], NOON);
    let state = AccountState::default();
    let agents = |policy: &AnchorPolicy, chain| desired(policy, chain, &published, &state).agents;
    let desired = agents(&policy, 1);
    let summary: Vec<_> = desired
        .iter()
        .map(|w| (w.agent.to_string(), w.uri.as_str(), w.selling, w.adopt, w.known, w.failed))
        .collect();
    let document = "/.well-known/agent-registration.json";
    let default = format!("https://seller.example{document}");
    let (audit, empty) =
        (format!("https://audit.example{document}"), format!("https://empty.example{document}"));
    assert_eq!(
        summary,
        [
            ("default".to_owned(), default.as_str(), Selling::Open, Some(id(4)), Some(id(9)), 0),
            ("host:audit.example".to_owned(), audit.as_str(), Selling::Draining, None, None, 0),
            ("host:empty.example".to_owned(), empty.as_str(), Selling::Nothing, None, None, 0),
        ]
    );
    let key = |incarnation, agent: &AgentName| {
        AnchorKey::derive(&registry(1), &owner(incarnation), agent)
    };
    assert_eq!(desired[1].key, key(2, &agent));
    assert_eq!(desired[1].earlier_keys, [key(0, &agent), key(1, &agent)]);
    let elsewhere = agents(&policy, 2);
    assert_eq!(
        (elsewhere[0].adopt, elsewhere[0].known, elsewhere[1].adopt),
        (None, None, Some(id(5)))
    );

    let first = AnchorPolicy { owner: owner(0), ..policy.clone() };
    assert_eq!(agents(&first, 1)[0].earlier_keys, []);
    let far = AnchorPolicy { owner: owner(1_000_000), ..policy.clone() };
    let earlier = agents(&far, 1).remove(0).earlier_keys;
    assert_eq!((earlier.len(), earlier[63]), (64, key(999_999, &AgentName::Default)));
}

#[test]
fn an_agent_drains_only_when_all_of_its_offers_do() {
    let selling = |resources: &[Resource], now: &str, agent: &AgentName| {
        published(resources, &[], now).selling(agent)
    };
    let draining = offer("llm/chat").draining("2026-05-24T11:30:00Z", "1h");
    let audit = offer("llm/audit").path("/a").host("audit.example");
    let (default, host) = (AgentName::Default, host("audit.example"));
    let cases = [
        ("no offers", vec![], NOON, &default, Selling::Nothing),
        ("one that drains", vec![draining.clone()], NOON, &default, Selling::Draining),
        ("at its end", vec![draining.clone()], "2026-05-24T12:30:00Z", &default, Selling::Nothing),
        ("another is open", vec![draining.clone(), audit.clone()], NOON, &default, Selling::Open),
        ("the host's own", vec![draining.clone(), audit], NOON, &host, Selling::Open),
        ("a host without offers", vec![draining], NOON, &host, Selling::Nothing),
    ];
    for_each_row(cases, |(name, resources, now, agent, expected)| {
        assert_eq!(selling(&resources, now, agent), expected, "{name}");
    });
}

#[test]
fn failures_of_an_agent_come_from_the_accounts_state() {
    let policy = AnchorPolicy {
        owner: owner(0),
        hosts: Vec::new(),
        adopt: BTreeMap::new(),
        mint_beside: true,
        data_uris: BTreeSet::new(),
        uri_settle: Duration::ZERO,
    };
    let mut state = AccountState::default();
    state.block(policy.agents(), AnchorReason::Pending);
    state.agents.get_mut(&AgentName::Default).unwrap().failures = 2;
    let desired = desired(&policy, 1, &published(&[], &[], NOON), &state);
    assert_eq!((desired.agents[0].failed, desired.mint_beside), (2, true));
}
