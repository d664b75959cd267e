//! What is learned on chain and what is wanted there, between documents and anchoring.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    anchor::{
        evidence::{Accounts, Block, Token, View},
        facts::note,
        journal::IdNote,
        key::{AnchorKey, AnchoredAgent, Owner},
        plan::{DesiredAgent, MintReadiness},
        reason::AnchorReason,
        wanted::AnchorPolicy,
    },
    catalog::Catalog,
    offer::Hostname,
    registration::{
        AgentId, AgentRegistry, Ids, OnChainAgent, OnChainFacts, OnChainId, Registrations, chains,
        project,
    },
    testing::{NOON, Resource, at, json_of, offer, offers, public_url, rules},
};
use alloy::primitives::{Address, B256, U256};
use serde_json::{Value, json};

const US: Address = Address::repeat_byte(0x11);
const FORMER: Address = Address::repeat_byte(0x22);
const STRANGER: Address = Address::repeat_byte(0xee);

fn id(number: u64) -> AgentId {
    AgentId::new(U256::from(number))
}

fn on(chain_id: u64) -> AgentRegistry {
    AgentRegistry { chain_id, address: Address::repeat_byte(0x80) }
}

fn host(name: &str) -> Hostname {
    Hostname::parse(name).unwrap()
}

fn learned(rows: &[(&str, u64, OnChainId)]) -> OnChainFacts {
    let row = |(agent, chain, id): &(&str, u64, OnChainId)| {
        (((*agent).to_owned(), on(*chain)), OnChainAgent { id: *id, reason: "Anchored" })
    };
    OnChainFacts(rows.iter().map(row).collect())
}

fn named(rows: &[(u64, u64)]) -> Registrations {
    rows.iter().map(|(chain, number)| (on(*chain), id(*number))).collect()
}

#[test]
fn our_own_final_id_stands_before_the_one_that_an_identity_names() {
    use OnChainId::{Own, Unknown, Withheld};
    type Rows<'a> = &'a [(u64, u64)];
    type Case<'a> = (&'a str, Rows<'a>, &'a [(&'a str, u64, OnChainId)], Rows<'a>);
    let cases: [Case; 8] = [
        ("nothing is anchored", &[(1, 5)], &[], &[(1, 5)]),
        ("ours wins", &[(1, 5)], &[("default", 1, Own(id(0)))], &[(1, 0)]),
        ("ours alone", &[], &[("default", 1, Own(id(0)))], &[(1, 0)]),
        ("nothing is known yet", &[(1, 5)], &[("default", 1, Unknown)], &[(1, 5)]),
        ("nothing at all", &[], &[("default", 1, Unknown)], &[]),
        ("refuted", &[(1, 5)], &[("default", 1, Withheld)], &[]),
        (
            "each registry by itself",
            &[(1, 5), (2, 6)],
            &[("default", 2, Withheld), ("default", 3, Own(id(7)))],
            &[(1, 5), (3, 7)],
        ),
        (
            "a host's is not the default agent's",
            &[(1, 5)],
            &[("host:a.example", 1, Own(id(0)))],
            &[(1, 5)],
        ),
    ];
    for (name, identity, rows, expected) in cases {
        assert_eq!(learned(rows).ids(&named(identity)).default, named(expected), "{name}");
    }
}

#[test]
fn a_host_shows_only_its_own_ids_and_without_any_the_default_agents() {
    use OnChainId::{Own, Unknown, Withheld};
    let rows = [
        ("default", 1, Own(id(0))),
        ("host:a.example", 2, Own(id(7))),
        ("host:b.example", 1, Unknown),
        ("host:c.example", 1, Withheld),
    ];
    let ids: Ids = learned(&rows).ids(&named(&[(3, 9)]));
    assert_eq!(*ids.at("a.example"), named(&[(2, 7)]));
    for shared in ["b.example", "c.example", "never.example"] {
        assert_eq!(*ids.at(shared), named(&[(1, 0), (3, 9)]), "{shared}");
    }
    let reasons: Vec<_> = learned(&rows).of("host:a.example").collect::<Vec<_>>();
    assert_eq!(reasons, [(on(2), "Anchored")]);
}

fn catalog(
    resources: &[Resource],
    identity: &Registrations,
    learned: &OnChainFacts,
    now: &str,
) -> Catalog {
    let ids = learned.ids(identity);
    let projection = project(&offers(resources), &ids, &public_url(), &rules(), at(now));
    Catalog::new(projection, &public_url(), identity, learned, None, at(now))
}

#[test]
fn an_anchored_host_that_nobody_claims_keeps_a_tombstone_with_its_id() {
    let learned = learned(&[
        ("host:gone.example", 1, OnChainId::Own(id(3))),
        ("host:lost.example", 1, OnChainId::Withheld),
    ]);
    let projection = project(
        &offers(&[offer("llm/chat")]),
        &learned.ids(&named(&[])),
        &public_url(),
        &rules(),
        at(NOON),
    );
    assert_eq!(projection.hosts.keys().cloned().collect::<Vec<_>>(), [host("gone.example")]);
    let hosted = &projection.hosts[&host("gone.example")];
    let told = json_of(&hosted.document);
    assert_eq!((hosted.holder.clone(), &told["active"]), (None, &json!(false)));
    assert_eq!(told["name"], "gone.example");
    assert_eq!(
        told["registrations"],
        json!([{ "agentId": 3, "agentRegistry": on(1).to_string() }])
    );
}

#[test]
fn rows_of_agents_say_how_each_stands_on_chain() {
    let mut learned = learned(&[
        ("default", 1, OnChainId::Own(id(0))),
        ("host:gone.example", 1, OnChainId::Own(id(3))),
    ]);
    let held = OnChainAgent { id: OnChainId::Unknown, reason: "AdoptFirst" };
    learned.0.insert(("default".to_owned(), on(2)), held);
    let resources = [offer("llm/chat"), offer("llm/audit").path("/a").host("audit.example")];
    let catalog = catalog(&resources, &named(&[(2, 5)]), &learned, NOON);
    let rows: BTreeMap<String, Value> = catalog
        .agents
        .iter()
        .map(|row| (row.agent.clone(), serde_json::to_value(row).unwrap()))
        .collect();
    let anchor =
        |chain, reason: &str| json!({ "agentRegistry": on(chain).to_string(), "reason": reason });
    assert_eq!(
        rows["default"]["anchoring"],
        json!([anchor(1, "Anchored"), anchor(2, "AdoptFirst")])
    );
    assert_eq!(rows["host:gone.example"]["anchoring"], json!([anchor(1, "Anchored")]));
    assert_eq!(rows["host:gone.example"]["registrations"][0]["agentId"], 3);
    assert_eq!(rows["host:audit.example"].get("anchoring"), None);
    assert_eq!(
        rows["host:audit.example"]["registrations"].as_array().unwrap().len(),
        2,
        "the default agent's"
    );
}

fn owner(incarnation: u64) -> Owner {
    Owner { id: "harbour".to_owned(), incarnation }
}

#[test]
fn what_is_wanted_is_the_default_agent_and_the_hosts_that_are_named() {
    let agent = AnchoredAgent::Host(host("audit.example"));
    let anchored = AnchorPolicy {
        owner: owner(2),
        hosts: vec![host("audit.example"), host("empty.example")],
        adopt: BTreeMap::from([((1, AnchoredAgent::Default), id(4)), ((2, agent.clone()), id(5))]),
        mint_beside: false,
    };
    let drain = ["2026-05-24T11:30:00Z", "1h"];
    let resources = [
        offer("llm/chat"),
        offer("llm/audit").path("/a").host("audit.example").draining(drain[0], drain[1]),
        offer("llm/other").path("/b").host("other.example"),
    ];
    let published = catalog(&resources, &named(&[(1, 9)]), &OnChainFacts::default(), NOON);
    let wanted = anchored.wanted(&on(1), &published);
    let summary: Vec<_> = wanted
        .iter()
        .map(|w| (w.agent.to_string(), w.uri.as_str(), w.readiness, w.adopt, w.known, w.failed))
        .collect();
    let document = "/.well-known/agent-registration.json";
    let default = format!("https://seller.example{document}");
    let (audit, empty) =
        (format!("https://audit.example{document}"), format!("https://empty.example{document}"));
    assert_eq!(
        summary,
        [
            (
                "default".to_owned(),
                default.as_str(),
                MintReadiness::Ready,
                Some(id(4)),
                Some(id(9)),
                0
            ),
            (
                "host:audit.example".to_owned(),
                audit.as_str(),
                MintReadiness::Draining,
                None,
                None,
                0
            ),
            (
                "host:empty.example".to_owned(),
                empty.as_str(),
                MintReadiness::Tombstone,
                None,
                None,
                0
            ),
        ]
    );
    let key =
        |incarnation, agent: &AnchoredAgent| AnchorKey::derive(&on(1), &owner(incarnation), agent);
    assert_eq!(wanted[1].key, key(2, &agent));
    assert_eq!(wanted[1].earlier_keys, [key(0, &agent), key(1, &agent)]);
    let elsewhere = anchored.wanted(&on(2), &published);
    assert_eq!(
        (elsewhere[0].adopt, elsewhere[0].known, elsewhere[1].adopt),
        (None, None, Some(id(5)))
    );

    let first = AnchorPolicy { owner: owner(0), ..anchored.clone() };
    assert_eq!(first.wanted(&on(1), &published)[0].earlier_keys, []);
    let far = AnchorPolicy { owner: owner(1_000_000), ..anchored.clone() };
    let earlier = far.wanted(&on(1), &published).remove(0).earlier_keys;
    assert_eq!((earlier.len(), earlier[63]), (64, key(999_999, &AnchoredAgent::Default)));

    // The default agent winds down only when all of it does, and an ended drain leaves a tombstone.
    let readiness = |resources: &[Resource], now: &str| {
        let catalog = catalog(resources, &named(&[]), &OnChainFacts::default(), now);
        anchored.wanted(&on(1), &catalog)[0].readiness
    };
    let draining = [offer("llm/chat").draining(drain[0], drain[1])];
    assert_eq!(readiness(&draining, NOON), MintReadiness::Draining);
    assert_eq!(readiness(&draining, "2026-05-24T12:30:00Z"), MintReadiness::Tombstone);
    assert_eq!(readiness(&[], NOON), MintReadiness::Tombstone);
}

#[test]
fn what_a_view_says_of_an_id_is_noted() {
    let key = AnchorKey::from_metadata(&[1; 20]).unwrap();
    let uri = "https://seller.example/a";
    let wanted = |agent: AnchoredAgent, known: Option<u64>| DesiredAgent {
        agent,
        key,
        earlier_keys: Vec::new(),
        uri: uri.to_owned(),
        readiness: MintReadiness::Ready,
        adopt: None,
        known: known.map(id),
        failed: 0,
    };
    let accounts = Accounts { current: US, former: BTreeSet::from([FORMER]) };
    let view = |keyed: Option<u64>, token: Option<(Address, &str)>| View {
        block: Block { number: 1, hash: B256::ZERO },
        count: 0,
        agents: keyed.map(|number| (key, id(number))).into_iter().collect(),
        unkeyed: BTreeMap::new(),
        tokens: token
            .map(|(owner, uri)| {
                (id(7), Token { owner, uri: uri.to_owned(), x402: true, key: None })
            })
            .into_iter()
            .collect(),
    };
    let ours = || IdNote::Ours("7".to_owned());
    let cases = [
        ("ours", None, view(Some(7), Some((US, "x"))), ours()),
        ("a former account's", None, view(Some(7), Some((FORMER, "x"))), ours()),
        ("ours, whatever an identity names", Some(6), view(Some(7), Some((US, "x"))), ours()),
        ("in other hands", None, view(Some(7), Some((STRANGER, uri))), IdNote::Lost),
        ("named by κ and not there", None, view(Some(7), None), IdNote::Lost),
        ("nothing", None, view(None, None), IdNote::Unknown),
        ("an identity's, owned by us", Some(7), view(None, Some((US, "x"))), IdNote::Unknown),
        ("an identity's, at our URI", Some(7), view(None, Some((STRANGER, uri))), IdNote::Unknown),
        ("an identity's, neither", Some(7), view(None, Some((STRANGER, "x"))), IdNote::Refuted),
        ("an identity's, not there", Some(7), view(None, None), IdNote::Refuted),
        ("another than an identity's", Some(6), view(None, Some((US, uri))), IdNote::Refuted),
    ];
    for (name, known, view, expected) in cases {
        assert_eq!(
            note(&wanted(AnchoredAgent::Default, known), &view, &accounts),
            expected,
            "{name}"
        );
    }
    let hosted = wanted(AnchoredAgent::Host(host("a.example")), Some(7));
    assert_eq!(
        note(&hosted, &view(None, None), &accounts),
        IdNote::Unknown,
        "an identity speaks of no host"
    );
}

#[test]
fn every_known_first_block_is_in_the_table() {
    let known: BTreeMap<u64, u64> = [
        (1, 24_339_924),
        (56, 79_031_671),
        (97, 78_270_834),
        (137, 82_458_528),
        (143, 52_952_898),
        (8_453, 41_663_799),
        (10_143, 10_392_352),
        (84_532, 37_174_254),
        (11_155_111, 9_980_000),
    ]
    .into();
    let table: BTreeMap<u64, u64> =
        chains::CHAINS.iter().filter_map(|chain| Some((chain.id, chain.deployed?))).collect();
    assert_eq!(table, known);
    let ids: Vec<_> = chains::CHAINS.iter().map(|chain| chain.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "each chain once");
    let names: Vec<_> = chains::CHAINS.iter().flat_map(|chain| chain.aliases).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each alias once");
}

#[test]
fn every_reason_has_a_name_and_words_of_its_own() {
    let all = AnchorReason::ALL;
    let names: BTreeSet<_> = all.iter().map(|reason| reason.as_str()).collect();
    let words: BTreeSet<_> = all.iter().map(|reason| reason.message()).collect();
    assert_eq!((names.len(), words.len(), all.len()), (24, 24, 24));
    for reason in all {
        assert!(reason.message().ends_with('.') && !reason.message().contains("  "), "{reason}");
        assert_eq!(format!("{reason:?}"), reason.as_str());
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
}
