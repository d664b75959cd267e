//! The JSON Schemas: valid, closed where the code is closed, open everywhere else.

use crate::{
    anchor::AnchorReason,
    http::tests::contract::{Contract, check, compiled, schema_file, walk},
    http::{contract::SCHEMAS, problem::Code},
    offer::{EntryCode, Unlisted},
    registration::{OfferState, Reason},
    source::SourceProblemCode,
    testing::{for_each_row, json_of, offer, projected, rules},
};
use serde_json::{Value, json};

#[test]
fn every_schema_file_is_a_schema_whose_examples_are_valid() {
    for (file, text) in SCHEMAS {
        let schema: Value = serde_json::from_str(text).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{file}");
        assert_eq!(schema["$id"], format!("https://registrar.invalid/schema/{file}"));
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        let examples = schema["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{file}");
        for example in examples {
            check(&compiled(&schema), example, file);
        }
    }
}

#[test]
fn every_object_takes_members_that_are_unknown_and_every_member_is_explained() {
    for (file, text) in SCHEMAS {
        let mut schema: Value = serde_json::from_str(text).unwrap();
        for condition in ["if", "then", "else", "examples"] {
            schema.as_object_mut().unwrap().remove(condition);
        }
        walk(&schema, file, &mut |node, at| {
            if node.get("properties").is_some_and(Value::is_object) && !at.ends_with("/properties")
            {
                assert_eq!(node["additionalProperties"], true, "{at}");
                for (name, member) in node["properties"].as_object().unwrap() {
                    let explained = member.get("description").or(member.get("$ref")).is_some();
                    assert!(explained, "{at}/{name}");
                }
            }
            assert_ne!(node["additionalProperties"], false, "{at}");
            assert!(node.get("unevaluatedProperties").is_none(), "{at}");
        });
    }
}

#[test]
fn closed_lists_are_those_of_the_code() {
    let reasons: Vec<_> = Reason::ALL.map(Reason::as_str).into();
    let (problem, explanation) =
        (schema_file("problem.schema.json"), schema_file("explanation.schema.json"));
    assert_eq!(problem["$defs"]["own"]["enum"], json!(Code::OWN.map(Code::as_str)));
    assert_eq!(problem["$defs"]["reason"]["enum"], json!(reasons));
    let members = &explanation["properties"];
    assert_eq!(members["reason"]["enum"], json!(reasons));
    assert_eq!(members["state"]["enum"], json!(OfferState::ALL.map(OfferState::as_str)));
    let codes = EntryCode::ALL.map(EntryCode::as_str);
    assert_eq!(explanation["$defs"]["dropped"]["properties"]["code"]["enum"], json!(codes));
    let codes = Unlisted::ALL.map(Unlisted::as_str);
    assert_eq!(members["x402"]["properties"]["code"]["enum"], json!(codes));
    let listed: Vec<_> = OfferState::ALL
        .into_iter()
        .filter(|state| state.is_listed())
        .map(OfferState::as_str)
        .collect();
    assert_eq!(schema_file("offer.schema.json")["properties"]["state"]["enum"], json!(listed));
    let anchored: Vec<_> = AnchorReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let agent = schema_file("agent.schema.json");
    assert_eq!(agent["$defs"]["anchorReason"]["enum"], json!(anchored));
    let anchor = &Contract::read().0["components"]["schemas"]["Anchor"];
    assert_eq!(anchor["properties"]["reason"]["enum"], json!(anchored));
    let problem_of_source = &Contract::read().0["components"]["schemas"]["SourceProblem"];
    let codes = SourceProblemCode::ALL.map(SourceProblemCode::as_str);
    assert_eq!(problem_of_source["properties"]["code"]["enum"], json!(codes));
    for code in Code::OWN {
        let meaning = problem["$defs"]["own"]["description"].as_str().unwrap();
        assert!(meaning.contains(&format!("{}: ", code.as_str())), "{code:?} is not explained");
        assert_eq!(json!(code), code.as_str());
    }
    for reason in Reason::ALL {
        assert_eq!(Code::Offer(reason).as_str(), reason.as_str());
    }
}

#[test]
fn every_document_is_valid_whatever_is_published() {
    let schema = compiled(&schema_file("agent-registration.schema.json"));
    let named = |name: &str| offer("demo/odd").set("/spec/registration/name", name);
    let odd = || named("<b>\u{2028}\u{7}\u{1f980}").host("odd.example");
    let worlds = [
        vec![],
        vec![odd()],
        vec![odd().disabled()],
        vec![odd().draining("2026-01-01T00:00:00Z", "0s")],
        vec![odd().draining("2026-05-24T12:00:00.999999999Z", "1ns")],
        vec![odd().draining("9999-12-31T23:59:59Z", "0s")],
        vec![odd().service("A2A", "/card").service("ENS", "odd.eth").service("email", "a@b.c")],
        vec![odd().set("/spec/registration/image", "data:image/png;base64,AA==")],
        vec![odd().set("/spec/registration/image", "IPFS://x"), offer("demo/other")],
        vec![odd().set("/spec/registration/skills", vec!["a/b"]).set("/spec/provenance/a", "b")],
        vec![named(" ").set("/spec/registration/supportedTrust", vec!["reputation"])],
    ];
    for world in worlds {
        for now in ["2026-01-01T00:00:00Z", "2026-05-24T12:00:00Z", "2026-05-24T12:00:01Z"] {
            let projection = projected(&world, &rules(), now);
            let hosts = projection.hosts.values().map(|host| &host.document);
            let offers = projection.published.iter().map(|offer| &offer.document);
            for document in hosts.chain(offers).chain([&projection.default]) {
                check(&schema, &json_of(document), now);
            }
        }
    }
}

#[test]
fn the_document_schema_takes_what_the_standard_takes_and_refuses_what_misleads() {
    let schema = compiled(&schema_file("agent-registration.schema.json"));
    let document = |change: &dyn Fn(&mut Value)| {
        let mut document = json!({
            "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
            "name": "chat",
            "description": "",
            "image": "https://agents.example/agent-icon.png",
            "services": [{ "name": "web", "endpoint": "https://agents.example/services/chat" }],
            "x402Support": true,
            "active": true,
            "registrations": [{ "agentId": 22, "agentRegistry": format!("eip155:1:0x{}", "8004aBCD".repeat(5)) }],
        });
        change(&mut document);
        document
    };
    let entry = |member: &'static str, value: Value| {
        move |document: &mut Value| document["services"][0][member] = value.clone()
    };
    let drain = |available: Value, ends_at: Value| {
        move |document: &mut Value| {
            document["services"][0]["available"] = available.clone();
            document["services"][0]["drainEndsAt"] = ends_at.clone();
        }
    };
    let id = |member: &'static str, value: Value| {
        move |document: &mut Value| document["registrations"][0][member] = value.clone()
    };
    let top = |member: &'static str, value: Value| {
        move |document: &mut Value| document[member] = value.clone()
    };
    let without = |member: &'static str| {
        move |document: &mut Value| {
            document.as_object_mut().unwrap().remove(member);
        }
    };
    type Change = Box<dyn Fn(&mut Value)>;
    let end = || json!("2026-05-24T15:00:00Z");
    let huge: Value = serde_json::from_str(
        "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    )
    .unwrap();
    let cases: Vec<(&str, bool, Change)> = vec![
        ("as it is", true, Box::new(|_| ())),
        ("an unknown member", true, Box::new(top("updatedAt", json!(7)))),
        ("an unknown member of an entry", true, Box::new(entry("mcpPrompts", json!([])))),
        ("an unknown member of an id", true, Box::new(id("agentURI", json!("ipfs://x")))),
        ("a name of one's own", true, Box::new(entry("name", json!("OpenAPI")))),
        ("an endpoint that is not a URL", true, Box::new(entry("endpoint", json!("chat.eth")))),
        ("a version", true, Box::new(entry("version", json!("0.8.0")))),
        ("a tombstone", true, Box::new(top("services", json!([])))),
        ("no ids", true, Box::new(without("registrations"))),
        ("agent 0", true, Box::new(id("agentId", json!(0)))),
        ("the largest id", true, Box::new(id("agentId", huge))),
        ("a drain", true, Box::new(drain(json!(false), end()))),
        (
            "another type",
            false,
            Box::new(top("type", json!("https://eips.ethereum.org/EIPS/eip-8004#registration"))),
        ),
        ("no type", false, Box::new(without("type"))),
        ("no name", false, Box::new(without("name"))),
        ("no description", false, Box::new(without("description"))),
        ("no image", false, Box::new(without("image"))),
        ("an empty image", false, Box::new(top("image", json!("")))),
        ("no services", false, Box::new(without("services"))),
        ("no x402Support", false, Box::new(without("x402Support"))),
        ("no active", false, Box::new(without("active"))),
        ("active as text", false, Box::new(top("active", json!("true")))),
        (
            "an entry without an endpoint",
            false,
            Box::new(top("services", json!([{ "name": "web" }]))),
        ),
        (
            "an entry without a name",
            false,
            Box::new(top("services", json!([{ "endpoint": "https://a.example" }]))),
        ),
        ("a version that is a number", false, Box::new(entry("version", json!(1)))),
        ("available: true", false, Box::new(drain(json!(true), end()))),
        ("available alone", false, Box::new(entry("available", json!(false)))),
        ("an end alone", false, Box::new(entry("drainEndsAt", end()))),
        (
            "an end with a fraction",
            false,
            Box::new(drain(json!(false), json!("2026-05-24T15:00:00.5Z"))),
        ),
        (
            "an end with an offset",
            false,
            Box::new(drain(json!(false), json!("2026-05-24T15:00:00+00:00"))),
        ),
        (
            "an end that is not a time",
            false,
            Box::new(drain(json!(false), json!("2026-13-24T15:00:00Z"))),
        ),
        ("a null id", false, Box::new(id("agentId", json!(null)))),
        ("an id as text", false, Box::new(id("agentId", json!("22")))),
        ("a negative id", false, Box::new(id("agentId", json!(-1)))),
        ("a fraction of an id", false, Box::new(id("agentId", json!(1.5)))),
        ("a short address", false, Box::new(id("agentRegistry", json!("eip155:1:0x8004")))),
        (
            "another namespace",
            false,
            Box::new(id("agentRegistry", json!(format!("erc8004:1:0x{}", "8".repeat(40))))),
        ),
        (
            "a placeholder",
            false,
            Box::new(id("agentRegistry", json!("eip155:1:{identityRegistry}"))),
        ),
        ("an empty list of ids", false, Box::new(top("registrations", json!([])))),
    ];
    for_each_row(cases, |(case, valid, change)| {
        assert_eq!(schema.is_valid(&document(&change)), valid, "{case}");
    });
}
