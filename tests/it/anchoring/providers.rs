//! What chains and providers do differently from a plain node, and what is done about it.

use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::eip2718::Decodable2718,
    hex,
    primitives::U256,
};
use serde_json::{Value, json};

use super::faulty::Faulty;
use crate::support::{
    chain::IdentityRegistry,
    process::{eventually, text},
    proxy::{Exchange, Fault},
};

const MOVED: [&str; 2] = ["--public-url", "https://moved.example"];

fn refusal(text: &str) -> Fault {
    Fault::JsonRpcError(-32_602, text.to_owned())
}

fn signed(raw: &str) -> TxEnvelope {
    TxEnvelope::decode_2718(&mut hex::decode(raw).unwrap().as_slice()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_refuses_bare_hashes_is_read() {
    let world = Faulty::new().await;
    let is_bare = |params: &Value| {
        params.as_array().unwrap().iter().skip(1).any(|value| {
            value.as_str().is_some_and(|text| text.len() == 66)
                && params[0].as_str().is_none_or(|first| first.len() == 42)
        })
    };
    for method in ["eth_call", "eth_getCode", "eth_getBalance", "eth_getTransactionCount"] {
        world.proxy.on(method).when(is_bare).then(refusal("invalid block id"));
    }
    world.anchored(&[]).await;
    let pinned = |call: &&Exchange| {
        ["eth_call", "eth_getCode", "eth_getStorageAt"].contains(&call.method.as_str())
            && call.params.as_array().unwrap().last() != Some(&json!("latest"))
    };
    let seen = world.proxy.seen();
    assert!(seen.iter().filter(pinned).count() > 10);
    for call in seen.iter().filter(pinned) {
        let block = call.params.as_array().unwrap().last().unwrap();
        assert_eq!(block["requireCanonical"], true, "{call:?}");
        assert_eq!(block["blockHash"].as_str().unwrap().len(), 66, "{call:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_fees_are_0_the_gas_price_counts() {
    let world = Faulty::new().await;
    world.proxy.on("eth_getBlockByNumber").then(Fault::rewrite(|mut block| {
        block["baseFeePerGas"] = json!("0x0");
        block
    }));
    world.proxy.on("eth_maxPriorityFeePerGas").then(Fault::rewrite(|_| json!("0x0")));
    world.proxy.on("eth_gasPrice").then(Fault::rewrite(|_| json!("0x2540be400")));
    world.anchored(&[]).await;
    assert_eq!(world.signed()[0].max_fee_per_gas, 10_000_000_000);
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn legacy_fees_are_paid_where_the_operator_says_so() {
    let world = Faulty::new().await;
    world.proxy.on("eth_maxPriorityFeePerGas").then(refusal("the method does not exist"));
    let legacy = ["--legacy-fees", "eip155:31337"];
    world.anchored(&legacy).await;
    let raw = world.proxy.raw_transactions();
    assert!(raw.iter().all(|raw| signed(raw).is_legacy()));
    assert_eq!(signed(&raw[0]).chain_id(), Some(31_337));
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_finalized_tag_is_named_with_the_flag() {
    let world = Faulty::new().await;
    let finalized = |params: &Value| params[0] == "finalized";
    let missing = [refusal("invalid argument 0: hex string without 0x prefix"), Fault::NullResult];
    for fault in missing {
        world.proxy.on("eth_getBlockByNumber").when(finalized).then(fault);
        let printed = world.step(&[]).await;
        assert_eq!((world.reason("default").as_str(), printed.code), ("Unreachable", Some(1)));
        let flag = "--finality eip155:31337=depth:N";
        assert!(printed.stderr.contains(flag), "{}", printed.stderr);
        world.proxy.clear();
    }
    world.proxy.on("eth_getBlockByNumber").when(finalized).then(refusal("unknown tag"));
    let depth = ["--finality", "eip155:31337=depth:2"];
    let plan = world.plan(&depth);
    assert!(plan["warnings"].to_string().contains("has not been reviewed"), "{plan}");
    world.anchored(&depth).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pending_tag_the_mined_count_is_used_with_patience() {
    let world = Faulty::new().await;
    let pending = |params: &Value| params[1] == "pending";
    world.proxy.on("eth_getTransactionCount").when(pending).then(refusal("unknown block tag"));
    // A journal that remembers nothing may have been lost.
    for _ in 0..10 {
        world.step(&[]).await;
        assert_eq!((world.reason("default").as_str(), world.nonce()), ("PendingUnknown", None));
    }
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
    // One that remembers knows what is pending.
    world.step(&MOVED).await;
    assert_eq!(world.signed().len(), 2);
    world.node.mine(3).await;
    world.anchored(&MOVED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_transaction_of_any_type_stops_nothing() {
    let world = Faulty::new().await;
    let uri = "https://agents.example/.well-known/agent-registration.json".to_owned();
    let register = IdentityRegistry::register_1Call { agentURI: uri };
    world.node.send_as(world.account, world.registry, register).await;
    world.node.mine(3).await;
    let adopt = ["--adopt", "eip155:31337=0"];
    world.anchored(&adopt).await;
    // Deposits, Celo's and ZK Stack's types, and one that nobody has thought of, with what their
    // fields look like.
    for kind in ["0x7e", "0x7b", "0x71", "0xff"] {
        let _gone = std::fs::remove_file(world.path("journal"));
        let strange = move |mut answer: Value| {
            if answer.is_object() {
                answer["type"] = json!(kind);
                answer["sourceHash"] = json!({ "no": "hash" });
                for field in
                    ["gasPrice", "r", "s", "v", "chainId", "cumulativeGasUsed", "logsBloom"]
                {
                    answer.as_object_mut().unwrap().remove(field);
                }
            }
            answer
        };
        world.proxy.on("eth_getTransactionByHash").then(Fault::rewrite(strange));
        world.proxy.on("eth_getTransactionReceipt").then(Fault::rewrite(strange));
        let printed = world.step(&adopt).await;
        assert_eq!(world.reason("default"), "Anchored", "{kind}: {}", printed.stderr);
        world.proxy.clear();
    }
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_fee_counts_in_budget_and_balance() {
    let world = Faulty::new().await;
    // The predeploy of OP Stack chains: each transaction's data costs 0.001 ether.
    let fee = U256::from(1_000_000_000_000_000_u64);
    let code = format!("0x7f{fee:064x}60005260206000f3");
    let oracles = [
        "0x420000000000000000000000000000000000000F",
        "0x5300000000000000000000000000000000000002",
    ];
    for oracle in oracles {
        let snapshot = world.snapshot().await;
        let before = world.sent();
        world.node.call("anvil_setCode", json!([oracle, code])).await;
        world.node.mine(3).await;
        let plan = world.plan(&[]);
        let wei = |name: &str| text(&plan["transaction"], name).parse::<u128>().unwrap();
        assert_eq!(wei("dataFeeWei"), 2_000_000_000_000_000, "twice what it is");
        assert!(wei("maxCostWei") > wei("dataFeeWei"));
        // Enough for the gas, and not for the data.
        let gas_only = wei("maxCostWei") - 1_000_000_000_000_000;
        let balance = json!([world.account.to_string(), format!("{gas_only:#x}")]);
        world.node.call("anvil_setBalance", balance).await;
        world.step(&[]).await;
        assert_eq!((world.reason("default").as_str(), world.sent()), ("NoFunds", before));
        let balance = json!([world.account.to_string(), "0xde0b6b3a7640000"]);
        world.node.call("anvil_setBalance", balance).await;
        world.step(&["--daily-budget-ether", "0.002"]).await;
        assert_eq!((world.reason("default").as_str(), world.sent()), ("BudgetSpent", before));
        world.step(&[]).await;
        let spent: u128 = text(&world.status(), "spentTodayWei").parse().unwrap();
        assert!(spent > 2_000_000_000_000_000, "{spent}");
        world.revert(snapshot).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn insufficient_funds_at_the_send_are_no_funds() {
    let world = Faulty::still().await;
    for words in [
        "insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1",
        "InsufficientFunds, Account balance: 0, cumulative cost: 1",
        "Upfront cost exceeds account balance",
    ] {
        world.refuse_all(words);
        let printed = world.step(&[]).await;
        assert_eq!(
            (world.reason("default").as_str(), printed.code),
            ("NoFunds", Some(1)),
            "{words}"
        );
        assert_eq!(world.nonce(), Some(0), "the nonce stays bound");
    }
    world.proxy.clear();
    world.step(&[]).await;
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limited_read_of_state_is_no_sign_of_pruning() {
    let world = Faulty::new().await;
    // Only what is asked about the final block is refused, as by a node that prunes.
    let last = world.node.block("finalized").await["hash"].clone();
    let limited = Fault::JsonRpcError(-32_005, "rate limit exceeded".to_owned());
    world.proxy.on("eth_getCode").when(move |params| params[1]["blockHash"] == last).then(limited);
    let printed = world.step(&[]).await;
    assert_eq!(
        (world.reason("default").as_str(), printed.code, world.sent()),
        ("RateLimited", Some(1), 0),
        "{}",
        printed.stderr
    );
    world.proxy.lift();
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dead_endpoint_of_three_freezes_nothing() {
    let mut world = Faulty::still().await;
    let others = world.joined_by(2).await;
    world.step(&[]).await;
    assert_eq!(world.nonce(), Some(0));
    // The first one dies with a transaction open, whichever is asked first.
    world.proxy.set_down(true);
    world.node.mine(3).await;
    for _ in 0..16 {
        world.step(&[]).await;
        if world.reason("default") == "Anchored" && world.nonce().is_none() {
            break;
        }
        world.node.mine(3).await;
    }
    let status = world.status();
    assert_eq!((world.reason("default").as_str(), world.nonce()), ("Anchored", None), "{status}");
    assert_eq!(status["failingEndpoints"][0]["endpoint"], "127.0.0.1 (endpoint 1)", "{status}");
    assert_eq!(status["failingEndpoints"].as_array().unwrap().len(), 1);
    world.proxy.lift();
    world.step(&MOVED).await;
    assert_eq!(world.status()["failingEndpoints"], json!([]));
    drop(others);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_refuses_logs_is_passed_over_and_shown() {
    let mut world = Faulty::new().await;
    world.anchored(&[]).await;
    std::fs::remove_file(world.path("journal")).unwrap();
    let _others = world.joined_by(2).await;
    let refused = Fault::JsonRpcError(-32_601, "eth_getLogs is not available".to_owned());
    world.proxy.on("eth_getLogs").then(refused);
    let server = world.serve(&[]).await;
    let up = |endpoint: u32| {
        format!(
            "registrar_anchor_endpoint_up{{chain=\"eip155:31337\",endpoint=\"127.0.0.1 (endpoint {endpoint})\"}}"
        )
    };
    eventually("the others are asked", async || {
        let metrics = server.admin("/metrics").await.text().await.unwrap();
        metrics.contains(&format!("{} 0", up(1))) && metrics.contains(&format!("{} 1", up(2)))
    })
    .await;
    eventually("it is anchored", async || world.reason("default") == "Anchored").await;
    let failing = world.status()["failingEndpoints"].clone();
    assert!(failing[0]["failure"].as_str().unwrap().contains("eth_getLogs"), "{failing}");
    // It is not asked again in every decision.
    let asked = world.proxy.count("eth_getLogs");
    let decisions = world.proxy.count("eth_chainId");
    world.node.mine(3).await;
    eventually("it decides again", async || world.proxy.count("eth_chainId") >= decisions + 3)
        .await;
    assert!(world.proxy.count("eth_getLogs") <= asked + 8, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_makes_a_job_fail_visibly() {
    let world = Faulty::still().await;
    let balance = async |wei: &str| {
        world.node.call("anvil_setBalance", json!([world.account.to_string(), wei])).await;
    };
    balance("0x0").await;
    let printed = world.step(&[]).await;
    assert_eq!((world.reason("default").as_str(), printed.code), ("NoFunds", Some(1)));
    let plan = world.anchor(&["plan", "--json"], &[]);
    assert_eq!(plan.code, Some(1));
    let rows: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(rows[0]["agents"][0]["attention"], "person");
    balance("0xde0b6b3a7640000").await;
    // What is on its way needs nobody.
    for _ in 0..2 {
        assert_eq!(world.step(&[]).await.code, Some(0));
        assert_eq!(world.anchor(&["plan"], &[]).code, Some(0));
    }
    world.proxy.set_down(true);
    let printed = world.step(&[]).await;
    assert_eq!(
        (world.recorded("default")["attention"].as_str(), printed.code),
        (Some("retry"), Some(1))
    );
    world.proxy.lift();
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.step(&[]).await.code, Some(0));
}
