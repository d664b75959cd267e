//! Small worlds: resources as they would come from a file or a cluster, and rules to project them with.

use std::{collections::BTreeSet, sync::Arc};

use proptest::test_runner::Config as ProptestConfig;
use registrar::{
    offer::{OfferId, Offers, Origin, Seen, Timestamp, parse_timestamp},
    registration::{
        Document, Explanation, Ids, Learned, Profile, Projection, Reason, Registrations, Rules,
        State, project,
    },
};
use serde_json::{Value, json};

pub const PUBLIC_URL: &str = "https://seller.example";

/// An instant.
pub fn at(text: &str) -> Timestamp {
    parse_timestamp(text).unwrap()
}

/// The public URL of all test worlds.
pub fn public_url() -> Origin {
    Origin::parse(PUBLIC_URL).unwrap()
}

/// A ServiceOffer under construction: enabled, created at the start of 2026, nothing else set.
#[derive(Clone, Debug)]
pub struct Resource(pub Value);

/// An enabled offer, from `namespace/name`.
pub fn offer(id: &str) -> Resource {
    let (namespace, name) = id.split_once('/').unwrap();
    Resource(json!({
        "apiVersion": "obol.org/v1alpha1",
        "kind": "ServiceOffer",
        "metadata": { "namespace": namespace, "name": name, "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "registration": { "enabled": true } },
    }))
}

impl Resource {
    /// Sets what a JSON pointer names, making objects on the way.
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.0;
        for key in pointer.split('/').skip(1) {
            if place.is_null() {
                *place = json!({});
            }
            place = &mut place[key];
        }
        *place = value.into();
        self
    }

    pub fn created(self, time: &str) -> Self {
        self.set("/metadata/creationTimestamp", time)
    }

    pub fn path(self, path: &str) -> Self {
        self.set("/spec/path", path)
    }

    pub fn host(self, host: &str) -> Self {
        self.set("/spec/hostname", host)
    }

    pub fn draining(self, at: &str, grace: &str) -> Self {
        self.set("/spec/drainAt", at).set("/spec/drainGracePeriod", grace)
    }

    pub fn disabled(self) -> Self {
        self.set("/spec/registration/enabled", false)
    }

    /// Adds a custom service entry.
    pub fn service(mut self, name: &str, endpoint: &str) -> Self {
        let registration = &mut self.0["spec"]["registration"];
        if registration["services"].is_null() {
            registration["services"] = json!([]);
        }
        registration["services"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "name": name, "endpoint": endpoint }));
        self
    }

    /// Sets the named conditions to `True`.
    pub fn ready(self, conditions: &[&str]) -> Self {
        let list: Vec<Value> =
            conditions.iter().map(|kind| json!({ "type": kind, "status": "True" })).collect();
        self.set("/status/conditions", list)
    }

    pub fn id(&self) -> OfferId {
        let text = |key: &str| self.0["metadata"][key].as_str().unwrap_or_default().to_owned();
        OfferId::new(&text("namespace"), &text("name"))
    }

    pub fn seen(&self) -> Seen {
        Seen::parse(&self.id(), &self.0)
    }
}

/// The parsed offers of some resources.
pub fn offers<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Offers {
    resources.into_iter().map(|resource| (resource.id(), Arc::new(resource.seen()))).collect()
}

/// Rules without requirements or limits.
pub fn rules() -> Rules {
    Rules {
        required_conditions: BTreeSet::new(),
        drop_unready_drains: false,
        service_names: None,
        max_document_bytes: 1_048_576,
        profile: Profile::default(),
        agent_name: "default".to_owned(),
    }
}

/// Projects resources by `rules`, without ids.
pub fn projected<'a>(
    resources: impl IntoIterator<Item = &'a Resource>,
    rules: &Rules,
    now: &str,
) -> Projection {
    project(&offers(resources), &Ids::default(), &public_url(), rules, at(now))
}

/// What a document says, as JSON.
pub fn said(document: &Document) -> Value {
    serde_json::from_slice(&document.render()).unwrap()
}

/// An offer's state and reason.
pub fn standing(projection: &Projection, id: &str) -> (State, Reason) {
    let told = explanation(projection, id);
    (told.state, told.reason)
}

/// What is said of an offer.
pub fn explanation<'a>(projection: &'a Projection, id: &str) -> &'a Explanation {
    projection.explanations.iter().find(|told| told.id.to_string() == id).unwrap()
}

/// The ids of what is published, in the order of the aggregate document.
pub fn published(projection: &Projection) -> Vec<String> {
    projection.published.iter().map(|offer| offer.id.to_string()).collect()
}

/// The entries of a document, as name and endpoint.
pub fn listed(document: &Document) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let said = said(document);
    let entries = said["services"].as_array().unwrap().iter();
    entries.map(|entry| (text(&entry["name"]), text(&entry["endpoint"]))).collect()
}

/// How often a law is tried. Failing inputs are printed, and no file is written.
pub fn law(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The ids of documents where nothing was learned on chain.
pub fn ids_of(registrations: &Registrations) -> Ids {
    Learned::default().ids(registrations)
}
