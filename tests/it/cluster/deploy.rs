//! The manifests under deploy/, applied to a real API server, and the rights that they give.

use std::{path::Path, process::Command};

use kube::api::PostParams;
use serde_json::{Value, json};

use super::{Cluster, client, sold};
use crate::support::process::{Server, eventually, text, yaml};

/// Where the definitions of the Gateway API come from.
const GATEWAY_API: &str = "sigs.k8s.io/gateway-api@v1.4.1";

pub fn manifests(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    yaml(&text)
}

pub fn gateway_crd(plural: &str) -> Value {
    definition(GATEWAY_API, &format!("config/crd/standard/gateway.networking.k8s.io_{plural}.yaml"))
}

/// A definition in a Go module.
pub fn definition(module: &str, path: &str) -> Value {
    let downloaded =
        Command::new("go").args(["mod", "download", "-json", module]).output().unwrap();
    assert!(downloaded.status.success(), "{}", String::from_utf8_lossy(&downloaded.stderr));
    let about: Value = serde_json::from_slice(&downloaded.stdout).unwrap();
    let path = Path::new(text(&about, "Dir")).join(path);
    yaml(&std::fs::read_to_string(path).unwrap()).remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_apply_strictly_and_give_exactly_the_rights_that_are_needed() {
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    cluster.apply(&gateway_crd("httproutes")).await;
    cluster.ensure_namespace("obol-frontend").await;
    let listed = manifests("kustomization.yaml").remove(0);
    let listed: Vec<String> = serde_json::from_value(listed["resources"].clone()).unwrap();
    let files = ["namespace.yaml", "agentidentity.yaml"].into_iter().map(str::to_owned);
    let files = files
        .chain(listed.into_iter().filter(|name| name != "namespace.yaml"))
        .chain(["rbac-stack.yaml".to_owned()]);
    let mut seen = std::collections::BTreeSet::new();
    for file in files {
        for object in manifests(&file) {
            let identity = ["/apiVersion", "/kind", "/metadata/namespace", "/metadata/name"];
            let identity = identity.map(|pointer| {
                object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
            });
            assert!(seen.insert(identity.clone()), "{identity:?} stands twice");
            eventually(&format!("{identity:?} is accepted"), async || {
                let (api, name) = cluster.api_of(&object).await;
                let params = kube::api::PatchParams {
                    force: true,
                    ..kube::api::PatchParams::apply("test").validation_strict()
                };
                api.patch(&name, &params, &kube::api::Patch::Apply(&object)).await.is_ok()
            })
            .await;
        }
    }

    let kubeconfig = account_kubeconfig(&cluster).await;
    let account = client(&kubeconfig).await;
    let may = async |group: &str, resource: &str, verb: &str, namespace: &str, name: &str| {
        let kind = super::resource("authorization.k8s.io", "v1", "SelfSubjectAccessReview");
        let review: kube::Api<kube::api::DynamicObject> =
            kube::Api::all_with(account.clone(), &kind);
        let asked = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": { "name": "" },
            "spec": { "resourceAttributes": { "group": group, "resource": resource, "verb": verb, "namespace": namespace, "name": name } },
        });
        let asked: kube::api::DynamicObject = serde_json::from_value(asked).unwrap();
        review.create(&PostParams::default(), &asked).await.unwrap().data["status"]["allowed"]
            == true
    };
    for verb in ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
    {
        let reads = matches!(verb, "get" | "list" | "watch");
        assert_eq!(
            may("obol.org", "serviceoffers", verb, "", "").await,
            reads,
            "{verb} serviceoffers"
        );
        assert_eq!(
            may("obol.org", "agentidentities", verb, "x402", "default").await,
            reads,
            "{verb} the identity"
        );
        assert_eq!(
            may("", "configmaps", verb, "obol-frontend", "obol-stack-config").await,
            reads,
            "{verb} the tunnel"
        );
        assert!(
            !may("obol.org", "agentidentities", verb, "x402", "another").await,
            "{verb} another identity"
        );
        assert!(
            !may("", "configmaps", verb, "obol-frontend", "another").await,
            "{verb} another ConfigMap"
        );
        for (group, resource) in
            [("", "secrets"), ("", "pods"), ("coordination.k8s.io", "leases"), ("", "namespaces")]
        {
            assert!(
                !may(group, resource, verb, "erc8004-registrar", "").await,
                "{verb} {resource}"
            );
        }
        assert!(
            !may("obol.org", "serviceoffers/status", verb, "llm", "chat").await,
            "{verb} serviceoffers/status"
        );
    }

    // They are also enough.
    cluster.ensure_namespace("llm").await;
    cluster.create(&sold("llm/chat")).await;
    cluster
        .apply(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": { "tunnelURL": "https://tunnel.example" },
            "metadata": { "namespace": "obol-frontend", "name": "obol-stack-config" },
        }))
        .await;
    let server = Server::start(&["--kubeconfig", kubeconfig.to_str().unwrap()]).await;
    eventually("all three kinds are read", async || {
        server.endpoints().await == ["https://tunnel.example/services/chat"]
    })
    .await;
    assert_eq!(text(&server.document().await, "name"), "chat");
}

/// A kubeconfig for the ServiceAccount of the pods that serve.
pub async fn account_kubeconfig(cluster: &Cluster) -> std::path::PathBuf {
    kubeconfig_of(cluster, "registrar").await
}

/// A kubeconfig for a ServiceAccount that the manifests make.
pub async fn kubeconfig_of(cluster: &Cluster, account: &str) -> std::path::PathBuf {
    let uri = format!("/api/v1/namespaces/erc8004-registrar/serviceaccounts/{account}/token");
    let asked = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "audiences": [] } });
    let request = http::Request::post(uri).header("content-type", "application/json");
    let request = request.body(serde_json::to_vec(&asked).unwrap()).unwrap();
    let answered: Value = cluster.client().await.request(request).await.unwrap();
    let token = answered["status"]["token"].as_str().unwrap();
    let admin = std::fs::read_to_string(cluster.kubeconfig("admin")).unwrap();
    let lines = admin.lines().map(|line| match line.trim().starts_with("token:") {
        true => format!("    token: {token}"),
        false => line.to_owned(),
    });
    let path = cluster.kubeconfig(&format!("account-{account}"));
    std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    path
}
