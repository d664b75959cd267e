//! Caching: an entity tag identifies exact bytes, and no response is sent, cached or confirmed
//! after it has expired.

use std::{io::Read, time::Duration};

use crate::{
    http::tests::site::{Answer, Site, WELL_KNOWN, ask, document_of, is, request},
    publish,
    source::Observation,
    testing::{NOON, Resource, at, for_each_row_async, offer},
};
use flate2::read::GzDecoder;
use tokio::{sync::watch, task::JoinSet, time::Instant};

/// Every path whose response depends on the clock.
fn timely() -> [String; 5] {
    let plain = [WELL_KNOWN, "/offers", "/offers/demo/chat", "/agents"].map(str::to_owned);
    let [well_known, offers, offer, agents] = plain;
    [well_known, document_of("demo/chat"), offers, offer, agents]
}

/// An offer that drains from noon on, for as long as `grace` says.
fn draining(grace: &str) -> [Resource; 1] {
    [offer("demo/chat").draining(NOON, grace)]
}

fn gunzipped(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    plain
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_strong_and_changes_exactly_when_the_bytes_do() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    let first = site.get(WELL_KNOWN).await;
    let shape = |tag: &str| {
        let hex = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap();
        hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    };
    assert!(shape(first.etag()), "{}", first.etag());
    site.publish(&[offer("demo/chat").set("/spec/price", 7)]);
    assert_eq!(site.get(WELL_KNOWN).await.etag(), first.etag());
    site.publish(&[offer("demo/chat").draining(NOON, "1h")]);
    let marked = site.get(WELL_KNOWN).await;
    assert_ne!(marked.body, first.body);
    assert_ne!(marked.etag(), first.etag());
    let again = Site::of("2026-06-01T00:00:00Z", &[offer("demo/chat")]).get(WELL_KNOWN).await;
    assert_eq!((again.etag(), &again.body), (first.etag(), &first.body), "another process");
}

#[tokio::test(start_paused = true)]
async fn each_encoding_has_its_own_tag_and_the_same_content() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    for path in [
        WELL_KNOWN,
        &document_of("demo/chat"),
        "/openapi.yaml",
        "/openapi.json",
        "/schema/offer.schema.json",
        "/agent-icon.png",
    ] {
        let plain = site.get(path).await;
        let gzip = site.get_with(path, &[("accept-encoding", "gzip")]).await;
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        assert_eq!(gzip.header("content-encoding"), "gzip", "{path}");
        assert_eq!(gunzipped(&gzip.body), plain.body, "{path}");
        assert_ne!(gzip.etag(), plain.etag(), "{path}");
        for answer in [&plain, &gzip] {
            assert_eq!(answer.header("vary"), "Accept-Encoding", "{path}");
            assert!(answer.etag().starts_with('"'), "{path}: {}", answer.etag());
        }
        assert_eq!(plain.header("content-type"), gzip.header("content-type"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn gzip_is_sent_to_those_who_like_it_no_less_than_identity() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    let cases: [(&[&str], bool); 32] = [
        (&[], false),
        (&[""], false),
        (&["gzip"], true),
        (&["GZip"], true),
        (&["x-gzip"], true),
        (&["deflate, gzip;q=1.0, *;q=0.5"], true),
        (&["gzip;q=0.001"], true),
        (&["gzip;q=0"], false),
        (&["gzip;q=0.000"], false),
        (&["gzip; q=0.5"], true),
        (&["gzip ;Q=0.5"], true),
        (&["br"], false),
        (&["br, zstd"], false),
        (&["br", "gzip"], true),
        (&["*"], true),
        (&["*;q=0"], false),
        (&["*;q=0.5"], true),
        (&["gzip;q=0, *"], false),
        (&["*, gzip;q=0"], false),
        (&["gzip, *;q=0"], true),
        (&["identity"], false),
        (&["identity;q=0"], false),
        (&["identity;q=0, gzip"], true),
        (&["identity;q=0, *"], true),
        (&["identity;q=0.5, gzip;q=0.5"], true),
        (&["identity;q=0.6, gzip;q=0.5"], false),
        (&["identity, gzip;q=0.5"], false),
        (&["gzip;q=2"], false),
        (&["gzip;q=-1"], false),
        (&["gzip;q=high"], false),
        (&["gzip;level=9"], false),
        (&[";;,,=,q=1,gzipped"], false),
    ];
    let mut failures = Vec::new();
    for_each_row_async(cases, async |(lines, expected)| {
        let fields: Vec<_> = lines.iter().map(|line| ("accept-encoding", *line)).collect();
        let answer = site.get_with(WELL_KNOWN, &fields).await;
        let is_gzip = answer.header("content-encoding") == "gzip";
        if answer.status != 200 || is_gzip != expected {
            failures.push(format!("{lines:?}: {} gzip {is_gzip}", answer.status));
        }
    })
    .await;
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test(start_paused = true)]
async fn if_none_match_is_answered_as_the_rfc_asks() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    let tag = site.get(WELL_KNOWN).await.etag().to_owned();
    let bare = tag.trim_matches('"').to_owned();
    let gzip_tag =
        site.get_with(WELL_KNOWN, &[("accept-encoding", "gzip")]).await.etag().to_owned();
    let cases: [(&str, &[&str], bool); 17] = [
        ("nothing", &[], false),
        ("the tag", &[&tag], true),
        ("a weak form of it", &[&format!("W/{tag}")], true),
        ("any", &["*"], true),
        ("any, with spaces", &["  *  "], true),
        ("another tag", &["\"0f3c1f3a4cd0e7d2c94b5e6a7f8091a2\""], false),
        ("a list with it", &[&format!("\"a\", W/\"b\" ,{tag},\"c\"")], true),
        ("a list without spaces", &[&format!("\"a\",{tag}")], true),
        ("a list with a comma in a tag", &[&format!("\"a,b\", {tag}")], true),
        ("a list without it", &["\"a\", W/\"b\""], false),
        ("several lines", &["\"a\"", &tag], true),
        ("several lines without it", &["\"a\"", "\"b\""], false),
        ("without quotes", &[&bare], false),
        ("a part of it", &[&tag[..20]], false),
        ("a lower-case weak mark", &[&format!("w/{tag}")], false),
        ("the tag of another encoding", &[&gzip_tag], false),
        ("garbage", &["\u{fc},,W/,\"\""], false),
    ];
    let mut failures = Vec::new();
    for_each_row_async(cases, async |(case, lines, expected)| {
        let fields: Vec<_> = lines.iter().map(|line| ("if-none-match", *line)).collect();
        let answer = site.get_with(WELL_KNOWN, &fields).await;
        if (answer.status == 304, answer.body.is_empty()) != (expected, expected) {
            failures.push(format!("{case}: {}, {} bytes", answer.status, answer.body.len()));
        }
    })
    .await;
    assert!(failures.is_empty(), "{failures:#?}");
    let with_gzip = [("accept-encoding", "gzip"), ("if-none-match", tag.as_str())];
    assert_eq!(site.get_with(WELL_KNOWN, &with_gzip).await.status, 200);
    let with_gzip = [("accept-encoding", "gzip"), ("if-none-match", gzip_tag.as_str())];
    let answer = site.get_with(WELL_KNOWN, &with_gzip).await;
    assert_eq!((answer.status.as_u16(), answer.etag()), (304, gzip_tag.as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_a_digest_of_the_bytes_that_are_sent() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    let files = ["/openapi.yaml", "/openapi.json", "/schema/offer.schema.json", "/agent-icon.png"];
    for path in timely().iter().map(String::as_str).chain(files) {
        for fields in [&[][..], &[("accept-encoding", "gzip")]] {
            let answer = site.get_with(path, fields).await;
            let digest = blake3::hash(&answer.body).to_hex();
            assert_eq!(answer.etag(), format!("\"{}\"", &digest[..32]), "{path} {fields:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn preconditions_are_evaluated_in_the_order_of_the_rfc() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    for path in timely().iter().map(String::as_str).chain(["/openapi.yaml", "/agent-icon.png"]) {
        let tag = site.get(path).await.etag().to_owned();
        let (weak, other) = (format!("W/{tag}"), "\"0f3c1f3a4cd0e7d2c94b5e6a7f8091a2\"");
        let list = format!("\"a\",{tag}");
        let future = "Fri, 01 Jan 2100 00:00:00 GMT";
        let past = "Thu, 01 Jan 1970 00:00:00 GMT";
        /// A case, its fields, and the status.
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);
        let rows: [Row<'_>; 15] = [
            ("If-Match with the tag", &[("if-match", &tag)], 200),
            ("If-Match with any", &[("if-match", "*")], 200),
            ("If-Match with a list", &[("if-match", &list)], 200),
            ("If-Match with two lines", &[("if-match", "\"a\""), ("if-match", &tag)], 200),
            ("If-Match with another tag", &[("if-match", other)], 412),
            ("If-Match compares strongly", &[("if-match", &weak)], 412),
            ("an empty If-Match", &[("if-match", "")], 412),
            ("If-Match without quotes", &[("if-match", tag.trim_matches('"'))], 412),
            ("both hold", &[("if-match", &tag), ("if-none-match", other)], 200),
            ("the first fails", &[("if-match", other), ("if-none-match", &tag)], 412),
            ("the second fails", &[("if-match", &tag), ("if-none-match", "*")], 304),
            ("If-None-Match compares weakly", &[("if-none-match", &weak)], 304),
            ("no date is known: changed", &[("if-modified-since", future)], 200),
            ("no date is known: unchanged", &[("if-unmodified-since", past)], 200),
            ("no ranges are known", &[("range", "bytes=0-1"), ("if-range", &tag)], 200),
        ];
        for (case, fields, status) in rows {
            for method in ["GET", "HEAD"] {
                let answer = ask(site.public(), request(method, path, fields)).await;
                assert_eq!(answer.status, status, "{method} {path}: {case}");
                if status == 412 && method == "GET" {
                    assert_eq!(answer.problem(), is(412, "PreconditionFailed"), "{path}: {case}");
                }
                if status == 304 {
                    assert!(!answer.headers.contains_key("content-length"), "{method} {path}");
                }
            }
        }
    }
    let nothing = document_of("demo/nothing");
    for path in ["/nothing", &nothing, "/schema/nothing"] {
        let answer = site.get_with(path, &[("if-match", "\"a\"")]).await;
        assert_eq!(answer.status, 404, "{path}: a precondition needs a representation");
    }
}

#[tokio::test(start_paused = true)]
async fn a_304_says_what_the_200_would_have_said() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    for path in
        timely().iter().map(String::as_str).chain(["/openapi.yaml", "/schema/offer.schema.json"])
    {
        for encoding in ["identity", "gzip"] {
            let full = site.get_with(path, &[("accept-encoding", encoding)]).await;
            let tag = full.etag().to_owned();
            let fields = [("accept-encoding", encoding), ("if-none-match", &tag)];
            let short = site.get_with(path, &fields).await;
            assert_eq!(short.status, 304, "{path}");
            for name in ["etag", "cache-control", "vary", "access-control-allow-origin"] {
                assert_eq!(short.header(name), full.header(name), "{path}: {name}");
            }
            assert_eq!(short.header("content-type"), "", "{path}");
            assert_eq!(short.header("content-encoding"), "", "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_past_the_next_change_and_never_a_second_too_long() {
    let cases = [
        ("nothing ends", 5, "", 0, 5),
        ("the end is far", 5, "1h", 0, 5),
        ("the end is near", 5, "3s", 0, 3),
        ("exactly the age", 5, "5s", 0, 5),
        ("a fraction is cut", 5, "3s", 1, 2),
        ("a little over a second", 5, "3s", 1_999, 1),
        ("the last second", 5, "3s", 2_001, 0),
        ("the last millisecond", 5, "3s", 2_999, 0),
        ("no age at all", 0, "1h", 0, 0),
        ("a long age", 86_400, "1h", 0, 3_600),
    ];
    let mut failures = Vec::new();
    for_each_row_async(cases, async |(case, max_age, grace, milliseconds, expected)| {
        let open = [offer("demo/chat")];
        let mut site = Site::empty(NOON);
        site.admin.reader.max_age = Duration::from_secs(max_age);
        site.publish(if grace.is_empty() { open } else { draining(grace) }.iter());
        tokio::time::advance(Duration::from_millis(milliseconds)).await;
        for path in timely() {
            let answer = site.get(&path).await;
            let expected = format!("public, max-age={expected}");
            let actual = answer.header("cache-control");
            if answer.status != 200 || actual != expected {
                failures
                    .push(format!("{case}: {path}: {}, {actual} not {expected}", answer.status));
            }
        }
    })
    .await;
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_built_in_is_kept_longer() {
    let site = Site::empty(NOON);
    for path in ["/openapi.yaml", "/openapi.json", "/schema/offer.schema.json", "/agent-icon.png"] {
        assert_eq!(site.get(path).await.header("cache-control"), "public, max-age=300", "{path}");
    }
}

async fn timed(site: &Site, path: &str) -> (Answer, Duration) {
    let asked = Instant::now();
    (site.get(path).await, asked.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_has_run_out_is_never_served() {
    let site = Site::of(NOON, &draining("1m"));
    let tag = site.get(WELL_KNOWN).await.etag().to_owned();
    tokio::time::advance(Duration::from_millis(59_999)).await;
    assert_eq!(site.get(WELL_KNOWN).await.status, 200);
    tokio::time::advance(Duration::from_millis(1)).await;
    for path in timely() {
        let (answer, waited) = timed(&site, &path).await;
        assert_eq!(answer.problem(), is(503, "Stale"), "{path}");
        assert_eq!(answer.header("retry-after"), "1", "{path}");
        assert_eq!(waited, Duration::from_millis(100), "{path}");
    }
    let confirmed = site.get_with(WELL_KNOWN, &[("if-none-match", &tag)]).await;
    assert_eq!(confirmed.status, 503, "no 304 across the change");
    assert_eq!(site.get_admin("/debug/offers").await.problem(), is(503, "Stale"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_a_publisher_that_catches_up_in_time() {
    for (delay, status) in [(0, 200), (50, 200), (99, 200), (101, 503)] {
        let offers = draining("1m");
        let site = Site::of(NOON, &offers);
        tokio::time::advance(Duration::from_secs(60)).await;
        let catches_up = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            site.publish(&offers);
        };
        let (answer, ()) = tokio::join!(site.get(WELL_KNOWN), catches_up);
        assert_eq!(answer.status, status, "after {delay} ms");
        let after = site.get(WELL_KNOWN).await;
        assert_eq!(after.json()["active"], false, "after {delay} ms");
        if status == 200 {
            assert_eq!(answer.body, after.body, "after {delay} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_publishes_what_has_run_out_as_well_does_not_help() {
    let site = Site::of(NOON, &draining("1m"));
    let stale = site.catalog.load().unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    let insists = async {
        for _ in 0..9 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            site.catalog.replace(stale.clone());
        }
    };
    let ((answer, waited), ()) = tokio::join!(timed(&site, WELL_KNOWN), insists);
    assert_eq!((answer.problem(), waited), (is(503, "Stale"), Duration::from_millis(100)));
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_does_not_hold_wakes_the_publisher_and_is_not_ready() {
    let site = Site::of(NOON, &draining("1m"));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(site.get_admin("/readyz").await.problem(), is(503, "Stale"));
    let publisher = async {
        site.catalog.wanted().await;
        site.publish(&draining("1m"));
    };
    let (answer, ()) = tokio::join!(site.get(WELL_KNOWN), publisher);
    assert_eq!(answer.json()["active"], false);
    assert_eq!(site.get_admin("/readyz").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_catalog_is_not_served_at_an_earlier_time_than_it_is_true_at() {
    let mut site = Site::of(NOON, &draining("0s"));
    assert_eq!(site.get(WELL_KNOWN).await.json()["active"], false);
    site.step_clock_to("2026-05-24T11:59:59Z");
    assert_eq!(site.get(WELL_KNOWN).await.problem(), is(503, "Stale"));
    assert_eq!(site.get_admin("/readyz").await.problem(), is(503, "Stale"));
    site.publish(&draining("0s"));
    assert_eq!(site.get(WELL_KNOWN).await.json()["services"][0]["available"], false);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_stepped_over_an_end_serves_nothing_ended() {
    let mut site = Site::of(NOON, &draining("1h"));
    site.step_clock_to("2026-05-24T13:00:00Z");
    assert_eq!(site.get(WELL_KNOWN).await.problem(), is(503, "Stale"));
    site.step_clock_to("2026-05-24T12:59:59Z");
    let answer = site.get(WELL_KNOWN).await;
    assert_eq!(answer.header("cache-control"), "public, max-age=1");
    site.step_clock_to("2026-05-24T11:00:00Z");
    let answer = site.get(WELL_KNOWN).await;
    assert_eq!(answer.header("cache-control"), "public, max-age=5", "a step back");
    site.step_clock_to("2026-05-24T13:00:00Z");
    site.publish(&draining("1h"));
    assert_eq!(site.get(WELL_KNOWN).await.json()["active"], false);
}

#[tokio::test(start_paused = true)]
async fn under_the_real_publisher_a_drain_ends_on_the_second_without_an_event() {
    let site = Site::of(NOON, &draining("90s"));
    let observed = site.observed.subscribe();
    let reader = &site.admin.reader;
    let mut tasks = JoinSet::new();
    let outputs = publish::Outputs { catalog: site.catalog.clone(), ..publish::Outputs::new() };
    let (_facts, on_chain) = watch::channel(Default::default());
    tasks.spawn(publish::run(
        observed,
        on_chain,
        site.rules.clone(),
        reader.clock,
        outputs,
        reader.metrics.clone(),
    ));
    tokio::time::sleep(Duration::from_millis(89_999)).await;
    assert_eq!(site.get(WELL_KNOWN).await.json()["services"][0]["available"], false);
    tokio::time::advance(Duration::from_millis(1)).await;
    let (answer, waited) = timed(&site, WELL_KNOWN).await;
    assert_eq!(answer.json()["active"], false);
    assert!(waited < Duration::from_millis(100), "{waited:?}");
    assert_eq!(site.get(&document_of("demo/chat")).await.problem(), is(404, "Drained"));
    assert_eq!(reader.clock.now() - at(NOON), chrono::TimeDelta::seconds(90));
    site.observed.send_replace(Observation::default());
    assert_eq!(site.get(WELL_KNOWN).await.status, 200, "a source that forgets takes nothing away");
}
