//! Every code is found where it should be, and nowhere in the same document before the change.

use super::*;
use crate::lint::agent_uri::{AgentUri, Embedded};

/// What happens on the way to a document by URL; the tests of the binary cover these.
const ON_THE_WAY: [LintCode; 4] =
    [LintCode::NotContentAddressed, LintCode::PlainHttp, LintCode::Redirected, LintCode::MediaType];

fn of_bytes(bytes: impl AsRef<[u8]>) -> LintReport {
    lint(bytes.as_ref(), Vec::new())
}

fn of_uri(uri: &str) -> LintReport {
    match AgentUri::parse(uri) {
        Some(AgentUri::Embedded(Embedded { document: Some(document), findings })) => {
            lint(&document, findings)
        }
        Some(AgentUri::Embedded(Embedded { document: None, findings })) => undecodable(findings),
        other => panic!("{other:?}"),
    }
}

/// The clean document with another first service.
fn service(value: Value) -> LintReport {
    let mut document = clean();
    document["services"] = json!([value]);
    lint_value(&document)
}

fn registration(value: Value) -> LintReport {
    lint_value(&with("/registrations/0", value))
}

fn registry(text: &str) -> LintReport {
    lint_value(&with("/registrations/0/agentRegistry", json!(text)))
}

/// A document of this size.
fn padded(bytes: usize) -> LintReport {
    lint_value(&with("/metadata", json!({ "padding": "x".repeat(bytes) })))
}

const MAINNET: &str = "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432";

fn rows_of_bytes() -> Vec<(LintCode, &'static str, LintReport)> {
    let text = clean().to_string();
    let deep = format!("{{\"metadata\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    vec![
        (LintCode::RawJsonUri, "", of_uri(&text)),
        (LintCode::DataMediaType, "", of_uri("data:text/plain;base64,e30=")),
        (LintCode::DataParameters, "", of_uri("data:application/json;charset=utf-8;base64,e30=")),
        (LintCode::DataNotBase64, "", of_uri("data:application/json,%7B%7D")),
        (LintCode::DataBase64Form, "", of_uri("data:application/json;base64,e30")),
        (LintCode::DataUnreadable, "", of_uri("data:application/json;base64,e3*=")),
        (LintCode::DataUnreadable, "", of_uri("data:application/json")),
        (LintCode::DataUnreadable, "", of_uri("data:application/json;enc=zstd;base64,e30=")),
        (LintCode::DataCompressed, "", of_uri("data:application/json;enc=zstd;base64,e30=")),
        (LintCode::NotUtf8, "", of_bytes(b"{\"name\":\"\xff\"}")),
        (LintCode::ByteOrderMark, "", of_bytes(format!("\u{feff}{text}"))),
        (LintCode::Html, "", of_bytes("  <!doctype html><title>404</title>")),
        (LintCode::NotJson, "", of_bytes("")),
        (LintCode::NotJson, "", of_bytes("{} {}")),
        (LintCode::NotJson, "", of_bytes("{\"name\": 1,}")),
        (LintCode::NotJson, "", of_bytes("{\"name\": NaN}")),
        (LintCode::RepeatedKey, "name", of_bytes(text.replacen('{', "{\"name\":\"Other\",", 1))),
        (
            LintCode::RepeatedKey,
            "services[0].name",
            of_bytes(text.replacen(
                "\"endpoint\":",
                "\"name\":\"MCP\",\"name\":\"MCP\",\"endpoint\":",
                1,
            )),
        ),
        (
            LintCode::TooDeep,
            "metadata[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]",
            of_bytes(deep),
        ),
        (LintCode::LargeDocument, "", padded(65_536)),
        (LintCode::VeryLargeDocument, "", padded(524_288)),
        (LintCode::RootNotObject, "", of_bytes("[]")),
        (LintCode::RootNotObject, "", of_bytes("\"text\"")),
    ]
}

fn rows_of_members() -> Vec<(LintCode, &'static str, LintReport)> {
    let set = |pointer, value| lint_value(&with(pointer, value));
    let unset = |pointer| lint_value(&without(pointer));
    let moved = |from: &str, to: &str| {
        let mut document = clean();
        let value = document.as_object_mut().unwrap().remove(from).unwrap();
        document[to] = value;
        lint_value(&document)
    };
    vec![
        (LintCode::TypeMissing, "type", unset("/type")),
        (LintCode::TypeMissing, "type", set("/type", Value::Null)),
        (LintCode::TypeWrong, "type", set("/type", json!("agent"))),
        (LintCode::TypeWrong, "type", set("/type", json!(8004))),
        (
            LintCode::TypeWrong,
            "type",
            set("/type", json!("https://eips.ethereum.org/EIPs/eip-8004#registration-v1")),
        ),
        (
            LintCode::TypeWrong,
            "type",
            set("/type", json!("https://eips.ethereum.org/EIPS/eip-8004#registration")),
        ),
        (LintCode::NameMissing, "name", unset("/name")),
        (LintCode::NameMissing, "name", set("/name", json!(" "))),
        (LintCode::NameNotText, "name", set("/name", json!(["a"]))),
        (LintCode::NameLength, "name", set("/name", json!("ab"))),
        (LintCode::NameLength, "name", set("/name", json!("é".repeat(201)))),
        (LintCode::DescriptionMissing, "description", unset("/description")),
        (LintCode::DescriptionMissing, "description", set("/description", json!(""))),
        (LintCode::DescriptionNotText, "description", set("/description", json!({}))),
        (LintCode::DescriptionShort, "description", set("/description", json!("Tides."))),
        (LintCode::ImageMissing, "image", unset("/image")),
        (LintCode::ImageEmpty, "image", set("/image", json!(""))),
        (LintCode::ImageNotText, "image", set("/image", Value::Null)),
        (LintCode::ImageNotText, "image", set("/image", json!({ "url": "x" }))),
        (LintCode::ImageNotUrl, "image", set("/image", json!("icon.png"))),
        (LintCode::ImageNotUrl, "image", set("/image", json!("ftp://agents.example/icon.png"))),
        (LintCode::ImageEmbedded, "image", set("/image", json!("data:image/png;base64,AAAA"))),
        (LintCode::ActiveMissing, "active", unset("/active")),
        (LintCode::ActiveNotBoolean, "active", set("/active", json!("true"))),
        (LintCode::ActiveNotBoolean, "active", set("/active", Value::Null)),
        (LintCode::X402SupportMissing, "x402Support", unset("/x402Support")),
        (LintCode::X402SupportNotBoolean, "x402Support", set("/x402Support", json!(1))),
        (LintCode::X402SupportNotBoolean, "x402support", set("/x402support", json!("yes"))),
        (LintCode::X402SupportTwice, "x402support", set("/x402support", json!(true))),
        (LintCode::LegacyX402Support, "x402support", moved("x402Support", "x402support")),
        (LintCode::LegacyEndpoints, "endpoints", moved("services", "endpoints")),
        (LintCode::ServicesTwice, "endpoints", set("/endpoints", json!([]))),
        (
            LintCode::LegacySupportedTrusts,
            "supportedTrusts",
            moved("supportedTrust", "supportedTrusts"),
        ),
        (
            LintCode::SupportedTrustNotList,
            "supportedTrust",
            set("/supportedTrust", json!("reputation")),
        ),
        (
            LintCode::SupportedTrustNotList,
            "supportedTrust",
            set("/supportedTrust", json!(["reputation", 1])),
        ),
        (LintCode::SupportedTrustEmpty, "supportedTrust", set("/supportedTrust", json!([]))),
        (
            LintCode::UnknownTrustModel,
            "supportedTrust[1]",
            set("/supportedTrust/1", json!("global")),
        ),
        (LintCode::UpdatedAtForm, "updatedAt", set("/updatedAt", json!("2026-01-31T22:42:27Z"))),
        (LintCode::UpdatedAtForm, "updatedAt", set("/updatedAt", json!(1_790_000_000_000_u64))),
        (LintCode::UpdatedAtForm, "updatedAt", set("/updatedAt", json!(1.5))),
        (LintCode::ReadByAgent0, "walletAddress", set("/walletAddress", json!("0x00"))),
        (LintCode::SingularMember, "registration", set("/registration", json!({}))),
        (LintCode::MisspelledMember, "supported_trust", set("/supported_trust", json!([]))),
        (LintCode::MisspelledMember, "Services", moved("services", "Services")),
        (LintCode::ExtraMember, "capabilities", set("/capabilities", json!([]))),
        (LintCode::ExtraMember, "[\"two words\"]", set("/two words", json!(1))),
        (LintCode::ControlCharacter, "name", set("/name", json!("North\u{202e}Harbour"))),
        (
            LintCode::ControlCharacter,
            "description",
            set("/description", json!("Tides and berths\u{0}.")),
        ),
        (LintCode::ServicesMissing, "services", unset("/services")),
        (LintCode::ServicesMissing, "services", set("/services", Value::Null)),
        (LintCode::ServicesNotList, "services", set("/services", json!({ "web": [] }))),
        (LintCode::ServicesEmpty, "services", set("/services", json!([]))),
        (LintCode::RegistrationsMissing, "registrations", unset("/registrations")),
        (LintCode::RegistrationsEmpty, "registrations", set("/registrations", json!([]))),
        (LintCode::RegistrationsNotList, "registrations", set("/registrations", json!({}))),
        (LintCode::RegistrationsNotList, "registrations", set("/registrations", Value::Null)),
    ]
}

fn rows_of_services() -> Vec<(LintCode, &'static str, LintReport)> {
    let url = "https://agents.example/chat";
    let named = |name: &str, endpoint: &str| service(json!({ "name": name, "endpoint": endpoint }));
    let mcp = |key: &str, value: Value| lint_value(&with(&format!("/services/0/{key}"), value));
    let oasf = |key: &str, value: Value| lint_value(&with(&format!("/services/2/{key}"), value));
    let mut repeated = clean();
    let first = repeated["services"][0].clone();
    repeated["services"].as_array_mut().unwrap().push(first);
    let twice = |name: &str| {
        let entry = json!({ "name": name, "endpoint": url });
        lint_value(&with("/services", json!([entry, entry])))
    };
    vec![
        (LintCode::ServiceNotObject, "services[0]", service(json!("https://agents.example"))),
        (LintCode::ServiceNotObject, "services[0]", service(Value::Null)),
        (
            LintCode::ServiceNameMissing,
            "services[0].name",
            service(json!({ "type": "web", "endpoint": url })),
        ),
        (LintCode::ServiceNameMissing, "services[0].name", named("", url)),
        (
            LintCode::ServiceNameNotText,
            "services[0].name",
            service(json!({ "name": 1, "endpoint": url })),
        ),
        (
            LintCode::ServiceEndpointMissing,
            "services[0].endpoint",
            service(json!({ "name": "web", "url": url })),
        ),
        (LintCode::ServiceEndpointMissing, "services[0].endpoint", named("web", " ")),
        (
            LintCode::ServiceEndpointNotText,
            "services[0].endpoint",
            service(json!({ "name": "web", "endpoint": [url] })),
        ),
        (LintCode::ServiceVersionNotText, "services[0].version", mcp("version", json!(1))),
        (LintCode::ServiceVersionNotText, "services[0].version", mcp("version", Value::Null)),
        (
            LintCode::ServiceTypeAndValue,
            "services[0]",
            service(json!({ "name": "web", "endpoint": url, "type": "web", "value": url })),
        ),
        (LintCode::NamesUnknownToAgent0Py, "services", named("web", url)),
        (LintCode::CustomServiceName, "services[0].name", named("twitter", url)),
        (LintCode::ServiceNameCase, "services[0].name", named("mcp", url)),
        (LintCode::RepeatedServiceName, "services[3].name", lint_value(&repeated)),
        (LintCode::RepeatedWeb, "services[1].name", twice("web")),
        (LintCode::ServiceVersionMissing, "services[0].version", named("MCP", url)),
        (LintCode::ServiceVersionForm, "services[0].version", mcp("version", json!("1.0"))),
        (LintCode::ServiceVersionForm, "services[2].version", oasf("version", json!("latest"))),
        (LintCode::AgentCardPath, "services[0].endpoint", named("A2A", url)),
        (
            LintCode::AgentWalletEntry,
            "services[0].endpoint",
            named("agentWallet", "eip155:1:0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb7"),
        ),
        (
            LintCode::AgentWalletForm,
            "services[0].endpoint",
            named("agentWallet", "0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb7"),
        ),
        (LintCode::EndpointNotUrl, "services[0].endpoint", named("web", "agents.example")),
        (LintCode::EndpointIsName, "services[0].endpoint", named("ENS", "agent.eth")),
        (LintCode::EnsForm, "services[0].endpoint", named("ENS", "Agent.eth")),
        (LintCode::DidForm, "services[0].endpoint", named("DID", "web:agents.example")),
        (LintCode::EmailForm, "services[0].endpoint", named("email", "mailto:a b@agents.example")),
        (LintCode::EndpointNotHttps, "services[0].endpoint", named("web", "http://agents.example")),
        (LintCode::EndpointNotHttps, "services[0].endpoint", named("ACP", "virtuals://degen")),
        (
            LintCode::EndpointPlaceholder,
            "services[0].endpoint",
            named("web", "https://agents.example/{id}"),
        ),
        (
            LintCode::EndpointUserInfo,
            "services[0].endpoint",
            named("web", "https://u:p@agents.example"),
        ),
        (LintCode::EndpointNotPublic, "services[0].endpoint", named("web", "https://10.0.0.1/")),
        (
            LintCode::EndpointNotPublic,
            "services[0].endpoint",
            named("web", "https://chat.llm.svc.cluster.local/"),
        ),
        (
            LintCode::ControlCharacter,
            "services[0].endpoint",
            named("web", "https://agents.example/\u{202e}"),
        ),
        (LintCode::ControlCharacter, "services[0].name", named("we\u{7}b", url)),
        (LintCode::ListForm, "services[0].mcpTools", mcp("mcpTools", json!("tides"))),
        (LintCode::ListForm, "services[2].skills", oasf("skills", json!([1304]))),
        (
            LintCode::OasfEmpty,
            "services[0]",
            service(json!({ "name": "OASF", "endpoint": url, "version": "0.8.0" })),
        ),
        (
            LintCode::UnknownSkill,
            "services[2].skills[0]",
            oasf("skills", json!(["natural_language_processing/summarization"])),
        ),
        (LintCode::UnknownDomain, "services[2].domains[0]", oasf("domains", json!(["Finance"]))),
        (LintCode::AvailabilityForm, "services[0].available", mcp("available", json!("no"))),
        (LintCode::AvailabilityForm, "services[0].drainEndsAt", mcp("drainEndsAt", json!("soon"))),
    ]
}

fn rows_of_registrations() -> Vec<(LintCode, &'static str, LintReport)> {
    let id = |value: Value| lint_value(&with("/registrations/0/agentId", value));
    let (at_id, at_registry) = ("registrations[0].agentId", "registrations[0].agentRegistry");
    let base = format!("eip155:8453:{MAINNET}");
    vec![
        (LintCode::RegistrationNotObject, "registrations[0]", registration(json!(base))),
        (LintCode::AgentIdMissing, at_id, registration(json!({ "agentRegistry": base }))),
        (LintCode::AgentIdMissing, at_id, id(Value::Null)),
        (LintCode::AgentIdInvalid, at_id, id(json!("<pending>"))),
        (LintCode::AgentIdInvalid, at_id, id(json!(-1))),
        (LintCode::AgentIdInvalid, at_id, id(json!(1.5))),
        (LintCode::AgentIdInvalid, at_id, id(json!(true))),
        (LintCode::AgentIdText, at_id, id(json!("22731"))),
        (LintCode::AgentIdImprecise, at_id, id(json!(9_007_199_254_740_992_u64))),
        (
            LintCode::AgentRegistryMissing,
            at_registry,
            registration(json!({ "agentId": 1, "chainId": 1, "contract": MAINNET })),
        ),
        (LintCode::AgentRegistryMissing, at_registry, registry("")),
        (LintCode::AgentRegistryInvalid, at_registry, registry("eip155:1")),
        (LintCode::AgentRegistryInvalid, at_registry, registry("eip155:1:{identityRegistry}")),
        (
            LintCode::AgentRegistryInvalid,
            at_registry,
            registry(&format!("eip155:YOUR_CHAIN_ID:{MAINNET}")),
        ),
        (LintCode::AgentRegistryInvalid, at_registry, registry("eip155:1:0x8004")),
        (LintCode::AgentRegistryInvalid, at_registry, registry(MAINNET)),
        (
            LintCode::AgentRegistryInvalid,
            at_registry,
            registration(json!({ "agentId": 1, "agentRegistry": 1 })),
        ),
        (LintCode::RegistryNamespace, at_registry, registry(&format!("erc8004:1:{MAINNET}"))),
        (LintCode::RegistryChecksum, at_registry, registry(&base.replace("0x8004A1", "0x8004a1"))),
        (
            LintCode::RegistryOfOtherNetwork,
            at_registry,
            registry(&format!("eip155:84532:{MAINNET}")),
        ),
        (
            LintCode::RegistryRetired,
            at_registry,
            registry("eip155:11155111:0x8004a6090Cd10A7288092483047B097295Fb8847"),
        ),
        (
            LintCode::RegistryNotListed,
            at_registry,
            registry("eip155:8453:0x742d35cc6634c0532925a3b844bc9e7595f0beb7"),
        ),
        (
            LintCode::SeveralIdsInRegistry,
            "registrations[1]",
            lint_value(&with(
                "/registrations/1",
                json!({ "agentId": 7, "agentRegistry": base.to_lowercase() }),
            )),
        ),
        (
            LintCode::ProofEntryUnusable,
            at_registry,
            lint_value(
                &json!({ "registrations": [{ "agentId": 1, "agentRegistry": "eip155:YOUR_CHAIN_ID:0x00" }] }),
            ),
        ),
    ]
}

#[test]
fn every_code_is_found_at_its_path() {
    let rows =
        [rows_of_bytes(), rows_of_members(), rows_of_services(), rows_of_registrations()].concat();
    let missing: Vec<_> = rows
        .iter()
        .filter(|(code, path, report)| {
            let found = |finding: &Finding| finding.code == *code && finding.path == *path;
            !report.findings.iter().any(found)
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let covered: BTreeSet<_> = rows.iter().map(|(code, ..)| *code).chain(ON_THE_WAY).collect();
    let untested: Vec<_> = LintCode::ALL.iter().filter(|code| !covered.contains(code)).collect();
    assert!(untested.is_empty(), "{untested:?}");
}

#[test]
fn every_code_has_its_texts_and_a_known_severity() {
    for code in LintCode::ALL {
        assert!(code.meaning().ends_with('.') && code.fix().ends_with('.'), "{code}");
        let severity = code.severity().as_str();
        let written = code.severity_as_written();
        assert_eq!(severity, written, "{code}");
    }
}
