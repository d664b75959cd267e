//! The content of documents: top-level fields and their fallbacks, the profile, order, hosts,
//! inactive documents, and one offer's own.

use crate::{
    offer::Hostname,
    registration::{Document, ProfileOverrides, Projection, Rules},
    testing::{Resource, for_each_row, json_of, listed, offer, projected, published, rules},
};
use serde_json::{Value, json};

const NOW: &str = "2026-02-01T00:00:00Z";

fn pairs<const N: usize>(entries: [(&str, &str); N]) -> Vec<(String, String)> {
    entries.map(|(name, endpoint)| (name.to_owned(), endpoint.to_owned())).into()
}

fn at_host<'a>(projection: &'a Projection, host: &str) -> &'a Document {
    &projection.hosts[&Hostname::parse(host).unwrap()].document
}

/// One offer's own document.
fn own(resource: &Resource) -> Value {
    json_of(&projected([resource], &rules(), NOW).published[0].document)
}

#[test]
fn name_description_and_image_fall_back_as_in_the_original() {
    let chat = || offer("llm/chat");
    let with = |key: &str, value: &str| chat().set(&format!("/spec/registration/{key}"), value);
    let generated = "x402 payment-gated http service: chat";
    let model = |kind: &str| chat().set("/spec/type", kind).set("/spec/model/name", "granite-8b");
    let icon = "https://seller.example/agent-icon.png";
    let cases = [
        ("its own name", with("name", "North Harbour"), "name", "North Harbour"),
        ("a name is used untrimmed", with("name", " North "), "name", " North "),
        ("a blank name", with("name", " \t "), "name", "chat"),
        ("no name", chat(), "name", "chat"),
        ("its own description", with("description", "Chat."), "description", "Chat."),
        ("a description of spaces stays", with("description", " "), "description", " "),
        ("an empty description", with("description", ""), "description", generated),
        ("no description", chat(), "description", generated),
        (
            "another type",
            chat().set("/spec/type", "agent"),
            "description",
            "x402 payment-gated agent service: chat",
        ),
        (
            "inference with a model",
            model("inference"),
            "description",
            "granite-8b inference via x402 micropayments",
        ),
        ("a model alone is http", model(""), "description", generated),
        ("a model and http", model("http"), "description", generated),
        (
            "inference without a model",
            chat().set("/spec/type", "inference"),
            "description",
            "x402 payment-gated inference service: chat",
        ),
        ("its own image", with("image", "ipfs://bafy"), "image", "ipfs://bafy"),
        ("an unusable image", with("image", "http://a.example/x.png"), "image", icon),
        ("no image", chat(), "image", icon),
    ];
    for_each_row(cases, |(case, resource, key, expected)| {
        let resource = resource.host("chat.example");
        let projection = projected([&resource], &rules(), NOW);
        let documents = [
            &projection.default,
            at_host(&projection, "chat.example"),
            &projection.published[0].document,
        ];
        for document in documents {
            assert_eq!(json_of(document)[key], json!(expected), "{case}");
        }
    });
}

#[test]
fn lists_and_maps_are_shown_without_blanks_and_repeats_and_absent_when_empty() {
    let full = offer("llm/chat")
        .set(
            "/spec/registration/supportedTrust",
            json!(["reputation", "", "tee-attestation", "reputation"]),
        )
        .set("/spec/registration/metadata", json!({ "z": "1", " a ": " 2 ", "blank": " " }))
        .set("/spec/provenance", json!({ "framework": "autoresearch" }));
    let document = own(&full);
    assert_eq!(document["supportedTrust"], json!(["reputation", "tee-attestation"]));
    assert_eq!(document["metadata"], json!({ "a": "2", "z": "1" }));
    assert_eq!(document["provenance"], json!({ "framework": "autoresearch" }));
    let empty = offer("llm/chat")
        .set("/spec/registration/supportedTrust", json!([]))
        .set("/spec/registration/metadata", json!({ " ": "x" }))
        .set("/spec/provenance", json!({}));
    let keys: Vec<_> = own(&empty).as_object().unwrap().keys().cloned().collect();
    let mut expected =
        ["type", "name", "description", "image", "services", "x402Support", "active"];
    expected.sort_unstable();
    assert_eq!(
        keys.into_iter().collect::<std::collections::BTreeSet<_>>(),
        expected.map(str::to_owned).into()
    );
}

#[test]
fn each_field_of_the_profile_stands_alone_and_only_for_the_default_agent() {
    let chat = offer("llm/chat")
        .host("chat.example")
        .set("/spec/registration/name", "Chat")
        .set("/spec/registration/description", "Chats.")
        .set("/spec/registration/image", "ipfs://chat")
        .set("/spec/registration/supportedTrust", json!(["reputation"]))
        .set("/spec/registration/metadata", json!({ "gpu": "A100" }))
        .set("/spec/provenance", json!({ "framework": "chat" }));
    let plain = projected([&chat], &rules(), NOW);
    let map = |key: &str| Some([(key.to_owned(), "x".to_owned())].into());
    let none = ProfileOverrides::default;
    let cases = [
        ("nothing", none(), None),
        ("name", ProfileOverrides { name: Some("North".into()), ..none() }, Some(json!("North"))),
        (
            "description",
            ProfileOverrides { description: Some("All.".into()), ..none() },
            Some(json!("All.")),
        ),
        (
            "image",
            ProfileOverrides { image: Some("ipfs://n".into()), ..none() },
            Some(json!("ipfs://n")),
        ),
        (
            "supportedTrust",
            ProfileOverrides { supported_trust: Some(vec!["tee".into()]), ..none() },
            Some(json!(["tee"])),
        ),
        ("metadata", ProfileOverrides { metadata: map("m"), ..none() }, Some(json!({ "m": "x" }))),
        (
            "provenance",
            ProfileOverrides { provenance: map("p"), ..none() },
            Some(json!({ "p": "x" })),
        ),
    ];
    for_each_row(cases, |(field, profile, value)| {
        let projection = projected([&chat], &Rules { profile, ..rules() }, NOW);
        let mut expected = json_of(&plain.default);
        if let Some(value) = value {
            expected[field] = value;
        }
        assert_eq!(json_of(&projection.default), expected, "{field}");
        assert_eq!(projection.hosts, plain.hosts, "{field}: host agents keep their own");
        assert_eq!(projection.published, plain.published, "{field}: offers keep their own");
    });
    let emptied =
        ProfileOverrides { supported_trust: Some(vec![]), metadata: Some([].into()), ..none() };
    let document =
        json_of(&projected([&chat], &Rules { profile: emptied, ..rules() }, NOW).default);
    assert_eq!((document.get("supportedTrust"), document.get("metadata")), (None, None));
}

#[test]
fn no_value_of_payment_refuses_an_offer_or_is_published() {
    let unread = json!({
        "network": "no-such-chain", "payTo": "0xNOT_AN_ADDRESS", "asset": ["x"], "facilitator": 7,
        "price": { "perRequest": "-1e999", "perMB": {}, "perHour": null, "perEpoch": "free" },
    });
    let mut payments: Vec<Value> =
        vec![json!(null), json!("x"), json!([]), json!(5), unread.clone()];
    for method in [json!("x402"), json!("bitcoin"), json!(5), json!({})] {
        let mut payment = unread.clone();
        payment["method"] = method;
        payments.push(payment);
    }
    let plain = own(&offer("llm/chat"));
    for_each_row(payments, |payment| {
        let document = own(&offer("llm/chat").set("/spec/payment", payment.clone()));
        assert_eq!(document, plain, "{payment}");
    });
}

#[test]
fn the_oldest_published_offer_lends_the_top_level() {
    let old = offer("z/old").created("2025-01-01T00:00:00Z").set("/spec/registration/name", "Old");
    let young =
        offer("a/young").created("2026-01-01T00:00:00Z").set("/spec/registration/name", "Young");
    let name = |resources: [&Resource; 2], now: &str| {
        json_of(&projected(resources, &rules(), now).default)["name"].clone()
    };
    assert_eq!(name([&old, &young], NOW), "Old");
    assert_eq!(name([&old.clone().disabled(), &young], NOW), "Young");
    let draining = old.draining("2026-02-01T00:00:00Z", "1h");
    assert_eq!(name([&draining, &young], "2026-02-01T00:59:59Z"), "Old", "draining still lends");
    assert_eq!(name([&draining, &young], "2026-02-01T01:00:00Z"), "Young", "drained no longer");
}

#[test]
fn offers_stand_oldest_first_then_by_namespace_and_name_and_timeless_ones_last() {
    let timeless = |id: &str| offer(id).set("/metadata/creationTimestamp", Value::Null);
    let resources = [
        timeless("a/q"),
        offer("c/b").created("2026-01-01T00:00:00Z"),
        offer("c/a").created("2026-01-01T00:00:00Z"),
        offer("b/z").created("2026-01-01T01:00:00+01:00"),
        offer("z/first").created("2025-12-31T23:59:59Z"),
        timeless("a/0"),
        offer("a/late").created("2026-01-01T00:00:00.5Z"),
    ];
    let projection = projected(&resources, &rules(), NOW);
    assert_eq!(published(&projection), ["z/first", "b/z", "c/a", "c/b", "a/late", "a/0", "a/q"]);
    let names = ["first", "z", "a", "b", "late", "0", "q"];
    let expected =
        names.map(|name| ("web".to_owned(), format!("https://seller.example/services/{name}")));
    assert_eq!(listed(&projection.default), expected);
}

#[test]
fn an_offer_lists_web_then_oasf_then_its_own_entries() {
    let chat = offer("llm/chat")
        .path("/chat/")
        .service("A2A", "https://a.example/a2a")
        .service("web", "https://a.example")
        .set("/spec/registration/skills", json!(["text", ""]))
        .set("/spec/registration/domains", json!(["ai"]));
    let expected = json!([
        { "name": "web", "endpoint": "https://seller.example/chat/" },
        { "name": "OASF", "endpoint": "https://github.com/agntcy/oasf/", "version": "0.8.0",
          "skills": ["text"], "domains": ["ai"] },
        { "name": "A2A", "endpoint": "https://a.example/a2a" },
        { "name": "web", "endpoint": "https://a.example" },
    ]);
    assert_eq!(own(&chat)["services"], expected);
    let oasf = |key: &str| {
        let document =
            own(&offer("llm/chat").set(&format!("/spec/registration/{key}"), json!(["x"])));
        let entry = document["services"][1].as_object().unwrap().clone();
        entry.keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(oasf("skills"), ["endpoint", "name", "skills", "version"].map(str::to_owned).into());
    assert_eq!(
        oasf("domains"),
        ["domains", "endpoint", "name", "version"].map(str::to_owned).into()
    );
    let plain = own(&offer("llm/chat").set("/spec/registration/skills", json!([])));
    assert_eq!(plain["services"].as_array().unwrap().len(), 1);
}

#[test]
fn drain_keys_stand_on_every_entry_but_the_generated_oasf() {
    let chat = offer("llm/chat")
        .host("chat.example")
        .service("OASF", "https://chat.example/oasf")
        .service("ENS", "chat.eth")
        .service("A2A", "/a2a")
        .set("/spec/registration/domains", json!(["ai"]))
        .draining("2026-02-01T00:00:00Z", "1500ms");
    let plain = offer("llm/other");
    let projection = projected([&chat, &plain], &rules(), NOW);
    let marks = |document: &Document| {
        let services = json_of(document)["services"].as_array().unwrap().clone();
        let mark = |entry: &Value| match (entry.get("available"), entry.get("drainEndsAt")) {
            (Some(available), Some(end)) => {
                assert_eq!((available, end), (&json!(false), &json!("2026-02-01T00:00:01Z")));
                true
            }
            (None, None) => false,
            half => panic!("{half:?}"),
        };
        services.iter().map(mark).collect::<Vec<_>>()
    };
    // web, OASF, a custom OASF, ENS; then the other offer's web.
    assert_eq!(marks(&projection.default), [true, false, true, true, false]);
    assert_eq!(marks(&projection.published[0].document), [true, false, true, true]);
    // web, OASF, a custom OASF, A2A.
    assert_eq!(marks(at_host(&projection, "chat.example")), [true, false, true, true]);
    assert_eq!(json_of(&projection.default)["active"], true);
}

#[test]
fn a_host_agent_shows_what_is_on_its_origin() {
    let cases = [
        ("a path", "A2A", "/a2a?x#y", Some("https://audit.example/a2a?x#y")),
        ("the root", "A2A", "/", Some("https://audit.example/")),
        ("a path to another host", "A2A", "//audit.example/x", None),
        ("a path to another host in three", "A2A", "///audit.example/x", None),
        ("a path with a backslash", "A2A", "/\\evil.example", None),
        ("a path with a space", "A2A", "/a b", None),
        ("a path with an @", "A2A", "/@x", Some("https://audit.example/@x")),
        ("a text that would extend the host", "A2A", ".evil.example", None),
        ("a text that would be a port", "A2A", ":8443/x", None),
        ("the origin", "A2A", "https://audit.example", Some("https://audit.example")),
        (
            "the origin in capitals",
            "A2A",
            "HTTPS://Audit.Example/X",
            Some("HTTPS://Audit.Example/X"),
        ),
        (
            "the origin's own port",
            "A2A",
            "https://audit.example:443/x",
            Some("https://audit.example:443/x"),
        ),
        ("another port", "A2A", "https://audit.example:8443/x", None),
        ("another scheme", "A2A", "http://audit.example/x", None),
        ("a final dot", "A2A", "https://audit.example./x", None),
        ("user-info", "A2A", "https://x@audit.example/", None),
        ("the origin as user-info", "A2A", "https://audit.example@b.example/", None),
        ("a longer name", "A2A", "https://audit.example.b.example/", None),
        ("a subdomain", "A2A", "https://x.audit.example/", None),
        ("the public URL", "A2A", "https://seller.example/x", None),
        ("ENS", "ENS", "audit.eth", None),
        ("DID", "DID", "did:web:audit.example", None),
        ("email", "email", "help@audit.example", None),
        ("an ENS that is a path", "ENS", "/x", None),
        ("a DID that is on the origin", "DID", "https://audit.example/did", None),
        ("no name", "", "/x", None),
        ("a control character", "A2A", "/\u{7}", None),
    ];
    for_each_row(cases, |(case, name, endpoint, shown)| {
        let audit = offer("a/audit").host("Audit.example").service(name, endpoint);
        let projection = projected([&audit], &rules(), NOW);
        let mut expected = pairs([("web", "https://audit.example")]);
        expected.extend(shown.map(|shown| (name.to_owned(), shown.to_owned())));
        assert_eq!(listed(at_host(&projection, "audit.example")), expected, "{case}: {endpoint:?}");
    });
    let long = |length: usize| {
        let audit = offer("a/audit")
            .host("audit.example")
            .service("A2A", &format!("/{}", "a".repeat(length - 1)));
        listed(at_host(&projected([&audit], &rules(), NOW), "audit.example")).len()
    };
    let origin = "https://audit.example".len();
    assert_eq!(
        (long(2_048 - origin), long(2_049 - origin)),
        (2, 1),
        "the cap is on what is published"
    );
}

#[test]
fn a_path_entry_is_for_the_host_alone() {
    let audit = offer("a/audit").host("audit.example").service("A2A", "/a2a");
    let projection = projected([&audit], &rules(), NOW);
    assert_eq!(
        listed(&projection.default),
        pairs([("web", "https://seller.example/services/audit")])
    );
    assert_eq!(projection.published[0].document.services, projection.default.services);
}

#[test]
fn without_published_offers_the_agent_is_a_tombstone() {
    let tombstone = |profile: ProfileOverrides, agent_name: &str| {
        let rules = Rules { profile, agent_name: agent_name.to_owned(), ..rules() };
        json_of(&projected([&offer("llm/chat").disabled()], &rules, NOW).default)
    };
    let expected = |name: &str, image: &str| {
        json!({
            "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
            "name": name, "description": format!("Agent {name} (deactivated)"), "image": image,
            "services": [], "x402Support": false, "active": false,
        })
    };
    let icon = "https://seller.example/agent-icon.png";
    assert_eq!(tombstone(ProfileOverrides::default(), "default"), expected("default", icon));
    assert_eq!(tombstone(ProfileOverrides::default(), "north"), expected("north", icon));
    let full = ProfileOverrides {
        name: Some("North".to_owned()),
        description: Some("Sells.".to_owned()),
        image: Some("ipfs://north".to_owned()),
        supported_trust: Some(vec!["reputation".to_owned()]),
        metadata: Some([("a".to_owned(), "b".to_owned())].into()),
        provenance: None,
    };
    assert_eq!(tombstone(full, "default"), expected("North", "ipfs://north"));
    let nothing = projected([], &rules(), NOW);
    assert_eq!(json_of(&nothing.default), expected("default", icon));
    assert!(nothing.hosts.is_empty() && nothing.explanations.is_empty());
}

#[test]
fn a_host_whose_holder_is_not_published_is_a_tombstone_of_its_own() {
    let profile = ProfileOverrides {
        name: Some("North".to_owned()),
        image: Some("ipfs://n".to_owned()),
        ..ProfileOverrides::default()
    };
    let rules = Rules { profile, ..rules() };
    let audit = offer("a/audit").host("Audit.example");
    let gone = [
        ("disabled", audit.clone().disabled()),
        ("drained", audit.clone().draining("2026-01-01T00:00:00Z", "1h")),
        ("with a bad path", audit.clone().path("x")),
        ("undecodable", audit.clone().set("/spec/type", 5)),
    ];
    for_each_row(gone, |(case, resource)| {
        let projection = projected([&resource, &offer("llm/chat")], &rules, NOW);
        let expected = json!({
            "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1", "name": "audit.example",
            "description": "Agent audit.example (deactivated)", "image": "https://seller.example/agent-icon.png",
            "services": [], "x402Support": false, "active": false,
        });
        assert_eq!(json_of(at_host(&projection, "audit.example")), expected, "{case}");
        assert_eq!(published(&projection), ["llm/chat"], "{case}");
    });
    let deleted = audit.set("/metadata/deletionTimestamp", NOW);
    assert!(projected([&deleted], &rules, NOW).hosts.is_empty(), "nobody claims it");
}
