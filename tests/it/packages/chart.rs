//! The Helm chart, rendered by helm and read by a YAML parser.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::{Value, json};

use super::tools::{file, printed, tool};
use crate::support::{process::yaml, rows::for_each_row};

pub(super) const CHART: &str = "deploy/helm/registrar";
pub(super) const NAMESPACE: &str = "erc8004-registrar";
pub(super) const URL: &str = "https://agents.example";

/// What distinguishes two objects of a cluster: group, kind, namespace and name.
type Identity = [String; 4];

/// What a chart renders to, as a release named registrar.
fn template(chart: &Path, values: &Value) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("values.json");
    fs::write(&path, values.to_string()).unwrap();
    let mut helm = tool("helm");
    helm.args(["template", "registrar"]).arg(chart).args(["--namespace", NAMESPACE, "--values"]);
    printed(helm.arg(path))
}

pub(super) fn rendered(values: &Value) -> Vec<Value> {
    unfolded(yaml(&template(&file(CHART), values)))
}

/// The objects, with those in a List in its place.
fn unfolded(objects: Vec<Value>) -> Vec<Value> {
    let each = objects.into_iter().flat_map(|object| {
        if let Some(items) = object["items"].as_array() {
            return unfolded(items.clone());
        }
        if object.is_null() { Vec::new() } else { vec![object] }
    });
    each.collect()
}

pub(super) fn identity(object: &Value) -> Identity {
    let text = |at| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let group = text("/apiVersion").rsplit_once('/').map_or("", |(group, _)| group).to_owned();
    [group, text("/kind"), text("/metadata/namespace"), text("/metadata/name")]
}

/// The identities that two objects share.
fn shared(objects: &[Value]) -> BTreeSet<Identity> {
    let mut seen = BTreeSet::new();
    objects.iter().map(identity).filter(|identity| !seen.insert(identity.clone())).collect()
}

/// The switches of the chart, each with its positions: values that it adds to those of the others.
fn switches() -> Vec<Vec<Value>> {
    let off_or = |on: Value| vec![json!({}), on];
    let host = json!({ "enabled": true, "hostnames": ["agents.example"] });
    vec![
        // These make roles, which may meet in one namespace.
        off_or(json!({ "publicUrl": URL })),
        vec![
            json!({}),
            json!({ "identity": { "enabled": false } }),
            json!({ "identity": { "namespace": "obol-frontend" } }),
            json!({ "identity": { "namespace": NAMESPACE, "name": "registrar" } }),
        ],
        off_or(json!({ "namespaces": ["x402", "obol-frontend", NAMESPACE] })),
        off_or(json!({ "enforceDrains": true })),
        // These make an object or two each.
        vec![
            json!({}),
            json!({ "monitor": { "enabled": true } }),
            json!({ "monitor": { "enabled": true, "kind": "ServiceMonitor" } }),
        ],
        off_or(json!({ "httpRoute": host })),
        off_or(json!({ "ingress": host })),
        off_or(json!({ "networkPolicy": { "enabled": true } })),
        off_or(json!({ "podDisruptionBudget": { "enabled": false } })),
        off_or(json!({ "crds": { "install": true } })),
        off_or(json!({ "alerts": { "enabled": true } })),
        off_or(json!({ "profile": { "name": "North Harbour" }, "grants": { "llm": {} } })),
    ]
}

/// Every combination of positions.
fn combinations(switches: &[Vec<Value>]) -> Vec<Value> {
    let both = |values: &Value, position: &Value| {
        let mut values = values.clone();
        values.as_object_mut().unwrap().extend(position.as_object().unwrap().clone());
        values
    };
    switches.iter().fold(vec![json!({})], |all, positions| {
        all.iter().flat_map(|values| positions.iter().map(|at| both(values, at))).collect()
    })
}

/// What a chart renders to for each of many values. One run of helm renders a chart that has this one
/// as many dependencies, for most of a run is its start.
fn each_rendered(chart: &Path, values: &[Value]) -> Vec<Vec<Value>> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("charts")).unwrap();
    let copied = std::process::Command::new("cp")
        .args(["-r".as_ref(), chart.as_os_str()])
        .arg(folder.path().join("charts/registrar"))
        .status();
    assert!(copied.unwrap().success());
    let alias = |number: usize| format!("case-{number}");
    let dependencies: Vec<Value> = (0..values.len())
        .map(|number| json!({ "name": "registrar", "version": "0.1.0", "alias": alias(number) }))
        .collect();
    let about = json!({ "apiVersion": "v2", "name": "all", "version": "0.1.0", "dependencies": dependencies });
    fs::write(folder.path().join("Chart.yaml"), about.to_string()).unwrap();
    let values: Value =
        values.iter().enumerate().map(|(number, values)| (alias(number), values.clone())).collect();
    let text = template(folder.path(), &values);

    let mut cases: BTreeMap<usize, String> = BTreeMap::new();
    for part in text.split("# Source: all/charts/case-").skip(1) {
        let (number, rest) = part.split_once('/').unwrap();
        let (_, document) = rest.split_once('\n').unwrap();
        *cases.entry(number.parse().unwrap()).or_default() += &format!("{document}\n---\n");
    }
    cases.into_values().map(|text| unfolded(yaml(&text))).collect()
}

#[test]
fn no_two_objects_share_an_identity_whatever_the_switches() {
    let switches = switches();
    // Roles may meet each other. What the others make has a kind, or a name, of its own, so that a
    // meeting of two of them would be seen with all of them.
    let (roles, others) = switches.split_at(5);
    let mut values = combinations(roles);
    let all_others: Vec<Vec<Value>> =
        others.iter().map(|positions| positions[1..].to_vec()).collect();
    let full = &combinations(&all_others)[0];
    let with_all = values.iter().map(|values| {
        let mut values = values.clone();
        values.as_object_mut().unwrap().extend(full.as_object().unwrap().clone());
        values
    });
    values.extend(with_all.collect::<Vec<_>>());
    values.extend(combinations(others));

    let rendered = each_rendered(&file(CHART), &values);
    assert_eq!(rendered.len(), values.len());
    for (values, objects) in values.iter().zip(rendered) {
        assert!(objects.len() >= 4, "{values}: {objects:?}");
        let twice = shared(&objects);
        assert!(twice.is_empty(), "{values}: {twice:?}");
    }
}

#[test]
fn a_second_object_of_one_identity_is_found_in_a_list_too() {
    let role = "apiVersion: rbac.authorization.k8s.io/v1beta1\nkind: Role\nmetadata:\n  name: erc8004-registrar\n  namespace: x402\n";
    let listed = format!(
        "apiVersion: v1\nkind: List\nitems:\n  - {}\n",
        role.trim().replace('\n', "\n    ")
    );
    let planted =
        |text: &str| format!("{{{{- if .Values.identity.enabled }}}}\n{text}{{{{- end }}}}\n");
    for_each_row([("as it is", role.to_owned()), ("in a List", listed)], |(case, text)| {
        let folder = tempfile::tempdir().unwrap();
        let chart = folder.path().join("registrar");
        let copied =
            std::process::Command::new("cp").arg("-r").arg(file(CHART)).arg(&chart).status();
        assert!(copied.unwrap().success());
        fs::write(chart.join("templates/planted.yaml"), planted(&text)).unwrap();
        let cases = [json!({}), json!({ "identity": { "enabled": false } })];
        let found =
            each_rendered(&chart, &cases).iter().map(|objects| shared(objects)).collect::<Vec<_>>();
        let twice =
            ["rbac.authorization.k8s.io", "Role", "x402", "erc8004-registrar"].map(str::to_owned);
        assert_eq!(found, [BTreeSet::from([twice]), BTreeSet::new()], "{case}");
    });
}

#[test]
fn the_chart_passes_the_lint_of_helm() {
    let mut helm = tool("helm");
    printed(helm.args(["lint", "--strict"]).arg(file(CHART)));
    let mut helm = tool("helm");
    let bare = file(CHART).join("values-bare.yaml");
    printed(helm.args(["lint", "--strict", "--values"]).arg(bare).arg(file(CHART)));
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let cases = [
        ("a misspelt key", json!({ "publicURL": URL })),
        ("a URL with a path", json!({ "publicUrl": "https://agents.example/a" })),
        ("a route without hosts", json!({ "httpRoute": { "enabled": true } })),
        ("an unknown monitor", json!({ "monitor": { "kind": "Monitor" } })),
        ("a namespace that no cluster has", json!({ "namespaces": ["A_B"] })),
    ];
    for_each_row(cases, |(case, values)| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values.json");
        fs::write(&path, values.to_string()).unwrap();
        let mut helm = tool("helm");
        helm.args(["template", "registrar"]).arg(file(CHART)).arg("--values").arg(path);
        let output = helm.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{case}");
        assert!(
            message.contains("don't meet the specifications of the schema"),
            "{case}: {message}"
        );
    });
}

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

#[test]
fn the_plain_manifests_are_what_the_chart_renders_to() {
    let image = json!({ "repository": "registrar", "tag": "dev" });
    let served = json!({
        "publicUrl": URL, "image": image,
        "httpRoute": { "enabled": true, "hostnames": ["agents.example"] },
    });
    let cases: [(&[&str], Value); 4] = [
        (&["rbac.yaml", "deployment.yaml", "service.yaml", "httproute.yaml"], served),
        (&["rbac-stack.yaml"], json!({})),
        (&["rbac-enforcement.yaml"], json!({ "enforceDrains": true })),
        (&["crds.yaml"], json!({ "crds": { "install": true } })),
    ];
    let by_identity = |objects: Vec<Value>| -> BTreeMap<Identity, Value> {
        objects.into_iter().map(|object| (identity(&object), plain(object))).collect()
    };
    let mut explained = BTreeSet::new();
    for (files, values) in cases {
        let read = |name: &&str| yaml(&fs::read_to_string(file("deploy").join(name)).unwrap());
        let manifests = by_identity(files.iter().flat_map(read).collect());
        let chart = by_identity(rendered(&values));
        for (identity, object) in &manifests {
            assert_eq!(Some(object), chart.get(identity), "{identity:?} of {files:?}");
        }
        if files.len() > 1 {
            assert_eq!(manifests.len(), chart.len(), "the chart makes more by itself: {chart:?}");
        }
        explained.extend(files.iter().map(|file| (*file).to_owned()));
    }
    // Helm makes the namespace, and the original stack the AgentIdentity. The chart does not anchor.
    let others = [
        "agentidentity.yaml",
        "kustomization.yaml",
        "namespace.yaml",
        "rbac-events.yaml",
        "rbac-identity.yaml",
    ];
    explained.extend(others.map(str::to_owned));
    let entries = fs::read_dir(file("deploy")).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.filter(|path| path.is_file());
    let all = all.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    assert_eq!(all.collect::<BTreeSet<_>>(), explained);
}

#[test]
fn the_copies_in_the_chart_are_those_that_it_is_made_from() {
    for (copy, original) in [("alerts.yaml", "alerts/registrar.yaml"), ("crds.yaml", "crds.yaml")] {
        let copied = fs::read(file(CHART).join("files").join(copy)).unwrap();
        let original = file("deploy").join(original);
        let hint = format!("copy {} to {CHART}/files/{copy}", original.display());
        assert!(copied == fs::read(original).unwrap(), "{hint}");
    }
}

#[test]
fn the_alerts_are_a_prometheus_rule_with_links_to_their_runbooks() {
    let base = "https://docs.example/runbooks/";
    let objects = rendered(&json!({ "alerts": { "enabled": true, "runbookBase": base } }));
    let rule = objects.iter().find(|object| object["kind"] == "PrometheusRule").unwrap();
    let first = &rule["spec"]["groups"][0]["rules"][0];
    assert_eq!(first["alert"], "RegistrarDown");
    assert_eq!(first["annotations"]["runbook_url"], format!("{base}registrar-down.md"));
    let rules = yaml(&fs::read_to_string(file("deploy/alerts/registrar.yaml")).unwrap()).remove(0);
    let unlinked = rendered(&json!({ "alerts": { "enabled": true } }));
    let rule = unlinked.iter().find(|object| object["kind"] == "PrometheusRule").unwrap();
    assert_eq!(rule["spec"], rules);
}
