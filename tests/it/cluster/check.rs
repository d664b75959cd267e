//! `registrar check` against a real API server: rights, kinds, offers and routes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Cluster,
    deploy::{account_kubeconfig, gateway_crd, manifests},
    sold,
};
use crate::support::process::{Printed, eventually, registrar, text};

const WELL_KNOWN: &str = "/.well-known/agent-registration.json";

/// Runs `check` as a user. Nothing answers at the public URL.
async fn check(cluster: &Cluster, user: &str, more: &[&str]) -> Printed {
    let kubeconfig = cluster.kubeconfig(user);
    let base = ["check", "--json"];
    let own = ["--kubeconfig", kubeconfig.to_str().unwrap()];
    let own = if more.contains(&"--kubeconfig") { &[][..] } else { &own };
    let public = ["--public-url", "https://agents.example", "--via", "http://127.0.0.1:1"];
    let args: Vec<String> =
        base.iter().chain(own).chain(&public).chain(more).map(|&arg| arg.to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        registrar(&args.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .await
    .unwrap()
}

/// The status and message of every check, by id.
fn results(printed: &Printed) -> BTreeMap<String, (String, String)> {
    let results: Value = serde_json::from_str(&printed.stdout).unwrap();
    let part = |result: &Value, key: &str| text(result, key).to_owned();
    let results = results.as_array().unwrap().iter();
    results
        .map(|result| (part(result, "id"), (part(result, "status"), part(result, "message"))))
        .collect()
}

fn route(
    namespace: &str,
    name: &str,
    hostnames: &[&str],
    methods: &[&str],
    service: &str,
) -> Value {
    let matches: Vec<Value> = methods
        .iter()
        .map(|method| json!({ "path": { "type": "Exact", "value": WELL_KNOWN }, "method": method }))
        .collect();
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "namespace": namespace, "name": name },
        "spec": { "hostnames": hostnames, "rules": [
            { "matches": matches, "backendRefs": [{ "name": service, "port": 8004 }] },
        ] },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_kinds_and_routes_are_checked_against_the_real_server() {
    let cluster = Cluster::start("stranger");
    let bare = results(&check(&cluster, "admin", &[]).await);
    for id in ["crd-version", "crd-offers", "crd-identities", "offers-read"] {
        assert_eq!(bare[id].0, "fail", "{id}: {:?}", bare[id]);
    }
    for id in ["cluster-configured", "cluster-reachable", "cluster-version", "cluster-clock"] {
        assert_eq!(bare[id].0, "pass", "{id}: {:?}", bare[id]);
    }
    assert_eq!(bare["routes-found"].0, "skip", "{:?}", bare["routes-found"]);

    cluster.install_crds().await;
    cluster.apply(&gateway_crd("httproutes")).await;
    let namespace = cluster.namespace("check").await;
    cluster
        .create(&sold(&format!("{namespace}/audit")).set("/spec/hostname", "audit.example"))
        .await;
    let stranger = results(&check(&cluster, "stranger", &[]).await);
    for id in ["rights-offers", "rights-identity", "offers-read"] {
        assert_eq!(stranger[id].0, "fail", "{id}: {:?}", stranger[id]);
    }
    assert_eq!(stranger["rights-routes"].0, "warn");

    let rival = route(&namespace, "so-audit-host", &["audit.example"], &["GET"], "controller");
    eventually("HTTPRoutes are accepted", async || {
        let (api, name) = cluster.api_of(&rival).await;
        let params = kube::api::PatchParams::apply("test");
        api.patch(&name, &params, &kube::api::Patch::Apply(&rival)).await.is_ok()
    })
    .await;
    let hosts = ["agents.example", "audit.example"];
    // Later by its name too, should both be made within one second.
    cluster
        .apply(&route(
            &namespace,
            "the-registrar",
            &hosts,
            &["GET", "HEAD", "OPTIONS"],
            "registrar",
        ))
        .await;
    let service = format!("{namespace}/registrar");
    let printed = check(&cluster, "admin", &["--service", &service]).await;
    let sound = results(&printed);
    let passing = [
        "rights-offers",
        "rights-identity",
        "rights-routes",
        "crd-version",
        "crd-offers",
        "crd-identities",
        "crd-drain-fields",
        "offers-read",
        "offers-conditions",
        "routes-found",
        "routes-hosts",
        "routes-methods",
        "routes-head",
        "routes-drained",
    ];
    for id in passing {
        assert_eq!(sound[id].0, "pass", "{id}: {:?}", sound[id]);
    }
    assert_eq!(sound["rights-tunnel"].0, "skip");
    assert_eq!(sound["routes-get"].0, "fail", "the older route takes every GET of the host");
    assert!(sound["routes-get"].1.contains("so-audit-host"), "{:?}", sound["routes-get"]);
    assert_eq!(printed.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_flag_needs_is_asked_for_and_what_is_not_granted_fails() {
    const CHECKS: [&str; 5] = [
        "rights-lease",
        "rights-journal",
        "rights-enforcement",
        "rights-identity-status",
        "rights-events",
    ];
    let cluster = Cluster::start("stranger");
    cluster.install_crds().await;
    let files = [
        "namespace.yaml",
        "rbac.yaml",
        "rbac-enforcement.yaml",
        "rbac-identity.yaml",
        "rbac-events.yaml",
        "anchoring/rbac.yaml",
    ];
    cluster.ensure_namespace("x402").await;
    cluster.ensure_namespace("erc8004-registrar").await;
    let objects: Vec<Value> = files.into_iter().flat_map(manifests).collect();
    for object in &objects {
        cluster.apply(object).await;
    }
    let flags = [
        "--lease",
        "erc8004-registrar/registrar",
        "--journal",
        "configmap:erc8004-registrar/registrar-journal",
        "--enforce-drains",
        "--write-identity",
        "--events",
    ];
    let kubeconfig = account_kubeconfig(&cluster).await;
    let of = async |more: &[&str]| {
        let args = [&["--kubeconfig", kubeconfig.to_str().unwrap()], more].concat();
        results(&check(&cluster, "stranger", &args).await)
    };
    eventually("the account has every right that its manifests grant", async || {
        let granted = of(&flags).await;
        CHECKS.iter().all(|id| granted[*id].0 == "pass")
    })
    .await;
    let unasked = of(&[]).await;
    for id in CHECKS {
        assert_eq!(unasked[id].0, "skip", "{id}: {:?}", unasked[id]);
    }
    // Each manifest that is missing fails its own checks.
    let roles = [
        ("anchoring/rbac.yaml", &["rights-journal"][..]),
        ("rbac-enforcement.yaml", &["rights-lease", "rights-enforcement"]),
        ("rbac-identity.yaml", &["rights-identity-status"]),
        ("rbac-events.yaml", &["rights-events"]),
    ];
    let mut failing = Vec::new();
    for (file, checks) in roles {
        for object in manifests(file).iter().filter(|it| text(it, "kind").ends_with("Binding")) {
            cluster.delete(object).await;
        }
        failing.extend_from_slice(checks);
        eventually(&format!("without {file}, its checks fail"), async || {
            let found = of(&flags).await;
            CHECKS.iter().all(|id| (found[*id].0 == "fail") == failing.contains(id))
        })
        .await;
    }
    let last = of(&flags).await;
    assert!(last["rights-events"].1.contains("create events in all namespaces is not allowed"));
}
