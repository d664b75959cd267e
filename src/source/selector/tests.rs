//! Namespaces and label selectors: which offers are read.

use crate::{
    source::{Scope, files::Manifests, parse_selector},
    testing::{for_each_row, public_url},
};
use tempfile::TempDir;

/// The names of the offers that a scope chooses.
fn chosen(scope: Scope, folder: &TempDir) -> Vec<String> {
    let observed = Manifests::new(folder.path(), scope, public_url())
        .read(tokio::time::Instant::now())
        .unwrap();
    observed.world.unwrap().offers.keys().map(|id| id.name.to_string()).collect()
}

#[test]
fn offers_outside_the_namespaces_and_the_selector_are_not_read() {
    let labelled = |name: &str, labels: &str| {
        format!(
            "apiVersion: obol.org/v1alpha1\nkind: ServiceOffer\nmetadata: {{name: {name}, labels: {labels}}}\n---\n"
        )
    };
    let all = [
        labelled("gold", "{tier: gold, env: prod}"),
        labelled("silver", "{tier: silver}"),
        labelled("empty", "{tier: ''}"),
        labelled("none", "{}"),
        labelled("odd", "{tier: 5}"),
    ];
    let elsewhere = labelled("chat, namespace: llm", "{}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), all.concat() + &elsewhere).unwrap();
    let select = |text: &str| {
        let selector = Some(parse_selector(text).unwrap());
        let namespaces = ["default".to_owned()].into();
        chosen(Scope { selector, namespaces, ..Scope::default() }, &folder).join(" ")
    };
    let cases = [
        ("tier=gold", "gold"),
        ("tier==gold", "gold"),
        (" tier = gold , env = prod ", "gold"),
        ("tier=gold,env!=prod", ""),
        ("tier!=gold", "empty none odd silver"),
        ("tier in (gold,silver)", "gold silver"),
        ("tier in (gold, )", "empty gold"),
        ("tier in(gold)", "gold"),
        ("tier notin (gold,silver)", "empty none odd"),
        ("tier notin ()", "gold none odd silver"),
        ("tier", "empty gold silver"),
        ("!tier", "none odd"),
        ("tier,!env", "empty silver"),
        ("tier=", "empty"),
        ("tier!=", "gold none odd silver"),
        ("tier in (gold,silver),env notin (prod)", "silver"),
    ];
    for_each_row(cases, |(selector, names)| {
        assert_eq!(select(selector), names, "{selector:?}");
    });
    let namespaces = |names: &[&str]| {
        let namespaces = names.iter().map(|&name| name.to_owned()).collect();
        chosen(Scope { namespaces, ..Scope::default() }, &folder).len()
    };
    assert_eq!(
        (
            namespaces(&[]),
            namespaces(&["llm"]),
            namespaces(&["llm", "default"]),
            namespaces(&["x"])
        ),
        (6, 1, 6, 0)
    );
}

#[test]
fn an_invalid_selector_is_rejected() {
    let texts = [
        "",
        ",",
        "a,",
        "=a",
        "a=b=c",
        "a in",
        "a in b",
        "a in (b",
        "a on (b)",
        "a in (b c)",
        "!",
        "!a=b",
        "-a",
        "a-",
        "a b",
        "a=b c",
        "a=-b",
        "a=\u{e9}",
        "x/y/z",
        "UPPER.example/a",
        "/a",
        "a/",
        "a=b)",
        "(a)",
        "in (a)",
    ];
    for_each_row(texts, |text| {
        assert!(parse_selector(text).is_err(), "{text:?}");
    });
    let long = format!("{}=x", "a".repeat(64));
    assert!(parse_selector(&long).is_err());
    for_each_row(["app.kubernetes.io/name=x", "A_b.c-d=E_f.g-h", "a=1"], |text| {
        assert!(parse_selector(text).is_ok(), "{text:?}");
    });
}
