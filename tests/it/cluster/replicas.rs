//! Two API servers for the same objects behind one address, as clusters with several control planes
//! have, one of them with a cache that is cut off from etcd.

use kube::api::ListParams;
use tokio::time::Instant;

use super::{
    Cluster, client, sold,
    watching::{URL, problems},
};
use crate::support::{
    process::{Server, eventually},
    relay::Relay,
};

/// How often the connection is moved to the stale server and back.
const TURNS: usize = 4;

/// The names that a server's cache holds, however old it is.
async fn cached(kubeconfig: &std::path::Path) -> Vec<String> {
    let kind = super::resource("obol.org", "v1alpha1", "ServiceOffer");
    let api: kube::Api<kube::api::DynamicObject> =
        kube::Api::all_with(client(kubeconfig).await, &kind);
    let any = ListParams::default().at("0").matching(kube::api::VersionMatch::NotOlderThan);
    let Ok(list) = api.list(&any).await else { return Vec::new() };
    list.items.into_iter().filter_map(|object| object.metadata.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_api_server_with_a_stale_cache_takes_no_document_back_in_time() {
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    cluster.ensure_namespace("llm").await;
    cluster.create(&sold("llm/early")).await;
    let etcd = Relay::to_socket(&cluster.etcd());
    let second = {
        let (cluster, socket) = (&cluster, etcd.socket());
        tokio::task::block_in_place(|| cluster.beside(&socket))
    };
    let balancer = Relay::to_port(cluster.port()).await;
    let direct = cluster.kubeconfig("admin");
    let config = std::fs::read_to_string(&direct).unwrap();
    let at = |port: u16, name: &str| {
        let path = etcd.socket().with_file_name(name);
        let moved = config.replace(&format!(":{}", cluster.port()), &format!(":{port}"));
        std::fs::write(&path, moved).unwrap();
        path
    };
    let balanced = at(balancer.port(), "balanced");
    let of_second = at(second.port(), "second");
    let server = Server::start(&[
        "--kubeconfig",
        balanced.to_str().unwrap(),
        "--public-url",
        URL,
        "--resync",
        "2s",
    ])
    .await;
    eventually("it is served", async || server.endpoints().await.len() == 1).await;
    eventually("the second server has it too", async || cached(&of_second).await == ["early"])
        .await;
    balancer.turn_to(second.port());
    cluster.create(&sold("llm/seen")).await;
    eventually("the second server is as good", async || server.endpoints().await.len() == 2).await;

    etcd.set_silent(true);
    balancer.turn_to(cluster.port());
    let mut made = 2;
    for turn in 0..TURNS {
        cluster.create(&sold(&format!("llm/late-{turn}"))).await;
        made += 1;
        let began = Instant::now();
        eventually("it is served", async || {
            let shown = server.endpoints().await.len();
            assert!(shown >= made - 1, "turn {turn}: {shown} of {made}");
            shown == made
        })
        .await;
        println!("turn {turn}: current after {:?}", began.elapsed());
        balancer.turn_to(second.port());
        eventually("the stale server is noticed", async || {
            assert_eq!(server.endpoints().await.len(), made, "turn {turn}");
            problems(&server).await.contains("ServiceOffers")
        })
        .await;
        assert_eq!(cached(&of_second).await, ["early", "seen"], "it is stale");
        balancer.turn_to(cluster.port());
    }
    etcd.set_silent(false);
    balancer.turn_to(second.port());
    cluster.create(&sold("llm/last")).await;
    eventually("the second server caught up", async || server.endpoints().await.len() == made + 1)
        .await;
    eventually("nothing is wrong any more", async || problems(&server).await.is_empty()).await;
}
