//! Metrics: what a scrape holds. The table in docs/metrics.md is generated from one.

use std::collections::BTreeMap;

use crate::{
    anchor::AnchorReason,
    http::tests::{
        scraped::{Metric, anchored, full_scrape, sample, scrape, scraped, troubled},
        site::{Site, WELL_KNOWN, ask, document_of, request},
    },
    http::{self, admin},
    registration::{OfferState, Reason},
    source::{SourceProblem, SourceProblemCode},
    testing::{NOON, offer},
    tests::docs::{check, code, plain, table},
};

/// The value of one series, as a scrape writes it.
fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

#[tokio::test(start_paused = true)]
async fn the_shrink_brake_and_what_a_watch_missed_are_measured() {
    let site = troubled();
    let text = scrape(&site).await;
    assert_eq!(value(&text, "registrar_source_brake_engaged"), Some("0"));
    assert_eq!(value(&text, "registrar_source_drift_total"), Some("0"));
    site.observed.send_modify(|observed| observed.held_offers = 12);
    site.admin.reader.metrics.drifted(3);
    let text = scrape(&site).await;
    assert_eq!(value(&text, "registrar_source_brake_engaged"), Some("1"));
    assert_eq!(value(&text, "registrar_source_drift_total"), Some("3"));
    let report = site.get_admin("/readyz?verbose").await.json();
    assert_eq!(report["heldOffers"], 12);
}

#[tokio::test(start_paused = true)]
async fn a_scrape_in_the_older_format_has_the_same_samples() {
    let site = troubled();
    let open_metrics = scrape(&site).await;
    let answer = site.get_admin("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(answer.header("vary"), "Accept");
    let samples = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        // Each scrape counts the one before it.
        let counts = |line: &&str| line.contains("/metrics") || line.contains("listener=\"admin\"");
        lines.filter(|line| !counts(line)).map(str::to_owned).collect()
    };
    assert_eq!(samples(answer.text()), samples(&open_metrics));
    assert!(!answer.text().contains("# EOF"), "{}", answer.text());
    assert!(answer.text().contains("# TYPE registrar_http_panics_total counter\n"));
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_anchored_is_measured_with_every_reason_named() {
    let site = troubled();
    site.admin.reader.metrics.anchored(&anchored());
    let text = scrape(&site).await;
    for reason in AnchorReason::ALL {
        let series =
            format!("registrar_anchor_agents{{chain=\"eip155:8453\",reason=\"{reason}\"}}");
        let count = if *reason == AnchorReason::Anchored { "1" } else { "0" };
        assert_eq!(value(&text, &series), Some(count), "{reason}");
    }
    let figures = [
        ("funds_days", "12.5"),
        ("foreign_nonces", "1"),
        ("duplicate_mints", "2"),
        ("settled_nonces", "7"),
        ("endpoints", "3"),
    ];
    for (name, figure) in figures {
        let series = format!("registrar_anchor_{name}{{chain=\"eip155:8453\"}}");
        assert_eq!(value(&text, &series), Some(figure), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn generated_metrics_table_is_what_a_scrape_holds() {
    let site = troubled();
    assert!(!scrape(&site).await.contains("registrar_anchor_agents{"), "nothing is anchored");
    let text = full_scrape().await;
    let metrics = scraped(&text);
    let families = text.lines().filter(|line| line.starts_with("# HELP ")).count();
    assert_eq!(
        metrics.len(),
        families,
        "a metric without a sample would be missing from the table"
    );
    let rows = metrics.iter().map(|(name, Metric { kind, labels, help })| {
        let labels = labels.keys().map(|label| code(label)).collect::<Vec<_>>().join(", ");
        vec![code(name), kind.clone(), labels, plain(help)]
    });
    check("docs/metrics.md", "metrics", &table(&["name", "type", "labels", "meaning"], rows));
}

#[tokio::test(start_paused = true)]
async fn readiness_is_measured_as_readyz_answers() {
    let site = Site::empty(NOON);
    assert_eq!(value(&scrape(&site).await, "registrar_ready"), Some("0"));
    site.publish(&[offer("demo/chat").draining(NOON, "10m")]);
    assert_eq!(value(&scrape(&site).await, "registrar_ready"), Some("1"));
    tokio::time::advance(std::time::Duration::from_secs(600)).await;
    assert_eq!(value(&scrape(&site).await, "registrar_ready"), Some("0"), "a change is overdue");
    site.publish(&[offer("demo/chat")]);
    assert_eq!(value(&scrape(&site).await, "registrar_ready"), Some("1"));
    site.admin.stopping.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(value(&scrape(&site).await, "registrar_ready"), Some("0"), "it stops");
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_timed_and_one_that_waits_for_the_catalog_is_slow() {
    let site = troubled();
    let bucket = |text: &str, bound: &str| {
        let series = "registrar_http_request_duration_seconds_bucket";
        let series = format!("{series}{{le=\"{bound}\",listener=\"public\"}}");
        value(text, &series).unwrap_or_else(|| panic!("{series}: {text}")).to_owned()
    };
    site.get(WELL_KNOWN).await;
    site.get("/offers").await;
    site.get("/nothing").await;
    let text = scrape(&site).await;
    assert_eq!((bucket(&text, "0.0001"), bucket(&text, "+Inf")), ("3".into(), "3".into()));
    tokio::time::advance(std::time::Duration::from_secs(3_600)).await;
    assert_eq!(site.get(WELL_KNOWN).await.status.as_u16(), 503, "nobody makes the next catalog");
    let text = scrape(&site).await;
    assert_eq!((bucket(&text, "0.05"), bucket(&text, "0.25")), ("3".into(), "4".into()));
    let sum = "registrar_http_request_duration_seconds_sum{listener=\"public\"}";
    let sum: f64 = value(&text, sum).unwrap().parse().unwrap();
    assert!((0.1..0.11).contains(&sum), "{sum}");
    let count = "registrar_http_request_duration_seconds_count{listener=\"public\"}";
    assert_eq!(value(&text, count), Some("4"));
}

#[tokio::test(start_paused = true)]
async fn answers_of_every_thread_are_added_up_with_their_sizes() {
    let site = troubled();
    let front = http::public(site.admin.reader.clone());
    let mut sent = 0;
    for thread in [front.for_thread(), front.for_thread(), front.clone(), front] {
        for (method, headers) in
            [("GET", &[][..]), ("GET", &[("accept-encoding", "gzip")]), ("HEAD", &[])]
        {
            sent += ask(thread.clone(), request(method, WELL_KNOWN, headers)).await.body.len();
        }
    }
    let text = scrape(&site).await;
    let route = format!("registrar_http_requests_total{{route=\"{WELL_KNOWN}\",status=\"200\"}}");
    assert_eq!(value(&text, &route), Some("12"), "{text}");
    let size = "registrar_http_response_size_bytes";
    let sum = value(&text, &format!("{size}_sum{{listener=\"public\"}}"));
    assert_eq!(sum.and_then(|sum| sum.parse().ok()), Some(sent as f64), "{text}");
    let empty = value(&text, &format!("{size}_bucket{{le=\"256.0\",listener=\"public\"}}"));
    assert_eq!(empty, Some("8"), "the empty and the compressed ones: {text}");
}

#[tokio::test(start_paused = true)]
async fn every_state_and_reason_is_counted_from_the_first_scrape_on() {
    for (site, open) in [(Site::empty(NOON), "0"), (troubled(), "1")] {
        let text = scrape(&site).await;
        for state in OfferState::ALL {
            assert!(
                value(&text, &format!("registrar_offers{{state=\"{state}\"}}")).is_some(),
                "{text}"
            );
        }
        for reason in Reason::ALL {
            let series = format!("registrar_offers_by_reason{{reason=\"{reason}\"}}");
            assert!(value(&text, &series).is_some(), "{text}");
        }
        assert_eq!(value(&text, "registrar_offers{state=\"published\"}"), Some(open));
        assert_eq!(value(&text, "registrar_offers_by_reason{reason=\"Drained\"}"), Some(open));
    }
}

#[tokio::test(start_paused = true)]
async fn ages_are_read_at_the_scrape_and_unknown_ones_are_nan() {
    let ages = |text: &str| {
        let names = ["source_silence", "source_incomplete", "document_age", "document_next_change"];
        names.map(|name| value(text, &format!("registrar_{name}_seconds")).unwrap().to_owned())
    };
    let site = Site::empty(NOON);
    assert_eq!(ages(&scrape(&site).await), ["NaN"; 4]);
    site.publish(&[offer("demo/chat").draining(NOON, "10m")]);
    site.admin.reader.health.complete_at(tokio::time::Instant::now());
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    site.admin.reader.health.responded();
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    assert_eq!(ages(&scrape(&site).await), ["2.0", "62.0", "62.0", "538.0"]);
    tokio::time::advance(std::time::Duration::from_secs(600)).await;
    assert_eq!(ages(&scrape(&site).await)[3], "-62.0", "overdue");
    site.publish(&[offer("demo/chat").draining(NOON, "10m")]);
    assert_eq!(ages(&scrape(&site).await)[2..], ["0.0", "NaN"]);
}

#[tokio::test(start_paused = true)]
async fn a_problem_that_has_passed_is_counted_no_more() {
    let site = troubled();
    let series = "registrar_source_problems{code=\"BrokenFile\"}";
    assert_eq!(value(&scrape(&site).await, series), Some("2"));
    site.observed.send_modify(|observed| observed.problems.clear());
    assert_eq!(value(&scrape(&site).await, series), None);
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_counted_once_under_its_route() {
    let site = troubled();
    let document = document_of("demo/chat");
    let gone = document_of("demo/drained");
    let asked = [
        ("GET", WELL_KNOWN, WELL_KNOWN, 200),
        ("HEAD", WELL_KNOWN, WELL_KNOWN, 200),
        ("OPTIONS", WELL_KNOWN, WELL_KNOWN, 204),
        ("POST", WELL_KNOWN, WELL_KNOWN, 405),
        ("GET", &document, "/offers/{namespace}/{name}/agent-registration.json", 200),
        ("GET", &gone, "/offers/{namespace}/{name}/agent-registration.json", 404),
        ("GET", "/offers", "/offers", 200),
        ("GET", "/offers?limit=0", "/offers", 400),
        ("GET", "/offers/demo/drained", "/offers/{namespace}/{name}", 404),
        ("GET", "/agents", "/agents", 200),
        ("GET", "/schema/offer.schema.json", "/schema/{file}", 200),
        ("GET", "/schema/nothing", "/schema/{file}", 404),
        ("GET", "/nothing", "none", 404),
        ("POST", "/agents", "/agents", 405),
        ("OPTIONS", "/agents", "/agents", 204),
        ("OPTIONS", "/nothing", "none", 404),
        ("OPTIONS", "*", "none", 204),
    ];
    let mut expected: BTreeMap<(&str, u16), u32> = BTreeMap::new();
    for (method, uri, route, status) in asked {
        let answer = ask(site.public(), request(method, uri, &[])).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {uri}");
        *expected.entry((route, status)).or_default() += 1;
    }
    for path in admin::paths() {
        let method = if path == "/debug/release-brake" { "POST" } else { "GET" };
        ask(site.admin(), request(method, path, &[("host", "localhost")])).await;
        *expected.entry((path, 200)).or_default() += 1;
    }
    let text = scrape(&site).await;
    let mut counted = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("registrar_http_requests_total")) {
        let (_, labels, count) = sample(line);
        let labels: BTreeMap<_, _> = labels.into_iter().collect();
        counted.insert((labels["route"], labels["status"].parse::<u16>().unwrap()), count);
    }
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(key, count)| (key, f64::from(count))).collect();
    assert_eq!(counted, expected);
}

#[tokio::test(start_paused = true)]
async fn readiness_in_full_says_what_the_source_and_the_clock_do() {
    let site = troubled();
    site.admin.reader.health.responded();
    tokio::time::advance(std::time::Duration::from_secs(3)).await;
    let answer = site.get_admin("/readyz?verbose").await.json();
    let expected = serde_json::json!({
        "ready": true,
        "missing": [],
        "problems": [
            { "code": "BrokenFile", "about": "a.yaml", "message": "line 3" },
            { "code": "BrokenFile", "about": "b.yaml", "message": "line 4" },
        ],
        "sourceSilenceSeconds": 3.0,
        "sourceIncompleteSeconds": null,
        "heldOffers": 0,
        "publicUrl": "https://seller.example",
        "nextChange": "2026-05-24T12:10:00Z",
        "documentChangedAt": NOON,
        "offers": { "published": 1, "draining": 1, "drained": 1, "unpublished": 1 },
        "anchoring": [],
    });
    assert_eq!(answer, expected);
    let site = Site::empty(NOON);
    site.lacks("serviceoffers.obol.org");
    for query in ["verbose", "verbose=1", "a=b&verbose"] {
        let answer = site.get_admin(&format!("/readyz?{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["ready"]),
            (503, &false.into()),
            "{query}"
        );
        assert_eq!(answer.json()["missing"][0]["code"], "NotListed", "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_tells_how_anchoring_stands_and_is_not_moved_by_it() {
    let site = Site::empty(NOON).with_reason(AnchorReason::Unreachable);
    site.publish(&[offer("demo/chat")]);
    let answer = site.get_admin("/readyz?verbose").await;
    let registry = format!("eip155:8453:0x{}", "80".repeat(20));
    let expected = serde_json::json!([
        { "agent": "default", "agentRegistry": registry, "reason": "Unreachable" },
    ]);
    assert_eq!((answer.status.as_u16(), &answer.json()["anchoring"]), (200, &expected));
    assert_eq!(site.get_admin("/readyz").await.text(), "ok\n");
}

#[tokio::test(start_paused = true)]
async fn debug_offers_explains_every_offer_seen() {
    let site = Site::of(
        NOON,
        &[
            offer("demo/chat")
                .service("MCP", "http://chat.demo.svc")
                .service("A2A", "https://a.example/card"),
            offer("demo/disabled").disabled(),
            offer("demo/late").path("/services/chat").created("2026-02-01T00:00:00Z"),
            offer("demo/drained").draining("2026-05-24T10:00:00Z", "1h"),
        ],
    );
    site.observed.send_modify(|observed| {
        observed.problems.push(SourceProblem::new(
            SourceProblemCode::BrokenFile,
            "a.yaml",
            "line 3",
        ));
    });
    let answer = site.get_admin("/debug/offers").await.json();
    assert_eq!(answer["problems"][0]["about"], "a.yaml");
    let offers = answer["offers"].as_array().unwrap();
    let reasons: Vec<_> = offers
        .iter()
        .map(|offer| ["name", "state", "reason"].map(|key| offer[key].as_str().unwrap()))
        .collect();
    assert_eq!(
        reasons,
        [
            ["chat", "published", "Published"],
            ["disabled", "unpublished", "Disabled"],
            ["drained", "drained", "Drained"],
            ["late", "unpublished", "PathConflict"],
        ]
    );
    assert_eq!(offers[2]["drainEndsAt"], "2026-05-24T11:00:00Z");
    assert!(
        offers[3]["message"].as_str().unwrap().contains("demo/chat"),
        "operators may know the holder"
    );
    let dropped = offers[0]["droppedServices"].as_array().unwrap();
    assert_eq!(dropped.len(), 1);
    assert_eq!((&dropped[0]["index"], &dropped[0]["code"]), (&0.into(), &"NotHttps".into()));
    assert!(offers.iter().all(|offer| !offer["fix"].as_str().unwrap().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_document_over_64_kib_is_a_problem_to_look_at_and_no_more() {
    let described =
        |bytes: usize| offer("llm/chat").set("/spec/registration/description", "x".repeat(bytes));
    let size = async |site: &Site| site.get(WELL_KNOWN).await.body.len();
    let bare = size(&Site::of(NOON, &[described(1)])).await - 1;
    for (bytes, expected) in [(65_536 - bare, 0), (65_537 - bare, 1)] {
        let site = Site::of(NOON, &[described(bytes)]);
        assert_eq!(size(&site).await, bytes + bare);
        let answer = site.get_admin("/readyz?verbose").await.json();
        let problems = answer["problems"].as_array().unwrap();
        assert_eq!(
            (problems.len(), answer["ready"].as_bool()),
            (expected, Some(true)),
            "{problems:?}"
        );
        if let Some(problem) = problems.first() {
            assert_eq!(
                (&problem["code"], &problem["about"]),
                (&"LargeDocument".into(), &"the document of default".into())
            );
        }
    }
}
