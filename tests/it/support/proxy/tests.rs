//! Every fault as a client sees it, against nodes that keep what reaches them.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes};
use futures::poll;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::{Fault, Proxy};
use crate::support::process::eventually;
use crate::support::rows::for_each_row_async;

const SEND: &str = "eth_sendRawTransaction";

/// A node that answers with its name, the method and how often it was asked.
struct Echo {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    async fn start(name: &'static str) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let keeps = Arc::clone(&asked);
        let answer = async move |body: Bytes| {
            let request: Value = serde_json::from_slice(&body).unwrap();
            let method = request["method"].as_str().unwrap().to_owned();
            let mut asked = keeps.lock().unwrap();
            asked.push(method.clone());
            let result = json!({ "node": name, "method": method, "asked": asked.len() });
            json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = axum::serve(listener, Router::new().fallback(answer));
        #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
        tokio::spawn(async { served.await.unwrap() });
        Self { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// A client, a proxy, a node and another that could be asked.
struct World {
    node: Echo,
    twin: Echo,
    proxy: Proxy,
    client: Client,
}

impl World {
    async fn new() -> Self {
        let (node, twin) = (Echo::start("node").await, Echo::start("twin").await);
        let proxy = Proxy::start(vec![node.url.clone(), twin.url.clone()]).await;
        Self { node, twin, proxy, client: Client::builder().no_proxy().build().unwrap() }
    }

    async fn post(&self, body: Value) -> reqwest::Result<Response> {
        self.client.post(self.proxy.url()).body(body.to_string()).send().await
    }

    fn send(&self, raw: &str) -> impl Future<Output = reqwest::Result<Response>> {
        self.post(call(7, SEND, raw))
    }

    async fn answered(&self, method: &str) -> Value {
        json_of(self.post(call(7, method, "0x")).await.unwrap()).await
    }
}

fn call(id: u64, method: &str, param: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": [param] })
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_call_without_a_rule_passes_and_is_kept() {
    let world = World::new().await;
    world.proxy.on("eth_call").always().then(Fault::Refuse);
    let answer = world.answered("eth_chainId").await;
    assert_eq!((&answer["id"], &answer["result"]["node"]), (&json!(7), &json!("node")));
    world.send("0xaa").await.unwrap();
    let seen = world.proxy.seen();
    assert_eq!((seen[0].number, seen[1].number, seen.len()), (1, 2, 2));
    assert_eq!((&*seen[0].method, &seen[1].params), ("eth_chainId", &json!(["0xaa"])));
    assert_eq!((seen[0].fault, seen[0].delivered), ("ForwardAll", 1));
    assert!([&seen[0].node, &seen[0].answer].iter().all(|kept| **kept == Some(answer.clone())));
    assert_eq!(world.post(json!("?")).await.unwrap().status().as_u16(), 400);
}

#[tokio::test]
async fn a_lost_reply_was_delivered_and_a_refused_call_was_not() {
    let cases = [
        ("lost", Fault::LoseReply, 1),
        ("refused", Fault::Refuse, 0),
        ("refused after delivery", Fault::Refuse.delivered(), 1),
    ];
    for_each_row_async(cases, async |(case, fault, delivered)| {
        let world = World::new().await;
        world.proxy.on(SEND).nth(2).then(fault);
        for (raw, is_answered) in [("0x01", true), ("0x02", false), ("0x03", true)] {
            let sent = world.send(raw).await;
            assert_eq!(sent.is_ok(), is_answered, "{case} {raw}");
            assert!(sent.err().is_none_or(|error| error.is_request()), "{case}");
        }
        assert_eq!(world.node.asked(), 2 + delivered, "{case}");
        let second = &world.proxy.seen()[1];
        assert_eq!((second.delivered > 0, &second.answer), (delivered > 0, &None), "{case}");
        assert_eq!(world.proxy.raw_transactions(), ["0x01", "0x02", "0x03"], "{case}");
    })
    .await;
}

#[tokio::test]
async fn http_faults_replace_the_reply() {
    let cases = [
        ("HTML", Fault::bad_gateway(), 502, "<html>", 0),
        ("HTML after delivery", Fault::bad_gateway().delivered(), 502, "<html>", 1),
        ("limit", Fault::too_many_requests(30), 429, "Too Many", 0),
        ("deep", Fault::Status(200, "[".repeat(100_000), vec![]), 200, "[[[[", 0),
        ("cut", Fault::CutJson, 200, "{", 1),
    ];
    for_each_row_async(cases, async |(case, fault, status, start, delivered)| {
        let world = World::new().await;
        world.proxy.on_any().times(1).then(fault);
        let response = world.send("0x01").await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{case}");
        let retry_after = response.headers().get("retry-after");
        assert_eq!(retry_after.is_some_and(|after| after == "30"), case == "limit");
        let body = response.bytes().await.unwrap();
        assert!(body.starts_with(start.as_bytes()), "{case}");
        assert!(serde_json::from_slice::<Value>(&body).is_err(), "{case}");
        assert_eq!(world.node.asked(), delivered, "{case}");
        assert_eq!(world.answered(SEND).await["id"], 7, "{case}: only once");
    })
    .await;
}

#[tokio::test]
async fn json_faults_change_the_answer_of_one_call() {
    let error = Fault::JsonRpcError(-32_000, "already known".to_owned());
    let known = json!({ "code": -32_000, "message": "already known" });
    let rewritten = Fault::rewrite(|result| json!([result["method"], u128::MAX]));
    let echoed = |node: &str, asked: u64| json!({ "node": node, "method": "m", "asked": asked });
    let of = |id: u64, key: &str, value: Value| json!({ "jsonrpc": "2.0", "id": id, key: value });
    let cases = [
        ("twice", Fault::DeliverTwice, of(7, "result", echoed("node", 2)), (2, 0)),
        ("wrong id", Fault::WrongId, of(1_007, "result", echoed("node", 1)), (1, 0)),
        ("null", Fault::NullResult, of(7, "result", Value::Null), (1, 0)),
        ("error", error.clone(), of(7, "error", known.clone()), (0, 0)),
        ("error after delivery", error.delivered(), of(7, "error", known), (1, 0)),
        ("rerouted", Fault::Reroute(1), of(7, "result", echoed("twin", 1)), (0, 1)),
        ("rewritten", rewritten, of(7, "result", json!(["m", u128::MAX])), (1, 0)),
    ];
    for_each_row_async(cases, async |(case, fault, answer, asked)| {
        let world = World::new().await;
        world.proxy.on("m").then(fault);
        assert_eq!(world.answered("m").await, answer, "{case}");
        assert_eq!((world.node.asked(), world.twin.asked()), asked, "{case}");
        assert_eq!(world.proxy.seen()[0].answer, Some(answer), "{case}");
        assert_eq!(world.answered("other").await["result"]["node"], "node", "{case}");
    })
    .await;
}

#[tokio::test]
async fn a_stalled_call_is_delivered_late_and_a_delayed_one_is_answered_late() {
    for (case, fault, before) in [("stalled", Fault::Stall, 0), ("delayed", Fault::Delay, 1)] {
        let world = World::new().await;
        world.proxy.on(SEND).times(2).then(fault);
        for (index, is_patient) in [(0, true), (2, false)] {
            let mut sending = Box::pin(world.send("0x01"));
            let delivered = || world.proxy.seen().get(index).map(|call| call.delivered);
            let is_held = async || poll!(&mut sending).is_pending() && delivered() == Some(before);
            eventually(case, is_held).await;
            world.answered("other").await;
            assert!(poll!(&mut sending).is_pending() && delivered() == Some(before), "{case}");
            if is_patient {
                world.proxy.release();
                assert!(sending.await.is_ok(), "{case}");
            } else {
                drop(sending);
                world.proxy.release();
                eventually(case, async || delivered() == Some(1)).await;
            }
        }
        assert!(world.send("0x02").await.is_ok(), "{case}");
    }
}

#[tokio::test]
async fn a_body_drips_and_a_body_floods() {
    let world = World::new().await;
    world.proxy.on("drip").then(Fault::Drip);
    world.proxy.on("flood").then(Fault::Flood(3));
    let mut response = world.post(call(7, "drip", "0x")).await.unwrap();
    let mut body = response.chunk().await.unwrap().unwrap().to_vec();
    assert!(poll!(pin!(response.chunk())).is_pending());
    world.proxy.release();
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend(chunk);
    }
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["result"]["asked"], 1);
    let flood = world.answered("flood").await;
    assert_eq!(flood["result"].as_str().unwrap().len(), 3 * 1_024 * 1_024);
    assert_eq!((&flood["id"], world.node.asked()), (&json!(7), 1));
}

#[tokio::test]
async fn down_refuses_connections_and_up_is_the_same_address() {
    let world = World::new().await;
    world.proxy.on("stalled").then(Fault::Stall);
    let mut stalled = pin!(world.post(call(1, "stalled", "0x")));
    let is_held = async || poll!(&mut stalled).is_pending() && world.proxy.count("stalled") == 1;
    eventually("it stalls", is_held).await;
    for _ in 0..20 {
        world.proxy.set_down(true);
        assert!(world.send("0x01").await.is_err());
        let fresh = Client::new().get(world.proxy.url()).send().await;
        assert!(fresh.unwrap_err().is_connect());
        world.proxy.set_down(false);
        assert!(world.send("0x02").await.is_ok());
    }
    assert!(stalled.await.is_err(), "open connections are closed");
    assert_eq!((world.proxy.count(SEND), world.node.asked()), (20, 20));
    world.proxy.set_down(true);
    assert!(world.send("0x03").await.is_err());
    world.proxy.lift();
    assert!(world.post(call(2, "stalled", "0x")).await.is_ok(), "all faults are lifted");
    eventually("it arrives late", async || world.proxy.seen()[0].delivered == 1).await;
}

#[tokio::test]
async fn a_node_that_is_gone_looks_like_a_bad_gateway() {
    let proxy = Proxy::start(vec!["http://127.0.0.1:1".to_owned()]).await;
    let sent = Client::new().post(proxy.url()).body(call(1, "m", "0x").to_string()).send();
    assert_eq!(sent.await.unwrap().status().as_u16(), 502);
    assert_eq!((proxy.seen()[0].delivered, &proxy.seen()[0].answer), (0, &None));
}

#[tokio::test]
async fn each_call_of_a_batch_meets_its_own_fault() {
    let world = World::new().await;
    world.proxy.on("a").then(Fault::NullResult);
    world.proxy.on("b").then(Fault::Reroute(1));
    world.proxy.on("refused").then(Fault::Refuse);
    world.proxy.on("lost").then(Fault::LoseReply);
    let batch = |last| json!([call(1, "a", "0x"), call(2, "b", "0x"), call(3, last, "0x")]);
    let answers = json_of(world.post(batch("c")).await.unwrap()).await;
    let nodes = [0, 1, 2].map(|index| answers[index]["result"]["node"].clone());
    assert_eq!(nodes, [Value::Null, json!("twin"), json!("node")]);
    assert!((0..3).all(|index| answers[index]["id"] == index + 1));
    assert!(world.post(batch("refused")).await.is_err());
    assert_eq!((world.node.asked(), world.twin.asked()), (2, 1), "none is delivered");
    assert!(world.post(batch("lost")).await.is_err());
    assert_eq!((world.node.asked(), world.twin.asked()), (4, 2), "all are delivered");
    let one = world.post(json!([call(9, "c", "0x")])).await.unwrap();
    assert_eq!(json_of(one).await[0]["id"], 9, "a batch of one is a batch");
}

#[tokio::test]
async fn the_first_rule_that_applies_decides_and_all_rules_count() {
    let world = World::new().await;
    let id = |n: u64| Fault::rewrite(move |_| json!(n));
    world.proxy.on("m").nth(1).then(id(1));
    world.proxy.on("m").nth(2).then(id(2));
    world.proxy.on("m").times(2).then(id(3));
    world.proxy.on_any().times(1).then(id(4));
    world.proxy.on("m").when(|params| params[0] == "finalized").then(id(5));
    for (param, by) in ["", "", "", "", "", "latest", "finalized"].iter().zip([1, 2, 3, 3, 4, 0, 5])
    {
        let answer = json_of(world.post(call(1, "m", param)).await.unwrap()).await;
        assert_eq!(answer["result"].as_u64().unwrap_or(0), by);
    }
    world.proxy.clear();
    assert_eq!(world.answered("m").await["result"]["asked"], 8);
}

#[tokio::test]
async fn a_seed_decides_which_calls_fail() {
    let drawn = async |seed| {
        let world = World::new().await;
        world.proxy.on("m").probability(30, seed).then(Fault::NullResult);
        for _ in 0..100 {
            world.answered("m").await;
        }
        world.proxy.seen().iter().map(|call| call.fault == "NullResult").collect::<Vec<_>>()
    };
    let first = drawn(1).await;
    assert_eq!(first, drawn(1).await);
    assert_ne!(first, drawn(2).await);
    assert!((15..=45).contains(&first.iter().filter(|failed| **failed).count()));
}
