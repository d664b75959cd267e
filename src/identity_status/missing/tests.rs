//! What is added to an AgentIdentity, and what is never touched.

use super::*;
use crate::registration::{OnChainAgent, chains::TESTNET_REGISTRY};

const CHAIN: u64 = 84_532;

fn registry(chain_id: u64) -> AgentRegistry {
    AgentRegistry { chain_id, address: TESTNET_REGISTRY }
}

fn id(text: &str) -> AgentId {
    AgentId::parse(text).unwrap()
}

fn own(chain_id: u64, number: &str) -> BTreeMap<AgentRegistry, AgentId> {
    BTreeMap::from([(registry(chain_id), id(number))])
}

fn identity(list: Value) -> Value {
    json!({ "status": { "registrations": list } })
}

#[test]
fn only_entries_of_our_own_are_added_and_only_where_there_is_none() {
    let known = KnownRegistries::with([registry(31_337)]);
    let theirs = json!({ "chain": "ethereum", "agentId": "9", "more": [1, "x"] });
    let added = |object: &Value, chain, number| {
        let missing = Missing::of(object, &own(chain, number), &known).unwrap();
        (missing.list(object), missing.others.len())
    };
    let ours = |chain: &str| json!({ "chain": chain, "agentId": "7" });
    let table = [
        ("nothing", json!({}), CHAIN, vec![ours("base-sepolia")], 0),
        ("no list", json!({ "status": {} }), CHAIN, vec![ours("base-sepolia")], 0),
        ("no alias", json!({ "status": {} }), 31_337, vec![ours("eip155:31337")], 0),
        (
            "another chain's",
            identity(json!([theirs])),
            CHAIN,
            vec![theirs.clone(), ours("base-sepolia")],
            0,
        ),
        (
            "it is there, under another name",
            identity(json!([{ "chain": " EIP155:84532 ", "agentId": "7" }])),
            CHAIN,
            vec![json!({ "chain": " EIP155:84532 ", "agentId": "7" })],
            0,
        ),
        (
            "another writer's",
            identity(json!([{ "chain": "base-sepolia", "agentId": "8" }])),
            CHAIN,
            vec![json!({ "chain": "base-sepolia", "agentId": "8" })],
            1,
        ),
        (
            "one that cannot be read stays",
            identity(json!([{ "chain": "base-sepolia", "agentId": "#8" }])),
            CHAIN,
            vec![json!({ "chain": "base-sepolia", "agentId": "#8" }), ours("base-sepolia")],
            0,
        ),
        // The table's name of this chain means another registry.
        ("a registry without a name", json!({}), 1, vec![], 1),
    ];
    for (case, object, chain, list, others) in table {
        assert_eq!(added(&object, chain, "7"), (list, others), "{case}");
    }
    assert!(Missing::of(&identity(json!("x")), &own(CHAIN, "7"), &known).is_err());
}

#[test]
fn only_final_ids_of_the_default_agent_are_recorded() {
    let host = AgentName::Host(crate::offer::Hostname::parse("audit.example").unwrap());
    let fact = |id| OnChainAgent { id, reason: "Anchored" };
    let facts = OnChainFacts(BTreeMap::from([
        ((AgentName::Default, registry(CHAIN)), fact(OnChainId::Own(id("7")))),
        ((AgentName::Default, registry(97)), fact(OnChainId::Unknown)),
        ((AgentName::Default, registry(296)), fact(OnChainId::Withheld)),
        ((host, registry(CHAIN)), fact(OnChainId::Own(id("8")))),
    ]));
    assert_eq!(own_ids(&facts), own(CHAIN, "7"));
}

#[test]
fn the_whole_list_is_applied_to_the_object_that_was_read_and_nothing_else_of_it() {
    let known = KnownRegistries::with([]);
    let theirs = json!({ "chain": "ethereum", "agentId": "9", "more": [1, "x"] });
    let object = json!({
        "metadata": {
            "namespace": "x402", "name": "default", "uid": "u", "resourceVersion": "12",
            "generation": 3, "labels": { "a": "b" },
        },
        "spec": { "a": 1 },
        "status": { "registrations": [theirs], "more": 1 },
    });
    let missing = Missing::of(&object, &own(CHAIN, "7"), &known).unwrap();
    let name = OfferId { namespace: "x402".into(), name: "default".into() };
    let applied = json!({
        "apiVersion": "obol.org/v1alpha1",
        "kind": "AgentIdentity",
        "metadata": {
            "namespace": "x402", "name": "default", "uid": "u", "resourceVersion": "12",
        },
        "status": {
            "registrations": [theirs, { "chain": "base-sepolia", "agentId": "7" }],
        },
    });
    assert_eq!(missing.applied(&name, &object), applied);
}
