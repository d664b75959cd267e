mod codes;
mod verdicts;

use std::{collections::BTreeSet, fs, path::Path};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A document in which nothing is found.
fn clean() -> Value {
    json!({
        "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
        "name": "North Harbour",
        "description": "Answers questions about tides and berths, for 0.01 USDC each.",
        "image": "https://agents.example/icon.png",
        "services": [
            { "name": "MCP", "endpoint": "https://agents.example/mcp", "version": "2025-06-18",
              "mcpTools": ["tides"] },
            { "name": "A2A", "endpoint": "https://agents.example/.well-known/agent-card.json",
              "version": "0.3.0" },
            { "name": "OASF", "endpoint": "https://github.com/agntcy/oasf/", "version": "0.8.0",
              "skills": ["tool_interaction/workflow_automation"],
              "domains": ["technology/blockchain/blockchain"] },
        ],
        "x402Support": true,
        "active": true,
        "registrations": [
            { "agentId": 0, "agentRegistry": "eip155:8453:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432" },
        ],
        "supportedTrust": ["reputation"],
        "updatedAt": 1_790_000_000,
        "metadata": { "build": "7" },
    })
}

/// The clean document with the value at a JSON pointer replaced or added.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = clean();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.insert(key.to_owned(), value)),
        Value::Array(items) => match items.get_mut(key.parse::<usize>().unwrap()) {
            Some(item) => *item = value,
            None => items.push(value),
        },
        leaf @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            panic!("{parent} has no members: {leaf}")
        }
    }
    document
}

/// The clean document without the member at a JSON pointer.
fn without(pointer: &str) -> Value {
    let mut document = clean();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    document
}

fn lint_value(document: &Value) -> LintReport {
    lint(document.to_string().as_bytes(), Vec::new())
}

fn codes(report: &LintReport) -> BTreeSet<&'static str> {
    report.findings.iter().map(|finding| finding.code.as_str()).collect()
}

#[test]
fn nothing_is_found_in_a_document_that_every_reader_accepts() {
    let report = lint_value(&clean());
    assert_eq!((report.verdict, report.findings), (Verdict::Valid, vec![]));
}

#[test]
fn the_json_has_exactly_the_documented_members() {
    let report = serde_json::to_value(lint_value(&without("/name"))).unwrap();
    let expected = json!({
        "verdict": "invalid",
        "findings": [{
            "code": "NameMissing",
            "severity": "error",
            "path": "name",
            "message": "name is missing.",
            "fix": "Add a name of 3 to 80 characters.",
            "readers": ["8004scan", "BackTrackCo", "aixyz", "ensmetadata", "erc8004-crate", "8004-mcp"],
        }],
    });
    assert_eq!(report, expected);
}

#[test]
fn errors_come_first_and_information_last() {
    let mut document = without("/name");
    document["active"] = Value::Null;
    document["extra"] = json!(1);
    document["updatedAt"] = json!("today");
    let severities: Vec<_> =
        lint_value(&document).findings.iter().map(|finding| finding.code.severity()).collect();
    let mut sorted = severities.clone();
    sorted.sort();
    assert_eq!(severities, sorted);
    assert_eq!(severities.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn our_own_documents_have_no_error() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut count = 0;
    for case in fs::read_dir(cases).unwrap() {
        let path = case.unwrap().path().join("expected.json");
        let report = lint(&fs::read(&path).unwrap(), Vec::new());
        assert_eq!(report.verdict, Verdict::Valid, "{}: {report:?}", path.display());
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

#[test]
fn hostile_text_is_escaped_and_shortened_in_messages_and_paths() {
    let long = "\u{202e}\u{1b}[31m".repeat(10_000);
    let mut document = clean();
    document[&long] = json!(1);
    document["name"] = json!(long);
    document["type"] = json!(long);
    document["services"][0]["name"] = json!(long);
    document["services"][0]["endpoint"] = json!(long);
    document["registrations"][0]["agentRegistry"] = json!(long);
    document["supportedTrust"] = json!([long]);
    let report = lint_value(&document);
    assert!(report.findings.len() >= 8, "{report:?}");
    for finding in report.findings {
        let text = format!("{}{}", finding.path, finding.message);
        assert!(text.len() < 4_000, "{} bytes: {:?}", text.len(), finding.code);
        assert!(!text.chars().any(crate::offer::is_unprintable), "{text:?}");
    }
}

/// JSON of the kinds that documents have, with the keys that are looked at.
fn any_document() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "type",
        "name",
        "description",
        "image",
        "services",
        "endpoints",
        "x402Support",
        "x402support",
        "active",
        "registrations",
        "supportedTrust",
        "supportedTrusts",
        "updatedAt",
        "endpoint",
        "version",
        "skills",
        "agentId",
        "agentRegistry",
        "available",
        "drainEndsAt",
        "x y",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zA-Z:/.0-9 -]{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["OASF", "0.8.0", "eip155:1:0x", "", "ENS"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let report = lint(&bytes, Vec::new());
        prop_assert!(!report.findings.is_empty());
    }

    #[test]
    fn a_document_is_invalid_exactly_if_it_has_an_error(document in any_document()) {
        let report = lint_value(&document);
        let has_error = report.count(Severity::Error) > 0;
        prop_assert_eq!(report.verdict == Verdict::Invalid, has_error);
    }

    #[test]
    fn any_text_is_an_agent_uri_or_not(text in "(data:)?[ -~]{0,40}(;base64)?,?[ -~]{0,40}") {
        let _ = agent_uri::AgentUri::parse(&text);
    }
}
