//! The lists for buyers by x402: what is in them, page by page, and how they follow a drain.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    http::tests::site::{Answer, Site, is},
    testing::{NOON, Resource, offer},
};

const RESOURCES: &str = "/discovery/resources";
const X402: &str = "/.well-known/x402";

/// An offer that costs 0.01 USDC on Base.
fn paid(id: &str) -> Resource {
    let payment = json!({
        "network": "base",
        "payTo": "0x1111111111111111111111111111111111111111",
        "price": { "perRequest": "0.01" },
    });
    offer(id).path(&format!("/at/{id}")).set("/spec/payment", payment)
}

fn urls(answer: &Answer, key: &str) -> Vec<String> {
    let json = answer.json();
    let items = json[key].as_array().unwrap_or_else(|| panic!("{json:#}")).iter();
    items.map(|item| item["resource"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_published_offer_is_listed_with_what_a_buyer_needs() {
    let rich = paid("demo/chat")
        .set("/spec/registration/name", "Chat")
        .set("/spec/registration/description", "Talks.")
        .set(
            "/metadata/managedFields",
            json!([
                { "manager": "a", "time": "2026-03-01T00:00:00Z" },
                { "manager": "b", "time": "2026-04-01T00:00:00Z", "subresource": "status" },
            ]),
        );
    let site = Site::of(NOON, &[rich]);
    let item = json!({
        "resource": "https://seller.example/at/demo/chat",
        "type": "http",
        "x402Version": 2,
        "accepts": [{
            "scheme": "exact",
            "network": "eip155:8453",
            "amount": "10000",
            "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
            "payTo": "0x1111111111111111111111111111111111111111",
            "maxTimeoutSeconds": 300,
            "extra": { "name": "USD Coin", "version": "2" },
        }],
        "lastUpdated": "2026-03-01T00:00:00Z",
        "description": "Talks.",
        "serviceName": "Chat",
        "metadata": {
            "offer": "demo/chat",
            "document": "https://seller.example/offers/demo/chat/agent-registration.json",
        },
    });
    let answer = site.get(RESOURCES).await;
    let pagination = json!({ "limit": 20, "offset": 0, "total": 1 });
    assert_eq!(
        answer.json(),
        json!({ "x402Version": 2, "items": [item], "pagination": pagination })
    );
    assert_eq!(answer.header("content-type"), "application/json");
    let mut item = item;
    item["url"] = item["resource"].clone();
    assert_eq!(
        site.get(X402).await.json(),
        json!({ "x402Version": 2, "kind": "resource-server", "resources": [item], "total": 1 })
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_is_published_and_can_be_expressed_is_listed() {
    let resources = [
        paid("demo/a"),
        paid("demo/b").disabled(),
        paid("demo/c").set("/spec/paused", true),
        paid("demo/d").path("/at/demo/a").created("2026-02-01T00:00:00Z"),
        paid("demo/e").set("/spec/payment/price", json!({ "perMTok": "0.4" })),
        paid("demo/f").set("/spec/payment/method", "card"),
        paid("demo/g").draining("2026-05-24T10:00:00Z", "1h"),
        paid("demo/h").path("/.well-known/x"),
        offer("demo/i"),
        paid("demo/j").set("/spec/routes", json!([{ "path": "/v1" }, { "path": "/v2" }])),
    ];
    let site = Site::of(NOON, &resources);
    let expected = ["/at/demo/a", "/at/demo/j/v1", "/at/demo/j/v2"];
    let expected = expected.map(|path| format!("https://seller.example{path}"));
    assert_eq!(urls(&site.get(RESOURCES).await, "items"), expected);
    assert_eq!(urls(&site.get(X402).await, "resources"), expected);
    assert_eq!(site.get(RESOURCES).await.json()["pagination"]["total"], 3);

    let explained = site.get_admin("/debug/offers").await.json();
    let x402: Vec<_> = explained["offers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|offer| (offer["x402"]["listed"].clone(), offer["x402"]["code"].clone()))
        .collect();
    let (yes, no, absent) = (json!(true), json!(false), Value::Null);
    let left_out = |code: &str| (no.clone(), json!(code));
    let unpublished = || (absent.clone(), absent.clone());
    assert_eq!(
        x402,
        [
            (yes.clone(), absent.clone()),
            unpublished(),
            unpublished(),
            unpublished(),
            left_out("NotPerRequest"),
            left_out("NotX402"),
            unpublished(),
            unpublished(),
            left_out("UnknownNetwork"),
            (yes.clone(), absent.clone()),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn pages_of_any_size_add_up_to_the_list() {
    let routes = |count: usize| -> Vec<Value> {
        (0..count).map(|number| json!({ "path": format!("/r{number}") })).collect()
    };
    let resources = [
        paid("demo/a"),
        paid("demo/b").set("/spec/routes", routes(3)),
        offer("demo/c"),
        paid("demo/d"),
        paid("demo/e").set("/spec/routes", routes(2)),
    ];
    let site = Site::of(NOON, &resources);
    let all = urls(&site.get(RESOURCES).await, "items");
    assert_eq!(all.len(), 7);
    for limit in 1..=8 {
        for offset in 0..=8 {
            let page = site.get(&format!("{RESOURCES}?limit={limit}&offset={offset}")).await;
            let expected: Vec<_> = all.iter().skip(offset).take(limit).cloned().collect();
            assert_eq!(urls(&page, "items"), expected, "limit {limit}, offset {offset}");
            let pagination = json!({ "limit": limit, "offset": offset, "total": 7 });
            assert_eq!(page.json()["pagination"], pagination);
        }
    }
    let typed = site.get(&format!("{RESOURCES}?type=http&limit=100")).await;
    assert_eq!(urls(&typed, "items"), all);
    let other = site.get(&format!("{RESOURCES}?type=mcp")).await.json();
    assert_eq!((&other["items"], &other["pagination"]["total"]), (&json!([]), &json!(0)));
}

#[tokio::test(start_paused = true)]
async fn a_query_that_cannot_be_used_is_a_problem() {
    let site = Site::of(NOON, &[paid("demo/a")]);
    let bad = [
        "limit=0",
        "limit=101",
        "limit=x",
        "offset=-1",
        "offset=x",
        "offset=",
        "network=base",
        "limit=1&limit=2",
        "cursor=00",
        "offset=99999999999999999999999",
    ];
    for query in bad {
        let answer = site.get(&format!("{RESOURCES}?{query}")).await;
        assert_eq!(answer.problem(), is(400, "InvalidQuery"), "{query}");
    }
    assert_eq!(site.get(&format!("{X402}?limit=1")).await.problem(), is(400, "InvalidQuery"));
}

#[tokio::test(start_paused = true)]
async fn a_host_lists_what_its_own_offer_sells_and_nothing_of_others() {
    let resources = [
        paid("demo/a"),
        paid("demo/b").host("b.example").set("/spec/routes", json!([{ "path": "/v1" }])),
        paid("demo/c").host("c.example").disabled(),
        offer("demo/d").host("d.example"),
    ];
    let site = Site::of(NOON, &resources);
    let at = async |host: &str| urls(&site.get_with(X402, &[("host", host)]).await, "resources");
    assert_eq!(at("b.example").await, ["https://b.example/v1"]);
    assert_eq!(at("B.example.:443").await, ["https://b.example/v1"]);
    assert_eq!(at("c.example").await, [""; 0], "an unpublished offer");
    assert_eq!(at("d.example").await, [""; 0], "an offer without a price");
    let all = ["https://seller.example/at/demo/a", "https://seller.example/at/demo/b/v1"];
    for host in ["seller.example", "other.example", "127.0.0.1"] {
        assert_eq!(at(host).await, all, "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_told_and_ends_to_the_second() {
    let resources = [paid("demo/a"), paid("demo/b").host("b.example").draining(NOON, "1m")];
    let site = Site::of(NOON, &resources);
    let told = async |site: &Site| {
        let answer = site.get(RESOURCES).await;
        let items = answer.json()["items"].as_array().unwrap().clone();
        let drains: Vec<_> = items
            .iter()
            .map(|item| {
                let metadata = &item["metadata"];
                (metadata["available"].clone(), metadata["drainEndsAt"].clone())
            })
            .collect();
        (drains, answer.header("cache-control").to_owned())
    };
    let open = (Value::Null, Value::Null);
    let draining = (json!(false), json!("2026-05-24T12:01:00Z"));
    let (drains, cache) = told(&site).await;
    assert_eq!(drains, [open.clone(), draining.clone()]);
    assert_eq!(cache, "public, max-age=5");

    tokio::time::advance(Duration::from_secs(58)).await;
    let (drains, cache) = told(&site).await;
    assert_eq!(drains, [open.clone(), draining]);
    assert_eq!(cache, "public, max-age=2", "no copy outlives the drain");

    // Nobody publishes here, so that the ended snapshot is asked for.
    tokio::time::advance(Duration::from_secs(2)).await;
    for path in [RESOURCES, X402] {
        assert_eq!(site.get(path).await.problem(), is(503, "Stale"), "{path}");
    }
    site.publish(&resources);
    assert_eq!(told(&site).await.0, [open]);
    assert_eq!(urls(&site.get_with(X402, &[("host", "b.example")]).await, "resources"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_host_names_a_hundred_and_where_the_others_are() {
    let many: Vec<_> = (0..101).map(|number| paid(&format!("demo/n{number:03}"))).collect();
    let site = Site::of(NOON, &many);
    let answer = site.get(X402).await;
    assert_eq!(urls(&answer, "resources").len(), 100);
    let json = answer.json();
    assert_eq!(json["total"], 101);
    assert_eq!(json["allResources"], "https://seller.example/discovery/resources");
    let last = site.get(&format!("{RESOURCES}?offset=100")).await;
    assert_eq!(urls(&last, "items"), ["https://seller.example/at/demo/n100"]);
}

#[tokio::test(start_paused = true)]
async fn what_did_not_change_is_not_sent_again() {
    let site = Site::of(NOON, &[paid("demo/a")]);
    for path in [RESOURCES, X402] {
        let first = site.get(path).await;
        let again = site.get_with(path, &[("if-none-match", first.etag())]).await;
        assert_eq!(again.status, 304, "{path}");
        site.publish(&[paid("demo/a"), paid("demo/b")]);
        let changed = site.get_with(path, &[("if-none-match", first.etag())]).await;
        assert_eq!(changed.status, 200, "{path}");
        site.publish(&[paid("demo/a")]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_flag_the_paths_do_not_exist() {
    let mut site = Site::of(NOON, &[paid("demo/a")]);
    site.admin.reader.x402_discovery = false;
    for path in [RESOURCES, X402] {
        assert_eq!(site.get(path).await.problem(), is(404, "NotFound"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_time_is_the_same_everywhere() {
    let undated = paid("demo/a").set("/metadata/creationTimestamp", Value::Null);
    let item = Site::of(NOON, &[undated]).get(RESOURCES).await.json()["items"][0].clone();
    assert_eq!(item["lastUpdated"], "1970-01-01T00:00:00Z");
}

#[test]
fn no_route_takes_the_path_from_the_original() {
    let manifest = include_str!("../../../deploy/httproute.yaml");
    let chart = include_str!("../../../deploy/helm/registrar/templates/httproute.yaml");
    for text in [manifest, chart] {
        let in_force = |line: &str| !line.trim_start().starts_with('#');
        let values = text
            .lines()
            .filter(|line| in_force(line))
            .filter_map(|line| line.trim().strip_prefix("value: "));
        // A prefix of it would take it too.
        let claimed: Vec<_> = values.filter(|value| X402.starts_with(value)).collect();
        assert_eq!(claimed, [""; 0]);
    }
}
