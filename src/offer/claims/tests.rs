//! Valid paths and hosts, and which offer holds one that two offers claim.

use crate::{
    offer::{Hostname, OfferId, Origin, PathError, ServicePath, host_of},
    registration::{Ids, Reason, project},
    testing::{
        Resource, at, explanation, for_each_row, json_of, offer, offers, projected, published,
        rules, state_and_reason,
    },
};
use serde_json::Value;

const NOW: &str = "2026-02-01T00:00:00Z";

#[test]
fn a_path_is_valid_and_not_reserved() {
    enum Told {
        Fits,
        Invalid,
        Reserved,
    }
    use Told::{Fits, Invalid, Reserved};
    let fits = [
        "/services/chat",
        "/services/chat/",
        "/a",
        "/A-z_0.9/x",
        "/.hidden",
        "/...",
        "/..a",
        "/a.",
        "/services.",
        "/apix",
        "/api-v2",
        "/services/api",
        "/x/.well-known",
        "/API",
        "/rpcs",
        "/events2",
        "/offers.",
        "/docs-x",
        "/discover",
        "/schemas",
        "/agent-icon.pngx",
        "/auth",
    ];
    let invalid = [
        "",
        "services",
        "services/chat",
        "//",
        "//x",
        "/a//b",
        "/a//",
        "/.",
        "/..",
        "/a/.",
        "/a/..",
        "/a/../b",
        "/./a",
        "/../a",
        "/a b",
        "/a%20b",
        "/a?b",
        "/a#b",
        "/a*",
        "/a~",
        "/a+b",
        "/a:b",
        "/a@b",
        "/\u{e9}",
        "/a\n",
        "/a\\b",
        "https://a.example/x",
        " /a",
    ];
    let roots = [
        "/api",
        "/openapi.json",
        "/skill.md",
        "/rpc",
        "/.well-known",
        "/offers",
        "/agents",
        "/events",
        "/docs",
        "/schema",
        "/openapi.yaml",
        "/agent-icon.png",
        "/discovery",
    ];
    let below = roots.map(|root| format!("{root}/x"));
    let slashed = roots.map(|root| format!("{root}/"));
    let below = below.iter().chain(&slashed).map(String::as_str);
    let reserved = ["/", "/services", "/services/"].into_iter().chain(roots).chain(below);
    let cases = fits.into_iter().map(|path| (path, Fits));
    let cases = cases.chain(invalid.into_iter().map(|path| (path, Invalid)));
    for_each_row(cases.chain(reserved.map(|path| (path, Reserved))), |(path, problem)| {
        let expected = match problem {
            Fits => Ok(path),
            Invalid => Err(PathError::Invalid(path.to_owned())),
            Reserved => Err(PathError::Reserved(path.to_owned())),
        };
        let read = ServicePath::parse(path);
        assert_eq!(
            read.as_ref().map(ServicePath::as_str).map_err(Clone::clone),
            expected,
            "{path:?}"
        );
    });
}

#[test]
fn a_hostname_is_a_public_dns_name() {
    let label = "a".repeat(63);
    let longest = [label.as_str(), &label, &label, &"b".repeat(61)].join(".");
    let fits = [
        "audit.example",
        "a.b",
        "xn--bcher-kva.example",
        "1.example",
        "0x.example",
        "a-b.c-d.example",
        "svc.example",
        "mysvc.co",
        "cluster.local.example",
        "notcluster.local",
        "foo.0xg",
        &longest,
    ];
    for_each_row(fits, |host| {
        assert_eq!(
            Hostname::parse(host).map(|host| host.to_string()).as_deref(),
            Some(host),
            "{host:?}"
        );
    });
    let too_long = format!("{longest}b");
    let long_label = format!("{label}a.example");
    let refused = [
        "",
        "audit",
        ".",
        ".example",
        "audit.",
        "audit.example.",
        "a..b",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a b.example",
        "a.example:443",
        "https://a.example",
        "a.example/x",
        "*.example",
        "b\u{fc}cher.example",
        "127.0.0.1",
        "127.1",
        "1.2.3.4.5",
        "a.1",
        "a.0x1f",
        "a.0x",
        "::1",
        "[::1]",
        "chat.llm.svc",
        "svc",
        "a.SVC",
        "chat.llm.svc.cluster.local",
        "a.cluster.local",
        "cluster.local",
        "user@a.example",
        &too_long,
        &long_label,
    ];
    for_each_row(refused, |host| {
        assert_eq!(Hostname::parse(host), None, "{host:?}");
    });
    assert_eq!(Hostname::parse("Audit.EXAMPLE").unwrap().as_str(), "audit.example");
}

#[test]
fn the_host_of_a_request_is_read_without_case_port_and_final_dot() {
    let cases = [
        ("audit.example", Some("audit.example")),
        ("AUDIT.example:8443", Some("audit.example")),
        ("audit.example.", Some("audit.example")),
        ("audit.example.:443", Some("audit.example")),
        ("audit.example:", Some("audit.example")),
        ("audit.example:x", None),
        ("audit.example..", None),
        ("localhost:8080", None),
        ("127.0.0.1:8080", None),
        ("[::1]:8080", None),
        ("", None),
    ];
    for_each_row(cases, |(sent, host)| {
        let read = Hostname::parse(&host_of(sent));
        assert_eq!(read.as_ref().map(Hostname::as_str), host, "{sent:?}");
    });
}

#[test]
fn the_public_url_is_an_origin() {
    let cases = [
        ("https://seller.example", Some("https://seller.example")),
        ("https://seller.example/", Some("https://seller.example")),
        ("HTTPS://Seller.Example:443", Some("https://seller.example")),
        ("http://obol.stack:8080", Some("http://obol.stack:8080")),
        ("https://seller.example/x", None),
        ("https://seller.example?x", None),
        ("https://seller.example/?", None),
        ("https://seller.example#", None),
        ("https://me@seller.example", None),
        ("ftp://seller.example", None),
        ("seller.example", None),
        ("/x", None),
        ("", None),
    ];
    for_each_row(cases, |(text, origin)| {
        let read = Origin::parse(text).ok();
        assert_eq!(read.as_ref().map(Origin::as_str), origin, "{text:?}");
    });
}

/// Who of two that ask for one thing holds it.
fn winner(one: Resource, other: Resource) -> &'static str {
    let projection = projected([&one, &other], &rules(), NOW);
    let reason = |resource: &Resource| state_and_reason(&projection, &resource.id().to_string()).1;
    match (reason(&one), reason(&other)) {
        (Reason::Published, Reason::PathConflict | Reason::HostConflict) => "one",
        (Reason::PathConflict | Reason::HostConflict, Reason::Published) => "other",
        (Reason::Published, Reason::Published) => "both",
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_earliest_claim_holds_by_time_then_namespace_then_name() {
    let timeless = |id: &str| offer(id).set("/metadata/creationTimestamp", Value::Null);
    let early = "2026-01-01T00:00:00Z";
    let late = "2026-01-01T00:00:01Z";
    let cases = [
        ("the older", offer("b/b").created(early), offer("a/a").created(late), "one"),
        (
            "the older by offset",
            offer("b/b").created("2026-01-01T00:59:59+01:00"),
            offer("a/a").created(early),
            "one",
        ),
        ("the first namespace", offer("a/b").created(early), offer("b/a").created(early), "one"),
        ("the first name", offer("a/b").created(early), offer("a/a").created(early), "other"),
        ("a time before none", offer("b/b").created(late), timeless("a/a"), "one"),
        ("without times the first id", timeless("a/b"), timeless("a/a"), "other"),
    ];
    for_each_row(cases, |(case, one, other, expected)| {
        for flip in [false, true] {
            let (first, second) = if flip { (&other, &one) } else { (&one, &other) };
            let expected = match (expected, flip) {
                ("one", false) | ("other", true) => "one",
                _ => "other",
            };
            assert_eq!(
                winner(first.clone().path("/x"), second.clone().path("/x")),
                expected,
                "{case}: path"
            );
            assert_eq!(
                winner(
                    first.clone().host("x.example").path("/1"),
                    second.clone().host("x.example").path("/2")
                ),
                expected,
                "{case}: host"
            );
        }
    });
}

#[test]
fn paths_compare_without_one_final_slash_and_hosts_without_case() {
    let paths = [
        ("/x", "/x", "one"),
        ("/x", "/x/", "one"),
        ("/x/", "/x", "one"),
        ("/x", "/X", "both"),
        ("/x", "/x/y", "both"),
        ("/x", "/xy", "both"),
    ];
    for_each_row(paths, |(one, other, expected)| {
        assert_eq!(
            winner(offer("a/a").path(one), offer("b/b").path(other)),
            expected,
            "{one} {other}"
        );
    });
    let named = winner(offer("a/a").path("/services/b/"), offer("b/b"));
    assert_eq!(named, "one", "a default path is claimed like any other");
    let hosts = [("x.example", "X.Example", "one"), ("x.example", "y.x.example", "both")];
    for_each_row(hosts, |(one, other, expected)| {
        assert_eq!(
            winner(offer("a/a").host(one), offer("b/b").host(other)),
            expected,
            "{one} {other}"
        );
    });
    assert_eq!(winner(offer("a/a").host("x.example").path("/p"), offer("b/b").path("/p")), "one");
}

#[test]
fn every_offer_claims_unless_it_is_being_deleted() {
    let old = || offer("a/old").path("/x").host("x.example").created("2025-01-01T00:00:00Z");
    let cases = [
        ("a published one", old(), true),
        ("a disabled one", old().disabled(), true),
        ("a draining one", old().draining(NOW, "1h"), true),
        ("a drained one", old().draining("2026-01-01T00:00:00Z", "0s"), true),
        ("one with a bad drain", old().draining(NOW, "1 hour"), true),
        ("an undecodable one", old().set("/spec/type", 5), true),
        ("one that is being deleted", old().set("/metadata/deletionTimestamp", NOW), false),
    ];
    for_each_row(cases, |(case, old, claims)| {
        for (young, conflict) in [
            (offer("b/young").path("/x"), Reason::PathConflict),
            (offer("b/young").host("x.example"), Reason::HostConflict),
        ] {
            let projection = projected([&old, &young], &rules(), NOW);
            let expected = if claims { conflict } else { Reason::Published };
            assert_eq!(state_and_reason(&projection, "b/young").1, expected, "{case}");
        }
    });
}

#[test]
fn a_mistake_in_one_claim_keeps_the_other() {
    let cases = [
        ("a bad path", offer("a/a").path("x").host("x.example"), true, false),
        ("a reserved path", offer("a/a").path("/rpc").host("x.example"), true, false),
        ("a bad host", offer("a/a").path("/x").host("nodot"), false, true),
        ("the public host", offer("a/a").path("/x").host("seller.example"), false, true),
        (
            "a path of the wrong type",
            offer("a/a").set("/spec/path", 5).host("x.example"),
            true,
            false,
        ),
        ("a host of the wrong type", offer("a/a").path("/x").set("/spec/hostname", 5), false, true),
    ];
    for_each_row(cases, |(case, slipped, keeps_host, keeps_path)| {
        let host = offer("b/host").host("x.example");
        let path = offer("c/path").path("/x");
        let projection = projected([&slipped, &host, &path], &rules(), NOW);
        assert_eq!(
            state_and_reason(&projection, "b/host").1 == Reason::HostConflict,
            keeps_host,
            "{case}"
        );
        assert_eq!(
            state_and_reason(&projection, "c/path").1 == Reason::PathConflict,
            keeps_path,
            "{case}"
        );
    });
}

#[test]
fn a_loser_claims_nothing() {
    let first = offer("a/first").path("/x").host("x.example").created("2025-01-01T00:00:00Z");
    let lost_host = offer("b/lost").path("/y").host("x.example").created("2025-01-02T00:00:00Z");
    let lost_path = offer("b/lost").path("/x").host("y.example").created("2025-01-02T00:00:00Z");
    let third = offer("c/third").path("/y").host("y.example");
    let reasons = |lost: &Resource| {
        let projection = projected([&first, lost, &third], &rules(), NOW);
        let hosts: Vec<_> = projection.hosts.keys().map(Hostname::to_string).collect();
        assert_eq!(hosts, ["x.example", "y.example"]);
        let holder = &projection.hosts[&Hostname::parse("y.example").unwrap()].holder;
        assert_eq!(*holder, Some(OfferId::new("c", "third")));
        (state_and_reason(&projection, "b/lost").1, state_and_reason(&projection, "c/third").1)
    };
    assert_eq!(reasons(&lost_host), (Reason::HostConflict, Reason::Published));
    assert_eq!(reasons(&lost_path), (Reason::PathConflict, Reason::Published));
}

#[test]
fn an_offer_that_names_the_public_urls_own_host_is_published_by_the_default_agent_only() {
    for_each_row(
        ["https://seller.example", "http://SELLER.example:8080", "https://seller.example./"],
        |url| {
            let resources = [offer("llm/chat").host("Seller.Example")];
            let projection = project(
                &offers(&resources),
                &Ids::default(),
                &Origin::parse(url).unwrap(),
                &rules(),
                at(NOW),
            );
            assert_eq!(state_and_reason(&projection, "llm/chat").1, Reason::Published, "{url}");
            assert!(projection.hosts.is_empty(), "{url}");
            assert_eq!(projection.published[0].host, None, "{url}");
            assert_eq!(
                json_of(&projection.default)["services"].as_array().unwrap().len(),
                1,
                "{url}"
            );
            let message = &explanation(&projection, "llm/chat").message;
            assert!(message.contains("HostIsPublic: spec.hostname seller.example"), "{message}");
        },
    );
    let both = [offer("a/a").host("seller.example"), offer("b/b").host("seller.example")];
    let projection = projected(&both, &rules(), NOW);
    assert_eq!(published(&projection), ["a/a", "b/b"], "it is no conflict");
    let resources = [offer("a/a").path("/x"), offer("b/b").path("/x").host("seller.example")];
    let projection = projected(&resources, &rules(), NOW);
    assert_eq!(state_and_reason(&projection, "b/b").1, Reason::PathConflict);
    assert!(!explanation(&projection, "a/a").message.contains("HostIsPublic"));
}

#[test]
fn both_offers_are_told_if_a_claim_was_decided_by_name() {
    let early = "2026-01-01T00:00:00Z";
    let late = "2026-01-01T00:00:01Z";
    let timeless = |id: &str| offer(id).set("/metadata/creationTimestamp", Value::Null);
    let host = |offer: Resource, path: &str| offer.host("x.example").path(path);
    let cases = [
        ("equal times, a path", offer("a/a").path("/x"), offer("b/b").path("/x"), true),
        ("equal times, a host", host(offer("a/a"), "/1"), host(offer("b/b"), "/2"), true),
        ("no times", timeless("a/a").path("/x"), timeless("b/b").path("/x"), true),
        ("a time and none", offer("a/a").path("/x"), timeless("b/b").path("/x"), false),
        (
            "different times",
            offer("a/a").path("/x").created(early),
            offer("b/b").path("/x").created(late),
            false,
        ),
        ("no conflict", offer("a/a").path("/x"), offer("b/b").path("/y"), false),
    ];
    for_each_row(cases, |(case, winner, loser, by_name)| {
        let projection = projected([&winner, &loser], &rules(), NOW);
        let said = |id, other: &str, verb: &str| {
            let message = &explanation(&projection, id).message;
            assert_eq!(message.contains("ClaimByName: "), by_name, "{case}: {message}");
            assert_eq!(
                message.contains(other) && message.contains(verb),
                by_name,
                "{case}: {message}"
            );
        };
        said("a/a", "ClaimByName: b/b claims", "this offer holds it");
        said("b/b", "ClaimByName: a/a claims", "this offer lost it");
    });
}
