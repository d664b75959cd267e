//! What is asked for is what the manifests grant: a verb that is missing or added on either side fails.

use std::{collections::BTreeSet, path::Path};

use clap::Parser;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::cli::{Cli, Command};

/// A verb, what it is about, the namespace and the name; `*` for all of them.
type Right = [String; 4];

/// Every manifest that grants rights. The chart is compared with them in `tests/it/packages`.
const MANIFESTS: [&str; 7] = [
    "rbac.yaml",
    "rbac-stack.yaml",
    "rbac-enforcement.yaml",
    "rbac-identity.yaml",
    "rbac-events.yaml",
    "anchoring/rbac.yaml",
    "anchoring/apart.yaml",
];

/// A binding of a ServiceAccount to a role, and what the role allows there.
struct Grant {
    account: String,
    /// `NAMESPACE/NAME` of the binding; `*/NAME` if it is for all namespaces.
    binding: String,
    rights: BTreeSet<Right>,
}

fn grants() -> Vec<Grant> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let objects: Vec<Value> = MANIFESTS
        .iter()
        .flat_map(|name| {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            let documents = serde_yaml_ng::Deserializer::from_str(&text);
            documents.map(|document| Value::deserialize(document).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    let bindings = objects.iter().filter(|it| it["kind"].as_str().unwrap().ends_with("Binding"));
    bindings
        .map(|binding| {
            let namespace = binding["metadata"]["namespace"].as_str();
            let is_role = |it: &&Value| {
                it["kind"] == binding["roleRef"]["kind"]
                    && it["metadata"]["name"] == binding["roleRef"]["name"]
                    && it["metadata"]["namespace"].as_str() == namespace
            };
            let role = objects.iter().find(is_role).unwrap();
            let rules = role["rules"].as_array().unwrap();
            let [subject] = &binding["subjects"].as_array().unwrap()[..] else { panic!() };
            assert_eq!(
                (&subject["kind"], &subject["namespace"]),
                (&"ServiceAccount".into(), &OWN.into())
            );
            Grant {
                account: subject["name"].as_str().unwrap().to_owned(),
                binding: format!(
                    "{}/{}",
                    namespace.unwrap_or("*"),
                    binding["metadata"]["name"].as_str().unwrap()
                ),
                rights: rules.iter().flat_map(|rule| allowed(rule, namespace)).collect(),
            }
        })
        .collect()
}

/// The rights of one rule.
fn allowed(rule: &Value, namespace: Option<&str>) -> Vec<Right> {
    let words = |key: &str| -> Vec<String> {
        rule.get(key).map_or(vec!["*".to_owned()], |it| serde_json::from_value(it.clone()).unwrap())
    };
    let mut rights = Vec::new();
    for group in words("apiGroups") {
        for resource in words("resources") {
            for name in words("resourceNames") {
                for verb in words("verbs") {
                    let about = format!("{resource}.{group}");
                    rights.push([verb, about, namespace.unwrap_or("*").to_owned(), name.clone()]);
                }
            }
        }
    }
    rights
}

const OWN: &str = "erc8004-registrar";

/// What `check` asks for with these flags, in a pod of our namespace.
fn asked(flags: &[&str]) -> BTreeSet<Right> {
    let args = [&["registrar", "check"], flags].concat();
    let Command::Check(args) = Cli::try_parse_from(args).unwrap().command else { panic!() };
    let config = args.resolve();
    let asked = needs(&config, OWN).into_iter();
    // HTTPRoutes are read by check alone, with the rights of whoever runs it.
    let served = asked.filter(|need| need.id != CheckId::RightsRoutes);
    let rights = served.flat_map(|need| {
        let Need { id: _, verbs, group, resource, namespace, name } = need;
        let [namespace, name] = [namespace, name].map(|it| it.unwrap_or("*").to_owned());
        let about = format!("{resource}.{group}");
        let right =
            move |verb: &&str| [(*verb).to_owned(), about.clone(), namespace.clone(), name.clone()];
        verbs.iter().map(right).collect::<Vec<_>>()
    });
    rights.collect()
}

const READS_OFFERS: &str = "*/erc8004-registrar";
const JOURNAL: &str = "configmap:registrar-journal";

/// One of the choices that a feature leaves: the flags, and the bindings that they need.
struct Choice(&'static [&'static str], &'static [&'static str]);

const TUNNEL: [Choice; 2] = [
    Choice(&["--public-url", "https://seller.example"], &[]),
    Choice(&[], &["obol-frontend/erc8004-registrar-tunnel"]),
];
const IDENTITY: [Choice; 3] = [
    Choice(&["--identity", "none"], &[]),
    Choice(&[], &["x402/erc8004-registrar"]),
    Choice(&["--write-identity"], &["x402/erc8004-registrar", "x402/erc8004-registrar-identity"]),
];
const ANCHORING: [Choice; 3] = [
    Choice(&[], &[]),
    Choice(&["--journal", JOURNAL], &["erc8004-registrar/erc8004-registrar-journal"]),
    Choice(ANCHOR, &["erc8004-registrar/erc8004-registrar-anchoring"]),
];
const ANCHOR: &[&str] = &[
    "--anchor",
    "base-sepolia",
    "--rpc-url",
    "base-sepolia=http://127.0.0.1:1",
    "--owner-id",
    "test",
    "--signer",
    "web3signer:https://signer.example",
    "--account",
    "0x0000000000000000000000000000000000000001",
    "--max-fee-gwei",
    "1",
    "--daily-budget-ether",
    "1",
    "--journal",
    JOURNAL,
];
const LEASE: [Choice; 2] = [
    Choice(&[], &[]),
    Choice(&["--lease", "registrar"], &["erc8004-registrar/erc8004-registrar-lease"]),
];
const DRAINS: [Choice; 2] = [
    Choice(&[], &[]),
    Choice(
        &["--enforce-drains"],
        &["*/erc8004-registrar-enforcement", "x402/erc8004-registrar-enforcement"],
    ),
];
const EVENTS: [Choice; 2] =
    [Choice(&[], &[]), Choice(&["--events"], &["*/erc8004-registrar-events"])];

/// Flags, and the bindings that they need.
type Combination = (Vec<&'static str>, Vec<&'static str>);

/// Every combination of one choice of each.
fn combinations(features: &[&[Choice]]) -> Vec<Combination> {
    let mut all = vec![(Vec::new(), vec![READS_OFFERS])];
    for choices in features {
        all = all
            .iter()
            .flat_map(|(flags, bindings)| {
                choices.iter().map(move |Choice(more, needed)| {
                    ([flags, *more].concat(), [bindings, *needed].concat())
                })
            })
            .collect();
    }
    all
}

/// Combinations that are refused, or have more rights than they need because a manifest is for both.
fn is_left_out(flags: &[&str]) -> bool {
    let has = |flag: &str| flags.contains(&flag);
    let needs_lease = ["--write-identity", "--enforce-drains", "--events", "--anchor"];
    let lacks_lease = !has("--lease") && needs_lease.into_iter().any(has);
    let lacks_url = has("--anchor") && !has("--public-url");
    lacks_lease || lacks_url || (has("--write-identity") && !has("--journal"))
}

#[test]
fn each_combination_of_flags_asks_for_what_its_manifests_grant() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let grants = grants();
    let granted = |account: &str, bindings: &[&str]| -> BTreeSet<Right> {
        let find = |binding: &&str| {
            let is = |it: &&Grant| it.account == account && it.binding == **binding;
            grants.iter().find(is).unwrap_or_else(|| panic!("no binding {binding}"))
        };
        bindings.iter().flat_map(|binding| find(binding).rights.clone()).collect()
    };
    let mut used = BTreeSet::new();
    let mut compared = 0;
    for (flags, bindings) in
        combinations(&[&TUNNEL, &IDENTITY, &ANCHORING, &LEASE, &DRAINS, &EVENTS])
    {
        if is_left_out(&flags) {
            continue;
        }
        assert_eq!(asked(&flags), granted("registrar", &bindings), "{flags:?}");
        used.extend(bindings.iter().map(|binding| format!("registrar {binding}")));
        compared += 1;
    }
    // Pods of their own that anchor.
    let mut flags = vec!["--public-url", "https://seller.example", "--lease", "registrar-anchor"];
    flags.extend(ANCHOR);
    let bindings = [
        "*/erc8004-registrar-anchor",
        "x402/erc8004-registrar-anchor-identity",
        "erc8004-registrar/erc8004-registrar-anchor",
    ];
    assert_eq!(asked(&flags), granted("registrar-anchor", &bindings), "{flags:?}");
    used.extend(bindings.iter().map(|binding| format!("registrar-anchor {binding}")));
    let known: BTreeSet<String> =
        grants.iter().map(|it| format!("{} {}", it.account, it.binding)).collect();
    assert_eq!(used, known, "a binding that no flag needs");
    println!("{compared} combinations");
}

#[test]
fn every_manifest_with_rules_is_compared() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let mut found = BTreeSet::new();
    for place in ["", "anchoring/"] {
        for file in std::fs::read_dir(folder.join(place)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|it| it == "yaml")
                && std::fs::read_to_string(&path).unwrap().contains("\nrules:\n")
            {
                found.insert(format!("{place}{}", path.file_name().unwrap().to_str().unwrap()));
            }
        }
    }
    assert_eq!(found, MANIFESTS.map(str::to_owned).into());
}
