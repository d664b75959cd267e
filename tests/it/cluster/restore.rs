//! A real API server that goes back in time, closes connections in passing, or loses its kinds.

use super::{
    Cluster, sold,
    watching::{URL, problems},
};
use crate::support::process::{Server, eventually};

async fn serve(cluster: &Cluster) -> Server {
    let kubeconfig = cluster.kubeconfig("admin");
    Server::start(&["--kubeconfig", kubeconfig.to_str().unwrap(), "--public-url", URL]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_etcd_snapshot_that_is_restored_is_published() {
    let mut cluster = Cluster::start("");
    cluster.install_crds().await;
    cluster.ensure_namespace("llm").await;
    cluster.create(&sold("llm/early")).await;
    cluster.kill();
    let snapshot = cluster.snapshot();
    cluster.run();
    for number in 0..20 {
        cluster.create(&sold(&format!("llm/late-{number}"))).await;
    }
    let server = serve(&cluster).await;
    eventually("all are served", async || server.endpoints().await.len() == 21).await;
    cluster.kill();
    cluster.restore(&snapshot);
    cluster.run();
    let early = [format!("{URL}/services/early")];
    let took =
        eventually("the restored state is published", async || server.endpoints().await == early)
            .await;
    println!("the restored state was published {took:?} after the start of the server");
    assert!(server.log().contains("restored from an older snapshot"), "{}", server.log());
    cluster.create(&sold("llm/new")).await;
    eventually("the watch goes on", async || server.endpoints().await.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_and_a_token_that_are_rotated_on_disk_are_picked_up() {
    let mut cluster = Cluster::start("");
    cluster.install_crds().await;
    cluster.ensure_namespace("llm").await;
    cluster.create(&sold("llm/early")).await;
    let server = serve(&cluster).await;
    eventually("it is served", async || server.endpoints().await.len() == 1).await;
    let authority = cluster.kubeconfig("admin").with_file_name("ca.crt");
    let before = std::fs::read(&authority).unwrap();
    cluster.kill();
    cluster.forget_certificates();
    cluster.run();
    assert_ne!(std::fs::read(&authority).unwrap(), before);
    cluster.create(&sold("llm/late")).await;
    let took =
        eventually("the new CA is trusted", async || server.endpoints().await.len() == 2).await;
    println!("an offer under the new CA was served {took:?} after its write");
    eventually("nothing is wrong any more", async || problems(&server).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_closes_in_passing_are_not_noticed() {
    let cluster = Cluster::start_with("", &["--goaway-chance=0.02"]);
    cluster.install_crds().await;
    cluster.ensure_namespace("llm").await;
    let kubeconfig = cluster.kubeconfig("admin");
    let args =
        ["--kubeconfig", kubeconfig.to_str().unwrap(), "--public-url", URL, "--resync", "1s"];
    let server = Server::start(&args).await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    for number in 0..40 {
        cluster.create(&sold(&format!("llm/offer-{number}"))).await;
        eventually("it is served", async || server.endpoints().await.len() == number + 1).await;
        assert_eq!(problems(&server).await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_kind_withdraws_few_offers_and_its_return_is_noticed() {
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    cluster.ensure_namespace("llm").await;
    for number in 0..30 {
        cluster.create(&sold(&format!("llm/offer-{number}"))).await;
    }
    let server = serve(&cluster).await;
    eventually("all are served", async || server.endpoints().await.len() == 30).await;
    let kind = serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "serviceoffers.obol.org" },
    });
    cluster.delete(&kind).await;
    eventually("the missing kind is named", async || {
        // 27, unless the server pauses for a second between its deletions.
        assert!(server.endpoints().await.len() >= 21);
        problems(&server).await.contains("is not installed")
    })
    .await;
    println!("{} of 30 offers stayed published", server.endpoints().await.len());
    assert!(problems(&server).await.contains("ShrinkBrake"));
    cluster.install_crd("serviceoffers.obol.org").await;
    cluster.create(&sold("llm/new")).await;
    let new = format!("{URL}/services/new");
    let took =
        eventually("the watch goes on", async || server.endpoints().await.contains(&new)).await;
    println!("a new offer was served {took:?} after the kind was back");
}
