//! Text that documents print: what is dropped from lists and maps, and which characters are refused.

use crate::{
    registration::Projection,
    testing::{
        NOON, Resource, explanation, for_each_row, json_of, offer, projected, rules,
        state_and_reason,
    },
};
use serde_json::{Value, json};

fn of(resource: &Resource) -> Projection {
    projected([resource], &rules(), NOON)
}

/// Every place where a text of the offer `llm/chat` can stand: a pointer into the resource, the
/// value with that text in it, and where the document prints it.
fn places(text: &str) -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/spec/registration/name", json!(text), "/name"),
        ("/spec/registration/description", json!(text), "/description"),
        ("/spec/registration/supportedTrust", json!([text]), "/supportedTrust/0"),
        ("/spec/registration/skills", json!([text]), "/services/1/skills/0"),
        ("/spec/registration/domains", json!([text]), "/services/1/domains/0"),
        ("/spec/registration/metadata", json!({ "k": text }), "/metadata/k"),
        ("/spec/registration/metadata", json!({ text: "v" }), "/metadata"),
        ("/spec/provenance", json!({ "k": text }), "/provenance/k"),
        ("/spec/provenance", json!({ text: "v" }), "/provenance"),
        ("/spec/type", json!(text), "/description"),
        ("/spec/model", json!({ "name": text }), "/description"),
    ]
}

#[test]
fn control_and_bidi_characters_are_published_nowhere() {
    let hidden = ['\u{0}', '\u{1}', '\r', '\u{7f}', '\u{85}', '\u{61c}', '\u{202e}', '\u{2066}'];
    let kept = ['\t', '\n', '\u{2028}', '\u{200b}', 'é', '<'];
    for_each_row(hidden.into_iter().chain(kept), |c| {
        let text = format!("a{c}b");
        for (pointer, value, place) in places(&text) {
            let kind = if pointer == "/spec/model" { "inference" } else { "http" };
            let resource = offer("llm/chat").set("/spec/type", kind).set(pointer, value);
            let projection = of(&resource);
            let document = json_of(&projection.default);
            let is_kept = kept.contains(&c);
            let printed = document.pointer(place).is_some_and(|printed| {
                let is_key = printed.as_object().is_some_and(|map| map.contains_key(&text));
                is_key || printed.as_str().is_some_and(|printed| printed.contains(&text))
            });
            assert_eq!(printed, is_kept, "{c:?} in {pointer}: {document}");
            let message = &explanation(&projection, "llm/chat").message;
            let warned = message.contains("contains a control or bidirectional");
            assert_eq!(warned, !is_kept, "{c:?} in {pointer}: {message}");
            assert!(!message.contains(c) || c == '<', "the warning repeats the value: {message}");
        }
    });
}

#[test]
fn a_refused_text_counts_as_not_set() {
    let chat = offer("llm/chat")
        .set("/spec/type", "x\u{202e}")
        .set("/spec/registration/name", "x\u{202e}")
        .set("/spec/registration/description", "x\u{202e}")
        .set("/spec/registration/metadata", json!({ " k": "x\u{202e}", "k": "second" }));
    let document = json_of(&of(&chat).default);
    assert_eq!(document["name"], "chat");
    assert_eq!(document["description"], "x402 payment-gated http service: chat");
    assert_eq!(document["metadata"], json!({ "k": "second" }));
}

#[test]
fn lists_have_no_blank_and_no_repeated_value_and_keep_their_order() {
    let rows = [
        (json!(["b", "a", "b", " ", "", "\t", "a", "b "]), json!(["b", "a", "b "])),
        (json!(["", " "]), Value::Null),
        (json!([]), Value::Null),
        (json!([" a"]), json!([" a"])),
    ];
    for_each_row(rows, |(written, printed)| {
        for (field, place) in [
            ("supportedTrust", "/supportedTrust"),
            ("skills", "/services/1/skills"),
            ("domains", "/services/1/domains"),
        ] {
            let resource =
                offer("llm/chat").set(&format!("/spec/registration/{field}"), written.clone());
            let document = json_of(&of(&resource).default);
            let actual = document.pointer(place).cloned().unwrap_or_default();
            assert_eq!(actual, printed, "{field}: {written}");
            let entries = document["services"].as_array().unwrap().len();
            assert_eq!(
                entries,
                if place.starts_with("/serv") && !printed.is_null() { 2 } else { 1 }
            );
        }
    });
}

#[test]
fn short_lists_of_an_entry_are_passed_through_within_their_limits() {
    let long = "x".repeat(65);
    let rows = [
        ("passed through", json!(["search", "quote", "quote", ""]), true),
        ("the limits", json!(vec!["x".repeat(64); 64]), true),
        ("too many", json!(vec!["x"; 65]), false),
        ("too long", json!(["ok", long]), false),
        ("a control character", json!(["a\tb"]), false),
        ("a bidi character", json!(["a\u{202e}b"]), false),
        ("another type", json!("search"), false),
        ("an item of another type", json!(["search", 5]), false),
    ];
    for_each_row(rows, |(case, list, is_kept)| {
        for (name, field, other) in
            [("MCP", "mcpTools", "a2aSkills"), ("A2A", "a2aSkills", "mcpTools")]
        {
            let entry = json!({ "name": name, "endpoint": "/x", field: list });
            let at_url = json!({ "name": name, "endpoint": "https://h.example/x", field: list });
            let resource = offer("llm/chat")
                .host("h.example")
                .set("/spec/registration/services", json!([entry, at_url]));
            let projection = of(&resource);
            assert_eq!(state_and_reason(&projection, "llm/chat").0.as_str(), "published", "{case}");
            let host = projection.hosts.values().next().unwrap();
            let (default, host) = (json_of(&projection.default), json_of(&host.document));
            for printed in [&default["services"][1], &host["services"][1], &host["services"][2]] {
                assert_eq!(printed["name"], name, "{case}");
                assert_eq!(printed.get(field), is_kept.then_some(&list), "{case}");
                assert_eq!(printed.get(other), None, "{case}");
            }
            let message = &explanation(&projection, "llm/chat").message;
            let warning = format!("services[1].{field} is not a list of at most 64 strings");
            assert_eq!(message.contains(&warning), !is_kept, "{case}: {message}");
        }
    });
}
