//! Kubernetes Events on offers: told once, by the leader, about the right object.

use chrono::Utc;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{Cluster, shared, sold};
use crate::support::{
    process::{eventually, text},
    resource::Resource,
};

/// The Events in a namespace: what they are about, reason, type and text.
pub async fn told(cluster: &Cluster, namespace: &str) -> Vec<(String, String, String, String)> {
    let any = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": { "namespace": namespace, "name": "any" },
    });
    let (api, _) = cluster.api_of(&any).await;
    let events = api.list(&ListParams::default()).await.unwrap().items;
    let mut told: Vec<_> = events
        .iter()
        .map(|event| {
            let (data, about) = (&event.data, &event.data["regarding"]);
            assert!(about["uid"].is_string() && data["reportingInstance"].is_string(), "{data}");
            assert_eq!(text(data, "reportingController"), "erc8004-registrar");
            let own = |key| text(data, key).to_owned();
            let about = format!("{}/{}", text(about, "kind"), text(about, "name"));
            (about, own("reason"), own("type"), own("note"))
        })
        .collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_an_offer_is_told_once_by_the_leader() {
    let cluster = shared().await;
    let namespace = cluster.namespace("events").await;
    let start = || cluster.replica(&namespace, &["--events"]);
    let replicas = [start().await, start().await];
    eventually("both serve, and one leads", async || {
        let mut ready = true;
        for server in &replicas {
            ready &= server.admin("/readyz").await.status() == 200;
        }
        ready && (replicas[0].leads().await || replicas[1].leads().await)
    })
    .await;

    let named = |name: &str| sold(&format!("{namespace}/{name}"));
    let about = |name: &str| format!("ServiceOffer/{name}");
    let has = async |name: &str, reason: &str| {
        let told = told(cluster, &namespace).await;
        told.iter().any(|event| event.0 == about(name) && event.1 == reason)
    };
    let change = async |offer: &Resource, patch: Value, reason: &str| {
        cluster.patch(offer, patch).await;
        let (_, name) = offer.key();
        eventually(reason, async || has(name, reason).await).await;
    };
    let (chat, bad) = (named("chat"), named("bad").set("/spec/path", "/.well-known/bad"));
    cluster.create(&chat).await;
    eventually("it is published", async || has("chat", "Published").await).await;
    cluster.create(&bad).await;
    eventually("it is refused", async || has("bad", "Refused").await).await;
    #[expect(clippy::disallowed_methods, reason = "a drain that the binary sees as under way")]
    let drain_at = Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let drain = json!({ "spec": { "drainAt": drain_at, "drainGracePeriod": "24h" } });
    change(&chat, drain, "Draining").await;
    let past = json!({ "spec": { "drainAt": "2026-05-24T14:00:00Z", "drainGracePeriod": "1h" } });
    change(&chat, past, "Drained").await;
    let gone = named("gone");
    cluster.create(&gone).await;
    eventually("it is published", async || has("gone", "Published").await).await;
    change(&gone, json!({ "spec": { "paused": true } }), "Withdrawn").await;

    let all = told(cluster, &namespace).await;
    let count = |name: &str, reason: &str| {
        all.iter().filter(|event| event.0 == about(name) && event.1 == reason).count()
    };
    for (name, reason) in [
        ("chat", "Published"),
        ("chat", "Draining"),
        ("chat", "Drained"),
        ("gone", "Published"),
        ("gone", "Withdrawn"),
    ] {
        assert_eq!(count(name, reason), 1, "{name} {reason}: {all:#?}");
    }
    let refused = all.iter().filter(|event| event.1 == "Refused" && event.0 == about("bad"));
    let refused: Vec<_> = refused.collect();
    assert!(refused.iter().all(|event| event.2 == "Warning"), "{refused:?}");
    assert!(refused.iter().any(|event| event.3.starts_with("ReservedPath: ")), "{refused:?}");
    let drained = all.iter().find(|event| event.1 == "Drained").unwrap();
    assert!(drained.3.contains("2026-05-24T15:00:00Z"), "{drained:?}");
}
