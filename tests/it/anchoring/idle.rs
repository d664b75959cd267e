//! What a decision costs when there is nothing to do, and how an operator has one tried again.

use std::fs;

use alloy::primitives::U256;
use serde_json::json;

use super::{
    exactly_once::identity,
    faulty::{Faulty, REGISTERED, stands},
};
use crate::support::{
    anchor_key::{KEY_METADATA, anchor_key},
    chain::IdentityRegistry::{self, MetadataEntry},
    process::eventually,
    proxy::Fault,
    resource::offer,
};

/// Waits for further decisions of a running process.
async fn decisions(world: &Faulty, more: usize) {
    let before = world.proxy.count("eth_chainId");
    eventually("it decides again", async || world.proxy.count("eth_chainId") >= before + more)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_with_nothing_new_asks_twice_and_writes_nothing() {
    costs_nothing_while_idle(&[], "eth_getBlockByNumber").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_finality_by_depth_a_decision_with_nothing_new_asks_twice_too() {
    costs_nothing_while_idle(&["--finality", "eip155:31337=depth:2"], "eth_blockNumber").await;
}

/// `question` is how the final block is asked for.
async fn costs_nothing_while_idle(settings: &[&str], question: &str) {
    let world = Faulty::new().await;
    world.anchored(settings).await;
    let server = world.serve(settings).await;
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
        assert_eq!(pair, ["eth_chainId", question], "{asked:?}");
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

/// Strangers' agents that are sent to the account, each second one with the key of our agent.
async fn gifts(world: &Faulty, number: usize) {
    let stranger = world.node.account(2).await;
    for gift in 0..number {
        let entry = MetadataEntry {
            metadataKey: KEY_METADATA.to_owned(),
            metadataValue: anchor_key(world.registry, "default").to_vec().into(),
        };
        let register = IdentityRegistry::register_2Call {
            agentURI: "https://gift.example".to_owned(),
            metadata: if gift % 2 == 0 { vec![entry] } else { Vec::new() },
        };
        world.node.send_as(stranger, world.registry, register).await;
        let id = world
            .node
            .logs(world.registry)
            .await
            .iter()
            .filter(|logged| logged.log.topics()[0] == REGISTERED)
            .count()
            - 1;
        let give = IdentityRegistry::transferFromCall {
            from: stranger,
            to: world.account,
            agentId: U256::from(id),
        };
        world.node.send_as(stranger, world.registry, give).await;
    }
    world.node.mine(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_costs_no_more_after_fifty_gifts() {
    let world = Faulty::new().await;
    let cost = |settings: &[&str]| {
        let before = world.proxy.seen().len();
        (world.plan(settings), world.proxy.seen().len() - before)
    };
    gifts(&world, 1).await;
    let (plan, one) = cost(&[]);
    gifts(&world, 50).await;
    let (later, many) = cost(&[]);
    assert_eq!((&plan["agents"][0]["reason"], one), (&json!("Pending"), many), "before a mint");
    assert_eq!(later["transaction"]["nonce"], plan["transaction"]["nonce"]);
    // The same once the agent is on chain.
    world.anchored(&[]).await;
    world.node.mine(3).await;
    let (plan, before) = cost(&[]);
    assert_eq!(plan["agents"][0]["reason"], "Anchored");
    gifts(&world, 50).await;
    assert_eq!(cost(&[]).1, before);
    println!("{one} requests before a mint, {before} after it");
    // An account that has sent something may have adopted a gift: before another mint, each is
    // looked at once.
    world.offers(&[offer("llm/chat").host("audit.example").0]);
    let host = ["--anchor-host", "audit.example"];
    let (plan, another) = cost(&host);
    assert!(
        plan["transaction"]["call"].as_str().is_some_and(|call| call.starts_with("register(")),
        "{plan}"
    );
    assert!((100..100 + 60).contains(&another), "{another}");
}

/// A world whose agent had three mints that failed, for want of gas.
async fn reverted() -> Faulty {
    let world = Faulty::new().await;
    world.proxy.on("eth_estimateGas").then(Fault::rewrite(|_| json!("0xea60")));
    for _ in 0..8 {
        world.step(&[]).await;
        world.node.mine(3).await;
    }
    assert_eq!((world.reason("default").as_str(), world.signed().len()), ("Reverted", 3));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_reverted_is_tried_again_when_an_operator_says_so() {
    let world = reverted().await;
    world.proxy.lift();
    // Another agent and another chain change nothing.
    let other = world.anchor(&["resume", "eip155:31337/audit.example"], &[]);
    assert_eq!(other.code, Some(0), "{}", other.stderr);
    assert!(other.stdout.contains("no call had failed"), "{}", other.stdout);
    let elsewhere = world.anchor(&["resume", "eip155:1"], &[]);
    assert_eq!(elsewhere.code, Some(2), "{}", elsewhere.stderr);
    world.step(&[]).await;
    assert_eq!(world.reason("default"), "Reverted");
    let resumed = world.anchor(&["resume", "eip155:31337"], &[]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert!(resumed.stdout.contains("calls are tried again"), "{}", resumed.stdout);
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_process_tries_again_when_an_operator_says_so() {
    let world = reverted().await;
    let server = world.serve(&[]).await;
    stands(&server, &world.node, "Reverted").await;
    let other = world.anchor(&["resume", "eip155:31337/audit.example"], &[]);
    assert!(other.stdout.contains("no call had failed"), "{}", other.stdout);
    world.proxy.lift();
    // What is left beside the journal is taken once: what fails again stays as it is.
    let resumed = world.anchor(&["resume", "eip155:31337"], &[]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert!(resumed.stdout.contains("by the process that anchors"), "{}", resumed.stdout);
    stands(&server, &world.node, "Anchored").await;
    assert_eq!(world.mints().await, 1);
    for left in ["journal.resume", "journal.resumed"] {
        assert!(!world.path(left).exists(), "{left}");
    }
}
