//! The Helm chart, installed by helm into a real API server.

use std::sync::Arc;

use kube::api::ListParams;
use serde_json::json;

use super::{
    chart::{CHART, NAMESPACE, URL},
    release::{
        args, helm, installed, may_exactly, pod, read, remains, sell, shows_the_offer, while_served,
    },
    tools::file,
};
use crate::{
    cluster::{Cluster, deploy::gateway_crd},
    support::process::{Server, eventually, registrar, text},
};

/// The command of the seller, and what buyers see then.
async fn drains_the_offer(cluster: &Cluster, server: &Server) {
    let admin = cluster.kubeconfig("admin");
    let drained =
        registrar(&["drain", "llm/chat", "--force", "--kubeconfig", admin.to_str().unwrap()]);
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
    eventually("the document is a tombstone", async || server.document().await["active"] == false)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_installs_on_a_bare_cluster_and_uninstalling_keeps_the_offers() {
    let cluster = Cluster::start("");
    let bare = file(CHART).join("values-bare.yaml");
    let url = format!("publicUrl={URL}");
    let values = ["--values", bare.to_str().unwrap(), "--set", &url];
    let notes = installed(&cluster, "install", &values);
    assert!(notes.contains("port-forward service/registrar 8004"), "{notes}");

    let chat = sell(&cluster).await;
    let server = pod(&cluster).await;
    shows_the_offer(&server).await;

    drains_the_offer(&cluster, &server).await;
    drop(server);

    helm(&cluster, &["uninstall", "registrar"]);
    eventually("nothing of the release is left", async || remains(&cluster).await.is_empty()).await;
    let offer = read(&cluster, "obol.org/v1alpha1", "ServiceOffer", "llm", "chat").await;
    assert_eq!(
        text(&offer["metadata"], "name"),
        "chat",
        "the kinds are kept, and the offers: {chat:?}"
    );
    installed(&cluster, "install", &values);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_the_original_stack_upgrade_rollback_and_sync_blank_nothing_and_uninstall_leaves_nothing()
 {
    let cluster = Arc::new(Cluster::start(""));
    cluster.install_crds().await;
    for plural in ["httproutes", "referencegrants"] {
        cluster.apply(&gateway_crd(plural)).await;
    }
    for namespace in ["x402", "obol-frontend"] {
        cluster.ensure_namespace(namespace).await;
    }
    sell(&cluster).await;
    let url = format!("publicUrl={URL}");
    let route = "httpRoute.enabled=true,httpRoute.hostnames={agents.example}";
    eventually("routes are served", async || {
        let api = cluster.api_of(&json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": { "name": "a" } })).await.0;
        api.list(&ListParams::default()).await.is_ok()
    })
    .await;
    installed(&cluster, "install", &["--set", &url, "--set", route]);
    may_exactly(&cluster, "registrar", "serve").await;
    let server = pod(&cluster).await;
    shows_the_offer(&server).await;

    // The replicas hold a Lease, and somebody else has marked an object.
    let enforcing = ["--set", &url, "--set", route, "--set", "enforceDrains=true"];
    while_served(&server, &cluster, args("upgrade", &enforcing)).await;
    may_exactly(&cluster, "registrar", "enforcement").await;
    let leader = pod(&cluster).await;
    let holder = async || {
        let lease = read(&cluster, "coordination.k8s.io/v1", "Lease", NAMESPACE, "registrar").await;
        text(&lease["spec"], "holderIdentity").to_owned()
    };
    eventually("the Lease that the chart made is taken", async || !holder().await.is_empty()).await;
    let held = holder().await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "registrar", "namespace": NAMESPACE, "annotations": { "example.com/note": "theirs" } },
    });
    let (api, name) = cluster.api_of(&service).await;
    let params = kube::api::PatchParams::apply("somebody");
    api.patch(&name, &params, &kube::api::Patch::Apply(&service)).await.unwrap();

    let changed = [
        "--set",
        "image.tag=next",
        "--set",
        "ingress.enabled=true,ingress.hostnames={agents.example}",
        "--set",
        "profile.name=North Harbour",
    ];
    let steps = [
        ("upgrade", args("upgrade", &[&enforcing[..], &changed].concat())),
        ("rollback", ["rollback", "registrar", "2"].map(str::to_owned).to_vec()),
        ("sync", args("upgrade", &enforcing)),
        ("forced sync", args("upgrade", &[&enforcing[..], &["--force-conflicts"]].concat())),
    ];
    for (step, args) in steps {
        while_served(&server, &cluster, args).await;
        assert_eq!(holder().await, held, "{step}");
        let service = read(&cluster, "v1", "Service", NAMESPACE, "registrar").await;
        assert_eq!(service["metadata"]["annotations"]["example.com/note"], "theirs", "{step}");
        shows_the_offer(&leader).await;
    }
    // A controller that renders the chart and applies what it gets does no harm either.
    let values = json!({
        "publicUrl": URL, "enforceDrains": true,
        "httpRoute": { "enabled": true, "hostnames": ["agents.example"] },
    });
    for object in super::chart::rendered(&values) {
        cluster.apply(&object).await;
        shows_the_offer(&server).await;
    }
    assert_eq!(holder().await, held);
    may_exactly(&cluster, "registrar", "enforcement").await;

    // Without a URL of its own, it reads the tunnel's. Helm takes the fields back from that controller.
    while_served(&server, &cluster, args("upgrade", &["--set", route, "--force-conflicts"])).await;
    may_exactly(&cluster, "registrar", "tunnel").await;
    drains_the_offer(&cluster, &server).await;
    drop((server, leader));
    helm(&cluster, &["uninstall", "registrar"]);
    eventually("nothing of the release is left", async || remains(&cluster).await.is_empty()).await;
    let route =
        read(&cluster, "gateway.networking.k8s.io/v1", "HTTPRoute", NAMESPACE, "registrar").await;
    assert!(route.is_null(), "{route}");
    let offer = read(&cluster, "obol.org/v1alpha1", "ServiceOffer", "llm", "chat").await;
    assert_eq!(text(&offer["metadata"], "name"), "chat", "what the stack had stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_admitted_where_only_restricted_ones_are() {
    let cluster = Cluster::start("");
    cluster.apply(&json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } },
    })).await;
    let mut values = super::chart::anchoring(true);
    values["publicUrl"] = URL.into();
    let objects = super::chart::rendered(&values);
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    for account in of_kind("ServiceAccount") {
        cluster.apply(account).await;
    }
    let params = kube::api::PostParams { dry_run: true, ..Default::default() };
    let mut admitted = 0;
    for deployment in of_kind("Deployment") {
        let name = text(&deployment["metadata"], "name");
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": deployment["spec"]["template"]["spec"],
        });
        let (api, _) = cluster.api_of(&pod).await;
        let create = async |pod: &serde_json::Value| {
            api.create(&params, &serde_json::from_value(pod.clone()).unwrap()).await
        };
        create(&pod).await.unwrap();
        admitted += 1;
        pod["spec"]["securityContext"]["seccompProfile"] = json!({ "type": "Unconfined" });
        let refused = create(&pod).await.unwrap_err().to_string();
        assert!(refused.contains("violates PodSecurity"), "{name}: {refused}");
    }
    assert_eq!(admitted, 2);
}
