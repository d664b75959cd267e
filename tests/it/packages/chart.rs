//! The Helm chart, rendered by helm and read by a YAML parser.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::{Value, json};

use super::tools::{file, printed, tool};
use crate::support::{process::yaml, rows::for_each_row};

const ACCOUNT: &str = "0x1111111111111111111111111111111111111111";
pub(super) const CHART: &str = "deploy/helm/registrar";
pub(super) const NAMESPACE: &str = "erc8004-registrar";
pub(super) const URL: &str = "https://agents.example";

/// What distinguishes two objects of a cluster: group, kind, namespace and name.
pub(super) type Identity = [String; 4];

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
fn shared(objects: &[Identity]) -> BTreeSet<Identity> {
    let mut seen = BTreeSet::new();
    objects.iter().filter(|identity| !seen.insert(*identity)).cloned().collect()
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
        off_or(json!({ "events": true })),
        vec![json!({}), anchoring(false), anchoring(true)],
        off_or(json!({ "writeIdentity": true })),
        // These make an object or two each.
        vec![
            json!({}),
            json!({ "monitor": { "enabled": true } }),
            json!({ "monitor": { "enabled": true, "kind": "ServiceMonitor" } }),
        ],
        off_or(json!({ "httpRoute": host })),
        off_or(json!({ "ingress": host })),
        off_or(json!({ "networkPolicy": { "enabled": true } })),
        vec![json!({ "podDisruptionBudget": { "enabled": false } }), json!({})],
        off_or(json!({ "crds": { "install": true } })),
        off_or(json!({ "alerts": { "enabled": true } })),
        off_or(json!({ "profile": { "name": "North Harbour" }, "grants": { "llm": {} } })),
    ]
}

/// Values with which the pods that serve anchor, or others do.
pub(super) fn anchoring(apart: bool) -> Value {
    let chain = json!({ "name": "base-sepolia", "maxFeeGwei": "1", "dailyBudgetEther": "0.01" });
    json!({ "anchoring": {
        "enabled": true, "apart": apart, "ownerId": "CHANGE-ME", "chains": [chain],
    } })
}

/// Whether the schema of the chart accepts these values together.
fn accepted(values: &Value) -> bool {
    let anchors = !values["anchoring"].is_null();
    let has_identity = values["identity"]["enabled"] != false;
    (!anchors || !values["publicUrl"].is_null())
        && (values["writeIdentity"].is_null() || (anchors && has_identity))
}

/// Every combination of positions that the schema accepts.
fn combinations(switches: &[Vec<Value>]) -> Vec<Value> {
    let both = |values: &Value, position: &Value| {
        let mut values = values.clone();
        values.as_object_mut().unwrap().extend(position.as_object().unwrap().clone());
        values
    };
    let mut all = switches.iter().fold(vec![json!({})], |all, positions| {
        all.iter().flat_map(|values| positions.iter().map(|at| both(values, at))).collect()
    });
    all.retain(accepted);
    all
}

/// The objects that a chart renders to for each of many values. One run of helm renders a chart that has this one
/// as many dependencies, for most of a run is its start.
fn each_rendered(chart: &Path, values: &[Value]) -> Vec<Vec<Identity>> {
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

    // Most files are rendered to the same text in many cases, and are read once.
    let mut read: BTreeMap<String, Vec<Identity>> = BTreeMap::new();
    let mut cases: BTreeMap<usize, Vec<Identity>> = BTreeMap::new();
    for part in text.split("# Source: all/charts/case-").skip(1) {
        let (number, rest) = part.split_once('/').unwrap();
        let (_, document) = rest.split_once('\n').unwrap();
        // An alias is the name of its chart.
        let document = document.replace(&format!("case-{number}-"), "registrar-");
        let found = read
            .entry(document)
            .or_insert_with_key(|text| unfolded(yaml(text)).iter().map(identity).collect());
        cases.entry(number.parse().unwrap()).or_default().extend(found.iter().cloned());
    }
    cases.into_values().collect()
}

/// No two objects share an identity with any of these values.
fn all_differ(values: &[Value]) {
    let rendered = each_rendered(&file(CHART), values);
    assert_eq!(rendered.len(), values.len());
    for (values, objects) in values.iter().zip(rendered) {
        assert!(objects.len() >= 4, "{values}: {objects:?}");
        let twice = shared(&objects);
        assert!(twice.is_empty(), "{values}: {twice:?}");
    }
}

#[test]
fn no_two_objects_share_an_identity_whatever_the_switches() {
    let switches = switches();
    // Roles may meet each other. What the others make has a kind, or a name, of its own, so that a
    // meeting of two of them would be seen with all of them.
    let (roles, others) = switches.split_at(8);
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
    all_differ(&values);
}

#[test]
fn no_two_objects_share_an_identity_in_any_combination() {
    let mut all = combinations(&switches());
    assert!(all.len() > 50_000, "{}", all.len());
    if std::env::var_os("REGISTRAR_LONG").is_none() {
        eprintln!("one combination of 251 is rendered; make test-long renders all");
        all = all.into_iter().step_by(251).collect();
    }
    // A run of helm holds all of what it renders.
    all.chunks(500).for_each(all_differ);
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
        let found: Vec<_> =
            each_rendered(&chart, &cases).iter().map(|objects| shared(objects)).collect();
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
fn a_key_in_a_cloud_is_named_with_its_account() {
    let mut values = anchoring(false);
    let key = "arn:aws:kms:eu-west-1:111122223333:alias/registrar";
    values["publicUrl"] = URL.into();
    values["anchoring"]["signer"] = json!({ "kind": "aws-kms", "key": key, "account": ACCOUNT });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("values.json");
    fs::write(&path, values.to_string()).unwrap();
    let mut helm = tool("helm");
    helm.args(["template", "registrar"]).arg(file(CHART)).arg("--values").arg(path);
    let rendered = printed(&mut helm);
    for line in [format!("value: \"aws-kms:{key}\""), format!("value: \"{ACCOUNT}\"")] {
        assert!(rendered.contains(&line), "{line}: {rendered}");
    }
    assert!(!rendered.contains("REGISTRAR_KEYSTORE_PASSWORD_FILE"), "{rendered}");
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let cases = [
        ("a misspelt key", json!({ "publicURL": URL })),
        ("a URL with a path", json!({ "publicUrl": "https://agents.example/a" })),
        ("a route without hosts", json!({ "httpRoute": { "enabled": true } })),
        ("an unknown monitor", json!({ "monitor": { "kind": "Monitor" } })),
        ("anchoring without a chain", json!({ "anchoring": { "enabled": true } })),
        ("anchoring without a URL of its own", {
            let mut values = anchoring(false);
            values["publicUrl"] = "".into();
            values
        }),
        ("ids that nothing learns", json!({ "writeIdentity": true })),
        ("a keystore at a URL", json!({ "anchoring": { "signer": { "url": "http://signer" } } })),
        ("a signer nowhere", json!({ "anchoring": { "signer": { "kind": "remote" } } })),
        ("a cloud without a key", {
            json!({ "anchoring": { "signer": { "kind": "aws-kms", "account": ACCOUNT } } })
        }),
        ("a cloud without an account", {
            json!({ "anchoring": { "signer": { "kind": "gcp-kms", "key": "k" } } })
        }),
        ("a key at a URL", {
            let url = "http://signer";
            json!({ "anchoring": { "signer": { "kind": "remote", "url": url, "key": "k", "account": ACCOUNT } } })
        }),
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
