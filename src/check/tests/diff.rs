use serde_json::{Value, json};

use crate::{check::diff::differences, testing::for_each_row};

/// The differences as lines.
fn lines(served: &Value, ours: &Value) -> Vec<String> {
    let found = differences(served, ours).into_iter();
    let side = |side: Option<String>| side.unwrap_or_else(|| "nothing".to_owned());
    found.map(|d| format!("{}: {} -> {}", d.path, side(d.served), side(d.ours))).collect()
}

#[test]
fn documents_are_compared_as_a_reader_sees_them() {
    let web = json!({ "name": "web", "endpoint": "https://a.example" });
    let draining = json!({ "name": "web", "endpoint": "https://a.example", "drainEndsAt": "2026-06-01T12:00:00Z" });
    let oasf = json!({ "name": "OASF", "skills": ["x"] });
    let id = |id: u8| json!({ "agentRegistry": "eip155:1:0x00", "agentId": id });
    let rows = [
        ("the same", json!({ "a": 1, "b": [1, 2] }), json!({ "b": [2, 1], "a": 1 }), vec![]),
        ("a member more", json!({}), json!({ "active": true }), vec!["active: nothing -> true"]),
        (
            "a member less",
            json!({ "a": { "b": 1 } }),
            json!({ "a": {} }),
            vec!["a.b: 1 -> nothing"],
        ),
        (
            "another value",
            json!({ "name": "A" }),
            json!({ "name": "B" }),
            vec!["name: \"A\" -> \"B\""],
        ),
        ("another type", json!({ "a": [] }), json!({ "a": {} }), vec!["a: [] -> {}"]),
        (
            "an entry in another place",
            json!({ "services": [oasf, web] }),
            json!({ "services": [web, oasf] }),
            vec![],
        ),
        (
            "a changed entry",
            json!({ "services": [oasf, web] }),
            json!({ "services": [draining, oasf] }),
            vec!["services[1].drainEndsAt: nothing -> \"2026-06-01T12:00:00Z\""],
        ),
        (
            "an entry less and one more",
            json!({ "services": [web] }),
            json!({ "services": [oasf] }),
            vec![
                "services[0]: {\"endpoint\":\"https://a.example\",\"name\":\"web\"} -> nothing",
                "services[0]: nothing -> {\"name\":\"OASF\",\"skills\":[\"x\"]}",
            ],
        ),
        (
            "another id in a registry",
            json!({ "registrations": [id(1)] }),
            json!({ "registrations": [id(2)] }),
            vec!["registrations[0].agentId: 1 -> 2"],
        ),
        (
            "one of two equal entries",
            json!({ "services": [web, web] }),
            json!({ "services": [web] }),
            vec!["services[1]: {\"endpoint\":\"https://a.example\",\"name\":\"web\"} -> nothing"],
        ),
    ];
    for_each_row(rows, |(case, served, ours, expected)| {
        assert_eq!(lines(&served, &ours), expected, "{case}");
    });
}

#[test]
fn a_long_value_is_shortened() {
    let found = differences(&json!({ "a": "x".repeat(1_000) }), &json!({}));
    assert_eq!(found[0].served.as_ref().unwrap().chars().count(), 101);
}
