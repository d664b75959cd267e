//! The plain manifests, compared with what the chart renders to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};

use super::{
    chart::{Identity, URL, anchoring, identity, rendered},
    tools::file,
};
use crate::support::process::yaml;

/// An object as the plain manifests have it: without what only a release needs.
fn plain(mut object: Value) -> Value {
    match &mut object {
        Value::Object(members) => {
            for label in ["instance", "version", "managed-by"] {
                members.remove(&format!("app.kubernetes.io/{label}"));
            }
            members.remove("helm.sh/chart");
            members.remove("helm.sh/resource-policy");
            members.retain(|name, value| {
                *value = plain(value.take());
                // The annotation was the only one.
                !(matches!(name.as_str(), "annotations" | "labels") && *value == json!({}))
            });
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = plain(item.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    object
}

fn by_identity(objects: Vec<Value>) -> BTreeMap<Identity, Value> {
    objects.into_iter().map(|object| (identity(&object), plain(object))).collect()
}

fn manifests(files: &[&str]) -> BTreeMap<Identity, Value> {
    let read = |name: &&str| yaml(&fs::read_to_string(file("deploy").join(name)).unwrap());
    by_identity(files.iter().flat_map(read).collect())
}

/// What the chart is for `kubectl apply -k deploy`, with more values.
fn chart(more: &[Value]) -> BTreeMap<Identity, Value> {
    let mut values = json!({
        "publicUrl": URL,
        "image": { "repository": "registrar", "tag": "dev" },
        "httpRoute": { "enabled": true, "hostnames": ["agents.example"] },
    });
    for more in more {
        values.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    by_identity(rendered(&values))
}

const BASE: [&str; 4] = ["rbac.yaml", "deployment.yaml", "service.yaml", "httproute.yaml"];

#[test]
fn the_plain_manifests_are_what_the_chart_renders_to() {
    let write = [anchoring(false), json!({ "writeIdentity": true })];
    let cases: [(&str, BTreeMap<Identity, Value>); 5] = [
        ("rbac-stack.yaml", chart(&[json!({ "publicUrl": "" })])),
        ("rbac-enforcement.yaml", chart(&[json!({ "enforceDrains": true })])),
        ("rbac-events.yaml", chart(&[json!({ "events": true })])),
        ("rbac-identity.yaml", chart(&write)),
        ("crds.yaml", chart(&[json!({ "crds": { "install": true } })])),
    ];
    assert_eq!(manifests(&BASE), chart(&[]));
    let mut explained: BTreeSet<&str> = BASE.into();
    for (name, chart) in cases {
        for (identity, object) in manifests(&[name]) {
            assert_eq!(Some(&object), chart.get(&identity), "{identity:?} of {name}");
        }
        explained.insert(name);
    }
    // Helm makes the namespace, and the original stack the AgentIdentity.
    explained.extend(["agentidentity.yaml", "kustomization.yaml", "namespace.yaml"]);
    let entries = fs::read_dir(file("deploy")).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.filter(|path| path.is_file());
    let all = all.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let explained = explained.into_iter().map(str::to_owned);
    assert_eq!(all.collect::<BTreeSet<_>>(), explained.collect());
}

/// Merges a patch as kubectl does: objects by member, lists of named things by name.
fn merged(base: &mut Value, patch: &Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (name, value) in patch {
                merged(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(base), Value::Array(patch)) => {
            for item in patch {
                match base.iter_mut().find(|known| known["name"] == item["name"]) {
                    Some(known) => merged(known, item),
                    None => base.push(item.clone()),
                }
            }
        }
        (base, patch) => *base = patch.clone(),
    }
}

#[test]
fn the_overlay_for_anchoring_is_what_the_chart_renders_to() {
    let mut overlay = manifests(&BASE);
    for (identity, patch) in manifests(&["anchoring/deployment-patch.yaml"]) {
        merged(overlay.get_mut(&identity).unwrap(), &patch);
    }
    overlay.extend(manifests(&[
        "anchoring/journal.yaml",
        "anchoring/lease.yaml",
        "anchoring/rbac.yaml",
    ]));
    assert_eq!(overlay, chart(&[anchoring(false)]));
}

#[test]
fn the_manifests_of_pods_that_only_anchor_are_what_the_chart_renders_to() {
    let mut apart = manifests(&BASE);
    // What the file tells to set.
    let journal = json!({ "name": "REGISTRAR_JOURNAL", "value": "configmap:erc8004-registrar/registrar-journal" });
    let patch = json!({ "spec": { "template": { "spec": {
        "containers": [{ "name": "registrar", "env": [journal] }],
    } } } });
    let serving = apart.iter_mut().find(|(identity, _)| identity[1] == "Deployment").unwrap();
    merged(serving.1, &patch);
    apart.extend(manifests(&["anchoring/journal.yaml", "anchoring/apart.yaml"]));
    assert_eq!(apart, chart(&[anchoring(true)]));
}
