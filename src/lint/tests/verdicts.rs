//! Documents of the kinds that are found in the wild, and their verdicts.

use super::*;
use crate::testing::for_each_row;

#[test]
fn documents_of_every_kind_get_their_verdict() {
    let legacy_endpoints = {
        let mut document = without("/services");
        document["endpoints"] = clean()["services"].clone();
        document
    };
    let entry = clean()["registrations"][0].clone();
    let rows = [
        ("a clean one", clean(), Verdict::Valid),
        ("before the mint", with("/registrations", json!([])), Verdict::Valid),
        ("without registrations", without("/registrations"), Verdict::Valid),
        ("without services", without("/services"), Verdict::Invalid),
        ("an inactive agent", with("/services", json!([])), Verdict::Valid),
        ("without image", without("/image"), Verdict::Valid),
        ("a null image", with("/image", Value::Null), Verdict::Invalid),
        ("without active", without("/active"), Verdict::Valid),
        ("without x402Support", without("/x402Support"), Verdict::Valid),
        ("custom services", with("/services/0/name", json!("VIN Generate")), Verdict::Valid),
        ("more members", with("/links", json!({ "x": "y" })), Verdict::Valid),
        ("a text as updatedAt", with("/updatedAt", json!("today")), Verdict::Valid),
        ("the list called endpoints", legacy_endpoints, Verdict::Legacy),
        ("an id in quotes", with("/registrations/0/agentId", json!("7")), Verdict::Legacy),
        ("the SDK's x402support", with("/x402support", json!(true)), Verdict::Legacy),
        ("the SDK's supportedTrusts", with("/supportedTrusts", json!([])), Verdict::Legacy),
        (
            "legacy, but broken",
            {
                let mut document = with("/supportedTrusts", json!([]));
                document["name"] = json!("");
                document
            },
            Verdict::Invalid,
        ),
        ("a proof", json!({ "registrations": [entry] }), Verdict::ValidDomainProofOnly),
        (
            "a proof with a comment",
            json!({ "_comment": "x", "registrations": [entry] }),
            Verdict::ValidDomainProofOnly,
        ),
        (
            "a proof with an id in quotes",
            json!({ "registrations": [{ "agentId": "7", "agentRegistry": entry["agentRegistry"] }] }),
            Verdict::ValidDomainProofOnly,
        ),
        (
            "a template of a proof",
            json!({ "registrations": [{ "agentId": 0, "agentRegistry": "eip155:CHAIN:0x0" }] }),
            Verdict::ValidDomainProofOnly,
        ),
        (
            "a proof that is not a list",
            json!({ "registrations": { "agentId": 1 } }),
            Verdict::Invalid,
        ),
        (
            "an id outside of a list",
            json!({ "agentId": 20880, "agentRegistry": "eip155:8453:0x00" }),
            Verdict::Invalid,
        ),
        (
            "an agent card",
            json!({ "name": "Chat", "url": "https://agents.example", "skills": [] }),
            Verdict::Invalid,
        ),
        ("something else", json!({ "agents": [] }), Verdict::Invalid),
        ("nothing", json!({}), Verdict::Invalid),
    ];
    for_each_row(rows, |(case, document, verdict)| {
        let report = lint_value(&document);
        assert_eq!(report.verdict, verdict, "{case}: {:?}", codes(&report));
    });
}

#[test]
fn every_mistake_is_named_not_only_the_first() {
    let document = json!({
        "type": "agent",
        "name": "",
        "services": [{ "type": "web", "url": "https://agents.example" }, "https://agents.example"],
        "registrations": [{ "chainId": 1, "contract": "0x00" }],
    });
    let report = lint_value(&document);
    let found: BTreeSet<_> = report
        .findings
        .iter()
        .filter(|finding| finding.code.severity() == Severity::Error)
        .map(|finding| (finding.code.as_str(), finding.path.as_str()))
        .collect();
    let expected = BTreeSet::from([
        ("TypeWrong", "type"),
        ("NameMissing", "name"),
        ("DescriptionMissing", "description"),
        ("ServiceNameMissing", "services[0].name"),
        ("ServiceEndpointMissing", "services[0].endpoint"),
        ("ServiceNotObject", "services[1]"),
        ("AgentIdMissing", "registrations[0].agentId"),
        ("AgentRegistryMissing", "registrations[0].agentRegistry"),
    ]);
    assert_eq!(found, expected);
}

#[test]
fn an_id_above_every_machine_integer_is_read_exactly() {
    let id = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let text = clean().to_string().replace("\"agentId\":0", &format!("\"agentId\":{id}"));
    let report = lint(text.as_bytes(), Vec::new());
    assert_eq!(codes(&report), BTreeSet::from(["AgentIdImprecise"]));
    assert!(report.findings[0].message.contains(id), "{report:?}");
}
