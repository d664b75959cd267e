//! Many offers at once, and many changes in a burst.

use futures::{StreamExt, stream};
use kube::api::{DynamicObject, Patch, PostParams};
use serde_json::json;
use tokio::time::Instant;

use super::{Cluster, sold};
use crate::support::process::{eventually, json as body, text};

const OFFERS: usize = 5_000;
const CHANGES: usize = 1_000;
/// What the process may hold resident when all is done, MiB: a few times what it needs, far below a
/// leak.
const MEMORY_MIB: u64 = 400;

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_offers_and_a_burst_of_changes_end_right_in_bounded_memory() {
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    cluster.ensure_namespace("many").await;
    let server =
        super::lifecycle::serve(&cluster, "many", &["--required-conditions", "none"]).await;
    let idle = server.resident_mib();
    let name = |number: usize| format!("many/offer-{number:05}");
    let (api, _) = cluster.api_of(&sold(&name(0)).0).await;

    let began = Instant::now();
    let create = |number: usize| {
        let (api, offer) = (
            api.clone(),
            sold(&name(number)).service("A2A", &format!("https://a2a.example/{number}")),
        );
        async move {
            let object: DynamicObject = serde_json::from_value(offer.0).unwrap();
            api.create(&PostParams::default(), &object).await.unwrap();
        }
    };
    stream::iter(0..OFFERS).map(create).buffer_unordered(16).collect::<Vec<_>>().await;
    let created = began.elapsed();
    let listed = async || {
        let verbose = body(server.admin("/readyz?verbose").await).await;
        verbose["offers"]["published"].as_u64().unwrap()
    };
    let behind = eventually("all are published", async || listed().await == OFFERS as u64).await;
    let full = server.resident_mib();

    let began = Instant::now();
    let change = |number: usize| {
        let (api, name) = (api.clone(), sold(&name(number)).key().1.to_owned());
        let patch =
            json!({ "spec": { "registration": { "description": format!("changed {number}") } } });
        async move { drop(api.patch(&name, &Default::default(), &Patch::Merge(patch)).await.unwrap()) }
    };
    stream::iter((0..CHANGES).map(|number| number * (OFFERS / CHANGES)))
        .map(change)
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await;
    let changed = began.elapsed();
    let last = (CHANGES - 1) * (OFFERS / CHANGES);
    let caught_up = eventually("the last change is served", async || {
        let document = server.get(&format!("/offers/{}/agent-registration.json", name(last))).await;
        text(&body(document).await, "description") == format!("changed {last}")
    })
    .await;
    println!(
        "{OFFERS} offers created in {created:?}, all published {behind:?} later; {CHANGES} changes written in \
         {changed:?}, the last one served {caught_up:?} later; resident {idle} MiB idle, {full} MiB full, {} MiB at \
         the end",
        server.resident_mib()
    );
    for number in 0..OFFERS {
        let changed = number % (OFFERS / CHANGES) == 0;
        let document =
            body(server.get(&format!("/offers/{}/agent-registration.json", name(number))).await)
                .await;
        let described = text(&document, "description").starts_with("changed");
        assert_eq!(described, changed, "{}", name(number));
    }
    // The aggregate document is cut at its limit, oldest first, and says so of every offer that was
    // cut.
    let aggregate = server.get("/.well-known/agent-registration.json").await.bytes().await.unwrap();
    assert!(aggregate.len() <= 1_048_576, "{} bytes", aggregate.len());
    assert!(server.resident_mib() < MEMORY_MIB, "{} MiB resident", server.resident_mib());
}
