//! One offer's life, seen over HTTP at each step, and how soon a change is seen.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{Cluster, READY, shared, sold};
use crate::support::process::{Server, endpoints, eventually, json as body, registrar, text};

const URL: &str = "https://seller.example";

/// A server over one namespace of a cluster, without ids.
pub async fn serve(cluster: &Cluster, namespace: &str, more: &[&str]) -> Server {
    let kubeconfig = cluster.kubeconfig("admin");
    let args = [
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--namespace",
        namespace,
        "--public-url",
        URL,
    ];
    let server = Server::start(&[&args[..], &["--identity", "none"], more].concat()).await;
    eventually("the first world is complete", async || {
        server.admin("/readyz").await.status() == 200
    })
    .await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_an_offers_life_is_seen_over_http() {
    let cluster = shared().await;
    let namespace = cluster.namespace("life").await;
    let server = serve(cluster, &namespace, &[]).await;
    let id = format!("{namespace}/chat");
    let web = format!("{URL}/services/chat");
    let kubeconfig = cluster.kubeconfig("admin");
    let kubeconfig = kubeconfig.to_str().unwrap();

    let tombstone = server.document().await;
    assert_eq!((tombstone["active"].as_bool(), endpoints(&tombstone)), (Some(false), vec![]));

    // Created, but nothing says that it is ready.
    let offer = sold(&id);
    let mut unready = offer.clone();
    unready.0.as_object_mut().unwrap().remove("status");
    cluster.create(&unready).await;
    eventually("it is seen", async || server.explained(&id).await.is_some()).await;
    assert_eq!(text(&server.explained(&id).await.unwrap(), "reason"), "ConditionMissing");
    assert_eq!(server.endpoints().await, Vec::<String>::new());
    let miss = body(server.get(&format!("/offers/{id}")).await).await;
    assert_eq!((text(&miss, "code"), miss["status"].as_u64()), ("ConditionMissing", Some(404)));

    // The last condition turns True.
    for count in [READY.len() - 1, READY.len()] {
        cluster.set_status(&offer, offer.clone().ready(&READY[..count]).0["status"].clone()).await;
        let reason = if count == READY.len() { "Published" } else { "ConditionMissing" };
        eventually(reason, async || {
            text(&server.explained(&id).await.unwrap(), "reason") == reason
        })
        .await;
    }
    assert_eq!(server.endpoints().await, std::slice::from_ref(&web));

    // A condition flips, and flips back.
    cluster
        .set_status(
            &offer,
            json!({ "conditions": [{ "type": "UpstreamHealthy", "status": "False" }] }),
        )
        .await;
    eventually("it is dropped", async || server.endpoints().await.is_empty()).await;
    cluster.set_status(&offer, offer.0["status"].clone()).await;
    eventually("it is back", async || server.endpoints().await == [web.clone()]).await;

    // Drained by the verb: announced at once, gone at its end with no event.
    let drained = registrar(&["drain", &id, "--grace", "15s", "--kubeconfig", kubeconfig]);
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
    eventually("the drain is announced", async || {
        server.document().await["services"][0]["available"] == false
    })
    .await;
    let announced = server.document().await;
    let ends_at = text(&announced["services"][0], "drainEndsAt").to_owned();
    assert!(drained.stdout.contains(&ends_at), "{}", drained.stdout);
    assert_eq!(
        (announced["active"].as_bool(), endpoints(&announced)),
        (Some(true), vec![web.clone()])
    );
    eventually("it vanishes", async || server.endpoints().await.is_empty()).await;
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::UNIX_EPOCH) + wall_clock();
    let end = chrono::DateTime::parse_from_rfc3339(&ends_at).unwrap();
    assert!(now >= end, "it vanished at {now}, before {end}");
    println!("it vanished {} after the end of its drain", now - end.to_utc());
    assert_eq!(text(&server.explained(&id).await.unwrap(), "state"), "drained");

    let undrained = registrar(&["undrain", &id, "--kubeconfig", kubeconfig]);
    assert_eq!(undrained.code, Some(0), "{}", undrained.stderr);
    eventually("it sells again", async || server.endpoints().await == [web.clone()]).await;

    cluster.delete(&offer.0).await;
    eventually("it is gone", async || server.explained(&id).await.is_none()).await;
    assert_eq!(server.document().await, tombstone);
}

fn wall_clock() -> Duration {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test holds the drain against the machine's clock"
    )]
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_served_soon_after_its_watch_event() {
    const ROUNDS: usize = 60;
    let cluster = shared().await;
    let namespace = cluster.namespace("soon").await;
    let offer = sold(&format!("{namespace}/chat"));
    cluster.create(&offer).await;
    let server = serve(cluster, &namespace, &[]).await;
    let (api, name) = cluster.api_of(&offer.0).await;
    let mut delays = Vec::new();
    for round in 0..ROUNDS {
        let described = format!("round {round}");
        let patch = kube::api::Patch::Merge(
            json!({ "spec": { "registration": { "description": described } } }),
        );
        api.patch(&name, &Default::default(), &patch).await.unwrap();
        // The API server has answered the write: the event is on its way from here on.
        let written = Instant::now();
        eventually("the change is served", async || {
            text(&server.document().await, "description") == described
        })
        .await;
        delays.push(written.elapsed());
    }
    delays.sort();
    let at = |share: usize| delays[(ROUNDS - 1) * share / 100];
    println!(
        "from the write's answer to the document, {ROUNDS} changes: min {:?} median {:?} p90 {:?} max {:?}",
        at(0),
        at(50),
        at(90),
        at(100)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_serves_the_bytes_of_a_process_that_has_seen_everything() {
    let cluster = shared().await;
    let namespace = cluster.namespace("restart").await;
    let server = serve(cluster, &namespace, &[]).await;
    let offers: Vec<_> =
        ["chat", "blocks", "audit"].map(|name| sold(&format!("{namespace}/{name}"))).into();
    for offer in &offers {
        cluster
            .create(&offer.clone().host(&format!("{}.{namespace}.example", offer.key().1)))
            .await;
    }
    cluster.patch(&offers[0], json!({ "spec": { "drainAt": "2026-01-01T00:00:00Z" } })).await;
    cluster.patch(&offers[1], json!({ "spec": { "drainAt": "9000-01-01T00:00:00Z" } })).await;
    cluster.delete(&offers[2].0).await;
    cluster.create(&offers[2]).await;
    eventually("all is seen", async || server.endpoints().await.len() == 2).await;
    let fresh = serve(cluster, &namespace, &[]).await;
    for path in ["/.well-known/agent-registration.json", "/offers", "/agents"] {
        let (old, new) = (server.get(path).await, fresh.get(path).await);
        assert_eq!(old.headers().get("etag"), new.headers().get("etag"), "{path}");
        assert_eq!(old.bytes().await.unwrap(), new.bytes().await.unwrap(), "{path}");
    }
}
