//! The event history against providers' limits: rates, ranges, and a process that is killed while it
//! reads.

use std::time::Duration;

use serde_json::{Value, json};

use super::faulty::Faulty;
use crate::support::{
    process::{Printed, command, eventually, registrar},
    proxy::Fault,
    stage::{Stage, replaced},
    standin::{FINAL, FIRST, Limits, StandIn},
};

/// The settings to anchor on the stand-in.
fn settings(stage: &Stage, node: &StandIn) -> Vec<String> {
    let settings = stage.settings();
    let mut own = Vec::new();
    let mut at = 0;
    while at < settings.len() {
        match settings[at].as_str() {
            // Those of the stage's own chain.
            "--anchor" | "--registry" | "--rpc-url" => at += 2,
            _ => {
                own.push(settings[at].clone());
                at += 1;
            }
        }
    }
    replaced(own, &["--anchor", "base", "--rpc-url", &format!("base={}", node.url())])
}

fn anchor(verb: &[&str], settings: &[String]) -> Printed {
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    registrar(&[&["anchor"], verb, &settings].concat())
}

fn status(settings: &[String]) -> Value {
    let printed = anchor(&["status", "--json"], settings);
    serde_json::from_str::<Value>(&printed.stdout).unwrap()[0].clone()
}

/// Ten requests in each window. A window of a second is what the provider allows; a shorter one
/// makes the same requests in less time.
fn limits(window: Duration) -> Limits {
    Limits { range: 2_000, requests: 10, window }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_with_a_rate_limit_goes_on_after_a_kill() {
    let stage = Stage::new().await;
    let node = StandIn::start(3, limits(Duration::from_millis(50))).await;
    let settings = settings(&stage, &node);
    let all = usize::try_from((FINAL - FIRST + 1).div_ceil(2_000)).unwrap();
    let arguments: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut first =
        command(&[&["anchor", "run", "--once"], &arguments[..]].concat()).spawn().unwrap();
    for part in 1..=4 {
        let name = format!("{part} eighths are read");
        eventually(&name, async || node.ranges().len() >= all * part / 8).await;
    }
    first.kill().unwrap();
    first.wait().unwrap();
    // Before each save, one more request checks that the node serves the registry's first event.
    let half = node.ranges().len() * 20 / 21;
    assert!(half < all * 3 / 4, "it was killed too late: {half} of {all}");
    // The journal says how far it was.
    let scan = status(&settings)["scans"][0].clone();
    assert_eq!((&scan["firstBlock"], &scan["targetBlock"]), (&json!(FIRST), &json!(FINAL)));
    let read = scan["readBlock"].as_u64().unwrap();
    assert!(read > FIRST + 2_000 * u64::try_from(half - 50).unwrap(), "{read} after {half} ranges");
    let text = anchor(&["status"], &settings).stdout;
    assert!(text.contains("reading the event history at 127.0.0.1 (endpoint 1): block"), "{text}");

    let arguments: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut second =
        command(&[&["anchor", "run", "--once"], &arguments[..]].concat()).spawn().unwrap();
    for part in 5..=8 {
        let name = format!("{part} eighths are read");
        eventually(&name, async || node.ranges().len() >= all * part / 8).await;
    }
    eventually("it ends", async || second.try_wait().unwrap().is_some()).await;
    assert_eq!(node.sent(), 1, "it decides in the end");
    assert_eq!(status(&settings)["scans"], json!([]));
    let (requests, limited) = (node.requests(), node.limited());
    println!("{requests} requests for {all} ranges, {limited} of them over the limit");
    assert!(requests * 4 <= all * 5, "{requests} requests for {all} ranges");
    // Nothing was left out, and only what was not saved was read twice.
    let mut next = FIRST;
    for (from, to) in node.ranges() {
        assert!(from <= next, "a gap before {from}");
        next = next.max(to + 1);
    }
    assert!(next > FINAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_never_sent_anything_scans_nothing() {
    let stage = Stage::new().await;
    // Even ten blocks at a time are enough for it.
    for range in [2_000, 10] {
        let limits = Limits { range, requests: u32::MAX, window: Duration::from_secs(1) };
        let node = StandIn::start(0, limits).await;
        let settings = settings(&stage, &node);
        let plan = anchor(&["plan"], &settings);
        assert!(plan.stdout.contains("would sign for default: register("), "{}", plan.stdout);
        assert!(node.requests() < 40 && node.ranges().len() < 3, "{}", node.requests());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absurd_limit_is_named_with_its_endpoint() {
    let stage = Stage::new().await;
    let narrow = Limits { range: 10, requests: u32::MAX, window: Duration::from_secs(1) };
    let node = StandIn::start(3, narrow).await;
    let settings = settings(&stage, &node);
    let printed = anchor(&["run", "--once"], &settings);
    assert_eq!(printed.code, Some(1), "{}", printed.stderr);
    assert_eq!(status(&settings)["agents"][0]["reason"], "EndpointTooNarrow");
    for part in ["127.0.0.1 (endpoint 1) serves 10 blocks", "1,000 blocks", "requests"] {
        assert!(printed.stderr.contains(part), "{part}: {}", printed.stderr);
    }
    assert!(node.requests() < 30, "{} requests", node.requests());
}

/// An account with a history of some thousand blocks.
async fn with_history() -> Faulty {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    world.node.mine(3_000).await;
    std::fs::remove_file(world.path("journal")).unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_learned_from_the_first_refusal() {
    let world = with_history().await;
    let width = |params: &Value| {
        let number = |name: &str| {
            let text = params[0][name].as_str().unwrap();
            u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
        };
        number("toBlock") - number("fromBlock") + 1
    };
    let refusal = |text: &str| Fault::JsonRpcError(-32_600, text.to_owned());
    world
        .proxy
        .on("eth_getLogs")
        .when(move |params| width(params) > 700)
        .then(refusal("eth_getLogs requests with up to a 700 block range are allowed"));
    let before = world.proxy.calls();
    world.step(&[]).await;
    assert_eq!(world.reason("default"), "Anchored");
    let seen = world.proxy.seen();
    let refused = seen[before..]
        .iter()
        .filter(|call| call.method == "eth_getLogs" && width(&call.params) > 700);
    assert_eq!(refused.count(), 1, "the limit is learned once");
    let widest = seen[before..].iter().filter(|call| call.method == "eth_getLogs").nth(1).unwrap();
    assert_eq!(width(&widest.params), 700, "and used in full");
}

/// A refusal without an id.
fn refusal(code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "error": { "code": code, "message": message } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_for_and_named_if_it_lasts() {
    let world = with_history().await;
    // One that ends is waited for.
    world.proxy.on("eth_getLogs").times(2).then(Fault::too_many_requests(1));
    world.proxy.on("eth_getCode").times(1).then(Fault::JsonRpcError(
        -32_005,
        "daily request count exceeded, request rate limited".to_owned(),
    ));
    // Without an id, and with a status that says nothing.
    let anonymous = Fault::Status(200, refusal(429, "limited").to_string(), Vec::new());
    world.proxy.on("eth_getTransactionCount").times(2).then(anonymous);
    world.step(&[]).await;
    assert_eq!(world.reason("default"), "Anchored");
    world.proxy.lift();
    // One that asks for more patience than there is: state that cannot be read for it is not pruned.
    // The status says it whatever the body says, which need not be an answer at all.
    let retry = || vec![("retry-after", "3600".to_owned())];
    let faults = [
        Fault::too_many_requests(3_600),
        Fault::Status(429, refusal(-32_000, "slow down").to_string(), retry()),
    ];
    for fault in faults {
        for method in ["eth_getLogs", "eth_getCode", "eth_chainId"] {
            let _gone = std::fs::remove_file(world.path("journal"));
            world.proxy.on(method).then(fault.clone());
            let printed = world.step(&[]).await;
            assert_eq!(world.reason("default"), "RateLimited", "{method} {}", printed.stderr);
            assert_eq!(printed.code, Some(1));
            world.proxy.lift();
        }
    }
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}
