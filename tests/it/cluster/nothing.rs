//! What operators are told where a cluster has nothing for us.

use serde_json::{Value, json};

use super::{
    Cluster, sold,
    watching::{URL, problems},
};
use crate::support::process::{Server, eventually, registrar};

/// A kind like ours in another group or version.
fn foreign(group: &str, version: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("serviceoffers.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "plural": "serviceoffers", "singular": "serviceoffer",
                "kind": "ServiceOffer", "listKind": "ServiceOfferList" },
            "versions": [{
                "name": version, "served": true, "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                } },
            }],
        },
    })
}

async fn explain(cluster: &Cluster, more: &[&str]) -> (Option<i32>, String) {
    let kubeconfig = cluster.kubeconfig("admin");
    let own = ["explain", "--kubeconfig", kubeconfig.to_str().unwrap(), "--public-url", URL];
    let args: Vec<String> = [&own[..], more].concat().iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || registrar(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let printed = tokio::task::spawn_blocking(run).await.unwrap();
    (printed.code, printed.stderr)
}

async fn serve(cluster: &Cluster, more: &[&str]) -> Server {
    let kubeconfig = cluster.kubeconfig("admin");
    let own = ["--kubeconfig", kubeconfig.to_str().unwrap(), "--public-url", URL];
    Server::start(&[&own[..], more].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_the_kind_of_another_group_or_version_is_said_to_have_it() {
    let cluster = Cluster::start("");
    cluster.apply(&foreign("obol.network", "v1alpha1")).await;
    cluster.ensure_namespace("llm").await;
    let mut old = sold("llm/old");
    old.0["apiVersion"] = "obol.network/v1alpha1".into();
    old.0.as_object_mut().unwrap().remove("status");
    let (api, _) = cluster.api_of(&old.0).await;
    let object: kube::api::DynamicObject = serde_json::from_value(old.0).unwrap();
    eventually("it is stored", async || api.create(&Default::default(), &object).await.is_ok())
        .await;
    let passed_over =
        "1 ServiceOffer of obol.network/v1alpha1 (llm/old), because only obol.org/v1alpha1 is read";
    // Our own kind is missing.
    let server = serve(&cluster, &[]).await;
    eventually("both are named", async || {
        let detail = server.document().await["detail"].as_str().unwrap_or_default().to_owned();
        detail.contains("is not installed") && detail.contains(passed_over)
    })
    .await;
    let (code, stderr) = explain(&cluster, &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(passed_over) && stderr.contains("is not installed"), "{stderr}");
    // It is there and empty.
    cluster.install_crds().await;
    eventually("nothing is found", async || {
        let problems = problems(&server).await;
        problems.contains("NothingFound: ServiceOffers: there is no ServiceOffer of obol.org")
            && problems.contains(passed_over)
    })
    .await;
    assert_eq!(server.admin("/readyz").await.status(), 200);
    eventually("it is logged", async || server.log().contains("NothingFound")).await;
    assert!(server.log().contains(passed_over), "{}", server.log());
    let (code, stderr) = explain(&cluster, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("NothingFound") && stderr.contains(passed_over), "{stderr}");
    cluster.create(&sold("llm/new")).await;
    eventually("something is found", async || problems(&server).await.is_empty()).await;

    let hidden = "1 ServiceOffer of obol.org/v1alpha1 (llm/new), because";
    for (setting, value, looked, why) in [
        ("--namespace", "web", "the namespaces web", "--namespace does not name its namespace"),
        (
            "--selector",
            "tier=tin",
            "with the labels tier=tin",
            "--selector does not match its labels",
        ),
    ] {
        let server = serve(&cluster, &[setting, value]).await;
        let why = format!("{hidden} {why}");
        eventually(setting, async || {
            let problems = problems(&server).await;
            problems.contains("NothingFound")
                && problems.contains(looked)
                && problems.contains(&why)
        })
        .await;
        let (code, stderr) = explain(&cluster, &[setting, value]).await;
        assert_eq!(code, Some(0), "{setting}: {stderr}");
        assert!(stderr.contains(looked) && stderr.contains(&why), "{setting}: {stderr}");
        let (code, stderr) = explain(&cluster, &[setting, value, "llm/new"]).await;
        assert_eq!(code, Some(1), "{setting}: {stderr}");
        assert!(stderr.contains("llm/new exists but is not read"), "{setting}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_access_rights_do_not_show_is_named_without_its_objects() {
    let cluster = Cluster::start("reader");
    cluster.install_crds().await;
    cluster.apply(&foreign("obol.network", "v1beta1")).await;
    for object in super::faults::rights("reader", super::faults::reads(&["get", "list", "watch"])) {
        cluster.apply(&object).await;
    }
    let kubeconfig = cluster.kubeconfig("reader");
    let server =
        Server::start(&["--kubeconfig", kubeconfig.to_str().unwrap(), "--public-url", URL]).await;
    eventually("it is named", async || {
        let problems = problems(&server).await;
        problems.contains("NothingFound") && problems.contains("also as obol.network/v1beta1")
    })
    .await;
}
