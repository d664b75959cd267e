//! Lists: pages, cursors, and what a row says.

use serde_json::{Value, json};

use crate::{
    http,
    http::tests::site::{Answer, Site, document_of, is},
    testing::{NOON, Resource, offer},
};

fn names(answer: &Answer) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let page = answer.json();
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| match item.get("agent") {
            Some(agent) => text(agent),
            None => format!("{}/{}", text(&item["namespace"]), text(&item["name"])),
        })
        .collect()
}

/// All names of a list, page by page.
async fn paged(site: &Site, path: &str, limit: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = site.get(&format!("{path}?limit={limit}{cursor}")).await;
        let items = names(&page);
        assert!(items.len() <= limit, "{items:?}");
        all.extend(items);
        assert!(all.len() < 100, "the pages never end: {all:?}");
        match page.json()["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// Ids whose text sorts otherwise than they do: `-` and `.` come before `/`.
const AWKWARD: [&str; 7] = ["a/x", "a/x-1", "a/y", "a-b/x", "a-b/y", "a.b/x", "b/x"];

fn awkward() -> Vec<Resource> {
    AWKWARD.iter().map(|id| offer(id).path(&format!("/at/{id}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn pages_of_any_size_add_up_to_the_list_in_order() {
    let site = Site::of(NOON, &awkward());
    for limit in 1..=8 {
        assert_eq!(paged(&site, "/offers", limit).await, AWKWARD, "limit {limit}");
    }
    let hosts = AWKWARD.map(|id| format!("{}.example", id.replace('/', ".")));
    let hosted: Vec<_> =
        awkward().into_iter().zip(&hosts).map(|(offer, host)| offer.host(host)).collect();
    let site = Site::of(NOON, &hosted);
    let mut agents: Vec<_> = hosts.iter().map(|host| format!("host:{host}")).collect();
    agents.sort();
    agents.insert(0, "default".to_owned());
    for limit in 1..=9 {
        assert_eq!(paged(&site, "/agents", limit).await, agents, "limit {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cursor_keeps_its_place_when_its_item_has_gone() {
    let site = Site::of(NOON, &awkward());
    for (at, gone) in AWKWARD.iter().enumerate() {
        site.publish(&awkward());
        let page = site.get(&format!("/offers?limit={}", at + 1)).await;
        assert_eq!(names(&page), AWKWARD[..=at]);
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else {
            assert_eq!(at, AWKWARD.len() - 1, "only the last page is the last");
            continue;
        };
        site.publish(awkward().iter().filter(|offer| offer.id().to_string() != *gone));
        let rest = site.get(&format!("/offers?cursor={next}")).await;
        assert_eq!(names(&rest), AWKWARD[at + 1..], "{gone} has gone");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_a_hundred_unless_asked_and_a_thousand_at_most() {
    let many: Vec<_> = (0..1_001).map(|number| offer(&format!("demo/n{number:04}"))).collect();
    let site = Site::of(NOON, &many);
    for (query, count) in [("", 100), ("?limit=1", 1), ("?limit=101", 101), ("?limit=1000", 1_000)]
    {
        let page = site.get(&format!("/offers{query}")).await;
        assert_eq!(names(&page).len(), count, "{query}");
        assert!(page.json()["next"].is_string(), "{query}");
    }
    let last = site.get("/offers?limit=1000").await.json()["next"].as_str().unwrap().to_owned();
    let page = site.get(&format!("/offers?cursor={last}")).await;
    assert_eq!(names(&page), ["demo/n1000"]);
    assert_eq!(page.json()["next"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_cannot_be_used_or_is_unknown_is_a_problem_that_names_it() {
    let site = Site::of(NOON, &awkward());
    let bad = [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=",
        "limit=-1",
        "limit=1.5",
        "limit=99999999999999999999",
        "cursor=zz",
        "cursor=6",
        "cursor=ff",
    ];
    for path in ["/offers", "/agents"] {
        for query in bad {
            let answer = site.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.problem(), is(400, "InvalidQuery"), "{path}?{query}");
        }
        for query in ["limit=1000", "l%69mit=3", "cursor=612f78&limit=3", ""] {
            let status = site.get(&format!("{path}?{query}")).await.status;
            assert_eq!(status == 200, path == "/offers" || !query.contains("cursor"), "{query}");
        }
    }
    let document = document_of("a/x");
    let public = http::paths().into_iter().filter(|path| !path.contains('{'));
    for path in public.chain([document.as_str(), "/offers/a/x", "/schema/offer.schema.json"]) {
        for (query, named) in [
            ("unknown=1", "unknown"),
            ("limits=3&unknown", "limits, unknown"),
            ("Limit=3", "Limit"),
            ("=", ""),
            ("v=1%22%3Cb%3E", "v"),
        ] {
            let answer = site.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.problem(), is(400, "InvalidQuery"), "{path}?{query}");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.ends_with(&format!("once: {named}.")), "{path}?{query}: {detail}");
        }
        assert_eq!(site.get(&format!("{path}?")).await.status, 200, "{path}: an empty query");
    }
    let twice = site.get("/offers?limit=1&limit=2").await;
    assert_eq!(twice.problem(), is(400, "InvalidQuery"));
    let no_id = site.get("/offers?cursor=41").await;
    assert_eq!(no_id.problem(), is(400, "InvalidQuery"), "a cursor that does not name an offer");
}

#[tokio::test(start_paused = true)]
async fn a_row_says_what_is_published_and_where() {
    let resources = [
        offer("demo/chat").created("2025-12-31T00:00:00Z"),
        offer("demo/audit")
            .host("Audit.example")
            .path("/audit/")
            .draining("2026-05-24T11:59:00.9Z", "1h"),
        offer("demo/disabled").disabled(),
        offer("demo/drained").draining("2026-05-24T10:00:00Z", "1h"),
    ];
    let site = Site::of(NOON, &resources);
    let chat = json!({
        "namespace": "demo",
        "name": "chat",
        "state": "published",
        "reason": "Published",
        "document": "https://seller.example/offers/demo/chat/agent-registration.json",
        "web": "https://seller.example/services/chat",
    });
    let audit = json!({
        "namespace": "demo",
        "name": "audit",
        "state": "draining",
        "reason": "Draining",
        "drainEndsAt": "2026-05-24T12:59:00Z",
        "document": "https://seller.example/offers/demo/audit/agent-registration.json",
        "web": "https://seller.example/audit/",
        "host": "audit.example",
    });
    assert_eq!(site.get("/offers/demo/chat").await.json(), chat);
    assert_eq!(site.get("/offers/demo/audit").await.json(), audit);
    assert_eq!(site.get("/offers").await.json(), json!({ "items": [audit, chat], "next": null }));
}

#[tokio::test(start_paused = true)]
async fn an_agent_says_its_ids_exactly_and_the_offers_it_stands_for() {
    let huge = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let site = Site::empty(NOON).anchored("eip155:8453", huge);
    site.publish(&[
        offer("demo/chat"),
        offer("demo/audit").host("audit.example"),
        offer("demo/drained").host("drained.example").draining("2026-05-24T10:00:00Z", "1h"),
    ]);
    let ids = format!(
        r#"[{{"agentId":{huge},"agentRegistry":"eip155:8453:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432"}}]"#
    );
    let row = |agent: &str, origin: &str, active: bool, offers: &str| {
        format!(
            r#"{{"agent":"{agent}","document":"https://{origin}/.well-known/agent-registration.json","active":{active},"registrations":{ids},"offers":{offers}}}"#
        )
    };
    let rows = [
        row("default", "seller.example", true, r#"["demo/audit","demo/chat"]"#),
        row("host:audit.example", "audit.example", true, r#"["demo/audit"]"#),
        row("host:drained.example", "drained.example", false, "[]"),
    ];
    let answer = site.get("/agents").await;
    assert_eq!(answer.text(), format!(r#"{{"items":[{}],"next":null}}"#, rows.join(",")));
}

#[tokio::test(start_paused = true)]
async fn a_list_is_tagged_by_its_bytes() {
    let site = Site::of(NOON, &awkward());
    let (whole, part) = (site.get("/offers").await, site.get("/offers?limit=3").await);
    assert_ne!(whole.etag(), part.etag());
    let tag = part.etag().to_owned();
    let fields = [("if-none-match", tag.as_str())];
    assert_eq!(site.get_with("/offers?limit=3", &fields).await.status, 304);
    assert_eq!(site.get_with("/offers", &fields).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_the_aggregate_was_cut_before_is_still_listed() {
    let mut site = Site::empty(NOON);
    site.rules.limits.document = 1;
    site.publish(&[offer("demo/a"), offer("demo/b").created("2026-02-01T00:00:00Z")]);
    let row = site.get("/offers/demo/b").await.json();
    assert_eq!((&row["state"], &row["reason"]), (&json!("published"), &json!("DocumentFull")));
    assert_eq!(site.get("/offers/demo/a").await.json()["reason"], "Published");
    assert_eq!(site.get("/offers/demo/b/agent-registration.json").await.status, 200);
}
