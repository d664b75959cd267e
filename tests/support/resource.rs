//! ServiceOffers for unit tests and integration tests.

use serde_json::{Value, json};

/// A ServiceOffer under construction. It starts enabled and created at the start of 2026.
#[derive(Clone, Debug)]
pub(crate) struct Resource(pub(crate) Value);

/// An enabled offer named `namespace/name`.
pub(crate) fn offer(id: &str) -> Resource {
    let (namespace, name) = id.split_once('/').unwrap();
    Resource(json!({
        "apiVersion": "obol.org/v1alpha1",
        "kind": "ServiceOffer",
        "metadata": { "namespace": namespace, "name": name, "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "registration": { "enabled": true } },
    }))
}

impl Resource {
    /// Sets the value at a JSON pointer, creating objects on the way.
    pub(crate) fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
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

    pub(crate) fn created(self, time: &str) -> Self {
        self.set("/metadata/creationTimestamp", time)
    }

    pub(crate) fn path(self, path: &str) -> Self {
        self.set("/spec/path", path)
    }

    pub(crate) fn host(self, host: &str) -> Self {
        self.set("/spec/hostname", host)
    }

    pub(crate) fn draining(self, at: &str, grace: &str) -> Self {
        self.set("/spec/drainAt", at).set("/spec/drainGracePeriod", grace)
    }

    pub(crate) fn disabled(self) -> Self {
        self.set("/spec/registration/enabled", false)
    }

    pub(crate) fn service(mut self, name: &str, endpoint: &str) -> Self {
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
    pub(crate) fn ready(self, conditions: &[&str]) -> Self {
        let list: Vec<Value> =
            conditions.iter().map(|kind| json!({ "type": kind, "status": "True" })).collect();
        self.set("/status/conditions", list)
    }

    pub(crate) fn key(&self) -> (&str, &str) {
        let text = |key: &str| self.0["metadata"][key].as_str().unwrap_or_default();
        (text("namespace"), text("name"))
    }
}
