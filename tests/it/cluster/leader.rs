//! Two replicas under one Lease, and the ends of drains that the leader enforces.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    Cluster,
    deploy::{account_kubeconfig, gateway_crd, manifests},
    sold,
};
use crate::support::{
    process::{Server, eventually},
    resource::Resource,
};

/// As much of Traefik's definition as an object of ours needs.
fn middleware_crd() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "middlewares.traefik.io" },
        "spec": {
            "group": "traefik.io", "scope": "Namespaced",
            "names": { "kind": "Middleware", "plural": "middlewares", "singular": "middleware" },
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    })
}

fn child(api_version: &str, kind: &str, namespace: &str, name: &str, more: &Value) -> Value {
    let spec = match kind {
        "HTTPRoute" => json!({ "hostnames": ["a.example"] }),
        "ReferenceGrant" => json!({
            "from": [{ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": namespace }],
            "to": [{ "group": "", "kind": "Service" }],
        }),
        _ => json!({ "rateLimit": { "average": 1 } }),
    };
    let mut metadata = json!({ "namespace": namespace, "name": name });
    for (key, value) in more.as_object().unwrap() {
        metadata[key] = value.clone();
    }
    json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec })
}

fn route(namespace: &str, name: &str, more: &Value) -> Value {
    child("gateway.networking.k8s.io/v1", "HTTPRoute", namespace, name, more)
}

fn middleware(namespace: &str, name: &str, more: &Value) -> Value {
    child("traefik.io/v1alpha1", "Middleware", namespace, name, more)
}

fn grant(name: &str, offer: (&str, &str)) -> Value {
    let labels = json!({ "labels": {
        "obol.org/serviceoffer-namespace": offer.0, "obol.org/serviceoffer-name": offer.1,
        "obol.org/managed-by": "serviceoffer-controller",
    } });
    child("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "x402", name, &labels)
}

async fn exists(cluster: &Cluster, object: &Value) -> bool {
    let (api, name) = cluster.api_of(object).await;
    api.get_opt(&name).await.unwrap().is_some()
}

async fn read(cluster: &Cluster, offer: &Resource) -> DynamicObject {
    let (api, name) = cluster.api_of(&offer.0).await;
    api.get(&name).await.unwrap()
}

/// The metadata of a child of an offer.
async fn owned(cluster: &Cluster, offer: &Resource) -> Value {
    let uid = read(cluster, offer).await.metadata.uid.unwrap();
    json!({ "ownerReferences": [{
        "apiVersion": "obol.org/v1alpha1", "kind": "ServiceOffer", "name": offer.key().1, "uid": uid,
    }] })
}

async fn condition(cluster: &Cluster, offer: &Resource, kind: &str) -> Value {
    let conditions = read(cluster, offer).await.data["status"]["conditions"].clone();
    let found = conditions.as_array().into_iter().flatten().find(|it| it["type"] == kind).cloned();
    found.unwrap_or_default()
}

fn grant_crd() -> Value {
    gateway_crd("referencegrants")
}

async fn prepared() -> Cluster {
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    let crds = [gateway_crd("httproutes"), grant_crd(), middleware_crd()];
    for crd in &crds {
        cluster.apply(crd).await;
    }
    for namespace in ["llm", "x402", "erc8004-registrar"] {
        cluster.ensure_namespace(namespace).await;
    }
    let probes = [
        route("llm", "probe", &json!({})),
        middleware("llm", "probe", &json!({})),
        grant("probe", ("llm", "probe")),
    ];
    for probe in probes {
        eventually("the kind is served", async || {
            let (api, _) = cluster.api_of(&probe).await;
            api.list(&Default::default()).await.is_ok()
        })
        .await;
    }
    cluster
}

/// What an agent-backed offer looks like whose agent is not ready.
fn waiting_for_agent(id: &str) -> Resource {
    let mut offer = sold(id);
    offer.0["status"] = json!({ "conditions": [
        { "type": "ModelReady", "status": "False", "reason": "WaitingForAgent" },
        { "type": "RoutePublished", "status": "False", "reason": "WaitingForAgent" },
    ] });
    offer.set("/spec/type", "agent")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_ends_drains_in_the_cluster_and_hands_over_when_it_dies_or_stops() {
    let cluster = prepared().await;
    for file in ["rbac.yaml", "rbac-enforcement.yaml"] {
        for object in manifests(file) {
            cluster.apply(&object).await;
        }
    }
    let (chat, bystander) = (waiting_for_agent("llm/chat"), sold("llm/bystander"));
    cluster.create(&chat).await;
    cluster.create(&bystander).await;
    let (ours, theirs) = (owned(&cluster, &chat).await, owned(&cluster, &bystander).await);
    let gone = [
        route("llm", "so-chat", &ours),
        route("llm", "so-chat-host", &ours),
        middleware("llm", "so-chat-limits", &ours),
        grant("so-llm-chat-backend-grant", ("llm", "chat")),
    ];
    let survivors = [
        route("llm", "so-bystander", &theirs),
        // The name of a child of ours, but of another owner.
        middleware("llm", "so-chat-rps", &theirs),
        route("llm", "so-chat-extra", &ours),
        grant("so-llm-bystander-backend-grant", ("llm", "bystander")),
    ];
    for object in gone.iter().chain(&survivors) {
        cluster.apply(object).await;
    }

    let kubeconfig = account_kubeconfig(&cluster).await;
    let flags = [
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--public-url",
        "https://seller.example",
        "--identity",
        "none",
        "--lease",
        "erc8004-registrar/registrar",
        "--enforce-drains",
    ];
    let mut replicas = [Server::start(&flags).await, Server::start(&flags).await];
    eventually("one of the two leads", async || {
        replicas[0].leads().await != replicas[1].leads().await
    })
    .await;
    if !replicas[0].leads().await {
        replicas.reverse();
    }
    let [leader, standby] = replicas;

    cluster
        .patch(
            &chat,
            json!({ "spec": { "drainAt": "2026-05-24T14:00:00Z", "drainGracePeriod": "1h" } }),
        )
        .await;
    for object in &gone {
        eventually("a child of the drained offer is deleted", async || {
            !exists(&cluster, object).await
        })
        .await;
    }
    for kind in ["Draining", "PaymentGateReady", "RoutePublished"] {
        eventually(&format!("{kind} says Drained"), async || {
            condition(&cluster, &chat, kind).await["reason"] == "Drained"
        })
        .await;
        let condition = condition(&cluster, &chat, kind).await;
        assert_eq!(
            (&condition["status"], &condition["observedGeneration"]),
            (&json!("False"), &json!(2))
        );
    }
    assert_eq!(condition(&cluster, &chat, "ModelReady").await["reason"], "WaitingForAgent");
    for object in &survivors {
        assert!(exists(&cluster, object).await, "{object}");
    }
    // Taken back, the drain is the controller's to undo: nothing is touched.
    cluster.patch(&chat, json!({ "spec": { "drainAt": null } })).await;
    let restored = route("llm", "so-chat", &ours);
    cluster.apply(&restored).await;

    // The leader dies; the other one goes on.
    leader.signal("-KILL");
    eventually("the standby leads", async || standby.leads().await).await;
    let next = sold("llm/next");
    cluster.create(&next).await;
    let child = route("llm", "so-next", &owned(&cluster, &next).await);
    cluster.apply(&child).await;
    cluster.patch(&next, json!({ "spec": { "drainAt": "2026-05-24T14:00:00Z" } })).await;
    eventually("the new leader enforces", async || !exists(&cluster, &child).await).await;
    assert!(exists(&cluster, &restored).await, "a drain that was taken back is left alone");

    // A clean stop gives the Lease away before the process ends.
    let heir = Server::start(&flags).await;
    standby.signal("-TERM");
    let ended = standby.log_after_end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("Released the Lease"), "{}", ended.stderr);
    eventually("the heir leads", async || heir.leads().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_frozen_past_its_lease_steps_down_and_nobody_leads_beside_another() {
    let cluster = super::shared().await;
    let namespace = cluster.namespace("frozen").await;
    let first = cluster.replica(&namespace, &[]).await;
    eventually("the first leads", async || first.leads().await).await;
    let second = cluster.replica(&namespace, &[]).await;
    assert!(!second.leads().await);
    first.signal("-STOP");
    eventually("the second takes the Lease", async || second.leads().await).await;
    first.signal("-CONT");
    eventually("the first notices", async || !first.leads().await).await;
    assert!(first.log().contains("leads no longer"), "{}", first.log());
    assert!(second.leads().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_renew_steps_down_and_goes_on_serving_and_a_lost_lease_is_made_again()
{
    let cluster = Cluster::start("");
    cluster.install_crds().await;
    cluster.ensure_namespace("llm").await;
    cluster.create(&sold("llm/chat")).await;
    let server = cluster.replica("llm", &[]).await;
    eventually("it leads", async || server.leads().await).await;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "namespace": "llm", "name": "registrar" },
    });
    cluster.delete(&lease).await;
    eventually("the Lease is made again", async || exists(&cluster, &lease).await).await;
    assert!(server.leads().await);

    eventually("the offer is published", async || !server.endpoints().await.is_empty()).await;
    cluster.freeze();
    eventually("it steps down", async || !server.leads().await).await;
    assert_eq!(server.endpoints().await, ["https://seller.example/services/chat"]);
    cluster.thaw();
    eventually("it leads again", async || server.leads().await).await;
}
