//! What goes wrong with an API server, and what documents do meanwhile: nothing.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Cluster, sold};
use crate::support::process::{
    Printed, Server, endpoints, eventually, json as body, registrar, text,
};

const URL: &str = "https://seller.example";

/// A ClusterRole and its binding for a user.
pub fn rights(user: &str, rules: Value) -> [Value; 2] {
    let name = format!("{user}-reads");
    [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": name }, "rules": rules,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
        }),
    ]
}

pub fn reads(verbs: &[&str]) -> Value {
    json!([{ "apiGroups": ["obol.org"], "resources": ["serviceoffers", "agentidentities"], "verbs": verbs }])
}

async fn serve(cluster: &Cluster, user: &str) -> Server {
    let kubeconfig = cluster.kubeconfig(user);
    Server::start(&["--kubeconfig", kubeconfig.to_str().unwrap(), "--public-url", URL]).await
}

async fn problems(server: &Server) -> Vec<String> {
    let verbose = body(server.admin("/readyz?verbose").await).await;
    let listed = verbose["problems"].as_array().cloned().unwrap_or_default();
    listed
        .iter()
        .map(|problem| format!("{}: {}", text(problem, "about"), text(problem, "message")))
        .collect()
}

/// A world of three offers, one of which ends its drain in `seconds`.
async fn populate(cluster: &Cluster, seconds: i64) {
    cluster.ensure_namespace("llm").await;
    let end = chrono::DateTime::<chrono::Utc>::from(now()) + chrono::TimeDelta::seconds(seconds);
    let end = end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    for offer in [sold("llm/chat"), sold("llm/blocks"), sold("llm/ending").draining(&end, "0s")] {
        cluster.create(&offer).await;
    }
}

fn now() -> std::time::SystemTime {
    #[expect(clippy::disallowed_methods, reason = "drains are held against the machine's clock")]
    std::time::SystemTime::now()
}

/// What would be anchored, on a node that does not answer.
fn plan(cluster: &Cluster) -> Printed {
    let kubeconfig = cluster.kubeconfig("admin");
    registrar(&[
        "anchor",
        "plan",
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--public-url",
        URL,
        "--anchor",
        "base-sepolia",
        "--rpc-url",
        "base-sepolia=http://127.0.0.1:1",
        "--owner-id",
        "test",
        "--account",
        "0x0000000000000000000000000000000000000001",
        "--journal",
        "file:/nonexistent",
        "--max-fee-gwei",
        "1",
        "--daily-budget-ether",
        "1",
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_kinds_is_waited_for_and_said_by_name() {
    let cluster = Cluster::start("");
    let server = serve(&cluster, "admin").await;
    eventually("both kinds are named", async || {
        let detail = text(&server.document().await, "detail").to_owned();
        detail.contains("ServiceOffer (obol.org/v1alpha1) is not installed")
            && detail.contains("AgentIdentity (obol.org")
    })
    .await;
    let refused = server.get("/.well-known/agent-registration.json").await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(server.admin("/readyz").await.status(), 503);
    assert_eq!(server.admin("/livez").await.status(), 200);
    assert_eq!(server.admin("/startupz").await.status(), 200);
    // Read once, a missing kind is an error and not an identity without ids: what it names must not
    // be minted beside.
    cluster.install_crd("serviceoffers.obol.org").await;
    let planned = plan(&cluster);
    assert_eq!(planned.code, Some(1), "{}", planned.stdout);
    let named = "AgentIdentity (obol.org/v1alpha1) is not installed";
    assert!(planned.stderr.contains(named), "{}", planned.stderr);
    cluster.install_crds().await;
    let planned = plan(&cluster);
    assert!(planned.stdout.contains("Unreachable"), "no object names no ids: {}", planned.stderr);
    let took =
        eventually("documents are served", async || server.admin("/readyz").await.status() == 200)
            .await;
    println!("ready {took:?} after the kinds appeared");
    assert_eq!(
        server.document().await["active"],
        false,
        "a readable source without offers is complete"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undecodable_object_costs_only_itself() {
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    // A cluster whose CRD checks nothing, as an older one may be.
    for (plural, kind) in [("serviceoffers", "ServiceOffer"), ("agentidentities", "AgentIdentity")]
    {
        let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        cluster
            .apply(&json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": { "name": format!("{plural}.obol.org") },
                "spec": {
                    "group": "obol.org", "scope": "Namespaced",
                    "names": { "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List") },
                    "versions": [{
                        "name": "v1alpha1", "served": true, "storage": true,
                        "subresources": { "status": {} }, "schema": { "openAPIV3Schema": anything },
                    }],
                },
            }))
            .await;
    }
    cluster.ensure_namespace("llm").await;
    cluster.create(&sold("llm/chat")).await;
    let server = serve(&cluster, "admin").await;
    let good = ["https://seller.example/services/chat"];
    eventually("the good one is served", async || server.endpoints().await == good).await;
    let strange = [
        ("spec", json!("no object")),
        ("registration", json!({ "registration": { "enabled": "yes" } })),
        ("services", json!({ "registration": { "enabled": true, "services": [{ "name": 7 }] } })),
        ("drain", json!({ "registration": { "enabled": true }, "drainAt": 5 })),
        ("path", json!({ "registration": { "enabled": true }, "path": ["/a"] })),
    ];
    for (name, spec) in &strange {
        // Stored by a write that the schema lets pass; the schema is loose only once the server has
        // noticed.
        let offer = sold(&format!("llm/{name}")).set("/spec", spec.clone());
        let (api, _) = cluster.api_of(&offer.0).await;
        let object: kube::api::DynamicObject = serde_json::from_value(offer.0).unwrap();
        eventually(name, async || api.create(&Default::default(), &object).await.is_ok()).await;
    }
    for (name, _) in &strange {
        let id = format!("llm/{name}");
        eventually(name, async || server.explained(&id).await.is_some()).await;
        assert_eq!(text(&server.explained(&id).await.unwrap(), "reason"), "Undecodable", "{name}");
    }
    assert_eq!(server.endpoints().await, good);
    // A key that the JSON library uses for itself is a key like any other.
    let keyed =
        sold("llm/keyed").set("/spec/registration/metadata/$serde_json::private::Number", "x");
    // Sent as text: the library of the test would stumble over it too.
    let request = http::Request::post("/apis/obol.org/v1alpha1/namespaces/llm/serviceoffers")
        .header("content-type", "application/json")
        .body(keyed.0.to_string().into_bytes())
        .unwrap();
    cluster.client().await.request_text(request).await.unwrap();
    let status = json!({ "status": keyed.0["status"] }).to_string().into_bytes();
    let request =
        http::Request::patch("/apis/obol.org/v1alpha1/namespaces/llm/serviceoffers/keyed/status")
            .header("content-type", "application/merge-patch+json")
            .body(status)
            .unwrap();
    cluster.client().await.request_text(request).await.unwrap();
    let good = [good[0], "https://seller.example/services/keyed"];
    eventually("it is served too", async || server.endpoints().await == good).await;
    // Listed from the start, the strange ones are as harmless as watched.
    let fresh = serve(&cluster, "admin").await;
    eventually("a fresh process serves the good one", async || fresh.endpoints().await == good)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_dies_and_returns_changes_no_document() {
    let mut cluster = Cluster::start("");
    cluster.install_crds().await;
    populate(&cluster, 3_600).await;
    let server = serve(&cluster, "admin").await;
    eventually("all are served", async || server.endpoints().await.len() == 3).await;
    let before = server.document().await;

    cluster.kill();
    eventually("the outage is named", async || {
        problems(&server).await.iter().any(|p| p.contains("ServiceOffers"))
    })
    .await;
    assert_eq!(server.document().await, before);
    assert_eq!(server.admin("/readyz").await.status(), 200, "documents can still be served");

    // The new server's watch cache begins at its present revision, so every old one is answered
    // 410.
    cluster.run();
    cluster.delete(&sold("llm/blocks").0).await;
    let began = Instant::now();
    let mut shrunk_wrongly = false;
    let healed = eventually("the deletion is seen", async || {
        let now = server.endpoints().await;
        shrunk_wrongly |= now.len() < 2;
        now.len() == 2
    })
    .await;
    assert!(!shrunk_wrongly, "a relist is seen whole or not at all");
    println!("a change after the restart was served {healed:?} after its write");
    eventually("nothing is wrong any more", async || problems(&server).await.is_empty()).await;
    println!("and all watches were whole again {:?} after it", began.elapsed());
    cluster.create(&sold("llm/late")).await;
    eventually("the watch goes on", async || server.endpoints().await.len() == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_api_server_freezes_no_drain_and_is_noticed() {
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    let server = serve(&cluster, "admin").await;
    // The drain must not end before the server is frozen, so everything else is ready before it
    // begins.
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    populate(&cluster, 20).await;
    eventually("all are served", async || server.endpoints().await.len() == 3).await;
    cluster.freeze();
    let frozen = Instant::now();
    eventually("the drain ends on the clock alone", async || server.endpoints().await.len() == 2)
        .await;
    eventually("the silence is noticed", async || {
        problems(&server).await.iter().any(|p| p.contains("ServiceOffers"))
    })
    .await;
    println!("the frozen server was noticed after {:?}", frozen.elapsed());
    let metrics = server.admin("/metrics").await.text().await.unwrap();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("registrar_source_incomplete_seconds "))
        .unwrap();
    let age: f64 = line.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(age > 5.0, "the age shows: {line}");
    assert_eq!(server.endpoints().await.len(), 2);
    cluster.thaw();
    cluster.create(&sold("llm/late")).await;
    let healed =
        eventually("the world goes on", async || server.endpoints().await.len() == 3).await;
    println!("a change after the thaw was served {healed:?} after its write");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_withdrawn_keeps_the_last_world_and_is_named() {
    let cluster = Cluster::start("watcher");
    cluster.install_crds().await;
    populate(&cluster, 3_600).await;
    let server = serve(&cluster, "watcher").await;
    eventually("the missing right is named", async || {
        text(&server.document().await, "detail").contains("forbidden: grant get, list and watch")
    })
    .await;
    for object in rights("watcher", reads(&["get", "list", "watch"])) {
        cluster.apply(&object).await;
    }
    eventually("all are served", async || server.endpoints().await.len() == 3).await;
    let before = server.document().await;

    cluster.delete(&rights("watcher", reads(&[]))[1]).await;
    // Each watch goes on to its end: the one of offers must have ended before what it no longer
    // sees is changed.
    let noticed = eventually("the withdrawal is named", async || {
        problems(&server)
            .await
            .iter()
            .any(|problem| problem.contains("ServiceOffers") && problem.contains("forbidden"))
    })
    .await;
    println!("the withdrawal was noticed after {noticed:?}");
    assert_eq!(server.document().await, before);
    cluster.delete(&sold("llm/blocks").0).await;
    assert_eq!(endpoints(&server.document().await).len(), 3, "what cannot be seen changes nothing");
    cluster.apply(&rights("watcher", reads(&["get", "list", "watch"]))[1]).await;
    eventually("the world goes on", async || server.endpoints().await.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_list_without_one_to_watch_is_named() {
    let cluster = Cluster::start("lister");
    cluster.install_crds().await;
    populate(&cluster, 3_600).await;
    for object in rights("lister", reads(&["get", "list"])) {
        cluster.apply(&object).await;
    }
    let server = serve(&cluster, "lister").await;
    eventually("the missing right is named", async || {
        problems(&server)
            .await
            .iter()
            .any(|problem| problem.contains("ServiceOffers") && problem.contains("watch"))
    })
    .await;
}
