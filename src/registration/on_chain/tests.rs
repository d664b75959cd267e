//! Which agentIds documents print, by what an AgentIdentity names and what anchoring found.

use serde_json::json;

use crate::{
    catalog::Catalog,
    offer::Hostname,
    registration::{
        AgentId, AgentName, AgentRegistry, Ids, OnChainAgent, OnChainFacts, OnChainId,
        Registrations, project,
    },
    testing::{
        NOON, Resource, at, for_each_row, json_of, offer, offers, public_url, rules, text_of,
    },
};
use alloy::primitives::{Address, U256};

fn id(number: u64) -> AgentId {
    AgentId::new(U256::from(number))
}

fn registry(chain_id: u64) -> AgentRegistry {
    AgentRegistry { chain_id, address: Address::repeat_byte(0x80) }
}

fn hostname(name: &str) -> Hostname {
    Hostname::parse(name).unwrap()
}

fn host(name: &str) -> AgentName {
    AgentName::Host(hostname(name))
}

fn facts(rows: &[(AgentName, u64, OnChainId)]) -> OnChainFacts {
    let row = |(agent, chain, id): &(AgentName, u64, OnChainId)| {
        ((agent.clone(), registry(*chain)), OnChainAgent { id: *id, reason: "Anchored" })
    };
    OnChainFacts(rows.iter().map(row).collect())
}

fn named(rows: &[(u64, u64)]) -> Registrations {
    rows.iter().map(|(chain, number)| (registry(*chain), id(*number))).collect()
}

#[test]
fn a_journal_that_remembers_less_takes_no_id_away_and_the_chain_does() {
    use OnChainId::{Own, Unknown, Withheld};
    let one = |id| facts(&[(AgentName::Default, 1, id)]);
    let updated = |before: OnChainId, now| one(before).updated_by(&one(now));
    let own = Own(id(7));
    assert_eq!(one(own).updated_by(&OnChainFacts::default()), one(own), "a lost journal");
    assert_eq!(OnChainFacts::default().updated_by(&one(own)), one(own));
    assert_eq!(updated(own, Unknown), one(own), "one that begins anew");
    assert_eq!(updated(own, Withheld), one(Withheld), "the token was given away");
    assert_eq!(updated(own, Own(id(8))), one(Own(id(8))));
    assert_eq!(updated(Unknown, Withheld), one(Withheld));
    assert_eq!(updated(Withheld, Unknown), one(Unknown), "what was refuted is confirmed again");
    let other = facts(&[(host("a.example"), 1, own)]);
    assert_eq!(one(own).updated_by(&other).0.len(), 2);
    let held = OnChainAgent { id: Unknown, reason: "JournalRefused" };
    let held = OnChainFacts([((AgentName::Default, registry(1)), held)].into());
    let reasons = one(own).updated_by(&held);
    assert_eq!(reasons.0.values().next().unwrap().reason, "JournalRefused");
}

#[test]
fn our_own_final_id_stands_before_the_one_that_an_identity_names() {
    use OnChainId::{Own, Unknown, Withheld};
    type Rows<'a> = &'a [(u64, u64)];
    type Case = (&'static str, Rows<'static>, Vec<(AgentName, u64, OnChainId)>, Rows<'static>);
    let cases: [Case; 8] = [
        ("nothing is anchored", &[(1, 5)], vec![], &[(1, 5)]),
        ("ours wins", &[(1, 5)], vec![(AgentName::Default, 1, Own(id(0)))], &[(1, 0)]),
        ("ours alone", &[], vec![(AgentName::Default, 1, Own(id(0)))], &[(1, 0)]),
        ("nothing is known yet", &[(1, 5)], vec![(AgentName::Default, 1, Unknown)], &[(1, 5)]),
        ("nothing at all", &[], vec![(AgentName::Default, 1, Unknown)], &[]),
        ("refuted", &[(1, 5)], vec![(AgentName::Default, 1, Withheld)], &[]),
        (
            "each registry by itself",
            &[(1, 5), (2, 6)],
            vec![(AgentName::Default, 2, Withheld), (AgentName::Default, 3, Own(id(7)))],
            &[(1, 5), (3, 7)],
        ),
        (
            "a host's is not the default agent's",
            &[(1, 5)],
            vec![(host("a.example"), 1, Own(id(0)))],
            &[(1, 5)],
        ),
    ];
    for_each_row(cases, |(name, identity, rows, expected)| {
        assert_eq!(facts(&rows).ids(&named(identity)).default, named(expected), "{name}");
    });
}

#[test]
fn a_host_shows_only_its_own_ids_and_without_any_the_default_agents() {
    use OnChainId::{Own, Unknown, Withheld};
    let rows = [
        (AgentName::Default, 1, Own(id(0))),
        (host("a.example"), 2, Own(id(7))),
        (host("b.example"), 1, Unknown),
        (host("c.example"), 1, Withheld),
    ];
    let ids: Ids = facts(&rows).ids(&named(&[(3, 9)]));
    assert_eq!(*ids.at(&hostname("a.example")), named(&[(2, 7)]));
    for shared in ["b.example", "c.example", "never.example"] {
        assert_eq!(*ids.at(&hostname(shared)), named(&[(1, 0), (3, 9)]), "{shared}");
    }
    let (facts, agent) = (facts(&rows), host("a.example"));
    assert_eq!(facts.reasons(&agent).collect::<Vec<_>>(), [(registry(2), "Anchored")]);
}

fn catalog(resources: &[Resource], identity: &Registrations, facts: &OnChainFacts) -> Catalog {
    crate::testing::catalog(&offers(resources), identity, facts, &rules(), None, at(NOON))
}

#[test]
fn an_anchored_host_that_nobody_claims_keeps_a_tombstone_with_its_id() {
    let facts = facts(&[
        (host("gone.example"), 1, OnChainId::Own(id(3))),
        (host("lost.example"), 1, OnChainId::Withheld),
    ]);
    let projection = project(
        &offers(&[offer("llm/chat")]),
        &facts.ids(&named(&[])),
        &public_url(),
        &rules(),
        at(NOON),
    );
    assert_eq!(projection.hosts.keys().cloned().collect::<Vec<_>>(), [hostname("gone.example")]);
    let hosted = &projection.hosts[&hostname("gone.example")];
    let document = json_of(&hosted.document);
    assert_eq!((hosted.holder.clone(), &document["active"]), (None, &json!(false)));
    assert_eq!(document["name"], "gone.example");
    assert_eq!(
        document["registrations"],
        json!([{ "agentId": 3, "agentRegistry": registry(1).to_string() }])
    );
}

#[test]
fn an_anchored_host_that_became_the_public_urls_own_serves_the_default_agent() {
    let facts = facts(&[(host("seller.example"), 1, OnChainId::Own(id(3)))]);
    let catalog = catalog(&[offer("llm/chat").host("seller.example")], &named(&[]), &facts);
    let page = catalog.document_at(Some("seller.example"));
    assert_eq!(text_of(page), text_of(catalog.projection.default()));
    assert!(catalog.projection.hosts().is_empty());
}

#[test]
fn rows_of_agents_say_how_each_stands_on_chain() {
    let mut facts = facts(&[
        (AgentName::Default, 1, OnChainId::Own(id(0))),
        (host("gone.example"), 1, OnChainId::Own(id(3))),
    ]);
    let held = OnChainAgent { id: OnChainId::Unknown, reason: "AdoptFirst" };
    facts.0.insert((AgentName::Default, registry(2)), held);
    let resources = [offer("llm/chat"), offer("llm/audit").path("/a").host("audit.example")];
    let catalog = catalog(&resources, &named(&[(2, 5)]), &facts);
    let rows: std::collections::BTreeMap<String, serde_json::Value> = catalog
        .agents_after(None)
        .map(|row| (row.agent.to_string(), serde_json::to_value(row).unwrap()))
        .collect();
    let anchor = |chain, reason: &str| json!({ "agentRegistry": registry(chain).to_string(), "reason": reason });
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
