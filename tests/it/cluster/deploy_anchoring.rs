//! The manifests under deploy/anchoring, applied to a real API server: the rights that they give are
//! these and no others, and they are enough.

use std::{path::Path, process::Stdio};

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::{
    Cluster, client,
    deploy::{account_kubeconfig, kubeconfig_of, manifests},
    journal::{anchoring, id, reading, strs},
    sold,
};
use crate::support::{
    process::{PATIENCE, Server, command, eventually, text},
    stage::Stage,
};

const JOURNAL: &str = "erc8004-registrar/registrar-journal";

/// What an account may do in a namespace, as `kubectl auth can-i --list` prints it, without what every
/// account may.
async fn rights(cluster: &Cluster, kubeconfig: &Path, namespace: &str) -> Vec<String> {
    cluster
        .apply(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "namespace": "erc8004-registrar", "name": "anybody" },
        }))
        .await;
    let anybodys = rules(&kubeconfig_of(cluster, "anybody").await, namespace).await;
    let mut own = rules(kubeconfig, namespace).await;
    own.retain(|rule| !anybodys.contains(rule));
    own
}

async fn rules(kubeconfig: &Path, namespace: &str) -> Vec<String> {
    let asked = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": { "namespace": namespace },
    });
    let request = http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews")
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&asked).unwrap())
        .unwrap();
    let review: Value = client(kubeconfig).await.request(request).await.unwrap();
    assert_eq!(review["status"]["incomplete"], false, "{review}");
    let words = |rule: &Value, key: &str| {
        let words = rule[key].as_array().into_iter().flatten();
        let mut words: Vec<_> = words.map(|word| word.as_str().unwrap().to_owned()).collect();
        words.sort();
        words.join(",")
    };
    let rules = review["status"]["resourceRules"].as_array().unwrap();
    let mut lines: Vec<_> = rules
        .iter()
        .map(|rule| {
            let (group, resources) = (words(rule, "apiGroups"), words(rule, "resources"));
            let (names, verbs) = (words(rule, "resourceNames"), words(rule, "verbs"));
            format!("{resources}.{group} [{names}] {verbs}")
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

const OFFERS: &str = "serviceoffers.obol.org [] get,list,watch";
const IDENTITY: &str = "agentidentities.obol.org [default] get,list,watch";

/// The base and one of the two ways to anchor.
async fn prepared(files: &[&str]) -> Cluster {
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    for namespace in ["x402", "erc8004-registrar", "llm"] {
        cluster.ensure_namespace(namespace).await;
    }
    cluster.create(&sold("llm/chat")).await;
    for file in ["namespace.yaml", "rbac.yaml", "deployment.yaml"].iter().chain(files) {
        for object in manifests(file) {
            cluster.apply(&object).await;
        }
    }
    cluster
}

async fn read(cluster: &Cluster, object: &Value) -> DynamicObject {
    let (api, name) = cluster.api_of(object).await;
    api.get(&name).await.unwrap()
}

/// Applies the journal's manifest again, by each of the ways of kubectl and Helm, and checks that the
/// journal is as it was.
async fn journal_survives(cluster: &Cluster) {
    let manifest = manifests("anchoring/journal.yaml").remove(0);
    // It goes on changing with the chain; what was minted stays.
    let minted = async || {
        let object = read(cluster, &manifest).await.data;
        let journal: Value = serde_json::from_str(text(&object["data"], "journal")).unwrap();
        let lanes = journal["content"]["lanes"].as_object().unwrap();
        lanes.values().next().unwrap()["minted"].clone()
    };
    let before = minted().await;
    assert_eq!(before.as_object().unwrap().len(), 1);
    cluster.apply(&manifest).await;
    let (api, name) = cluster.api_of(&manifest).await;
    for patch in [Patch::Merge(&manifest), Patch::Strategic(&manifest)] {
        api.patch(&name, &PatchParams::default(), &patch).await.unwrap();
    }
    assert_eq!(minted().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overlay_gives_the_replicas_that_serve_exactly_what_anchoring_needs() {
    let files = ["anchoring/journal.yaml", "anchoring/lease.yaml", "anchoring/rbac.yaml"];
    let cluster = prepared(&files).await;
    let listed = manifests("anchoring/kustomization.yaml").remove(0);
    let named = files.map(|file| file.trim_start_matches("anchoring/"));
    assert_eq!(listed["resources"], json!(["..", named[0], named[1], named[2]]));

    // What kustomize does with the patch, done by the API server.
    let patch = manifests("anchoring/deployment-patch.yaml").remove(0);
    let (api, name) = cluster.api_of(&patch).await;
    let params = PatchParams::default().validation_strict();
    let patched = api.patch(&name, &params, &Patch::Strategic(&patch)).await.unwrap().data;
    let spec = &patched["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    assert_eq!(
        (&patched["spec"]["replicas"], spec["containers"].as_array().unwrap().len()),
        (&json!(2), 1)
    );
    assert_eq!(
        (&container["args"][0], &container["volumeMounts"][0]["name"]),
        (&json!("serve"), &spec["volumes"][0]["name"])
    );
    let set = |name: &str| {
        let set = container["env"].as_array().unwrap().iter().find(|set| set["name"] == name);
        text(set.unwrap(), "value").to_owned()
    };
    let lease = set("REGISTRAR_LEASE");
    assert_eq!(set("REGISTRAR_JOURNAL"), format!("configmap:{JOURNAL}"));

    let kubeconfig = account_kubeconfig(&cluster).await;
    assert_eq!(
        rights(&cluster, &kubeconfig, "erc8004-registrar").await,
        [
            "configmaps. [registrar-journal] get,list,update,watch",
            "leases.coordination.k8s.io [registrar] get,update",
            OFFERS,
        ]
    );
    assert_eq!(rights(&cluster, &kubeconfig, "x402").await, [IDENTITY, OFFERS]);
    assert_eq!(rights(&cluster, &kubeconfig, "llm").await, [OFFERS]);

    let stage = Stage::new().await;
    let settings = reading(&kubeconfig, "llm", JOURNAL);
    let settings = anchoring(&stage, stage.node.url(), &settings, &["--lease", &lease]);
    let replicas = [Server::start(&strs(&settings)).await, Server::start(&strs(&settings)).await];
    eventually("both show the id", async || {
        stage.node.mine(1).await;
        id(&replicas[0]).await == 0 && id(&replicas[1]).await == 0
    })
    .await;
    journal_survives(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_their_own_anchor_and_those_that_serve_have_no_key() {
    let cluster = prepared(&["anchoring/journal.yaml", "anchoring/apart.yaml"]).await;
    let (serving, signing) =
        (account_kubeconfig(&cluster).await, kubeconfig_of(&cluster, "registrar-anchor").await);
    assert_eq!(
        rights(&cluster, &serving, "erc8004-registrar").await,
        ["configmaps. [registrar-journal] get,list,watch", OFFERS]
    );
    assert_eq!(
        rights(&cluster, &signing, "erc8004-registrar").await,
        [
            "configmaps. [registrar-journal] get,list,update,watch",
            "leases.coordination.k8s.io [registrar-anchor] get,update",
            OFFERS,
        ]
    );
    assert_eq!(rights(&cluster, &signing, "x402").await, [IDENTITY, OFFERS]);

    let stage = Stage::new().await;
    let server = Server::start(&strs(&reading(&serving, "llm", JOURNAL))).await;
    let settings = reading(&signing, "llm", JOURNAL);
    let lease = ["--lease", "erc8004-registrar/registrar-anchor"];
    let settings = anchoring(&stage, stage.node.url(), &settings, &lease);
    let run = || {
        let args = [vec!["anchor", "run"], strs(&settings)].concat();
        let mut command = tokio::process::Command::from(command(&args));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
    };
    let stopped = run();
    eventually("the pod without a key shows the id", async || {
        stage.node.mine(1).await;
        id(&server).await == 0
    })
    .await;
    journal_survives(&cluster).await;
    // Two pods, as in the manifest: one waits. After a clean stop of the other it goes on at once.
    let waiting = run();
    let pid = stopped.id().unwrap().to_string();
    let signalled = std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(signalled.success());
    let ended = async |child: tokio::process::Child| {
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, log) = ended(stopped).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("Released the Lease"), "{log}");
    let lease = manifests("anchoring/apart.yaml").into_iter().find(|it| it["kind"] == "Lease");
    let lease = lease.unwrap();
    eventually("the other one leads", async || {
        read(&cluster, &lease).await.data["spec"]["holderIdentity"].is_string()
    })
    .await;

    // A loop of the leader that fails takes its process down, and is named.
    let manifest = manifests("anchoring/journal.yaml").remove(0);
    let (api, name) = cluster.api_of(&manifest).await;
    let broken = json!({ "data": { "journal": "{}" } });
    api.patch(&name, &PatchParams::default(), &Patch::Merge(&broken)).await.unwrap();
    stage.node.mine(3).await;
    let (code, log) = ended(waiting).await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the anchoring ended: the journal configmap:"), "{log}");
    assert_eq!(id(&server).await, 0);
}
