//! Final ids in the status of an AgentIdentity: added, never changed, and by the leader only.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Router, body::Body, extract::Request, response::Response};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    Cluster, client,
    deploy::{account_kubeconfig, manifests},
    journal::{anchoring, id, reading, strs},
    offer_events::told,
    sold,
};
use crate::support::{
    api_server::kubeconfig,
    process::{Server, eventually, registrar},
    resource::Resource,
    stage::Stage,
};

/// How the API server records our writes.
const MANAGER: &str = "erc8004-registrar-identity";

fn identity(status: Value) -> Resource {
    Resource(json!({
        "apiVersion": "obol.org/v1alpha1", "kind": "AgentIdentity",
        "metadata": { "namespace": "x402", "name": "default" }, "spec": {}, "status": status,
    }))
}

async fn read(cluster: &Cluster) -> DynamicObject {
    let (api, name) = cluster.api_of(&identity(json!({})).0).await;
    api.get(&name).await.unwrap()
}

async fn listed(cluster: &Cluster) -> Vec<Value> {
    let list = read(cluster).await.data["status"]["registrations"].clone();
    list.as_array().cloned().unwrap_or_default()
}

/// Applies a status as one of several writers.
async fn apply_status(cluster: &Cluster, writer: &str, status: Value) {
    let mut applied = identity(status).0;
    applied.as_object_mut().unwrap().remove("spec");
    let (api, name) = cluster.api_of(&applied).await;
    let params = PatchParams::apply(writer);
    api.patch_status(&name, &params, &Patch::Apply(&applied)).await.unwrap();
}

/// Replaces the whole status, as a controller does that has read it.
async fn update_status(cluster: &Cluster, status: Value) {
    let (api, name) = cluster.api_of(&identity(json!({})).0).await;
    let mut object = api.get(&name).await.unwrap();
    object.data["status"] = status;
    let params = PostParams { field_manager: Some("controller".to_owned()), ..Default::default() };
    api.replace_status(&name, &params, &object).await.unwrap();
}

/// What each writer owns below `status`: the writer, how it wrote, and the fields.
async fn owned(cluster: &Cluster) -> Vec<(String, String, Vec<String>)> {
    let managers = read(cluster).await.metadata.managed_fields.unwrap();
    let managers = managers.into_iter().filter_map(|manager| {
        let fields = manager.fields_v1?.0;
        let fields = fields["f:status"].as_object()?.keys().filter(|key| *key != ".").cloned();
        Some((manager.manager?, manager.operation?, fields.collect()))
    });
    managers.collect()
}

/// A way to the API server with an account's rights, on which somebody else writes an entry just
/// before our first write arrives.
struct Between {
    folder: tempfile::TempDir,
    /// The status and the query of each answer to a write of ours.
    writes: Arc<Mutex<Vec<(u16, String)>>>,
    serving: JoinHandle<()>,
}

impl Between {
    async fn start(account: &Path, cluster: Arc<Cluster>, list: Value) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Requests go on with the account's own token.
        let config = kubeconfig(&url, "none");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kubeconfig"), config.to_string()).unwrap();
        let (account, is_first) = (client(account).await, Arc::new(AtomicBool::new(true)));
        let writes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&writes);
        let router = Router::new().fallback(move |request: Request| {
            let (account, cluster) = (account.clone(), Arc::clone(&cluster));
            let (is_first, seen, list) = (Arc::clone(&is_first), Arc::clone(&seen), list.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let is_ours = parts.uri.path().ends_with("/agentidentities/default/status");
                let query = parts.uri.query().unwrap_or_default().to_owned();
                if is_ours && is_first.swap(false, Ordering::Relaxed) {
                    update_status(&cluster, json!({ "registrations": list, "more": 1 })).await;
                }
                let request = http::Request::from_parts(parts, body.to_vec().into());
                let answer = account.send(request).await.unwrap();
                if is_ours {
                    seen.lock().unwrap().push((answer.status().as_u16(), query));
                }
                let (parts, body) = answer.into_parts();
                Response::from_parts(parts, Body::new(body))
            }
        });
        #[expect(clippy::disallowed_methods, reason = "aborted when it is dropped")]
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { folder, writes, serving }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_id_is_added_to_the_identity_and_the_entries_of_others_stay() {
    let cluster = Arc::new(Cluster::start(""));
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
    cluster.create(&identity(json!({ "more": 1 }))).await;
    apply_status(&cluster, "another", json!({ "registrations": [theirs] })).await;
    let late = json!({ "chain": "celo", "agentId": "5" });
    let own = json!({ "chain": "eip155:31337", "agentId": "0" });

    let stage = Stage::new().await;
    let account = account_kubeconfig(&cluster).await;
    let between = Between::start(&account, Arc::clone(&cluster), json!([theirs, late])).await;
    let serve = async |kubeconfig: &Path| {
        let settings = reading(kubeconfig, "llm", "erc8004-registrar/registrar-journal");
        let more = ["--lease", "erc8004-registrar/registrar", "--write-identity", "--events"];
        let mut settings = anchoring(&stage, stage.node.url(), &settings, &more);
        let at = settings.iter().position(|setting| setting == "--identity").unwrap();
        settings[at + 1] = "x402/default".to_owned();
        Server::start(&strs(&settings)).await
    };
    let leader = serve(&between.kubeconfig()).await;
    let whole = [theirs.clone(), late.clone(), own.clone()];
    eventually("the id is recorded", async || {
        stage.node.mine(1).await;
        listed(&cluster).await == whole
    })
    .await;
    eventually("it is logged", async || {
        leader.log().contains("Recorded agentId 0 on eip155:31337")
    })
    .await;
    eventually("it is told", async || {
        let told = told(&cluster, "x402").await;
        let (about, text) = ("AgentIdentity/default", "The agent default is agentId 0 in ");
        told.iter().any(|it| it.0 == about && it.1 == "Anchored" && it.3.starts_with(text))
    })
    .await;
    // The first write did not know what came in between, and was refused; the second one did.
    let writes = between.writes.lock().unwrap().clone();
    assert_eq!(writes.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [409, 200]);
    assert!(writes[1].1.contains(&format!("fieldManager={MANAGER}")), "{writes:?}");
    let apply = |fields: &[&str]| {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        (MANAGER.to_owned(), "Apply".to_owned(), fields)
    };
    let owners = owned(&cluster).await;
    assert!(owners.contains(&apply(&["f:registrations"])), "{owners:?}");
    assert_eq!(owners.iter().filter(|it| it.0 == MANAGER).count(), 1, "{owners:?}");
    assert!(owners.iter().any(|it| it.2.contains(&"f:more".to_owned())), "{owners:?}");
    assert_eq!(read(&cluster).await.data["status"]["more"], 1);
    eventually("all ids are published", async || {
        leader.document().await["registrations"].as_array().is_some_and(|ids| ids.len() == 3)
    })
    .await;
    drop(leader);

    // The original's controller writes the status as before, also one without any list.
    update_status(&cluster, json!({ "more": 2 })).await;
    assert!(listed(&cluster).await.is_empty());
    let again = serve(&account).await;
    let alone = [own];
    eventually("the id is recorded again", async || listed(&cluster).await == alone).await;
    assert_eq!(read(&cluster).await.data["status"]["more"], 2);
    drop(again);

    // Another id on our chain is somebody's decision.
    let other = json!({ "chain": "31337", "agentId": "77" });
    update_status(&cluster, json!({ "registrations": [theirs, other] })).await;
    let again = serve(&account).await;
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
