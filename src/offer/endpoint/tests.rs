//! Which custom entries and images are published, and the codes for those that are not.

use crate::{
    offer::{EntryCode, EntryCode::*, Service, is_image},
    testing::{explanation, for_each_row, listed, offer, projected, rules},
};
use serde_json::json;

mod hostile_urls;

#[test]
fn each_code_has_entries_that_it_rejects_and_entries_that_pass() {
    let long = |length: usize| "a".repeat(length);
    let url = |length: usize| format!("https://a.example/{}", "a".repeat(length - 18));
    let good = "https://a.example";
    let text = str::to_owned;
    let cases = [
        ("an ordinary entry", text("A2A"), text(good), text("0.2.1"), None),
        ("no name", text(""), text(good), text(""), Some(BlankName)),
        ("a name of spaces", text(" \t\u{3000}"), text(good), text(""), Some(BlankName)),
        ("a blank name before a blank endpoint", text(""), text(""), text(""), Some(BlankName)),
        ("no endpoint", text("A2A"), text(""), text(""), Some(BlankEndpoint)),
        ("an endpoint of spaces", text("A2A"), text(" \n"), text(""), Some(BlankEndpoint)),
        ("a blank endpoint before a long name", long(65), text(""), text(""), Some(BlankEndpoint)),
        ("a name of 64 bytes", long(64), text(good), text(""), None),
        ("a name of 65 bytes", long(65), text(good), text(""), Some(TooLong)),
        ("a name of 33 two-byte letters", "\u{e9}".repeat(33), text(good), text(""), Some(TooLong)),
        ("an endpoint of 2,048 bytes", text("A2A"), url(2_048), text(""), None),
        ("an endpoint of 2,049 bytes", text("A2A"), url(2_049), text(""), Some(TooLong)),
        ("a version of 64 bytes", text("A2A"), text(good), long(64), None),
        ("a version of 65 bytes", text("A2A"), text(good), long(65), Some(TooLong)),
        (
            "too long before a control character",
            long(64) + "\u{1}",
            text(good),
            text(""),
            Some(TooLong),
        ),
        (
            "a control character before ENS",
            text("ENS"),
            text("\u{7f}"),
            text(""),
            Some(ControlCharacter),
        ),
        (
            "a control character before https",
            text("A2A"),
            text("http://a\n"),
            text(""),
            Some(ControlCharacter),
        ),
        (
            "an odd but printable name",
            text("My \u{1f916} \u{200d} <b>"),
            text(good),
            text(""),
            None,
        ),
        ("a name with spaces around", text(" A2A "), text(good), text(""), None),
    ];
    for_each_row(cases, |(case, name, endpoint, version, code)| {
        assert_eq!(Service::new(&name, &endpoint, &version).refusal, code, "{case}");
    });
}

#[test]
fn control_and_bidi_characters_are_refused_everywhere_and_no_others() {
    let refused = (0..0x20).chain(0x7f..0xa0).chain([0x61c, 0x200e, 0x200f]);
    let refused: Vec<u32> = refused.chain(0x202a..=0x202e).chain(0x2066..=0x2069).collect();
    for_each_row((0..0x2_1000).filter_map(char::from_u32), |c| {
        let code = refused.contains(&u32::from(c)).then_some(ControlCharacter);
        let text = format!("a{c}b");
        let in_endpoint = if "{}<>$".contains(c) { Some(Placeholder) } else { code };
        let refusal = Service::new("DID", &format!("did:{text}"), "").refusal;
        assert_eq!(refusal, in_endpoint, "endpoint {c:?}");
        assert_eq!(Service::new(&text, "https://a.example", "").refusal, code, "name {c:?}");
        assert_eq!(Service::new("x", "https://a.example", &text).refusal, code, "version {c:?}");
        assert_eq!(is_image(&format!("ipfs://{text}")), code.is_none(), "image {c:?}");
    });
}

#[test]
fn ens_did_and_email_have_their_own_grammars_and_exact_names() {
    let cases = [
        ("ENS", "vitalik.eth", None),
        ("ENS", "pay.my-agent.v2.eth", None),
        ("ENS", "-.eth", None),
        ("ENS", "eth.eth", None),
        ("ENS", ".eth", Some(InvalidEns)),
        ("ENS", "eth", Some(InvalidEns)),
        ("ENS", "a..eth", Some(InvalidEns)),
        ("ENS", ".a.eth", Some(InvalidEns)),
        ("ENS", "Vitalik.eth", Some(InvalidEns)),
        ("ENS", "a_b.eth", Some(InvalidEns)),
        ("ENS", "a b.eth", Some(InvalidEns)),
        ("ENS", "a.eth ", Some(InvalidEns)),
        ("ENS", "a.eth.", Some(InvalidEns)),
        ("ENS", "a.ETH", Some(InvalidEns)),
        ("ENS", "a.eth.link", Some(InvalidEns)),
        ("ENS", "b\u{fc}cher.eth", Some(InvalidEns)),
        ("ENS", "https://a.example", Some(InvalidEns)),
        ("ens", "vitalik.eth", Some(NotHttps)),
        ("Ens", "https://a.example", None),
        ("DID", "did:web:a.example", None),
        ("DID", "did:", None),
        ("DID", "DID:web:a.example", Some(InvalidDid)),
        ("DID", " did:web:a.example", Some(InvalidDid)),
        ("DID", "https://a.example", Some(InvalidDid)),
        ("did", "did:web:a.example", Some(NotHttps)),
        ("email", "help@a.example", None),
        ("email", "a+b@c.d", None),
        ("email", "a@b.c.d", None),
        ("email", "a@.b.c", None),
        ("email", "a@b..c", None),
        ("email", "help", Some(InvalidEmail)),
        ("email", "@a.example", Some(InvalidEmail)),
        ("email", "help@", Some(InvalidEmail)),
        ("email", "help@localhost", Some(InvalidEmail)),
        ("email", "a@.b", Some(InvalidEmail)),
        ("email", "a@b.", Some(InvalidEmail)),
        ("email", "a@b@c.d", Some(InvalidEmail)),
        ("email", "a b@c.d", Some(InvalidEmail)),
        ("email", "a@c d.e", Some(InvalidEmail)),
        ("email", "a@b.c ", Some(InvalidEmail)),
        ("email", "\u{a0}a@b.c", Some(InvalidEmail)),
        ("email", "https://a.example", Some(InvalidEmail)),
        ("Email", "help@a.example", Some(NotHttps)),
        ("OASF", "https://a.example", None),
        ("OASF", "a.example", Some(NotHttps)),
    ];
    for_each_row(cases, |(name, endpoint, code)| {
        assert_eq!(Service::new(name, endpoint, "").refusal, code, "{name} {endpoint:?}");
    });
}

#[test]
fn an_endpoint_with_a_placeholder_is_refused() {
    let refused = [
        ("MCP", "https://a.example/agents/{agentId}"),
        ("MCP", "https://a.example/agents/{"),
        ("MCP", "https://a.example/agents/}"),
        ("MCP", "https://a.example/<id>"),
        ("MCP", "https://a.example/a>"),
        ("MCP", "https://a.example/%7BagentId%7d"),
        ("MCP", "https://a.example/?q=%7b"),
        ("MCP", "https://a.example/%3cid"),
        ("MCP", "https://a.example/#%3E"),
        ("MCP", "https://$HOST/mcp"),
        ("MCP", "https://a.example/$id"),
        ("MCP", "https://a.example/${id}"),
        ("MCP", "https://a.example/$(id)"),
        ("MCP", "https://a.example/$$A"),
        ("MCP", "https://a.example/:id"),
        ("MCP", "https://a.example/x/:Id/y"),
        ("MCP", "http://a.example/{id}"),
        ("MCP", "https://a<b.example/"),
        ("MCP", "https:///a.example/:id"),
        ("MCP", "/agents/{id}"),
        ("ENS", "<name>.eth"),
        ("DID", "did:web:{host}"),
        ("email", "$USER@a.example"),
    ];
    for_each_row(refused, |(name, endpoint)| {
        assert_eq!(Service::new(name, endpoint, "").refusal, Some(Placeholder), "{endpoint}");
    });
    let published = [
        ("MCP", "https://a.example/a$"),
        ("MCP", "https://a.example/$5"),
        ("MCP", "https://a.example/$1a"),
        ("MCP", "https://a.example/%24id"),
        ("MCP", "https://a.example/%257Bid"),
        ("MCP", "https://a.example/a:id"),
        ("MCP", "https://a.example/:8"),
        ("MCP", "https://a.example/:"),
        ("MCP", "https://a.example:443/"),
        ("MCP", "https://a.example/?x=/:id"),
        ("MCP", "https://a.example/#/:id"),
        ("MCP", "https://a.example:443/%3A/[id]"),
        ("DID", "did:web:a.example:8443"),
    ];
    for_each_row(published, |(name, endpoint)| {
        assert_eq!(Service::new(name, endpoint, "").refusal, None, "{endpoint}");
    });
    assert!(!is_image("https://a.example/{id}.png"));
    assert!(is_image("data:image/svg+xml,<svg/>"));
}

#[test]
fn codes_are_printed_by_name_in_the_order_in_which_they_apply() {
    let names = [
        "BlankName",
        "BlankEndpoint",
        "TooLong",
        "ControlCharacter",
        "Placeholder",
        "InvalidEns",
        "InvalidDid",
        "InvalidEmail",
        "NotHttps",
        "UserInfo",
        "NotPublicHost",
        "NameNotListed",
        "NotOnHost",
    ];
    assert_eq!(EntryCode::ALL.map(EntryCode::as_str), names);
    for_each_row(EntryCode::ALL, |code| {
        assert_eq!(
            (code.to_string(), json!(code)),
            (code.as_str().to_owned(), json!(code.as_str()))
        );
        assert!(code.message().ends_with('.'), "{code}");
    });
    let messages: std::collections::BTreeSet<_> = EntryCode::ALL.map(EntryCode::message).into();
    assert_eq!(messages.len(), EntryCode::ALL.len(), "each code has a message of its own");
}

#[test]
fn a_rejected_entry_is_dropped_and_the_offer_is_published() {
    let chat = offer("llm/chat")
        .service("A2A", "https://a.example/a2a")
        .service("MCP", "https://chat.llm.svc:8080")
        .service("", "https://a.example")
        .service("ENS", "chat.eth");
    let projection = projected([&chat], &rules(), "2026-01-02T00:00:00Z");
    let entries = [
        ("web", "https://seller.example/services/chat"),
        ("A2A", "https://a.example/a2a"),
        ("ENS", "chat.eth"),
    ];
    assert_eq!(
        listed(&projection.default),
        entries.map(|(name, url)| (name.to_owned(), url.to_owned()))
    );
    let dropped = json!(explanation(&projection, "llm/chat").dropped_services);
    let expected = json!([
        { "index": 1, "name": "MCP", "endpoint": "https://chat.llm.svc:8080", "code": "NotPublicHost",
          "message": NotPublicHost.message(), "documents": ["aggregate"] },
        { "index": 2, "name": "", "endpoint": "https://a.example", "code": "BlankName",
          "message": BlankName.message(), "documents": ["aggregate"] },
    ]);
    assert_eq!(dropped, expected);
}

#[test]
fn only_listed_names_are_published_including_generated_entries() {
    let chat = offer("llm/chat")
        .host("chat.example")
        .set("/spec/registration/skills", json!(["text"]))
        .service("A2A", "https://chat.example/a2a")
        .service("a2a", "https://chat.example/lower")
        .service("MCP", "http://chat.example");
    let published = |names: Option<&[&str]>| {
        let service_names = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        let rules = crate::registration::Rules { service_names, ..rules() };
        let projection = projected([&chat], &rules, "2026-01-02T00:00:00Z");
        let names =
            |document| listed(document).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let host = projection.hosts.values().next().unwrap();
        assert_eq!(names(&projection.default), names(&host.document));
        assert_eq!(names(&projection.default), names(&projection.published[0].document));
        let dropped = explanation(&projection, "llm/chat").dropped_services.iter();
        let dropped: Vec<_> =
            dropped.map(|drop| (drop.index, drop.name.clone(), drop.code)).collect();
        (names(&projection.default), dropped)
    };
    let drop = |index: Option<usize>, name: &str, code| (index, name.to_owned(), code);
    let refused = drop(Some(2), "MCP", NotHttps);
    assert_eq!(published(None).0, ["web", "OASF", "A2A", "a2a"]);
    assert_eq!(published(None).1, std::slice::from_ref(&refused));
    let (names, dropped) = published(Some(&["A2A", "MCP"]));
    assert_eq!(names, ["A2A"]);
    let unlisted = [drop(None, "web", NameNotListed), drop(None, "OASF", NameNotListed)];
    assert_eq!(
        dropped,
        [unlisted.as_slice(), &[drop(Some(1), "a2a", NameNotListed), refused]].concat()
    );
    assert_eq!(published(Some(&["web", "OASF"])).0, ["web", "OASF"]);
    assert!(published(Some(&[])).0.is_empty());
}

#[test]
fn an_image_is_public_https_ipfs_or_embedded_or_replaced_by_the_default() {
    let padded = |length: usize| format!("https://a.example/{}", "a".repeat(length - 18));
    let cases = [
        ("https", "https://a.example/icon.png".to_owned(), true),
        ("https in capitals", "HTTPS://a.example/icon.png".to_owned(), true),
        ("ipfs", "ipfs://bafy/icon.png".to_owned(), true),
        ("embedded", "data:image/png;base64,AAAA".to_owned(), true),
        ("embedded and large", format!("data:image/png;base64,{}", "A".repeat(5_000)), true),
        ("https of 2,048 bytes", padded(2_048), true),
        ("https of 2,049 bytes", padded(2_049), false),
        ("http", "http://a.example/icon.png".to_owned(), false),
        ("a path", "/icon.png".to_owned(), false),
        ("a blank", " ".to_owned(), false),
        ("a host in the cluster", "https://minio.llm.svc/icon.png".to_owned(), false),
        ("an IP address", "https://10.0.0.1/icon.png".to_owned(), false),
        ("userinfo", "https://me@a.example/icon.png".to_owned(), false),
        ("an embedded page", "data:text/html,<script>".to_owned(), false),
        ("a script", "javascript:alert(1)".to_owned(), false),
        ("ipfs without slashes", "ipfs:bafy".to_owned(), false),
        ("a control character", "data:image/png;base64,\u{7}".to_owned(), false),
        ("a bidi character", "https://a.example/\u{202e}gnp".to_owned(), false),
    ];
    for_each_row(cases, |(case, image, fits)| {
        assert_eq!(is_image(&image), fits, "{case}");
        let chat = offer("llm/chat").set("/spec/registration/image", image.as_str());
        let projection = projected([&chat], &rules(), "2026-01-02T00:00:00Z");
        let shown = &projection.default.profile.image;
        assert_eq!(
            shown,
            if fits { &image } else { "https://seller.example/agent-icon.png" },
            "{case}"
        );
        let warned =
            explanation(&projection, "llm/chat").message.contains("spec.registration.image");
        assert_eq!(warned, !fits, "{case}");
    });
}
