//! `/`: who gets a page and who an index, what the page says, and what can never be in it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    http::tests::site::{Answer, Site, is},
    testing::{NOON, Resource, for_each_row_async, offer},
};

const PEOPLE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

async fn page(site: &Site, path: &str) -> String {
    let answer = site.get_with(path, &[PEOPLE]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    answer.text().to_owned()
}

fn many(count: usize) -> Vec<Resource> {
    let resource = |number| {
        offer(&format!("llm/model-{number:03}"))
            .set("/spec/registration/name", format!("North Harbour model {number}"))
            .set("/spec/registration/description", "Answers questions about harbours. ".repeat(6))
    };
    (0..count).map(resource).collect()
}

/// What stands between two texts, for every occurrence.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split(after).next().unwrap()).collect()
}

/// The link whose text is given.
fn link(page: &str, text: &str) -> Option<String> {
    let links = between(page, "<a href=\"", "</a>");
    let found = links.into_iter().find_map(|link| link.strip_suffix(text)?.strip_suffix("\">"));
    found.map(|url| format!("/{}", url.replace("&amp;", "&")))
}

#[tokio::test(start_paused = true)]
async fn only_who_asks_for_html_gets_it() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    let rows = [
        ("", false),
        ("*/*", false),
        ("application/json", false),
        ("application/json, text/html;q=0.9", false),
        ("text/html;q=0", false),
        ("text/*", false),
        ("text/html", true),
        ("TEXT/HTML;q=0.5", true),
        ("text/html, application/json", true),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
    ];
    for_each_row_async(rows, async |(accept, is_page)| {
        let fields = [("accept", accept)];
        let answer = site.get_with("/", if accept.is_empty() { &[] } else { &fields }).await;
        let html = answer.header("content-type") == "text/html; charset=utf-8";
        assert_eq!((answer.status.as_u16(), html), (200, is_page), "{accept:?}");
        assert_eq!(answer.header("vary"), "Accept, Accept-Encoding", "{accept:?}");
        assert_eq!(answer.header("content-security-policy").is_empty(), !is_page, "{accept:?}");
    })
    .await;
    let expected = json!({
        "publicUrl": "https://seller.example",
        "document": "https://seller.example/.well-known/agent-registration.json",
        "published": 1,
        "draining": 0,
        "agents": "/agents",
        "offers": "/offers",
        "events": "/events",
        "openapi": "/openapi.json",
    });
    assert_eq!(site.get("/").await.json(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_policy_allows_nothing_but_files_of_this_origin() {
    let site = Site::of(NOON, &[offer("demo/chat").draining(NOON, "1h")]);
    let answer = site.get_with("/", &[PEOPLE]).await;
    let policy = answer.header("content-security-policy");
    let sources = policy.split("; ").map(|directive| directive.split_once(' ').unwrap().1);
    assert!(sources.clone().all(|source| ["'self'", "'none'"].contains(&source)), "{policy}");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    let page = answer.text();
    for never in [" style=", "<style", "<script>", " onclick", "javascript:", "//cdn"] {
        assert!(!page.contains(never), "{never}");
    }
    for file in between(page, "src=\"", "\"").into_iter().chain(["/docs/page.css"]) {
        let loaded = site.get(file).await;
        assert_eq!(loaded.status, 200, "{file}");
        assert!(!loaded.text().contains("http"), "{file} names another host");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_says_what_the_lists_say() {
    let site = Site::empty(NOON).anchored("base", "2087");
    site.publish(&[
        offer("demo/chat").set("/spec/registration/name", "Harbour Chat"),
        offer("demo/audit").host("audit.example"),
        offer("demo/draining").draining(NOON, "1h"),
        offer("demo/drained").draining("2026-05-24T10:00:00Z", "1h").host("drained.example"),
        offer("demo/disabled").disabled(),
    ]);
    let page = page(&site, "/").await;
    let listed: Vec<_> = between(&page, "<code>", "</code>");
    let expected = [
        "default",
        "host:audit.example",
        "host:drained.example",
        "demo/audit",
        "demo/chat",
        "demo/draining",
    ];
    assert_eq!(listed, expected);
    for part in [
        "Harbour Chat",
        "<time data-ends datetime=\"2026-05-24T13:00:00Z\">2026-05-24 13:00:00 UTC</time>",
        "https://basescan.org/nft/0x8004A169FB4a3325136EB29fA0ceB6D2e539a432/2087",
        "#2087 on base",
        "data-now=\"2026-05-24T12:00:00Z\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(page.matches("Inactive").count(), 1, "{page}");
    assert!(!page.contains("demo/disabled") && !page.contains("demo/drained"), "{page}");
    assert!(!page.contains("out of date"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn a_page_is_small_whatever_is_published() {
    let site = Site::of(NOON, &many(500));
    let mut size = page(&site, "/").await.len();
    for file in ["/docs/page.css", "/docs/page.js"] {
        size += site.get(file).await.body.len();
    }
    assert!(size < 30_000, "{size} bytes");
}

#[tokio::test(start_paused = true)]
async fn pages_add_up_to_the_list_and_searches_to_what_matches() {
    let mut resources = many(60);
    resources.push(offer("shop/audit").host("model-7.example"));
    let site = Site::of(NOON, &resources);
    let rows = [("/", 61), ("/?q=MODEL-0", 61), ("/?q=model-7.example", 1), ("/?q=nothing", 0)];
    for_each_row_async(rows, async |(first, expected)| {
        let (mut path, mut seen) = (first.to_owned(), Vec::new());
        for number in 0.. {
            assert!(number < 10, "the pages of {first} never end");
            let page = page(&site, &path).await;
            let services = page.split("id=\"services\"").nth(1).unwrap();
            seen.extend(between(services, "<code>", "</code>").into_iter().map(str::to_owned));
            match link(services, "Next page") {
                Some(next) => path = next,
                None => break,
            }
        }
        let expected = if first == "/?q=MODEL-0" { 60 } else { expected };
        assert_eq!(seen.len(), expected, "{first}: {seen:?}");
    })
    .await;
    let found = page(&site, "/?q=audit").await;
    assert_eq!(between(&found, "<code>", "</code>"), ["host:model-7.example", "shop/audit"]);
    assert!(found.contains("value=\"audit\""), "the word stays in its field");
    for (path, code) in
        [("/?cursor=zz", 400), ("/?agents=zz", 400), ("/?page=2", 400), ("/?q=a&q=b", 400)]
    {
        assert_eq!(
            site.get_with(path, &[PEOPLE]).await.problem(),
            is(code, "InvalidQuery"),
            "{path}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_list_of_agents_is_behind_a_link() {
    let hosted = |number| offer(&format!("llm/m{number}")).host(&format!("m{number}.example"));
    let resources: Vec<_> = (0..20).map(hosted).collect();
    let site = Site::of(NOON, &resources);
    let (mut path, mut seen) = ("/".to_owned(), Vec::new());
    loop {
        let page = page(&site, &path).await;
        let (agents, services) = page.split_once("id=\"services\"").unwrap();
        assert_eq!(between(services, "<code>", "</code>").len(), 20, "services stay: {path}");
        seen.extend(between(agents, "<code>", "</code>").into_iter().map(str::to_owned));
        match link(agents, "Next page") {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(seen.len(), 21);
    assert!(link(&page(&site, &path).await, "First page").is_some_and(|first| first == "/?"));
}

#[tokio::test(start_paused = true)]
async fn hostile_text_is_only_text() {
    let hostile = "</h3><script>hacked()</script><img src=x onerror=\"hacked()\">";
    let site = Site::of(
        NOON,
        &[offer("demo/chat")
            .set("/spec/registration/name", hostile)
            .set("/spec/registration/description", format!("\"'>{hostile}"))
            .set("/spec/registration/image", hostile)
            .service("MCP", "javascript:hacked()")],
    );
    let path = "/?q=%22%3E%3Cscript%3Ehacked()%3C%2Fscript%3E";
    for path in ["/", path] {
        let page = page(&site, path).await;
        assert!(!page.contains("<script>") && !page.contains("<img"), "{path}: {page}");
        assert!(page.contains("&lt;script&gt;hacked()"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn people_see_what_is_wrong_and_programs_get_a_problem() {
    let site = Site::empty(NOON);
    site.lacks("<i>serviceoffers</i>");
    let answer = site.get_with("/", &[PEOPLE]).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert!(answer.text().contains("&lt;i&gt;serviceoffers"), "{}", answer.text());
    assert_eq!(site.get("/").await.problem(), is(503, "Incomplete"));
}

#[tokio::test(start_paused = true)]
async fn a_page_says_that_its_facts_are_old() {
    let site = Site::of(NOON, &[offer("demo/chat")]);
    site.admin.reader.health.complete_at(tokio::time::Instant::now());
    tokio::time::advance(Duration::from_secs(180)).await;
    let page = page(&site, "/").await;
    let confirmed = "<time datetime=\"2026-05-24T12:00:00Z\">2026-05-24 12:00:00 UTC</time>";
    let notice = format!("The source was last confirmed at {confirmed}, 3 min before this page.");
    assert!(page.contains(&notice), "{page}");
    assert!(page.contains("as last known") && !page.contains("as published now"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn findings_are_shown_where_they_are() {
    let plain =
        offer("demo/plain").set("/spec/registration/description", "An offer that is described.");
    let findings = |answer: &Answer, id: &str| -> Vec<String> {
        let report = answer.json();
        let offers = report["offers"].as_array().unwrap();
        let offer = offers.iter().find(|offer| offer["name"] == id).unwrap();
        let codes = offer["findings"].as_array().unwrap().iter();
        codes.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    };
    let site = Site::of(
        NOON,
        &[plain.clone().set("/spec/registration/name", "x"), offer("demo/off").disabled()],
    );
    let report = site.get_admin("/debug/offers").await;
    assert!(findings(&report, "plain").contains(&"NameLength".to_owned()), "{}", report.text());
    assert_eq!(findings(&report, "off"), [""; 0]);
    let agents = report.json()["agents"].clone();
    assert_eq!(agents[0]["agent"], "default");
    assert!(agents[0]["findings"].as_array().unwrap().iter().any(|f| f["code"] == "NameLength"));
    let metrics = site.get_admin("/metrics").await;
    let series = "registrar_document_findings{code=\"NameLength\",severity=";
    assert!(metrics.text().contains(series), "{}", metrics.text());
    site.publish(&[plain]);
    let report = site.get_admin("/debug/offers").await;
    assert!(!findings(&report, "plain").contains(&"NameLength".to_owned()), "{}", report.text());
    assert!(!site.get_admin("/metrics").await.text().contains(series));
    assert_ne!(report.json()["agents"], Value::Null);
}
