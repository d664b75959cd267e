//! Parsing one ServiceOffer: wrong types, absent fields, conditions, maps, and the claims of a
//! rejected offer.

use crate::{
    offer::{Conditions, Offer, OfferId, ParsedOffer, Rejection},
    testing::{Resource, at, for_each_row, law, offer},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(resource: &Resource) -> Offer {
    resource.parsed().verdict.unwrap()
}

#[test]
fn a_wrong_json_type_is_undecodable_and_names_the_field() {
    let drains = || offer("llm/chat").set("/spec/drainAt", "2026-01-01T12:00:00Z");
    let entry = |entry: Value| offer("llm/chat").set("/spec/registration/services", json!([entry]));
    let condition =
        |condition: Value| offer("llm/chat").set("/status/conditions", json!([condition]));
    let set = |pointer: &str, value: Value| offer("llm/chat").set(pointer, value);
    let cases = [
        ("metadata", set("/metadata", json!("x"))),
        ("metadata.creationTimestamp", set("/metadata/creationTimestamp", json!(5))),
        ("metadata.creationTimestamp", offer("llm/chat").created("yesterday")),
        ("metadata.creationTimestamp", offer("llm/chat").created("2026-01-01")),
        ("spec", set("/spec", json!("x"))),
        ("spec", set("/spec", json!([]))),
        ("spec", set("/spec", json!(5))),
        ("spec", set("/spec", json!(true))),
        ("spec.path", set("/spec/path", json!(["/x"]))),
        ("spec.hostname", set("/spec/hostname", json!({}))),
        ("spec.type", set("/spec/type", json!(1))),
        ("spec.model", set("/spec/model", json!("granite-8b"))),
        ("spec.model.name", set("/spec/model/name", json!(8))),
        ("spec.drainAt", set("/spec/drainAt", json!(1_779_631_200))),
        ("spec.drainAt", set("/spec/drainAt", json!(true))),
        ("spec.drainGracePeriod", drains().set("/spec/drainGracePeriod", 3_600)),
        ("spec.drainGracePeriod", drains().set("/spec/drainGracePeriod", json!({ "hours": 1 }))),
        ("spec.provenance", set("/spec/provenance", json!(["x"]))),
        ("spec.provenance", set("/spec/provenance", json!({ "framework": 5 }))),
        ("spec.registration", set("/spec/registration", json!("on"))),
        ("spec.registration.enabled", set("/spec/registration/enabled", json!("true"))),
        ("spec.registration.enabled", set("/spec/registration/enabled", json!(1))),
        ("spec.registration.name", set("/spec/registration/name", json!(5))),
        ("spec.registration.description", set("/spec/registration/description", json!(false))),
        ("spec.registration.image", set("/spec/registration/image", json!({}))),
        ("spec.registration.services", set("/spec/registration/services", json!({}))),
        ("spec.registration.services[]", entry(json!("web"))),
        ("spec.registration.services[].name", entry(json!({ "name": 5 }))),
        ("spec.registration.services[].endpoint", entry(json!({ "name": "A2A", "endpoint": [] }))),
        ("spec.registration.services[].version", entry(json!({ "name": "A2A", "version": 1.0 }))),
        ("spec.registration.supportedTrust", set("/spec/registration/supportedTrust", json!("x"))),
        ("spec.registration.supportedTrust", set("/spec/registration/supportedTrust", json!([5]))),
        ("spec.registration.skills", set("/spec/registration/skills", json!({ "a": "b" }))),
        ("spec.registration.skills", set("/spec/registration/skills", json!([["a"]]))),
        ("spec.registration.domains", set("/spec/registration/domains", json!([null]))),
        ("spec.registration.metadata", set("/spec/registration/metadata", json!("gpu=A100"))),
        ("spec.registration.metadata", set("/spec/registration/metadata", json!({ "gpus": 8 }))),
        ("status", set("/status", json!("ready"))),
        ("status.conditions", set("/status/conditions", json!({ "ModelReady": "True" }))),
        ("status.conditions[]", condition(json!("ModelReady"))),
        ("status.conditions[].type", condition(json!({ "type": 5, "status": "True" }))),
        ("status.conditions[].status", condition(json!({ "type": "ModelReady", "status": true }))),
    ];
    for_each_row(cases, |(field, resource)| {
        match ParsedOffer::parse(&OfferId::new("llm", "chat"), &resource.0).verdict {
            Err(Rejection::Undecodable(why)) => {
                assert!(why.starts_with(&format!("{field} ")), "{field} is not named by {why:?}");
            }
            other => panic!("{field}: {other:?}"),
        }
    });
}

#[test]
fn null_is_absent_in_every_field() {
    let bare = Resource(json!({ "metadata": { "namespace": "llm", "name": "chat" } }));
    let pointers = [
        "/metadata/creationTimestamp",
        "/metadata/deletionTimestamp",
        "/spec",
        "/spec/path",
        "/spec/hostname",
        "/spec/type",
        "/spec/model",
        "/spec/model/name",
        "/spec/drainAt",
        "/spec/drainGracePeriod",
        "/spec/provenance",
        "/spec/provenance/key",
        "/spec/registration",
        "/spec/registration/enabled",
        "/spec/registration/name",
        "/spec/registration/description",
        "/spec/registration/image",
        "/spec/registration/services",
        "/spec/registration/supportedTrust",
        "/spec/registration/skills",
        "/spec/registration/domains",
        "/spec/registration/metadata",
        "/spec/registration/metadata/key",
        "/status",
        "/status/conditions",
    ];
    let expected = bare.parsed();
    assert!(expected.verdict.is_ok() && !expected.deleting && expected.created.is_none());
    for_each_row(pointers, |pointer| {
        assert_eq!(bare.clone().set(pointer, Value::Null).parsed(), expected, "{pointer}");
    });
}

#[test]
fn an_absent_field_has_its_default() {
    let read = read(&offer("llm/chat"));
    assert_eq!(&*read.kind, "http", "the default of the CRD");
    assert_eq!(read.path.as_str(), "/services/chat");
    assert_eq!((read.host, read.model), (None, None));
    assert!(read.conditions == Conditions::default() && read.warnings.is_empty());
}

#[test]
fn empty_strings_count_as_not_set() {
    let resource =
        offer("llm/chat").path("").host("").set("/spec/type", "").set("/spec/model/name", "");
    let resource = resource
        .set("/spec/registration/name", " \t")
        .set("/spec/registration/description", "")
        .set("/spec/registration/image", "");
    assert_eq!(resource.parsed(), offer("llm/chat").parsed());
}

#[test]
fn a_rejected_offer_keeps_its_valid_claims() {
    let offer = || offer("llm/chat").path("/mine").host("audit.example");
    let mine = Some("/mine");
    let audit = Some("audit.example");
    let drains = || offer().set("/spec/drainAt", "2026-01-01T12:00:00Z");
    let cases = [
        ("a good offer", offer(), mine, audit),
        ("a host in capitals", offer().host("Audit.EXAMPLE"), mine, audit),
        ("a bad grace period", drains().set("/spec/drainGracePeriod", "1 hour"), mine, audit),
        (
            "a grace period of the wrong type",
            drains().set("/spec/drainGracePeriod", 5),
            mine,
            audit,
        ),
        ("a bad drainAt", offer().set("/spec/drainAt", "soon"), mine, audit),
        ("a bad path", offer().path("mine"), None, audit),
        ("a reserved path", offer().path("/api/x"), None, audit),
        ("a path of the wrong type", offer().set("/spec/path", 5), None, audit),
        (
            "a path that is null",
            offer().set("/spec/path", Value::Null),
            Some("/services/chat"),
            audit,
        ),
        ("a bad host", offer().host("audit"), mine, None),
        ("a host that is an IP address", offer().host("10.0.0.1"), mine, None),
        ("a host of the wrong type", offer().set("/spec/hostname", json!(["x"])), mine, None),
        (
            "both of the wrong type",
            offer().set("/spec/path", 5).set("/spec/hostname", 5),
            None,
            None,
        ),
        ("an undecodable field elsewhere", offer().set("/spec/type", 5), mine, audit),
        ("an undecodable status", offer().set("/status", "ready"), mine, audit),
        ("undecodable metadata", offer().set("/metadata/creationTimestamp", 5), mine, audit),
        ("an undecodable registration", offer().set("/spec/registration", 5), mine, audit),
        ("a disabled offer", offer().disabled(), mine, audit),
        ("a spec that is not an object", offer().set("/spec", "x"), None, None),
    ];
    for_each_row(cases, |(case, resource, path, host)| {
        let id = OfferId::new("llm", "chat");
        let claims = ParsedOffer::parse(&id, &resource.0).claims;
        assert_eq!(claims.path.as_ref().map(|path| path.as_str()), path, "{case}");
        assert_eq!(claims.host.as_ref().map(|host| host.as_str()), host, "{case}");
    });
}

#[test]
fn a_name_that_kubernetes_rejects_is_undecodable() {
    let names =
        [("llm", "Chat"), ("llm", "chat_1"), ("LLM", "chat"), ("llm", "-chat"), ("llm", "chat-")];
    for_each_row(
        names.into_iter().chain([("llm", ""), ("", "chat"), ("llm", "a..b")]),
        |(namespace, name)| {
            let parsed = ParsedOffer::parse(&OfferId::new(namespace, name), &offer("llm/chat").0);
            assert!(matches!(parsed.verdict, Err(Rejection::Undecodable(_))), "{namespace}/{name}");
        },
    );
    let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    let parse =
        |name: &str| ParsedOffer::parse(&OfferId::new("llm", name), &offer("llm/chat").0).verdict;
    assert!(parse(&longest).is_ok());
    assert!(parse(&format!("{longest}e")).is_err(), "254 bytes");
    assert!(parse(&"a".repeat(64)).is_err(), "a label of 64 bytes");
}

#[test]
fn enabled_is_read_even_if_the_rest_is_invalid() {
    let cases = [
        ("true", offer("llm/chat"), true),
        ("true beside an undecodable field", offer("llm/chat").set("/spec/type", 5), true),
        ("true beside a bad path", offer("llm/chat").path("x"), true),
        ("false", offer("llm/chat").disabled(), false),
        ("absent", offer("llm/chat").set("/spec/registration", json!({})), false),
        ("the string true", offer("llm/chat").set("/spec/registration/enabled", "true"), false),
        (
            "a registration that is a list",
            offer("llm/chat").set("/spec/registration", json!([true])),
            false,
        ),
        ("a spec that is not an object", offer("llm/chat").set("/spec", 5), false),
    ];
    for_each_row(cases, |(case, resource, enabled)| {
        assert_eq!(resource.parsed().enabled, enabled, "{case}");
    });
}

#[test]
fn age_and_deletion_are_read_from_metadata() {
    let parsed = offer("llm/chat").created("2026-01-01T01:00:00+01:00").parsed();
    assert_eq!((parsed.created, parsed.deleting), (Some(at("2026-01-01T00:00:00Z")), false));
    let parsed =
        offer("llm/chat").set("/metadata/deletionTimestamp", "2026-01-02T00:00:00Z").parsed();
    assert!(parsed.deleting && parsed.verdict.is_ok());
    let broken = offer("llm/chat")
        .set("/metadata/deletionTimestamp", "2026-01-02T00:00:00Z")
        .set("/spec", 5);
    assert!(broken.parsed().deleting, "an undecodable offer can be deleted too");
    assert_eq!(offer("llm/chat").created("yesterday").parsed().created, None);
}

#[test]
fn the_first_condition_of_a_type_decides_and_only_true_counts() {
    let condition = |kind: &str, status: &str| json!({ "type": kind, "status": status });
    let cases = [
        ("none", json!([]), vec![]),
        ("true", json!([condition("A", "True")]), vec!["A"]),
        ("false", json!([condition("A", "False")]), vec![]),
        ("unknown", json!([condition("A", "Unknown")]), vec![]),
        ("lower case", json!([condition("A", "true")]), vec![]),
        ("with a space", json!([condition("A", "True ")]), vec![]),
        ("without status", json!([{ "type": "A" }]), vec![]),
        ("without type", json!([{ "status": "True" }]), vec![]),
        ("a null entry", json!([null, condition("A", "True")]), vec!["A"]),
        ("true, then false", json!([condition("A", "True"), condition("A", "False")]), vec!["A"]),
        ("false, then true", json!([condition("A", "False"), condition("A", "True")]), vec![]),
        ("absent, then true", json!([{ "type": "A" }, condition("A", "True")]), vec![]),
        ("two types", json!([condition("B", "True"), condition("A", "True")]), vec!["A", "B"]),
        ("types of another case", json!([condition("a", "True")]), vec!["a"]),
        (
            "usual types and others",
            json!([
                condition("UpstreamHealthy", "True"),
                condition("A", "True"),
                condition("RoutePublished", "False"),
                condition("ModelReady", "True"),
            ]),
            vec!["ModelReady", "UpstreamHealthy", "A"],
        ),
    ];
    for_each_row(cases, |(case, list, holding)| {
        let read = read(&offer("llm/chat").set("/status/conditions", list));
        assert_eq!(Vec::from_iter(read.conditions.iter()), holding, "{case}");
    });
}

#[test]
fn maps_are_trimmed_and_blank_ones_dropped() {
    let cases = [
        ("nothing", json!({}), vec![]),
        ("plain", json!({ "gpu": "A100" }), vec![("gpu", "A100")]),
        ("spaces", json!({ " gpu\t": "\n A100 80GB " }), vec![("gpu", "A100 80GB")]),
        (
            "other white space",
            json!({ "\u{a0}gpu\u{3000}": "A100\u{2003}" }),
            vec![("gpu", "A100")],
        ),
        ("blank keys and values", json!({ " ": "x", "": "y", "gpu": " ", "tpu": "" }), vec![]),
        ("a null value", json!({ "gpu": null, "tpu": "v5" }), vec![("tpu", "v5")]),
        ("a space sorts first", json!({ "gpu": "last", " gpu": "first" }), vec![("gpu", "first")]),
        (
            "a tab sorts before it",
            json!({ " gpu": "last", "\tgpu": "first" }),
            vec![("gpu", "first")],
        ),
        (
            "the shorter sorts first",
            json!({ "gpu ": "last", "gpu": "first" }),
            vec![("gpu", "first")],
        ),
        ("a blank one gives way", json!({ " gpu": " ", "gpu": "A100" }), vec![("gpu", "A100")]),
        (
            "keys differ in case",
            json!({ "gpu": "b", "GPU": "a" }),
            vec![("GPU", "a"), ("gpu", "b")],
        ),
    ];
    for_each_row(cases, |(case, map, expected)| {
        let resource = offer("llm/chat")
            .set("/spec/registration/metadata", map.clone())
            .set("/spec/provenance", map);
        let registration = read(&resource).registration;
        for (which, map) in
            [("metadata", registration.metadata), ("provenance", registration.provenance)]
        {
            let map: Vec<_> =
                map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(map, expected, "{case}: {which}");
        }
    });
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let keys = "metadata|spec|status|name|path|hostname|registration|enabled|services|endpoint|drainAt|conditions|type";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("2026-01-01T12:00:00Z")),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(law(512))]

    #[test]
    fn any_json_is_an_offer_or_a_rejection_with_its_claims(resource in arbitrary_json()) {
        let parsed = ParsedOffer::parse(&OfferId::new("llm", "chat"), &resource);
        if let Ok(offer) = parsed.verdict {
            prop_assert_eq!(parsed.claims.path, Some(offer.path));
            prop_assert_eq!(parsed.claims.host, offer.host);
        }
        let _never_panics = crate::registration::Identity::parse(&resource, &Default::default());
    }
}
