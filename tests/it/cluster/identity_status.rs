//! Final ids in the status of an AgentIdentity: added, never changed, and by the leader only.

use serde_json::{Value, json};

use super::{
    Cluster,
    deploy::{account_kubeconfig, manifests},
    journal::{anchoring, id, reading, strs},
    offer_events::told,
    sold,
};
use crate::support::{
    process::{Server, eventually, registrar},
    resource::Resource,
    stage::Stage,
};

fn identity(status: Value) -> Resource {
    Resource(json!({
        "apiVersion": "obol.org/v1alpha1", "kind": "AgentIdentity",
        "metadata": { "namespace": "x402", "name": "default" }, "spec": {}, "status": status,
    }))
}

async fn listed(cluster: &Cluster) -> Vec<Value> {
    let (api, name) = cluster.api_of(&identity(json!({})).0).await;
    let list = api.get(&name).await.unwrap().data["status"]["registrations"].clone();
    list.as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_id_is_added_to_the_identity_and_the_entries_of_others_stay() {
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    for namespace in ["x402", "erc8004-registrar", "llm"] {
        cluster.ensure_namespace(namespace).await;
    }
    let files = ["rbac.yaml", "rbac-identity.yaml", "rbac-events.yaml"];
    let anchoring_files =
        ["journal.yaml", "lease.yaml", "rbac.yaml"].map(|it| format!("anchoring/{it}"));
    for file in files.into_iter().map(str::to_owned).chain(anchoring_files) {
        for object in manifests(&file) {
            cluster.apply(&object).await;
        }
    }
    cluster.create(&sold("llm/chat")).await;
    let theirs = json!({ "chain": "ethereum", "agentId": "9", "note": { "by": "another writer" } });
    cluster.create(&identity(json!({ "registrations": [theirs], "more": 1 }))).await;

    let stage = Stage::new().await;
    let kubeconfig = account_kubeconfig(&cluster).await;
    let settings = reading(&kubeconfig, "llm", "erc8004-registrar/registrar-journal");
    let more = ["--lease", "erc8004-registrar/registrar", "--write-identity", "--events"];
    let mut settings = anchoring(&stage, stage.node.url(), &settings, &more);
    let at = settings.iter().position(|setting| setting == "--identity").unwrap();
    settings[at + 1] = "x402/default".to_owned();
    let leader = Server::start(&strs(&settings)).await;
    let own = json!({ "chain": "eip155:31337", "agentId": "0" });
    eventually("the id is recorded", async || {
        stage.node.mine(1).await;
        listed(&cluster).await == [theirs.clone(), own.clone()]
    })
    .await;
    assert!(leader.log().contains("Recorded agentId 0 on eip155:31337"), "{}", leader.log());
    eventually("it is told", async || {
        let told = told(&cluster, "x402").await;
        let (about, text) = ("AgentIdentity/default", "The agent default is agentId 0 in ");
        told.iter().any(|it| it.0 == about && it.1 == "Anchored" && it.3.starts_with(text))
    })
    .await;
    let (api, name) = cluster.api_of(&identity(json!({})).0).await;
    assert_eq!(api.get(&name).await.unwrap().data["status"]["more"], 1);
    eventually("both ids are published", async || {
        leader.document().await["registrations"].as_array().is_some_and(|ids| ids.len() == 2)
    })
    .await;
    drop(leader);

    // Another id on our chain is somebody's decision.
    let other = json!({ "chain": "31337", "agentId": "77" });
    let status = json!({ "registrations": [theirs, other] });
    cluster.set_status(&identity(json!({})), status).await;
    let again = Server::start(&strs(&settings)).await;
    eventually("it is named", async || {
        again.log().contains("the object names agentId 77 on eip155:31337, ours is 0")
    })
    .await;
    assert_eq!(listed(&cluster).await, [theirs, other]);
    assert_eq!(id(&again).await, 9);
}

#[test]
fn the_flag_needs_a_lease_a_journal_and_an_identity() {
    let refused = |more: &[&str], message: &str| {
        let serve = ["serve", "--public-url", "https://agents.example", "--write-identity"];
        let printed = registrar(&[&serve, more].concat());
        assert_eq!(printed.code, Some(2), "{}", printed.stderr);
        assert!(printed.stderr.contains(message), "{}", printed.stderr);
    };
    refused(&[], "--write-identity needs --lease NAME (REGISTRAR_LEASE)");
    refused(&["--lease", "a"], "--write-identity needs --journal (REGISTRAR_JOURNAL)");
    let journal = ["--lease", "a", "--journal", "configmap:a", "--identity", "none"];
    refused(&journal, "--write-identity needs an AgentIdentity; --identity is none");
}
