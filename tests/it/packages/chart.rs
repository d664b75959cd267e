//! The Helm chart, rendered by helm and read by a YAML parser.

use std::{fs, path::Path};

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
pub(super) fn template(chart: &Path, values: &Value) -> String {
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
pub(super) fn unfolded(objects: Vec<Value>) -> Vec<Value> {
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

/// Values with which the pods that serve anchor, or others do.
pub(super) fn anchoring(apart: bool) -> Value {
    let chain = json!({ "name": "base-sepolia", "maxFeeGwei": "1", "dailyBudgetEther": "0.01" });
    json!({ "anchoring": {
        "enabled": true, "apart": apart, "ownerId": "CHANGE-ME", "chains": [chain],
    } })
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
