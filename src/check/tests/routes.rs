use serde_json::{Value, json};

use super::*;
use crate::{
    check::routes::{RouteFacts, judge, parse},
    offer::OfferId,
    testing::for_each_row,
};

const WELL_KNOWN: &str = "/.well-known/agent-registration.json";

/// An HTTPRoute of one rule that leads to a Service.
fn route(name: &str, created: &str, hostnames: &[&str], matches: Value, service: &str) -> Value {
    json!({
        "metadata": { "namespace": "ns", "name": name, "creationTimestamp": created },
        "spec": {
            "parentRefs": [{ "name": "gateway", "namespace": "traefik", "sectionName": "web" }],
            "hostnames": hostnames,
            "rules": [{ "matches": matches, "backendRefs": [{ "name": service }] }],
        },
        "status": { "parents": [{ "conditions": [
            { "type": "Accepted", "status": "True" }, { "type": "ResolvedRefs", "status": "True" },
        ] }] },
    })
}

fn exact(methods: &[&str]) -> Value {
    let one = |method: &&str| json!({ "path": { "type": "Exact", "value": WELL_KNOWN }, "method": method });
    match methods {
        [] => json!([{ "path": { "type": "Exact", "value": WELL_KNOWN } }]),
        methods => methods.iter().map(one).collect(),
    }
}

const ALL: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

fn ours() -> Value {
    route(
        "ours",
        "2026-05-01T00:00:00Z",
        &["agents.example", "audit.example"],
        exact(&ALL),
        "registrar",
    )
}

fn gateway(hostname: Option<&str>) -> Value {
    json!({
        "metadata": { "namespace": "traefik", "name": "gateway" },
        "spec": { "listeners": [{ "name": "web", "hostname": hostname }, { "name": "other", "hostname": "x.example" }] },
    })
}

fn facts(routes: &[Value]) -> RouteFacts {
    RouteFacts {
        service: OfferId::new("ns", "registrar"),
        routes: routes.iter().map(parse::route).collect(),
        hosts: vec!["agents.example".to_owned(), "audit.example".to_owned()],
        listeners: parse::listeners(&gateway(None)),
        drained: vec![],
    }
}

fn with(routes: &[Value]) -> Report {
    judged(|report| judge(&facts(routes), report))
}

/// Our route beside another one.
fn beside(rival: Value) -> Report {
    with(&[ours(), rival])
}

pub(super) fn rows() -> Vec<Row> {
    let early = "2025-01-01T00:00:00Z";
    let original = route("original", early, &[], exact(&[]), "controller");
    let host_route = |methods: &[&str]| {
        route("so-audit-host", early, &["audit.example"], exact(methods), "controller")
    };
    let without_methods = route(
        "ours",
        "2026-05-01T00:00:00Z",
        &["agents.example", "audit.example"],
        exact(&[]),
        "registrar",
    );
    let mut refused = ours();
    refused["status"]["parents"][0]["conditions"][0] =
        json!({ "type": "Accepted", "status": "False", "reason": "NoMatchingParent" });
    let mut drained = facts(&[ours(), host_route(&["GET"])]);
    drained.drained = vec![OfferId::new("ns", "audit")];
    let mut elsewhere = drained.clone();
    elsewhere.drained = vec![OfferId::new("other", "audit"), OfferId::new("ns", "aud")];
    let mut named = facts(&[ours()]);
    named.listeners = parse::listeners(&gateway(Some("*.example")));
    let mut unread = facts(&[ours()]);
    unread.listeners.clear();
    let of = |facts: RouteFacts| judged(|report| judge(&facts, report));
    vec![
        (CheckId::RoutesFound, Status::Fail, with(std::slice::from_ref(&original))),
        (CheckId::RoutesGet, Status::Skip, with(std::slice::from_ref(&original))),
        (CheckId::RoutesAccepted, Status::Fail, with(&[refused])),
        (
            CheckId::RoutesHosts,
            Status::Fail,
            with(&[route("ours", early, &["agents.example"], exact(&ALL), "registrar")]),
        ),
        (CheckId::RoutesMethods, Status::Warn, with(std::slice::from_ref(&without_methods))),
        // A route without a hostname loses, however old it is.
        (CheckId::RoutesGet, Status::Pass, beside(original)),
        // The trap: their match has a method and ours has none, so only HEAD comes to us.
        (CheckId::RoutesGet, Status::Fail, with(&[without_methods.clone(), host_route(&["GET"])])),
        (CheckId::RoutesHead, Status::Pass, with(&[without_methods, host_route(&["GET"])])),
        // With equal matches the older route wins.
        (CheckId::RoutesGet, Status::Fail, beside(host_route(&["GET"]))),
        (CheckId::RoutesHead, Status::Fail, beside(host_route(&["HEAD"]))),
        (CheckId::RoutesHead, Status::Pass, beside(host_route(&["GET"]))),
        (CheckId::RoutesListener, Status::Warn, of(named)),
        (CheckId::RoutesListener, Status::Skip, of(unread)),
        (CheckId::RoutesDrained, Status::Fail, of(drained)),
        (CheckId::RoutesDrained, Status::Pass, of(elsewhere)),
    ]
}

#[test]
fn sound_routes_pass() {
    assert_eq!(troubles(with(&[ours()]), "routes"), vec![]);
}

#[test]
fn the_route_that_the_gateway_api_prefers_is_found() {
    let prefix =
        |path: &str| json!([{ "path": { "type": "PathPrefix", "value": path }, "method": "GET" }]);
    let (early, late) = ("2025-01-01T00:00:00Z", "2026-06-01T00:00:00Z");
    let hosts = &["agents.example", "audit.example"][..];
    let regex = json!([{ "path": { "type": "RegularExpression", "value": ".*" } }]);
    let headers = json!([{ "path": { "type": "Exact", "value": WELL_KNOWN }, "method": "GET", "headers": [{}] }]);
    let rows = [
        (
            "a prefix loses to an exact path",
            route("r", early, hosts, prefix("/.well-known"), "x"),
            true,
        ),
        ("everything loses", route("r", early, hosts, json!([]), "x"), true),
        ("a wildcard host loses", route("r", early, &["*.example"], exact(&ALL), "x"), true),
        ("a later route loses", route("r", late, hosts, exact(&ALL), "x"), true),
        ("no creation time loses", route("r", "", hosts, exact(&ALL), "x"), true),
        ("a regular expression is not compared", route("r", early, hosts, regex, "x"), true),
        (
            "another path does not matter",
            route("r", early, hosts, prefix("/.well-knownx"), "x"),
            true,
        ),
        ("an earlier route wins", route("r", early, hosts, exact(&ALL), "x"), false),
        (
            "of the same age the name decides",
            route("a", "2026-05-01T00:00:00Z", hosts, exact(&ALL), "x"),
            false,
        ),
        ("more headers win", route("r", late, hosts, headers, "x"), false),
        (
            "the case of a host does not matter",
            route("r", early, &["AGENTS.example"], exact(&ALL), "x"),
            false,
        ),
    ];
    for_each_row(rows, |(case, rival, is_ours)| {
        let results = beside(rival).into_results();
        let get = results.iter().find(|result| result.id == CheckId::RoutesGet).unwrap();
        assert_eq!(get.status == Status::Pass, is_ours, "{case}: {}", get.message);
    });
}
