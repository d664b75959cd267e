//! The ground that decisions stand on: nodes that keep no old state, and chains that are not the
//! one that was.

use alloy::primitives::U256;

use crate::support::stage::Stage;
use crate::{
    support::chain::Anvil,
    support::process::{eventually, text},
    support::proxy::Proxy,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_prunes_is_worked_with_by_what_it_had_at_its_head() {
    // States of the two newest blocks are kept; a final block is older.
    let stage = Stage::on(Anvil::start(&["--prune-history", "1"]).await).await;
    let state_at_final = serde_json::json!([stage.account, "finalized"]);
    stage.node.try_call("eth_getBalance", state_at_final).await.unwrap_err();
    let server = stage.serve(&[]).await;
    eventually("it is noted", async || stage.reason("default") == "StatePruned").await;
    // Block after block, and a decision between: what was the head is final two blocks later.
    let mut reasons = Vec::new();
    while reasons.last().is_none_or(|reason| reason != "Anchored") {
        assert!(reasons.len() < 20, "{reasons:?}");
        next_decision(&stage).await;
        reasons.push(stage.reason("default"));
    }
    assert_eq!(stage.balance().await, U256::from(1), "{reasons:?}");
    assert_eq!(server.document().await["registrations"][0]["agentId"], 0);
    // Nothing more is sent, however long it goes on.
    for _ in 0..3 {
        next_decision(&stage).await;
    }
    assert_eq!(stage.node.transaction_count(stage.account, "latest").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_prunes_is_worked_with_by_processes_that_decide_once() {
    let stage = Stage::on(Anvil::start(&["--prune-history", "1"]).await).await;
    let mut reasons = Vec::new();
    while reasons.last().is_none_or(|reason| reason != "Anchored") {
        assert!(reasons.len() < 20, "{reasons:?}");
        let printed = stage.once(&[]);
        let reason = stage.reason("default");
        // What no head is final for yet needs another run, and the Job shows it.
        assert_eq!(printed.code, Some(i32::from(reason == "StatePruned")), "{}", printed.stderr);
        reasons.push(reason);
        stage.node.mine(1).await;
    }
    assert_eq!(reasons[0], "StatePruned");
    assert_eq!(stage.balance().await, U256::from(1), "{reasons:?}");
    assert_eq!(stage.node.transaction_count(stage.account, "latest").await, 1);
}

/// Nodes that keep no state at final blocks must confirm for one another that an agent is not on
/// chain: each by what it had at its own head.
#[tokio::test(flavor = "multi_thread")]
async fn several_nodes_that_prune_confirm_for_one_another() {
    for endpoints in [2, 3] {
        let mut stage = Stage::on(Anvil::start(&["--prune-history", "1"]).await).await;
        let mut proxies = Vec::new();
        for _ in 0..endpoints {
            proxies.push(Proxy::start(vec![stage.node.url().to_owned()]).await);
        }
        stage.rpc = proxies.iter().map(Proxy::url).collect();
        // The account has a past, so that its events matter.
        let hash = stage.node.submit(stage.account, Some(stage.account), &[]).await;
        stage.node.included(hash).await;
        let mut reasons = Vec::new();
        while reasons.last().is_none_or(|reason| reason != "Anchored") {
            assert!(reasons.len() < 30, "{endpoints}: {reasons:?}");
            stage.once(&[]);
            reasons.push(stage.reason("default"));
            stage.node.mine(1).await;
        }
        assert_eq!(reasons[0], "StatePruned", "{reasons:?}");
        assert_eq!(stage.balance().await, U256::from(1), "{endpoints}: {reasons:?}");
        assert_eq!(stage.node.transaction_count(stage.account, "latest").await, 2);
    }
}

/// Mines past finality and waits until the running process has decided again.
async fn next_decision(stage: &Stage) {
    let before = stage.status();
    stage.node.mine(3).await;
    eventually("it decides again", async || stage.status() != before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_a_block_that_was_final_is_refused() {
    let mut stage = Stage::new().await;
    stage.settle(&[]).await;
    let height = stage.node.block_number("latest").await;
    // The same chain id, the same registry at the same address, and another history.
    stage.node.kill();
    stage.node.run().await;
    assert_eq!(stage.node.deploy_registry().await, stage.registry);
    stage.node.mine(height + 5).await;
    let printed = stage.once(&[]);
    assert_eq!(stage.reason("default"), "ChainMismatch", "{}", printed.stderr);
    assert_eq!(text(&stage.plan(&[])["held"], "reason"), "ChainMismatch");
    assert_eq!(stage.node.transaction_count(stage.account, "latest").await, 0);
}
