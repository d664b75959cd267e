//! C5, C6 and C24: several nodes, some of them behind, some ahead of the truth, some gone.

use serde_json::{Value, json};

use super::faulty::{Faulty, pins};
use crate::{
    support::chain::Anvil,
    support::process::eventually,
    support::proxy::{Fault, Proxy},
};

fn finalized(params: &Value) -> bool {
    params[0] == "finalized"
}

/// Has an endpoint call this block final.
fn claims(proxy: &Proxy, block: Value) {
    let claimed = Fault::rewrite(move |_| block.clone());
    proxy.on("eth_getBlockByNumber").when(finalized).then(claimed);
}

/// The mint is in the newest block, final to nobody honest.
async fn freshly_mined(endpoints: usize) -> (Faulty, Vec<Proxy>) {
    let mut world = Faulty::new().await;
    let proxies = world.joined_by(endpoints - 1).await;
    world.step(&[]).await;
    eventually("it is mined", async || world.mints().await == 1).await;
    (world, proxies)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_that_claims_too_much_finality_moves_nothing() {
    let (world, _others) = freshly_mined(3).await;
    claims(&world.proxy, world.node.block("latest").await);
    world.step(&[]).await;
    let status = world.status();
    assert_eq!(
        (&status["openSlot"]["nonce"], &status["settledNonces"]),
        (&json!(0), &json!(0)),
        "{status}"
    );
    assert_eq!(world.recorded("default")["agentId"], Value::Null);
    assert_eq!(status["settledBlock"], world.node.block_number("finalized").await);
    world.proxy.lift();
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_claim_of_finality_is_none() {
    let (world, others) = freshly_mined(3).await;
    claims(&world.proxy, world.node.block("latest").await);
    others.iter().for_each(|proxy| proxy.set_down(true));
    let sent = world.sent();
    let printed = world.step(&[]).await;
    assert_eq!((world.reason("default").as_str(), world.nonce()), ("Unreachable", Some(0)));
    assert!(printed.stderr.contains("(endpoint 3)"), "it is named: {}", printed.stderr);
    assert_eq!(world.sent(), sent);
    world.proxy.lift();
    others[0].lift();
    world.node.mine(3).await;
    // Two of three are enough.
    world.anchored(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_the_lower_claim_counts_and_both_are_needed() {
    let (world, others) = freshly_mined(2).await;
    claims(&others[0], world.node.block("latest").await);
    world.step(&[]).await;
    assert_eq!(world.status()["settledBlock"], world.node.block_number("finalized").await);
    // One that lags holds both back, and harms nothing.
    others[0].clear();
    claims(&others[0], world.node.block("0x1").await);
    world.node.mine(9).await;
    world.step(&[]).await;
    assert_eq!(world.nonce(), Some(0));
    others[0].set_down(true);
    world.step(&[]).await;
    assert_eq!((world.reason("default").as_str(), world.nonce()), ("Unreachable", Some(0)));
    others[0].lift();
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_that_lags_or_is_sick_stops_nothing() {
    let (world, others) = freshly_mined(3).await;
    claims(&others[0], world.node.block("0x1").await);
    world.node.mine(3).await;
    world.anchored(&[]).await;
    // A claim that is ahead, of an endpoint that then cannot say what it calls the others' block.
    others[0].clear();
    claims(&others[0], world.node.block("latest").await);
    let by_number = |params: &Value| !finalized(params);
    others[0].on("eth_getBlockByNumber").when(by_number).then(Fault::bad_gateway());
    world.anchored(&["--public-url", "https://moved.example"]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_lag_behind_fail_nothing() {
    let world = Faulty::new().await;
    world.proxy.on("eth_getTransactionReceipt").then(Fault::NullResult);
    world.proxy.on("eth_getTransactionByHash").then(Fault::NullResult);
    for _ in 0..4 {
        world.step(&[]).await;
        assert_eq!(world.nonce(), Some(0));
        world.node.mine(3).await;
    }
    let status = world.status();
    assert_eq!(
        (&status["foreignNonces"], &world.recorded("default")["failures"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(world.signed().len(), 1);
    world.proxy.lift();
    world.anchored(&[]).await;
    assert_eq!((world.mints().await, &world.status()["foreignNonces"]), (1, &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_decision_reads_one_block_whatever_stands_behind_a_balancer() {
    let mut world = Faulty::new().await;
    let behind = world.node.block_number("latest").await.to_string();
    let twin =
        Anvil::start(&["--fork-url", world.node.url(), "--fork-block-number", &behind]).await;
    let balancer = Proxy::start(vec![world.node.url().to_owned(), twin.url().to_owned()]).await;
    world.asks_only(&balancer);
    for seed in 0..3 {
        println!("seed {seed}");
        balancer.on_any().probability(50, seed).then(Fault::Reroute(1));
        for _ in 0..6 {
            let before = balancer.seen().len();
            world.step(&[]).await;
            assert!(pins(&balancer.seen()[before..]).len() <= 1, "one decision, one block");
            assert!(world.mints().await <= 1, "seed {seed}");
            world.node.mine(1).await;
        }
        balancer.lift();
    }
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_state_at_any_block_is_named_and_nothing_is_signed() {
    let world = Faulty::new().await;
    let pruned = Fault::JsonRpcError(-32_000, "missing trie node".to_owned());
    let at_a_hash = |params: &Value| params[1].is_object() || params[1].to_string().len() > 20;
    world.proxy.on("eth_getTransactionCount").when(at_a_hash).then(pruned);
    let printed = world.step(&[]).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("Unreachable", 0));
    let words = "127.0.0.1 (endpoint 1) refused eth_getTransactionCount: missing trie node";
    assert!(printed.stderr.contains(words), "{}", printed.stderr);
}
