//! Which objects of a cluster exist for us: namespaces, labels, the AgentIdentity, the tunnel
//! ConfigMap.

use serde_json::json;

use super::{Cluster, READY, shared, sold};
use crate::{
    support::process::{Server, eventually, json as body, text},
    support::resource::Resource,
};

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_and_labels_choose_offers_and_the_identity_stands_apart() {
    let cluster = shared().await;
    let (first, second, other) = (
        cluster.namespace("one").await,
        cluster.namespace("two").await,
        cluster.namespace("three").await,
    );
    let labelled = |id: &str, tier: &str| sold(id).set("/metadata/labels", json!({ "tier": tier }));
    for offer in [
        labelled(&format!("{first}/a"), "gold"),
        labelled(&format!("{second}/b"), "silver"),
        labelled(&format!("{second}/c"), "lead"),
        labelled(&format!("{other}/d"), "gold"),
    ] {
        cluster.create(&offer).await;
    }
    let identity = Resource(json!({
        "apiVersion": "obol.org/v1alpha1", "kind": "AgentIdentity",
        "metadata": { "namespace": other, "name": "agent" }, "spec": {},
        "status": { "registrations": [{ "chain": "base", "agentId": "0" }] },
    }));
    let kubeconfig = cluster.kubeconfig("admin");
    let named = format!("{other}/agent");
    let server = Server::start(&[
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--namespace",
        &first,
        "--namespace",
        &second,
        "--selector",
        "tier in (gold,silver)",
        "--identity",
        &named,
        "--public-url",
        "https://seller.example",
    ])
    .await;
    let both = ["https://seller.example/services/a", "https://seller.example/services/b"];
    eventually("a missing identity is no hindrance", async || server.endpoints().await == both)
        .await;
    assert_eq!(server.document().await.get("registrations"), None);

    cluster.create(&identity).await;
    let registrations = json!([{ "agentId": 0, "agentRegistry": "eip155:8453:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432" }]);
    eventually("the id is published", async || {
        server.document().await["registrations"] == registrations
    })
    .await;
    cluster
        .set_status(
            &identity,
            json!({ "registrations": [{ "chain": "atlantis", "agentId": "7" }] }),
        )
        .await;
    eventually("it is withdrawn", async || server.document().await.get("registrations").is_none())
        .await;
    let verbose = body(server.admin("/readyz?verbose").await).await;
    assert_eq!(text(&verbose["problems"][0], "code"), "UnknownChain", "{verbose}");
    cluster.delete(&identity.0).await;
    eventually("the problem goes with it", async || {
        body(server.admin("/readyz?verbose").await).await["problems"] == json!([])
    })
    .await;

    cluster
        .patch(
            &sold(&format!("{second}/c")),
            json!({ "metadata": { "labels": { "tier": "gold" } } }),
        )
        .await;
    eventually("a new label lets an offer in", async || server.endpoints().await.len() == 3).await;
    cluster
        .patch(
            &sold(&format!("{first}/a")),
            json!({ "metadata": { "labels": { "tier": "lead" } } }),
        )
        .await;
    eventually("and another one out", async || {
        server.explained(&format!("{first}/a")).await.is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_url_comes_from_the_tunnel_configmap_and_its_last_value_stays() {
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    for namespace in ["obol-frontend", "llm"] {
        cluster.ensure_namespace(namespace).await;
    }
    cluster.create(&sold("llm/chat").ready(&READY)).await;
    let kubeconfig = cluster.kubeconfig("admin");
    let server = Server::start(&["--kubeconfig", kubeconfig.to_str().unwrap()]).await;
    let tunnel = |data: serde_json::Value| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "namespace": "obol-frontend", "name": "obol-stack-config" }, "data": data,
        })
    };
    let web_is = async |url: &str| {
        let web = format!("{url}/services/chat");
        eventually(&web, async || server.endpoints().await == [web.clone()]).await
    };
    eventually("the missing ConfigMap is named", async || {
        let problem = server.document().await;
        text(&problem, "code") == "Incomplete"
            && text(&problem, "detail").contains("obol-frontend/obol-stack-config")
    })
    .await;
    cluster.apply(&tunnel(json!({ "tunnelURL": "https://one.example/" }))).await;
    web_is("https://one.example").await;
    cluster.apply(&tunnel(json!({ "tunnelURL": "https://two.example" }))).await;
    web_is("https://two.example").await;
    for bad in
        [json!({ "tunnelURL": " " }), json!({ "tunnelURL": "two words" }), json!({ "other": "x" })]
    {
        cluster.apply(&tunnel(bad.clone())).await;
        eventually("the blank is reported", async || {
            let verbose = body(server.admin("/readyz?verbose").await).await;
            verbose["problems"]
                .as_array()
                .unwrap()
                .iter()
                .any(|problem| text(problem, "code") == "NoPublicUrl")
        })
        .await;
        web_is("https://two.example").await;
    }
    cluster.delete(&tunnel(json!({}))).await;
    web_is("https://two.example").await;
}
