//! The file of grants, and what a grant allows.

use super::*;
use crate::{
    registration::{Reason, Rules},
    testing::{
        NOON, explanation, for_each_row, offer, projected, published, rules, state_and_reason,
    },
};
use serde_json::json;

#[test]
fn a_file_of_grants_is_a_map_of_known_fields_with_readable_values() {
    let refused = [
        ("a list", json!([]), "must be a map"),
        ("nothing", json!(null), "must be a map"),
        ("a namespace that is no name", json!({ "Shop": {} }), "\"Shop\" is not a valid namespace"),
        ("a namespace without a map", json!({ "shop": ["a.example"] }), "namespace shop"),
        ("an unknown field", json!({ "shop": { "host": [] } }), "unknown field `host`"),
        ("a text", json!({ "shop": { "hosts": "a.example" } }), "namespace shop"),
        ("a number", json!({ "shop": { "paths": [5] } }), "namespace shop"),
        ("a bad host", json!({ "shop": { "hosts": ["nodot"] } }), "\"nodot\" is not a public DNS"),
        ("a bad suffix", json!({ "shop": { "hosts": ["*.a_b"] } }), "\"*.a_b\" is not a suffix"),
        ("a lone star", json!({ "shop": { "hosts": ["*"] } }), "\"*\" is not"),
        ("a star inside", json!({ "shop": { "hosts": ["a.*.example"] } }), "is not a public DNS"),
        ("a relative path", json!({ "shop": { "paths": ["shop"] } }), "\"shop\" is not a path"),
        ("a glob", json!({ "shop": { "paths": ["/shop/*"] } }), "\"/shop/*\" is not a path"),
    ];
    for_each_row(refused, |(case, document, expected)| {
        let error = Grants::parse(&document).unwrap_err();
        assert!(error.contains(expected), "{case}: {error}");
    });
    let read = [
        json!({}),
        json!({ "shop": {} }),
        json!({ "shop": { "hosts": ["A.Example", "*.Example"], "paths": ["/", "/services/"] } }),
    ];
    for_each_row(read, |document| {
        assert!(Grants::parse(&document).is_ok(), "{document}");
    });
}

#[test]
fn an_offer_that_claims_more_than_its_grant_claims_nothing() {
    let grants = json!({
        "shop": { "hosts": ["shop.example", "*.shop.example"], "paths": ["/shop", "/services/x/"] },
        "free": { "paths": ["/"] },
        "none": {},
    });
    let granted = Rules { grants: Some(Grants::parse(&grants).unwrap()), ..rules() };
    let cases = [
        ("its host", offer("shop/x").host("Shop.example"), true),
        ("a host below its suffix", offer("shop/x").host("a.b.shop.example"), true),
        ("a host that ends alike", offer("shop/x").host("myshop.example"), false),
        ("another host", offer("shop/x").host("audit.example"), false),
        ("the public host, which is no claim", offer("shop/x").host("seller.example"), true),
        ("its path", offer("shop/y").path("/shop"), true),
        ("its path with a slash", offer("shop/y").path("/shop/"), true),
        ("below its path", offer("shop/y").path("/shop/a/b"), true),
        ("its default path", offer("shop/x"), true),
        ("another default path", offer("shop/y"), false),
        ("a path that begins alike", offer("shop/y").path("/shopping"), false),
        ("any path", offer("free/y"), true),
        ("a host without grants of hosts", offer("free/y").host("y.example"), false),
        ("anything without grants", offer("none/y"), false),
        ("anything of a namespace that is not listed", offer("other/y"), false),
    ];
    for_each_row(cases, |(case, resource, is_granted)| {
        let id = resource.id().to_string();
        let reason = |rules: &Rules| state_and_reason(&projected([&resource], rules, NOON), &id).1;
        assert_eq!(reason(&rules()), Reason::Published, "{case}: without grants");
        let expected = if is_granted { Reason::Published } else { Reason::NotGranted };
        assert_eq!(reason(&granted), expected, "{case}");
    });
    let thief =
        offer("free/thief").path("/shop").host("shop.example").created("2025-01-01T00:00:00Z");
    let robbed = offer("shop/x").host("shop.example").path("/shop");
    let projection = projected([&thief, &robbed], &granted, NOON);
    assert_eq!(published(&projection), ["shop/x"], "neither its host nor its path was claimed");
    let message = &explanation(&projection, "free/thief").message;
    assert!(message.contains("the host shop.example"), "{message}");
    let typo = offer("free/thief").path("bad").host("shop.example").created("2025-01-01T00:00:00Z");
    let projection = projected([&typo, &robbed], &granted, NOON);
    assert_eq!(state_and_reason(&projection, "free/thief").1, Reason::InvalidPath);
    assert_eq!(published(&projection), ["shop/x"], "a rejected offer claims only what is granted");
}
