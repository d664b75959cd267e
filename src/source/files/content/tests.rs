//! Which objects of a file are taken, and what is said of the others.

use super::{Content, FileObject, HiddenBy};
use crate::{
    offer::OfferId,
    source::{
        Scope,
        manifest::{read_json, read_yaml},
        parse_selector,
    },
    testing::for_each_row,
};

fn content(yaml: &str, scope: &Scope) -> Content {
    Content::of(&read_yaml(yaml).unwrap(), scope)
}

fn taken(content: &Content) -> Vec<String> {
    let text = |object: &FileObject| match object {
        FileObject::Offer(id, _) | FileObject::Identity(id, _) => id.to_string(),
        FileObject::Hidden(id, by) => format!("{id}: {by}"),
        FileObject::Refused(why) => why.clone(),
    };
    content.objects.iter().map(text).collect()
}

#[test]
fn lists_of_our_kinds_are_expanded_and_name_the_kind_of_their_items() {
    let item = "{metadata: {name: x, namespace: llm}, spec: {registration: {enabled: true}}}";
    let ours = "apiVersion: obol.org/v1alpha1";
    let nested = |depth: usize| {
        let own = format!("{{{ours}, kind: ServiceOffer, metadata: {{name: x, namespace: llm}}}}");
        (0..depth).fold(own, |inner, _| format!("{{kind: List, items: [{inner}]}}"))
    };
    let cases = [
        ("typed", format!("{{{ours}, kind: ServiceOfferList, items: [{item}]}}"), "llm/x"),
        (
            "an item that names its kind",
            format!(
                "{{{ours}, kind: ServiceOfferList, items: [{{{ours}, kind: Agent, metadata: {{name: y}}}}, {item}]}}"
            ),
            "llm/x",
        ),
        (
            "identities",
            format!(
                "{{{ours}, kind: AgentIdentityList, items: [{{metadata: {{name: default, namespace: x402}}}}]}}"
            ),
            "x402/default",
        ),
        (
            "a typed list within a list",
            format!("{{kind: List, items: [{{{ours}, kind: ServiceOfferList, items: [{item}]}}]}}"),
            "llm/x",
        ),
        (
            "no items",
            format!(
                "{{{ours}, kind: ServiceOfferList}}\n---\n{{{ours}, kind: ServiceOfferList, items: null}}"
            ),
            "",
        ),
        (
            "another kind of list",
            "{apiVersion: v1, kind: SecretList, items: [{metadata: {name: s}}]}".to_owned(),
            "",
        ),
        (
            "another version",
            format!("{{apiVersion: obol.org/v2, kind: ServiceOfferList, items: [{item}]}}"),
            "",
        ),
        ("a kind that is not a list", "{apiVersion: v1, kind: AllowList, spec: {}}".to_owned(), ""),
        (
            "an untyped list names no kind",
            format!("kind: List\nitems:\n- {item}"),
            "line 3: a document has no kind, so it is not a Kubernetes object",
        ),
        (
            "items of another type",
            format!("\n{{{ours}, kind: ServiceOfferList, items: {{a: 1}}}}"),
            "line 2: the items of a ServiceOfferList are not a list",
        ),
        ("eight lists", nested(8), "llm/x"),
        ("nine lists", nested(9), "line 1: a list is inside more than 8 others, which is not read"),
    ];
    let scope = Scope { identity: Some(OfferId::new("x402", "default")), ..Scope::default() };
    for_each_row(cases, |(case, yaml, expected)| {
        assert_eq!(taken(&content(&yaml, &scope)).join(" | "), expected, "{case}");
    });
    let json = r#"{"apiVersion":"obol.org/v1alpha1","kind":"ServiceOfferList","metadata":{"resourceVersion":"1"},
        "items":[{"metadata":{"name":"x","namespace":"llm"},"spec":{"type":"http"}}]}"#;
    assert_eq!(taken(&Content::of(&read_json(json).unwrap(), &scope)), ["llm/x"]);
}

#[test]
fn a_refused_object_is_named_with_its_line_and_what_is_wrong() {
    let offer = |metadata: &str| {
        format!("apiVersion: obol.org/v1alpha1\nkind: ServiceOffer\nmetadata: {metadata}\n")
    };
    let quotes = "Put the value in quotes";
    let cases = [
        (
            "{name: a, namespace: n}",
            format!(
                "line 3: ServiceOffer false/a: metadata.namespace must be a string, but is a boolean. {quotes}"
            ),
        ),
        (
            "{name: 5, namespace: llm}",
            format!(
                "line 3: ServiceOffer llm/5: metadata.name must be a string, but is a number. {quotes}"
            ),
        ),
        (
            "{namespace: llm}",
            "line 3: ServiceOffer without a name in llm: metadata.name is not set".to_owned(),
        ),
        ("{name: ''}", "line 3: ServiceOffer without a name: metadata.name is not set".to_owned()),
        (
            "x",
            "line 3: ServiceOffer without a name: metadata must be an object, but is a string"
                .to_owned(),
        ),
    ];
    for_each_row(cases, |(metadata, expected)| {
        let content = content(&format!("# x\n---\n{}", offer(metadata)), &Scope::default());
        assert_eq!(taken(&content), [expected], "{metadata}");
        assert!(content.has_refused(), "{metadata}");
    });
    let typo = content(&format!("# x\n---\n{}", offer("{name: Bad_Name}")), &Scope::default());
    let refused = "line 3: ServiceOffer Bad_Name: metadata.namespace and metadata.name must be RFC \
                   1123 names";
    assert_eq!(taken(&typo), [refused, "default/Bad_Name"], "its claims stay");
    let long = content(&offer(&format!("{{name: [{}]}}", "x".repeat(10_000))), &Scope::default());
    assert!(taken(&long)[0].len() < 300, "a message has a bounded length");
    assert!(!content(&offer("{name: a}"), &Scope::default()).has_refused());
}

#[test]
fn what_is_passed_over_is_counted_by_kind_and_reason() {
    let object = |version: &str, kind: &str, metadata: &str| {
        format!("{{apiVersion: {version}, kind: {kind}, metadata: {{{metadata}}}}}\n---\n")
    };
    let ours = "obol.org/v1alpha1";
    let yaml = object("obol.network/v1alpha1", "ServiceOffer", "name: old, namespace: llm")
        + &object("obol.org/v1beta1", "ServiceOffer", "name: new")
        + &object("v1", "Secret", "name: s")
        + &object(ours, "AgentIdentity", "name: other")
        + &object(ours, "ServiceOffer", "name: a, namespace: web, labels: {tier: gold}")
        + &object(ours, "ServiceOffer", "name: b, namespace: llm, labels: {tier: tin}")
        + &object(ours, "ServiceOffer", "name: c, namespace: llm, labels: {tier: gold}");
    let scope = Scope {
        namespaces: ["llm".to_owned()].into(),
        selector: Some(parse_selector("tier=gold").unwrap()),
        identity: Some(OfferId::new("x402", "default")),
        ..Scope::default()
    };
    let content = content(&yaml, &scope);
    assert_eq!(
        taken(&content),
        [
            format!("web/a: {}", HiddenBy::Namespace),
            format!("llm/b: {}", HiddenBy::Selector),
            "llm/c".to_owned()
        ]
    );
    let groups: Vec<_> = content.passed_over.to_string().split("; ").map(str::to_owned).collect();
    assert_eq!(
        groups,
        [
            "1 ServiceOffer of obol.network/v1alpha1 (llm/old), because only obol.org/v1alpha1 is read",
            "1 ServiceOffer of obol.org/v1beta1 (new), because only obol.org/v1alpha1 is read",
            "1 ServiceOffer of obol.org/v1alpha1 (web/a), because --namespace does not name its namespace",
            "1 ServiceOffer of obol.org/v1alpha1 (llm/b), because --selector does not match its labels",
            "1 AgentIdentity of obol.org/v1alpha1 (default/other), because --identity does not name it",
            "1 Secret of v1 (s), because its kind is not read",
        ]
    );
    assert_eq!(content.passed_over.of_our_kinds().to_string().matches("; ").count(), 4);
    assert_eq!(content.passed_over.of_other_versions().to_string().matches("; ").count(), 1);
    let many: String = (0..50)
        .map(|index| {
            object("v1", &format!("K{index}"), "name: x") + &object("v1", "Secret", "name: s")
        })
        .collect();
    let text = super::Content::of(&read_yaml(&many).unwrap(), &scope).passed_over.to_string();
    assert!(text.ends_with("; and 31 other kinds"), "{text}");
}
