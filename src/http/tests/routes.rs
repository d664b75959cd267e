//! Routes and what they answer: by host, by offer, misses, wrong methods, and before everything is
//! known.

use std::sync::atomic::Ordering;

use crate::{
    http::tests::site::{Answer, Site, WELL_KNOWN, ask, document_of, is, request},
    http::{self, admin},
    registration::Reason,
    testing::{NOON, Resource, for_each_row_async, offer},
};
use axum::http::{Method, StatusCode, Version};
use serde_json::json;

/// A path that a route answers, for each template.
pub(super) fn sample(template: &str) -> String {
    template
        .replace("/docs/{file}", "/docs/page.css")
        .replace("{namespace}", "demo")
        .replace("{name}", "chat")
        .replace("{file}", "problem.schema.json")
}

/// One of each: open, with a host, draining, drained, disabled, and in conflict.
pub(super) fn stand() -> Vec<Resource> {
    vec![
        // It is the oldest, so the default agent takes its name.
        offer("demo/chat").created("2025-12-31T00:00:00Z"),
        offer("demo/audit").host("audit.example"),
        offer("demo/draining").draining("2026-05-24T11:30:00Z", "1h"),
        offer("demo/drained").draining("2026-05-24T10:00:00Z", "1h").host("drained.example"),
        offer("demo/disabled").disabled(),
        offer("demo/late-host").host("audit.example").created("2026-02-01T00:00:00Z"),
        offer("demo/late-path").path("/services/chat").created("2026-02-01T00:00:00Z"),
    ]
}

#[tokio::test(start_paused = true)]
async fn before_the_first_world_everything_that_depends_on_it_is_503_and_names_what_is_missing() {
    let site = Site::empty(NOON);
    site.lacks("serviceoffers.obol.org");
    site.lacks("agentidentities.obol.org");
    for path in [WELL_KNOWN, &document_of("demo/chat"), "/offers", "/offers/demo/chat", "/agents"] {
        let answer = site.get(path).await;
        assert_eq!(answer.problem(), is(503, "Incomplete"), "{path}");
        assert_eq!(answer.header("retry-after"), "1", "{path}");
        let detail = answer.json()["detail"].to_string();
        for named in ["NotListed: serviceoffers.obol.org", "NotListed: agentidentities"] {
            assert!(detail.contains(named), "{path} does not name {named}: {detail}");
        }
    }
    for path in ["/readyz", "/debug/offers"] {
        let answer = site.get_admin(path).await;
        assert_eq!(answer.problem(), is(503, "Incomplete"), "{path}");
        assert_eq!(answer.header("retry-after"), "1", "{path}");
        assert!(answer.text().contains("NotListed: serviceoffers.obol.org"), "{path}");
    }
    for path in ["/livez", "/startupz"] {
        let answer = site.get_admin(path).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "ok\n"), "{path}");
    }
    for path in ["/openapi.yaml", "/openapi.json", "/schema/offer.schema.json", "/agent-icon.png"] {
        assert_eq!(site.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_world_without_offers_is_complete_and_answers_a_tombstone() {
    let site = Site::of(NOON, []);
    let answer = site.get(WELL_KNOWN).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json()["active"], false);
    assert_eq!(site.get_admin("/readyz").await.text(), "ok\n");
}

#[tokio::test(start_paused = true)]
async fn the_host_chooses_the_document() {
    let site = Site::of(NOON, &stand());
    let cases = [
        ("its own", "audit.example", "audit"),
        ("upper case", "Audit.EXAMPLE", "audit"),
        ("a port", "audit.example:8443", "audit"),
        ("an empty port", "audit.example:", "audit"),
        ("a final dot", "audit.example.", "audit"),
        ("a final dot and a port", "audit.example.:443", "audit"),
        ("two final dots", "audit.example..", "chat"),
        ("the public URL's own", "seller.example", "chat"),
        ("a host that nobody claims", "nobody.example", "chat"),
        ("a name below a claimed one", "www.audit.example", "chat"),
        ("an IPv4 address", "192.0.2.1:80", "chat"),
        ("an IPv6 address", "[2001:db8::1]", "chat"),
        ("an IPv6 address and a port", "[2001:db8::1]:80", "chat"),
        ("a host whose offer is gone", "drained.example", "drained.example"),
    ];
    for_each_row_async(cases, async |(case, host, name)| {
        assert_eq!(site.name_at(host).await, name, "{case}");
    })
    .await;
    let mut without = request("GET", WELL_KNOWN, &[]);
    without.headers_mut().clear();
    *without.version_mut() = Version::HTTP_10;
    let answer = ask(site.public(), without).await;
    assert_eq!(answer.json()["name"], "chat", "HTTP/1.0 without a Host");
    let tombstone = site.get_with(WELL_KNOWN, &[("host", "drained.example")]).await;
    assert_eq!(tombstone.status, 200);
    assert_eq!(tombstone.json()["active"], false);
    assert_eq!(tombstone.json()["services"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn the_authority_of_the_request_target_wins_over_the_host_field() {
    let site = Site::of(NOON, &stand());
    let cases = [
        ("http://audit.example", "seller.example", "audit"),
        ("http://AUDIT.example.:80", "seller.example", "audit"),
        ("http://seller.example", "audit.example", "chat"),
        ("http://[2001:db8::1]", "audit.example", "chat"),
    ];
    for_each_row_async(cases, async |(origin, host, name)| {
        let uri = format!("{origin}{WELL_KNOWN}");
        let answer = ask(site.public(), request("GET", &uri, &[("host", host)])).await;
        assert_eq!(answer.json()["name"], name, "{origin} with Host {host}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn forwarding_headers_never_change_a_byte() {
    let site = Site::of(NOON, &stand());
    let forged = [
        ("host", "evil.example"),
        ("x-forwarded-host", "audit.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-original-host", "audit.example"),
        ("forwarded", "host=audit.example;proto=http"),
    ];
    for path in [WELL_KNOWN, &document_of("demo/audit"), "/offers", "/offers/demo/audit", "/agents"]
    {
        let (plain, forged) = (site.get(path).await, site.get_with(path, &forged).await);
        assert_eq!(plain.body, forged.body, "{path}");
        assert_eq!(plain.etag(), forged.etag(), "{path}");
    }
}

/// The header fields of an answer, but for the one that names the request and the one that hyper adds.
fn lasting(answer: &Answer) -> Vec<(String, String)> {
    let fields = answer.headers.iter();
    let fields =
        fields.filter(|(name, _)| !["x-request-id", "content-length"].contains(&name.as_str()));
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let mut fields: Vec<_> = fields.map(|(name, value)| (name.to_string(), text(value))).collect();
    fields.sort();
    fields
}

#[tokio::test(start_paused = true)]
async fn head_is_get_without_the_body() {
    let site = Site::of(NOON, &stand());
    // A stream has no length.
    let public = http::paths().into_iter().filter(|path| *path != "/events");
    let public = public.map(|path| (site.public(), sample(path)));
    let more = [document_of("demo/drained"), "/offers?limit=0".into(), "/nothing".into()];
    let more = more.into_iter().map(|path| (site.public(), path));
    // A scrape counts itself, so its length moves.
    let has_head = |path: &&str| !["/metrics", "/debug/release-brake"].contains(path);
    let admin = admin::paths().into_iter().filter(has_head);
    let admin = admin.map(|path| (site.admin(), path.to_owned()));
    for (router, path) in public.chain(more).chain(admin) {
        for fields in
            [&[("host", "localhost")][..], &[("host", "[::1]:9004"), ("accept-encoding", "gzip")]]
        {
            let get = ask(router.clone(), request("GET", &path, fields)).await;
            let head = ask(router.clone(), request("HEAD", &path, fields)).await;
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(lasting(&head), lasting(&get), "{path}");
            assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
            assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_route_answers_options_and_refuses_every_other_method() {
    let site = Site::of(NOON, &stand());
    for (router, path) in http::paths().into_iter().map(|path| (site.public(), path)) {
        let path = sample(path);
        let preflight =
            [("origin", "https://page.example"), ("access-control-request-method", "GET")];
        let answer = ask(router.clone(), request("OPTIONS", &path, &preflight)).await;
        assert!(answer.status.is_success() && answer.body.is_empty(), "{path}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(answer.header("allow"), "GET,HEAD,OPTIONS", "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), "GET,HEAD,OPTIONS", "{path}");
        assert_eq!(answer.header("access-control-allow-headers"), "*", "{path}");
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE] {
            let answer = ask(router.clone(), request(method.as_str(), &path, &[])).await;
            assert_eq!(answer.problem(), is(405, "MethodNotAllowed"), "{method} {path}");
            assert_eq!(answer.header("allow"), "GET,HEAD,OPTIONS", "{method} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{method} {path}");
        }
        let plain = ask(router.clone(), request("OPTIONS", &path, &[])).await;
        assert_eq!((plain.status, lasting(&plain)), (StatusCode::NO_CONTENT, lasting(&answer)));
        assert!(!plain.headers.contains_key("content-length"), "{path}");
    }
    let unknown = ask(site.public(), request("OPTIONS", "/nothing", &[])).await;
    assert_eq!(unknown.problem(), is(404, "NotFound"));
    let server = ask(site.public(), request("OPTIONS", "*", &[])).await;
    assert_eq!((server.status.as_u16(), server.header("allow")), (204, "GET,HEAD,OPTIONS"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_path_is_a_problem_document() {
    let site = Site::of(NOON, &stand());
    let unknown = [
        "/nothing",
        "/offers/",
        "/agents/",
        "/offers/demo",
        "/offers/demo/chat/",
        "/offers/demo/chat/agent-registration.json/",
        "/.well-known/",
        "/.well-known/agent-registration.json/",
        "//.well-known/agent-registration.json",
        "/.well-known/agent-card.json",
        "/docs/",
        "/docs/nothing.js",
        "/schema",
        "/schema/",
        "/schema/nothing.schema.json",
        "/schema/..%2Fopenapi.yaml",
        "/schema/%ff",
        "/index.html",
        "/livez",
        "/metrics",
    ];
    for path in unknown {
        let fields = [("accept", "text/html")];
        let answer = site.get_with(path, &fields).await;
        assert_eq!(answer.problem(), is(404, "NotFound"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
    }
    for path in ["/", "/offers", "/livez/", "/debug"] {
        assert_eq!(site.get_admin(path).await.problem(), is(404, "NotFound"), "admin {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_offer_goes_by_the_name_that_its_path_spells() {
    let site = Site::of(NOON, &stand());
    let plain = site.get(&document_of("demo/chat")).await;
    assert_eq!(plain.status, 200);
    assert_eq!(site.get(&document_of("demo/ch%61t")).await.body, plain.body);
    let unknown = site.get(&document_of("demo/nothing")).await;
    assert_eq!(unknown.problem(), is(404, "NotFound"));
    for none in [
        "Demo/chat",
        "demo/CHAT",
        "demo/chat.",
        "demo/ch%2Fat",
        "demo/%ff",
        "demo/chat%00",
        "demo/..%2f",
    ] {
        assert_eq!(site.get(&document_of(none)).await.body, unknown.body, "{none}");
        assert_eq!(site.get(&format!("/offers/{none}")).await.body, unknown.body, "{none}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_miss_tells_the_reason_of_an_enabled_offer_and_nothing_of_any_other() {
    let long = "x".repeat(70);
    let mut resources = stand();
    resources.extend([
        offer("demo/deleting").set("/metadata/deletionTimestamp", NOON),
        offer("demo/undecodable").set("/spec/type", 7),
        offer("demo/bad-path").path("no/slash"),
        offer("demo/bad-host").host(&format!("{long}.example")),
        offer("demo/reserved").path("/offers/mine"),
        offer("demo/paused").set("/spec/paused", true),
        offer("demo/bad-drain").draining("soon", "1h"),
        offer("demo/shy").draining("soon", "1h").disabled(),
    ]);
    let mut site = Site::empty(NOON);
    site.publish(&resources);
    let unknown = site.get(&document_of("demo/nothing")).await;
    let cases = [
        ("demo/drained", Reason::Drained),
        ("demo/late-host", Reason::HostConflict),
        ("demo/late-path", Reason::PathConflict),
        ("demo/deleting", Reason::Deleting),
        ("demo/undecodable", Reason::Undecodable),
        ("demo/bad-path", Reason::InvalidPath),
        ("demo/bad-host", Reason::InvalidHostname),
        ("demo/reserved", Reason::ReservedPath),
        ("demo/paused", Reason::Paused),
        ("demo/bad-drain", Reason::InvalidDrain),
    ];
    for_each_row_async(cases, async |(offer, reason)| {
        for path in [document_of(offer), format!("/offers/{offer}")] {
            let answer = site.get(&path).await;
            assert_eq!(answer.problem(), is(404, reason.as_str()), "{path}");
            assert_eq!(answer.json()["fix"], reason.fix(), "{path}");
        }
    })
    .await;
    for silent in ["demo/disabled", "demo/shy"] {
        for path in [document_of(silent), format!("/offers/{silent}")] {
            let answer = site.get(&path).await;
            assert_eq!((answer.status, &answer.body), (unknown.status, &unknown.body), "{path}");
        }
    }
    for (loser, holder) in [("demo/late-host", "demo/audit"), ("demo/late-path", "demo/chat")] {
        let answer = site.get(&document_of(loser)).await;
        assert!(!answer.text().contains(holder), "{}", answer.text());
    }
    site.rules.required_conditions.insert("RoutePublished".to_owned());
    site.publish(&resources);
    let answer = site.get(&document_of("demo/chat")).await;
    assert_eq!(answer.problem(), is(404, "ConditionMissing"));
    resources[0] = resources[0].clone().ready(&["RoutePublished"]);
    site.publish(&resources);
    assert_eq!(site.get(&document_of("demo/chat")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn any_page_may_read_every_answer_and_its_tag() {
    let site = Site::of(NOON, &stand());
    let tag = site.get(WELL_KNOWN).await.etag().to_owned();
    let list_tag = site.get("/offers").await.etag().to_owned();
    let cases = [
        ("success", WELL_KNOWN, "", 200),
        ("not modified", WELL_KNOWN, &tag, 304),
        ("miss", "/offers/demo/drained/agent-registration.json", "", 404),
        ("list", "/offers", "", 200),
        ("list not modified", "/offers", &list_tag, 304),
        ("bad query", "/offers?limit=x", "", 400),
        ("unknown path", "/nothing", "", 404),
        ("built in", "/openapi.yaml", "", 200),
    ];
    for_each_row_async(cases, async |(case, path, tag, status)| {
        let fields = [("origin", "https://page.example"), ("if-none-match", tag)];
        let answer = site.get_with(path, &fields).await;
        assert_eq!(answer.status, status, "{case}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{case}");
        assert_eq!(answer.header("access-control-expose-headers"), "etag", "{case}");
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{case}");
    })
    .await;
    let unready = Site::empty(NOON).get(WELL_KNOWN).await;
    assert_eq!(unready.header("access-control-allow-origin"), "*", "503");
}

#[tokio::test(start_paused = true)]
async fn readiness_goes_off_before_the_process_does_and_documents_stay() {
    let site = Site::of(NOON, &stand());
    assert_eq!(site.get_admin("/readyz").await.text(), "ok\n");
    site.admin.stopping.store(true, Ordering::Relaxed);
    let answer = site.get_admin("/readyz").await;
    assert_eq!(answer.problem(), is(503, "Stopping"));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(site.get_admin("/readyz?verbose").await.status, 503);
    assert_eq!(site.get_admin("/livez").await.status, 200);
    assert_eq!(site.get(WELL_KNOWN).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_is_silent_for_half_a_minute_is_stuck() {
    let site = Site::of(NOON, &stand());
    tokio::time::advance(std::time::Duration::from_secs(30)).await;
    assert_eq!(site.get_admin("/livez").await.status, 200);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(site.get_admin("/livez").await.problem(), is(503, "Stuck"));
    site.admin.reader.metrics.heartbeat();
    assert_eq!(site.get_admin("/livez").await.status, 200);
}
