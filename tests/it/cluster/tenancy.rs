//! Tenants of one cluster: what one of them writes changes nothing of another.

use serde_json::json;

use super::{Cluster, lifecycle::serve, shared, sold};
use crate::support::{
    process::{Server, eventually, text},
    resource::Resource,
};

async fn reason(server: &Server, offer: &Resource) -> String {
    let (namespace, name) = offer.key();
    let explained = server.explained(&format!("{namespace}/{name}")).await;
    explained.map(|explained| text(&explained, "reason").to_owned()).unwrap_or_default()
}

/// Creates `later` anew until the API server's clock, which counts whole seconds, dates it after
/// `earlier`: of two offers of one second the first by name is the older.
async fn created_after(cluster: &Cluster, later: &Resource, earlier: &Resource) {
    eventually("a second has passed", async || {
        cluster.create(later).await;
        let created = async |offer: &Resource| {
            let (api, name) = cluster.api_of(&offer.0).await;
            api.get(&name).await.unwrap().metadata.creation_timestamp
        };
        let is_later = created(later).await > created(earlier).await;
        if !is_later {
            cluster.delete(&later.0).await;
        }
        is_later
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_tenant_writes_changes_nothing_of_another() {
    let cluster = shared().await;
    let (first, second) = (cluster.namespace("first").await, cluster.namespace("second").await);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (path, host) = (format!("/shared-{first}"), format!("{first}.example"));
    let shared = |id: String| sold(&id).set("/spec/path", path.as_str()).host(&host);
    let holder = shared(format!("{first}/holder"));
    let rival = shared(format!("{second}/rival"));
    let other = sold(&format!("{second}/other"))
        .set("/spec/upstream", json!({ "service": "vault", "namespace": first, "port": 80 }))
        .set("/spec/registration/image", format!("https://localhost:{port}/image.png"))
        .set(
            "/spec/registration/services",
            json!([
                { "name": "A2A", "endpoint": format!("https://localhost:{port}/a2a") },
                { "name": "MCP", "endpoint": "https://vault.first.svc.cluster.local/mcp" },
            ]),
        );
    for offer in [&holder, &rival, &other] {
        cluster.create(offer).await;
    }
    let server = serve(cluster, &first, &["--namespace", &second]).await;
    eventually("the rival loses", async || reason(&server, &rival).await == "HostConflict").await;
    assert_eq!(reason(&server, &holder).await, "Published");

    // Ids in a tenant's own status, and names of the cluster, are in no document.
    let status = json!({ "agentId": "7", "registrationTxHash": "0x1" });
    cluster.set_status(&holder, status).await;
    cluster.patch(&holder, json!({ "metadata": { "labels": { "seen": "1" } } })).await;
    let marked = sold(&format!("{first}/marked"));
    cluster.create(&marked).await;
    eventually("the change is seen", async || reason(&server, &marked).await == "Published").await;
    for document in [
        "/.well-known/agent-registration.json".to_owned(),
        format!("/offers/{first}/holder/agent-registration.json"),
        format!("/offers/{second}/other/agent-registration.json"),
    ] {
        let shown = server.get(&document).await.text().await.unwrap();
        for hidden in ["agentId", "registrations", "vault", "localhost", "svc"] {
            assert!(!shown.contains(hidden), "{document}: {hidden}: {shown}");
        }
    }

    // A restore gives objects new creation times.
    cluster.delete(&holder.0).await;
    eventually("the rival holds it", async || reason(&server, &rival).await == "Published").await;
    created_after(cluster, &holder, &rival).await;
    eventually("who was first is second", async || {
        reason(&server, &holder).await == "HostConflict"
    })
    .await;

    // A grant keeps it for whom it is meant.
    let folder = tempfile::tempdir().unwrap();
    let grants = folder.path().join("grants.yaml");
    let granted =
        format!("{first}:\n  hosts: [{host}]\n  paths: [/]\n{second}:\n  paths: [/services]\n");
    std::fs::write(&grants, granted).unwrap();
    let more = ["--namespace", &second, "--grants", grants.to_str().unwrap()];
    let granting = serve(cluster, &first, &more).await;
    eventually("the rival may not claim it", async || {
        reason(&granting, &rival).await == "NotGranted"
    })
    .await;
    assert_eq!(reason(&granting, &holder).await, "Published");
    assert_eq!(reason(&granting, &other).await, "Published");

    // A namespace that is deleted while its offers drain takes them along.
    let draining = other.clone().draining("2126-01-01T00:00:00Z", "1h");
    cluster.patch(&other, json!({ "spec": draining.0["spec"] })).await;
    eventually("it drains", async || reason(&server, &other).await == "Draining").await;
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": second } });
    cluster.delete(&namespace).await;
    eventually("all of it is gone", async || {
        let shown = server.document().await.to_string();
        reason(&server, &other).await.is_empty() && !shown.contains("/services/other")
    })
    .await;
    eventually("and what it held is free", async || reason(&server, &holder).await == "Published")
        .await;
    assert!(listener.accept().is_err(), "nothing that a tenant names is fetched");
}
