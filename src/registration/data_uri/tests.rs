//! `data:` URIs: what they say, what they leave out, and how large they are.

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ChainDocument, DATA_URI_PREFIX, LARGEST_DATA_URI, is_retired_uri, retired_uri};
use crate::{
    registration::{AgentId, AgentRegistry},
    testing::law,
};

const LINK: &str = "https://seller.example/.well-known/agent-registration.json";
const REGISTRY: &str = "eip155:8453:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432";

fn registry() -> AgentRegistry {
    AgentRegistry::parse(REGISTRY).unwrap()
}

fn id(text: &str) -> AgentId {
    AgentId::parse(text).unwrap()
}

/// Reads a URI by the rule of the agent0 subgraph: the exact prefix, padded standard base64, a JSON
/// object.
fn read_strictly(uri: &str) -> Value {
    let json = STANDARD.decode(uri.strip_prefix("data:application/json;base64,").unwrap()).unwrap();
    assert!(json.len() <= LARGEST_DATA_URI, "{}", json.len());
    let document: Value = serde_json::from_slice(&json).unwrap();
    assert!(document.is_object());
    document
}

fn document() -> Value {
    json!({
        "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
        "name": "Harbour", "description": "Contract review", "image": "https://seller.example/i.png",
        "services": [
            { "name": "web", "endpoint": "https://seller.example/services/a" },
            { "name": "A2A", "endpoint": "https://a.example/card.json", "version": "0.3.0",
              "a2aSkills": ["x/y"], "available": false, "drainEndsAt": "2026-05-24T12:30:00Z" },
            { "name": "A2A", "endpoint": "https://b.example/card.json" },
            { "name": "OASF", "endpoint": "https://github.com/agntcy/oasf/", "version": "0.8.0",
              "skills": ["a/b"], "domains": ["c"] },
            { "name": "status", "endpoint": "https://seller.example/status" },
        ],
        "x402Support": true, "active": true,
        "registrations": [{ "agentId": 3, "agentRegistry": "eip155:1:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432" }],
        "supportedTrust": ["reputation"],
        "metadata": { "price": "changes often" }, "provenance": { "build": "7" },
    })
}

fn read(document: &Value) -> ChainDocument {
    ChainDocument::read(document.to_string().as_bytes(), LINK).unwrap()
}

#[test]
fn a_uri_says_what_lasts_and_links_to_what_changes() {
    let big = "115792089237316195423570985008687907853269984665640564039457584007913129639934";
    let said = read_strictly(&read(&document()).uri(&registry(), id(big)));
    let expected = json!({
        "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
        "name": "Harbour", "description": "Contract review", "image": "https://seller.example/i.png",
        "services": [
            { "name": "A2A", "endpoint": "https://a.example/card.json", "version": "0.3.0", "a2aSkills": ["x/y"] },
            { "name": "OASF", "endpoint": "https://github.com/agntcy/oasf/", "version": "0.8.0",
              "skills": ["a/b"], "domains": ["c"] },
        ],
        "x402Support": true, "active": true,
        "registrations": [{ "agentId": 0, "agentRegistry": REGISTRY }],
        "supportedTrust": ["reputation"],
        "external_url": LINK,
    });
    let mut expected = expected;
    expected["registrations"][0]["agentId"] = serde_json::from_str(big).unwrap();
    assert_eq!(said, expected);
}

#[test]
fn only_what_is_written_makes_another_digest() {
    let digest = |document: &Value| read(document).digest(&registry());
    let base = digest(&document());
    let mut quiet = document();
    quiet["metadata"] = json!({ "price": "another" });
    quiet["registrations"] = json!([]);
    quiet["services"][1]["available"] = json!(true);
    quiet["services"][1]["drainEndsAt"] = Value::Null;
    quiet["services"][0]["endpoint"] = json!("https://elsewhere.example");
    quiet["services"].as_array_mut().unwrap().truncate(4);
    assert_eq!(digest(&quiet), base);
    let changes: [fn(&mut Value); 5] = [
        |document| document["name"] = json!("Other"),
        |document| document["active"] = json!(false),
        |document| document["x402Support"] = json!(false),
        |document| document["services"][1]["endpoint"] = json!("https://c.example/card.json"),
        |document| document["services"][3]["skills"] = json!([]),
    ];
    for change in changes {
        let mut changed = document();
        change(&mut changed);
        assert_ne!(digest(&changed), base, "{changed}");
    }
}

#[test]
fn what_is_no_document_makes_no_uri() {
    for text in ["", "[]", "{}", r#"{"name":1}"#] {
        assert_eq!(ChainDocument::read(text.as_bytes(), LINK), None, "{text}");
    }
}

#[test]
fn a_retired_uri_is_known_by_all_of_its_parts() {
    let (registry, seven) = (registry(), id("7"));
    let document = read(&document());
    let uri = retired_uri(Some(&document), LINK, &registry, seven);
    let said = read_strictly(&uri);
    assert_eq!(
        (&said["name"], &said["description"]),
        (&json!("Harbour"), &json!("Agent Harbour (retired)"))
    );
    assert_eq!((&said["active"], &said["services"]), (&json!(false), &json!([])));
    assert_eq!(said["registrations"], json!([{ "agentId": 7, "agentRegistry": REGISTRY }]));
    assert!(is_retired_uri(&uri, &registry, seven));
    let unknown = retired_uri(None, LINK, &registry, seven);
    assert_eq!(read_strictly(&unknown)["name"], "seller.example");
    assert!(is_retired_uri(&unknown, &registry, seven));

    let other = AgentRegistry { chain_id: 1, ..registry };
    assert!(!is_retired_uri(&uri, &registry, id("8")) && !is_retired_uri(&uri, &other, seven));
    let mut inactive = self::document();
    inactive["active"] = json!(false);
    let changed = |change: fn(&mut Value)| {
        let mut said = said.clone();
        change(&mut said);
        format!("{DATA_URI_PREFIX}{}", STANDARD.encode(said.to_string()))
    };
    let not_retired = [
        read(&inactive).uri(&registry, seven),
        LINK.to_owned(),
        DATA_URI_PREFIX.to_owned(),
        uri.replace("application/json", "text/plain"),
        changed(|said| said["active"] = json!(true)),
        changed(|said| said["retired"] = json!("true")),
        changed(|said| said["registrations"] = json!([])),
    ];
    for uri in not_retired {
        assert!(!is_retired_uri(&uri, &registry, seven), "{uri}");
    }
}

proptest! {
    #![proptest_config(law(256))]

    #[test]
    fn no_document_makes_a_uri_that_is_too_large_or_unreadable(
        texts in prop::collection::vec("[ -~é\u{1}<\u{1f600}]{0,3000}", 3),
        services in prop::collection::vec(("MCP|A2A|OASF|ENS|DID|web", "[a-z\u{1}]{0,3000}"), 0..8),
        trust in prop::collection::vec("[a-z]{0,3000}", 0..3),
    ) {
        let services: Vec<Value> = services
            .into_iter()
            .map(|(name, endpoint)| json!({ "name": name, "endpoint": endpoint }))
            .collect();
        let mut document = document();
        for (member, text) in ["name", "description", "image"].into_iter().zip(&texts) {
            document[member] = json!(text);
        }
        document["services"] = json!(services);
        document["supportedTrust"] = json!(trust);
        let document = read(&document);
        let most = AgentId::new(alloy::primitives::U256::MAX);
        read_strictly(&document.uri(&registry(), most));
        let last = retired_uri(Some(&document), LINK, &registry(), most);
        prop_assert!(last.len() < 2 * LARGEST_DATA_URI);
        prop_assert!(is_retired_uri(&last, &registry(), most));
    }
}
