//! What a decision costs when there is nothing to do, and how an operator has one tried again.

use std::fs;

use serde_json::json;

use super::{
    exactly_once::identity,
    faulty::{Faulty, stands},
};
use crate::support::{process::eventually, proxy::Fault, resource::offer};

/// Waits for further decisions of a running process.
async fn decisions(world: &Faulty, more: usize) {
    let before = world.proxy.count("eth_chainId");
    eventually("it decides again", async || world.proxy.count("eth_chainId") >= before + more)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_with_nothing_new_asks_twice_and_writes_nothing() {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    let server = world.serve(&[]).await;
    stands(&server, &world.node, "Anchored").await;
    decisions(&world, 2).await;
    let written = || fs::metadata(world.path("journal")).unwrap().modified().unwrap();
    let (before, journal) = (world.proxy.seen().len(), written());
    decisions(&world, 4).await;
    let seen = world.proxy.seen();
    let asked: Vec<&str> = seen[before..].iter().map(|call| call.method.as_str()).collect();
    // It may have been in the middle of a decision.
    let begun = asked.iter().position(|method| *method == "eth_chainId").unwrap();
    for pair in asked[begun..].chunks_exact(2) {
        assert_eq!(pair, ["eth_chainId", "eth_getBlockByNumber"], "{asked:?}");
    }
    assert_eq!(written(), journal);
    // A new final block is looked at.
    world.node.mine(3).await;
    eventually("it reads again", async || written() > journal).await;
    // So is another intent, in the same block.
    decisions(&world, 2).await;
    let before = world.proxy.seen().len();
    world.offers(&[offer("llm/chat").0, identity(&json!([{ "chain": "?", "agentId": "1" }]))]);
    eventually("it reads again", async || {
        world.proxy.seen()[before..].iter().any(|call| call.method == "eth_call")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_reverted_is_tried_again_when_an_operator_says_so() {
    let world = Faulty::new().await;
    world.proxy.on("eth_estimateGas").then(Fault::rewrite(|_| json!("0xea60")));
    for _ in 0..8 {
        world.step(&[]).await;
        world.node.mine(3).await;
    }
    assert_eq!((world.reason("default").as_str(), world.signed().len()), ("Reverted", 3));
    world.proxy.lift();
    // Another agent, another chain, and a process that holds the journal change nothing.
    let other = world.anchor(&["resume", "eip155:31337/audit.example"], &[]);
    assert_eq!(other.code, Some(0), "{}", other.stderr);
    assert!(other.stdout.contains("no call had failed"), "{}", other.stdout);
    let elsewhere = world.anchor(&["resume", "eip155:1"], &[]);
    assert_eq!(elsewhere.code, Some(2), "{}", elsewhere.stderr);
    let server = world.serve(&[]).await;
    stands(&server, &world.node, "Reverted").await;
    let locked = world.anchor(&["resume", "eip155:31337"], &[]);
    assert_eq!(locked.code, Some(1));
    assert!(locked.stderr.contains("stop the process that anchors"), "{}", locked.stderr);
    drop(server);
    world.step(&[]).await;
    assert_eq!(world.reason("default"), "Reverted");
    let resumed = world.anchor(&["resume", "eip155:31337"], &[]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert!(resumed.stdout.contains("calls are tried again"), "{}", resumed.stdout);
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}
