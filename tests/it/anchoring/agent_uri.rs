//! agentURIs that are not the document's URL: `data:` URIs for indexers that never fetch https, and
//! the last one of an agent that is retired.

use std::fs;

use alloy::primitives::U256;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::consumer::{resolve, resolve_in_python};
use crate::support::{
    process::text,
    resource::{Resource, offer},
    stage::{Stage, URL},
};

const PREFIX: &str = "data:application/json;base64,";
const CHAIN: &str = "eip155:31337";
const DATA: [&str; 4] = ["--agent-uri", "data", "--agent-uri-budget-ether", "5"];

fn link() -> String {
    format!("{URL}/.well-known/agent-registration.json")
}

/// What a URI says, by the rule of the agent0 subgraph: the exact prefix, standard base64 with its
/// padding, and an object.
fn said(uri: &str) -> Value {
    let data = uri.strip_prefix(PREFIX).unwrap_or_else(|| panic!("{uri}"));
    let json = STANDARD.decode(data).unwrap();
    assert!(json.len() <= 4_096);
    let said: Value = serde_json::from_slice(&json).unwrap();
    assert!(said.is_object());
    said
}

/// An offer with an A2A endpoint.
fn with_card(endpoint: &str) -> Resource {
    offer("llm/chat").service("A2A", endpoint)
}

async fn sent(stage: &Stage) -> u64 {
    stage.node.transaction_count(stage.account, "latest").await
}

/// Decides a few times more, and asserts that nothing is sent.
async fn rests(stage: &Stage, more: &[&str], why: &str) {
    let before = sent(stage).await;
    for _ in 0..3 {
        stage.once(more);
        stage.node.mine(3).await;
    }
    assert_eq!(sent(stage).await, before, "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_uri_follows_the_mint_and_consumers_read_the_agent_from_it() {
    let stage = Stage::new().await;
    stage.offers(&[with_card("https://chat.example/agent-card.json").0]);
    stage.once(&DATA);
    assert_eq!(stage.uri(0).await, link(), "the id is not known before the mint");
    stage.settle(&DATA).await;
    assert_eq!((stage.reason("default").as_str(), sent(&stage).await), ("Anchored", 2));
    let uri = stage.uri(0).await;
    let document = said(&uri);
    let registry = format!("{CHAIN}:{}", stage.registry);
    assert_eq!(document["registrations"], json!([{ "agentId": 0, "agentRegistry": registry }]));
    assert_eq!((&document["active"], text(&document, "external_url")), (&json!(true), &*link()));
    let endpoint = "https://chat.example/agent-card.json";
    assert_eq!(document["services"], json!([{ "name": "A2A", "endpoint": endpoint }]));
    let found = resolve(&stage, 0).await;
    assert_eq!((text(&found, "agentURI"), text(&found, "agentId")), (&*uri, "31337:0"));
    assert_eq!((&found["name"], &found["active"]), (&document["name"], &json!(true)));
    assert_eq!(found["registrations"], document["registrations"]);
    assert_eq!(found["endpoints"][0]["value"], endpoint);
    let found = resolve_in_python(&stage, 0).await;
    assert_eq!((text(&found, "agentURI"), text(&found, "agentId")), (&*uri, "31337:0"));
    for member in ["name", "description", "active"] {
        assert_eq!(found[member], document[member], "{member}");
    }
    assert_eq!(found["endpoints"], json!([{ "type": "A2A", "value": endpoint }]));
    assert_eq!(found["owners"], json!([stage.account.to_checksum(None)]));
    // Its cost is on a line of its own.
    let status = stage.status();
    let spent = |line: &str| text(&status, line).parse::<u128>().unwrap();
    assert!(spent("spentTodayWei") > 0 && spent("spentOnUrisTodayWei") > 0, "{status}");
    // A drain, a lost journal and other metadata send nothing.
    stage.offers(&[with_card(endpoint).draining("9000-01-01T00:00:00Z", "1h").0]);
    rests(&stage, &DATA, "a drain").await;
    fs::remove_file(stage.path("journal")).unwrap();
    rests(&stage, &DATA, "a lost journal").await;
    // The document's URL is the agentURI again where the setting is removed.
    stage.settle(&[]).await;
    assert_eq!((stage.uri(0).await, sent(&stage).await), (link(), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_uri_is_renewed_only_when_another_content_has_settled() {
    let stage = Stage::new().await;
    let card = |name: &str| with_card(&format!("https://{name}.example/agent-card.json")).0;
    stage.offers(&[card("a")]);
    stage.settle(&DATA).await;
    assert_eq!(sent(&stage).await, 2);
    stage.offers(&[card("b")]);
    rests(&stage, &DATA, "it has not settled").await;
    stage.offers(&[card("a")]);
    let at_once = [&DATA[..], &["--agent-uri-settle", "0s"]].concat();
    rests(&stage, &at_once, "it is as it was").await;
    stage.offers(&[card("b")]);
    // The first decision sees it for the first time.
    stage.once(&at_once);
    stage.settle(&at_once).await;
    assert_eq!(sent(&stage).await, 3);
    let endpoint = said(&stage.uri(0).await)["services"][0]["endpoint"].clone();
    assert_eq!(endpoint, "https://b.example/agent-card.json");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_call_waits_for_the_budget_of_data_uris() {
    let stage = Stage::new().await;
    let poor = ["--agent-uri", "data", "--agent-uri-budget-ether", "0.000000000000000001"];
    stage.settle(&poor).await;
    assert_eq!((stage.reason("default").as_str(), sent(&stage).await), ("BudgetSpent", 1));
    let market = offer("llm/market").host("market.example").path("/market");
    stage.offers(&[offer("llm/chat").0, market.0]);
    let hosted = [&poor[..], &["--anchor-host", "market.example"]].concat();
    stage.settle(&hosted).await;
    assert_eq!(stage.balance().await, U256::from(2));
    assert_eq!(sent(&stage).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_agent_says_so_for_good_and_is_revived_on_request_only() {
    let stage = Stage::new().await;
    stage.settle(&[]).await;
    let journal = fs::read(stage.path("journal")).unwrap();
    let plan = stage.anchor(&["retire", CHAIN], &[]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    for words in ["would sign for default: setAgentURI(0, \"data:", "Nothing is recorded yet"] {
        assert!(plan.stdout.contains(words), "{words}: {}", plan.stdout);
    }
    assert_eq!(fs::read(stage.path("journal")).unwrap(), journal);
    assert_eq!(stage.anchor(&["retire", "eip155:31337/a.example"], &[]).code, Some(2));
    let server = stage.serve(&[]).await;
    let locked = stage.anchor(&["retire", CHAIN, "--yes"], &[]);
    assert_eq!(locked.code, Some(1));
    assert!(locked.stderr.contains("stop the process that anchors"), "{}", locked.stderr);
    drop(server);
    for said in ["is retired by the process", "was retired already"] {
        let retired = stage.anchor(&["retire", CHAIN, "--yes"], &[]);
        assert_eq!(retired.code, Some(0), "{}", retired.stderr);
        assert!(retired.stdout.contains(said), "{}", retired.stdout);
    }
    stage.settle(&[]).await;
    let uri = stage.uri(0).await;
    let document = said(&uri);
    assert_eq!((&document["active"], &document["services"]), (&json!(false), &json!([])));
    assert_eq!((stage.reason("default").as_str(), sent(&stage).await), ("Retired", 2));
    let found = resolve(&stage, 0).await;
    assert_eq!((&found["active"], text(&found, "agentURI")), (&json!(false), &*uri));
    let found = resolve_in_python(&stage, 0).await;
    assert_eq!((&found["active"], text(&found, "agentURI")), (&json!(false), &*uri));
    // Whatever is published, configured or lost, nothing more is sent.
    stage.offers(&[with_card("https://chat.example/agent-card.json").0]);
    rests(&stage, &["--public-url", "https://moved.example"], "another URL").await;
    rests(&stage, &DATA, "data: URIs").await;
    fs::remove_file(stage.path("journal")).unwrap();
    rests(&stage, &["--mint-beside"], "a lost journal").await;
    assert_eq!((stage.uri(0).await, stage.reason("default").as_str()), (uri, "Retired"));
    let revived = stage.anchor(&["retire", CHAIN, "--revive", "--yes"], &[]);
    assert!(revived.stdout.contains("is revived"), "{} {}", revived.stdout, revived.stderr);
    stage.settle(&[]).await;
    assert_eq!((stage.uri(0).await, stage.reason("default").as_str()), (link(), "Anchored"));
    assert_eq!((sent(&stage).await, stage.balance().await), (3, U256::from(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_retired_before_its_mint_is_not_minted_and_one_in_flight_is_retired_after_it()
 {
    let stage = Stage::new().await;
    let retired = stage.anchor(&["retire", CHAIN, "--yes"], &[]);
    assert_eq!(retired.code, Some(0), "{}", retired.stderr);
    rests(&stage, &[], "retired before its mint").await;
    assert_eq!((stage.reason("default").as_str(), sent(&stage).await), ("Retired", 0));
    stage.anchor(&["retire", CHAIN, "--revive", "--yes"], &[]);
    stage.node.call("evm_setAutomine", json!([false])).await;
    stage.once(&[]);
    assert_eq!(stage.status()["openSlot"]["nonce"], 0);
    stage.anchor(&["retire", CHAIN, "--yes"], &[]);
    stage.node.call("evm_setAutomine", json!([true])).await;
    stage.node.mine(3).await;
    stage.settle(&[]).await;
    assert_eq!(said(&stage.uri(0).await)["active"], false);
    assert_eq!((sent(&stage).await, stage.balance().await), (2, U256::from(1)));
}
