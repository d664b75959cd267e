//! Asks the API server what the kubeconfig's user may do, of all that the settings need.

use http::Method;
use kube::Client;
use serde_json::json;

use super::cluster::{Failure, send};
use crate::{
    check::{CheckId, cluster::Right},
    cli::{AnchorConfig, CheckConfig, Leadership, OfferSource},
    enforce::GRANTS_NAMESPACE,
    journal_place::{ConfigMapPlace, JournalPlace},
    source::cluster::TUNNEL,
};

const READ: [&str; 3] = ["get", "list", "watch"];

/// Something that must be allowed.
struct Need<'a> {
    id: CheckId,
    verbs: &'a [&'static str],
    group: &'static str,
    /// The plural of the kind, and a subresource after a slash.
    resource: &'static str,
    /// All namespaces if `None`.
    namespace: Option<&'a str>,
    /// All objects if `None`.
    name: Option<&'a str>,
}

pub(super) async fn rights(client: &Client, config: &CheckConfig) -> Vec<Right> {
    let mut rights = Vec::new();
    for need in needs(config, client.default_namespace()) {
        for verb in need.verbs {
            rights.push(right(client, verb, &need).await);
        }
    }
    rights
}

fn needs<'a>(config: &'a CheckConfig, own_namespace: &'a str) -> Vec<Need<'a>> {
    let scope = &config.offers.scope;
    let identity =
        scope.identity.as_ref().map(|id| (Some(id.namespace.as_ref()), Some(id.name.as_ref())));
    let everywhere = scope.asked_namespaces();
    let mut needs = Vec::new();
    let mut need = |id, verbs, group, resource, (namespace, name)| {
        needs.push(Need { id, verbs, group, resource, namespace, name });
    };
    for namespace in &everywhere {
        let place = (*namespace, None);
        need(CheckId::RightsOffers, &READ[..], "obol.org", "serviceoffers", place);
    }
    if let Some(identity) = identity {
        need(CheckId::RightsIdentity, &READ[..], "obol.org", "agentidentities", identity);
    }
    if matches!(&config.offers.source, OfferSource::Cluster { public_url: None, .. }) {
        let (namespace, name, _) = TUNNEL;
        need(CheckId::RightsTunnel, &READ[..], "", "configmaps", (Some(namespace), Some(name)));
    }
    let routes = "gateway.networking.k8s.io";
    need(CheckId::RightsRoutes, &["list"], routes, "httproutes", (None, None));
    if let Some((place, anchors)) = journal(&config.anchoring) {
        let verbs: &[_] = if anchors { &["get", "list", "watch", "update"] } else { &READ };
        need(
            CheckId::RightsJournal,
            verbs,
            "",
            "configmaps",
            (Some(place.namespace.as_deref().unwrap_or(own_namespace)), Some(&*place.name)),
        );
    }
    let Some(leadership) = &config.leadership else { return needs };
    let Leadership { access: _, lease, enforce_drains, write_identity, events, identity: _ } =
        leadership;
    let place = (Some(lease.namespace.as_deref().unwrap_or(own_namespace)), Some(&*lease.name));
    need(CheckId::RightsLease, &["get", "update"], "coordination.k8s.io", "leases", place);
    if let Some((object, _)) = write_identity {
        let place = (Some(object.namespace.as_ref()), Some(object.name.as_ref()));
        let status = "agentidentities/status";
        need(CheckId::RightsIdentityStatus, &["patch"], "obol.org", status, place);
    }
    for namespace in everywhere {
        let place = (namespace, None);
        if *enforce_drains {
            let id = CheckId::RightsEnforcement;
            need(id, &["patch"], "obol.org", "serviceoffers/status", place);
            need(id, &["list", "delete"], routes, "httproutes", place);
            need(id, &["list", "delete"], "traefik.io", "middlewares", place);
        }
        if *events {
            need(CheckId::RightsEvents, &["create"], "events.k8s.io", "events", place);
        }
    }
    if *enforce_drains {
        let place = (Some(GRANTS_NAMESPACE), None);
        need(CheckId::RightsEnforcement, &["list", "delete"], routes, "referencegrants", place);
    }
    needs
}

/// The journal in a ConfigMap, and whether this process writes it.
fn journal(anchoring: &AnchorConfig) -> Option<(&ConfigMapPlace, bool)> {
    let (place, anchors) = match anchoring {
        AnchorConfig::Off => return None,
        AnchorConfig::ReadJournal(place) => (place, false),
        AnchorConfig::Anchor(settings) => (&settings.journal, true),
    };
    match place {
        JournalPlace::File(_) => None,
        JournalPlace::ConfigMap(place) => Some((place, anchors)),
    }
}

async fn right(client: &Client, verb: &'static str, need: &Need<'_>) -> Right {
    let Need { id, verbs: _, group, resource, namespace, name } = need;
    let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "group": group, "resource": plural, "subresource": subresource, "verb": verb,
            "namespace": namespace, "name": name,
        } },
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = send(client, Method::POST, path, review.to_string().into_bytes()).await;
    let granted = answer.map_err(Failure::message);
    Right {
        id: *id,
        resource,
        verb,
        namespace: namespace.map(str::to_owned),
        granted: granted.map(|review| review["status"]["allowed"] == true),
    }
}

#[cfg(test)]
mod tests;
