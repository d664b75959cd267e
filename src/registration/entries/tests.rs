//! What an explanation says is left out of the documents of an offer.

use crate::{
    registration::Rules,
    testing::{NOON, Resource, explanation, for_each_row, offer, projected, rules},
};
use serde_json::{Value, json};

/// What an explanation says is left out: index, name, code and documents.
fn dropped_of(resource: &Resource, rules: &Rules) -> Value {
    let projection = projected([resource], rules, NOON);
    let dropped = json!(explanation(&projection, "llm/chat").dropped_services);
    let items = dropped.as_array().unwrap().iter();
    items
        .map(|item| json!([item["index"], item["name"], item["code"], item["documents"]]))
        .collect()
}

#[test]
fn what_is_left_out_is_reported_for_each_document() {
    let of =
        |name: &str, endpoint: &str| offer("llm/chat").host("chat.example").service(name, endpoint);
    let long = |bytes: usize| format!("/{}", "x".repeat(bytes - 1));
    let both = json!(["aggregate", "host"]);
    let (aggregate, host) = (json!(["aggregate"]), json!(["host"]));
    let rows = [
        ("on the host", of("A2A", "https://CHAT.example/a2a"), vec![]),
        ("a path", of("A2A", "/a2a"), vec![("NotHttps", &aggregate)]),
        ("elsewhere", of("A2A", "https://a.example"), vec![("NotOnHost", &host)]),
        ("another port", of("A2A", "https://chat.example:444"), vec![("NotOnHost", &host)]),
        ("a valid ENS name", of("ENS", "chat.eth"), vec![("NotOnHost", &host)]),
        ("a DID on the host", of("DID", "did:web:chat.example"), vec![("NotOnHost", &host)]),
        ("an email address", of("email", "a@chat.example"), vec![("NotOnHost", &host)]),
        (
            "an address that is also a URL on the host",
            of("email", "https://chat.example/a@b.example"),
            vec![("NotOnHost", &host)],
        ),
        ("an invalid ENS name", of("ENS", "chat"), vec![("InvalidEns", &both)]),
        ("an insecure URL", of("A2A", "http://chat.example"), vec![("NotHttps", &both)]),
        ("a placeholder", of("A2A", "/{id}"), vec![("Placeholder", &both)]),
        ("no name", of("", "/a2a"), vec![("BlankName", &both)]),
        (
            "a path that only the origin makes too long",
            of("A2A", &long(2_048)),
            vec![("NotHttps", &aggregate), ("TooLong", &host)],
        ),
    ];
    for_each_row(rows, |(case, resource, expected)| {
        let name = resource.0["spec"]["registration"]["services"][0]["name"].clone();
        let item = |(code, documents): (&str, &Value)| json!([0, name, code, documents]);
        let expected: Value = expected.into_iter().map(item).collect();
        assert_eq!(dropped_of(&resource, &rules()), expected, "{case}");
        for host in [Value::Null, json!("seller.example")] {
            let expected: Vec<_> = expected
                .as_array()
                .unwrap()
                .iter()
                .filter(|item| item[3] != json!(["host"]))
                .map(|item| json!([0, name, item[2], ["aggregate"]]))
                .collect();
            let hostless = resource.clone().set("/spec/hostname", host);
            assert_eq!(dropped_of(&hostless, &rules()), json!(expected), "{case}: no own host");
        }
    });
    let service_names = Some(["web".to_owned(), "ENS".to_owned()].into());
    let unlisted = Rules { service_names, ..rules() };
    let skilled = of("A2A", "https://a.example").set("/spec/registration/skills", json!(["s"]));
    let expected = json!([
        [null, "OASF", "NameNotListed", both],
        [0, "A2A", "NameNotListed", both],
        [1, "ENS", "NotOnHost", host],
        [2, "MCP", "NotHttps", both],
    ]);
    let skilled = skilled.service("ENS", "chat.eth").service("MCP", "http://chat.example");
    assert_eq!(dropped_of(&skilled, &unlisted), expected);
    let path = of("A2A", "/a2a");
    let expected = json!([[0, "A2A", "NotHttps", aggregate], [0, "A2A", "NameNotListed", host],]);
    assert_eq!(dropped_of(&path, &unlisted), expected, "a path would do for the host");
}
