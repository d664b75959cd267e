//! Offers of later versions of the stack: our CRDs store them, and no unknown field refuses one.

use serde_json::json;

use super::{READY, shared, sold};
use crate::support::process::{Server, eventually, text};

#[tokio::test(flavor = "multi_thread")]
async fn our_crds_accept_later_fields_and_a_card_payment_supports_no_x402() {
    let cluster = shared().await;
    let namespace = cluster.namespace("later").await;
    let offer = |name: &str| sold(&format!("{namespace}/{name}"));
    let card = json!({
        "method": "card",
        "card": { "provider": "stripe", "account": "acct_example", "currency": "usd" },
        "price": { "perMB": "0.05" },
    });
    let dataset = offer("report")
        .set("/spec/type", "dataset")
        .set(
            "/spec/dataset",
            json!({ "manifestHash": "ab", "version": "2", "sizeBytes": 10_485_760 }),
        )
        .set("/spec/payment", card)
        .set(
            "/spec/registration/services",
            json!([
                { "name": "MCP", "endpoint": "https://report.example/mcp", "mcpTools": ["search"] },
            ]),
        )
        .set("/spec/registration/identityRef", json!({ "name": "default" }));
    let conditions: Vec<_> = READY
        .iter()
        .map(|kind| json!({ "type": kind, "status": "True", "observedGeneration": 3 }))
        .collect();
    cluster.create(&dataset.set("/status/conditions", conditions)).await;
    let kubeconfig = cluster.kubeconfig("admin");
    let server = Server::start(&[
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--namespace",
        &namespace,
        "--identity",
        "none",
        "--public-url",
        "https://seller.example",
    ])
    .await;
    eventually("the dataset is published", async || {
        let document = server.document().await;
        document["active"] == true
            && document["x402Support"] == false
            && document["services"][1]["mcpTools"] == json!(["search"])
    })
    .await;
    let skill =
        offer("skill").set("/spec/type", "skill").set("/spec/skill", json!({ "name": "x" }));
    cluster.create(&skill).await;
    eventually("the skill is paid by x402", async || {
        server.document().await["x402Support"] == true
    })
    .await;
    cluster.patch(&skill, json!({ "spec": { "paused": true } })).await;
    let id = format!("{namespace}/skill");
    eventually("it is paused", async || {
        let explained = server.explained(&id).await;
        explained.is_some_and(|explained| text(&explained, "reason") == "Paused")
    })
    .await;
    assert_eq!(server.document().await["x402Support"], false);
}
