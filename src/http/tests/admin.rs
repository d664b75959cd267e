//! The admin listener: whom it answers, what may be ordered there, and how old facts are reported.

use std::time::Duration;

use crate::{
    http::admin::{self, AdminHosts},
    http::tests::site::{Site, WELL_KNOWN, ask, document_of, is, request},
    testing::{NOON, offer},
};

#[tokio::test(start_paused = true)]
async fn no_web_page_can_use_the_admin_listener() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    for path in admin::paths() {
        let is_action = path == "/debug/release-brake";
        let (own, allow) = if is_action { ("POST", "POST") } else { ("GET", "GET,HEAD") };
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
            let fields = [
                ("host", "127.0.0.1:9004"),
                ("origin", "https://page.example"),
                ("access-control-request-method", "POST"),
            ];
            let answer = ask(site.admin(), request(method, path, &fields)).await;
            let cors = answer.headers.keys().filter(|name| name.as_str().starts_with("access-"));
            assert_eq!(cors.count(), 0, "{method} {path}: {answer:?}");
            let is_own = method == own || (method == "HEAD" && !is_action);
            assert_eq!(answer.status == 405, !is_own, "{method} {path}");
            if !is_own {
                assert_eq!(answer.header("allow"), allow, "{method} {path}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_admin_listener_answers_to_addresses_and_to_names_it_was_told() {
    let mut site = Site::of(NOON, &[offer("demo/chat")]);
    site.admin.hosts = AdminHosts::new(vec!["registrar.ops.svc".to_owned()]);
    let rows = [
        ("127.0.0.1", true),
        ("127.0.0.1:9004", true),
        ("10.1.2.3:9004", true),
        ("[::1]:9004", true),
        ("localhost", true),
        ("LocalHost:9004", true),
        ("registrar.ops.svc:9004", true),
        ("Registrar.ops.svc", true),
        ("rebound.example", false),
        ("localhost.example", false),
        ("127.0.0.1.example", false),
        ("evil.registrar.ops.svc", false),
    ];
    for (host, is_allowed) in rows {
        for path in admin::paths().into_iter().chain(["/nothing"]) {
            let method = if path == "/debug/release-brake" { "POST" } else { "GET" };
            let answer = ask(site.admin(), request(method, path, &[("host", host)])).await;
            assert_eq!(answer.status != 421, is_allowed, "{host:?} {path}");
            if !is_allowed {
                assert_eq!(answer.problem(), is(421, "WrongHost"), "{host:?} {path}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_to_release_the_brake_reaches_the_source() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    site.observed.send_modify(|observed| observed.held_offers = 12);
    let fields = [("host", "localhost:9004")];
    let answer = ask(site.admin(), request("POST", "/debug/release-brake", &fields)).await;
    assert_eq!(answer.json(), serde_json::json!({ "releasedOffers": 12 }));
    site.admin.release.ordered().await;
}

#[tokio::test(start_paused = true)]
async fn a_document_says_how_old_its_facts_are_once_the_source_is_silent() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    site.admin.reader.health.complete_at(tokio::time::Instant::now());
    site.admin.reader.health.confirmed("ServiceOffers", tokio::time::Instant::now());
    let fresh = site.get(WELL_KNOWN).await;
    tokio::time::advance(Duration::from_secs(35)).await;
    assert_eq!(site.get(WELL_KNOWN).await.header("registrar-source-age"), "");
    assert!(site.get_admin("/readyz?verbose").await.json()["problems"][0].is_null());
    tokio::time::advance(Duration::from_secs(5)).await;
    for path in [WELL_KNOWN.to_owned(), document_of("demo/chat")] {
        let aged = site.get(&path).await;
        assert_eq!(aged.header("registrar-source-age"), "40", "{path}");
        assert_eq!(aged.header("access-control-expose-headers"), "etag, registrar-source-age");
        let known = site.get_with(&path, &[("if-none-match", aged.etag())]).await;
        let shown = (known.status.as_u16(), known.header("registrar-source-age"));
        assert_eq!(shown, (304, "40"), "{path}");
    }
    let aged = site.get(WELL_KNOWN).await;
    assert_eq!((&aged.body, aged.etag()), (&fresh.body, fresh.etag()));
    for path in ["/readyz?verbose", "/debug/offers"] {
        let problem = site.get_admin(path).await.json()["problems"][0].clone();
        let shown = (problem["code"].clone(), problem["about"].clone());
        assert_eq!(shown, ("StaleSource".into(), "ServiceOffers".into()), "{path}");
        assert!(problem["message"].to_string().contains("40 s ago"), "{path}: {problem}");
    }
}
