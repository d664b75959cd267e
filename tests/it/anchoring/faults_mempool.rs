//! C10 to C13 and C27: reorganizations, forgetful pools, fees that rise, and pending transactions
//! that nobody knows.

use alloy::{consensus::TxEip1559, primitives::B256};
use serde_json::{Value, json};

use super::faulty::Faulty;
use crate::support::{chain::IdentityRegistry, process::text, proxy::Fault};

const GWEI: u128 = 1_000_000_000;

/// Every transaction is the first one again at its nonce, each an eighth dearer at least than the
/// one before.
pub fn is_one_call_raised(signed: &[TxEip1559]) {
    for pair in signed.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        let call = |signed: &TxEip1559| {
            (
                signed.chain_id,
                signed.nonce,
                signed.to,
                signed.value,
                signed.input.clone(),
                signed.gas_limit,
            )
        };
        assert_eq!(call(before), call(after));
        let raised = |before: u128, after: u128| after * 8 >= before * 9;
        assert!(raised(before.max_fee_per_gas, after.max_fee_per_gas), "{before:?} {after:?}");
        assert!(
            raised(before.max_priority_fee_per_gas, after.max_priority_fee_per_gas),
            "{before:?} {after:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_a_reorganization_renumbers_is_known_by_its_final_id_only() {
    let world = Faulty::still().await;
    world.step(&[]).await;
    world.node.mine(2).await;
    assert_eq!(world.mints().await, 1);
    let printed = world.step(&[]).await;
    assert_eq!(world.recorded("default")["agentId"], Value::Null, "{}", printed.stderr);

    world.node.call("anvil_reorg", json!([2, []])).await;
    assert_eq!(world.mints().await, 0);
    let stranger = world.node.account(1).await;
    let theirs = IdentityRegistry::register_1Call { agentURI: "https://other.example".into() };
    world.node.send_as(stranger, world.registry, theirs).await;
    let ours = world.proxy.raw_transactions()[0].clone();
    world.node.call("eth_sendRawTransaction", json!([ours])).await;
    world.node.mine(1).await;
    assert_eq!((world.mints().await, world.uri(0).await), (1, "https://other.example".to_owned()));

    world.step(&[]).await;
    assert_eq!(world.recorded("default")["agentId"], Value::Null);
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.recorded("default")["agentId"], "1");
    world.anchored(&["--public-url", "https://moved.example"]).await;
    assert_eq!(world.uri(0).await, "https://other.example", "the old id is called by nobody");
    assert!(world.uri(1).await.starts_with("https://moved.example/"));
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorganization_or_a_pool_drops_is_sent_again_byte_for_byte() {
    let world = Faulty::still().await;
    world.step(&[]).await;
    world.step(&[]).await;
    assert_eq!(world.sent(), 1, "what is pending is not sent again");
    world.node.call("anvil_dropAllTransactions", json!([])).await;
    world.step(&[]).await;
    assert_eq!(world.sent(), 2);
    for depth in 1..=3 {
        world.node.mine(depth).await;
        world.node.call("anvil_reorg", json!([depth, []])).await;
        assert_eq!(world.mints().await, 0);
        world.step(&[]).await;
    }
    assert_eq!((world.sent(), world.signed().len()), (5, 1));
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_fee_above_the_cap_raises_the_same_call_at_once() {
    let world = Faulty::still().await;
    world.step(&[]).await;
    let base = |gwei: u128| json!([format!("{:#x}", gwei * GWEI)]);
    world.node.call("anvil_setNextBlockBaseFeePerGas", base(20)).await;
    world.node.mine(1).await;
    assert_eq!(world.mints().await, 0);
    world.step(&[]).await;
    let signed = world.signed();
    assert_eq!((signed.len(), world.nonce()), (2, Some(0)));
    is_one_call_raised(&signed);
    assert!(signed[1].max_fee_per_gas > 20 * GWEI);
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_is_estimated_anew() {
    let world = Faulty::still().await;
    world.step(&[]).await;
    // The call needs more than it did.
    world.proxy.on("eth_estimateGas").then(Fault::rewrite(|_| json!("0x7a120")));
    world.node.call("anvil_setNextBlockBaseFeePerGas", json!(["0x4a817c800"])).await;
    world.node.mine(1).await;
    world.step(&[]).await;
    let signed = world.signed();
    assert!(signed[0].gas_limit < 400_000, "{}", signed[0].gas_limit);
    assert_eq!((signed.len(), signed[1].gas_limit), (2, 625_000), "a quarter to spare");
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fee_passes_the_ceiling_and_the_reason_says_so() {
    let world = Faulty::still().await;
    let ceiling = ["--max-fee-gwei", "5"];
    world.step(&ceiling).await;
    let base = |gwei: u128| json!([format!("{:#x}", gwei * GWEI)]);
    for fee in [20, 400, 8_000] {
        world.node.call("anvil_setNextBlockBaseFeePerGas", base(fee)).await;
        world.node.mine(1).await;
        world.step(&ceiling).await;
        assert_eq!((world.reason("default").as_str(), world.nonce()), ("FeeTooHigh", Some(0)));
    }
    assert!(world.signed().iter().all(|signed| signed.max_fee_per_gas <= 5 * GWEI));
    // A journal that remembers nothing opens nothing there either.
    std::fs::remove_file(world.path("journal")).unwrap();
    world.step(&ceiling).await;
    assert_eq!((world.reason("default").as_str(), world.nonce()), ("FeeTooHigh", None));
    assert_eq!(world.signed().len(), 1);
    world.node.call("anvil_setNextBlockBaseFeePerGas", base(1)).await;
    world.node.mine(1).await;
    world.anchored(&ceiling).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_decisions_without_inclusion_raise_the_fee() {
    let world = Faulty::still().await;
    for _ in 0..12 {
        world.step(&[]).await;
    }
    assert_eq!(world.attempts(), 1, "it is pending, and the market asks for no more");
    world.node.call("anvil_setNextBlockBaseFeePerGas", json!(["0x2540be400"])).await;
    world.node.call("anvil_dropAllTransactions", json!([])).await;
    world.node.mine(1).await;
    world.step(&[]).await;
    assert_eq!(world.attempts(), 2, "the market has moved");
    is_one_call_raised(&world.signed());
    // Whichever of the two a miner takes: it is ours.
    world.node.call("anvil_dropAllTransactions", json!([])).await;
    world.node.call("anvil_setNextBlockBaseFeePerGas", json!(["0x3b9aca00"])).await;
    let first = world.proxy.raw_transactions()[0].clone();
    world.node.call("eth_sendRawTransaction", json!([first])).await;
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!((world.mints().await, &world.status()["foreignNonces"]), (1, &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_no_pool_keeps_is_raised_after_ten_decisions() {
    let world = Faulty::still().await;
    for decisions in 1..=11 {
        world.step(&[]).await;
        assert_eq!(world.attempts(), if decisions < 11 { 1 } else { 2 });
        world.node.call("anvil_dropAllTransactions", json!([])).await;
    }
    is_one_call_raised(&world.signed());
    world.step(&[]).await;
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_lost_while_its_mint_is_pending_ends_in_one_mint() {
    let world = Faulty::still().await;
    world.step(&[]).await;
    std::fs::remove_file(world.path("journal")).unwrap();
    // Or the same bytes would be made again.
    world.node.call("anvil_setNextBlockBaseFeePerGas", json!(["0x2540be40"])).await;
    for _ in 0..10 {
        world.step(&[]).await;
        assert_eq!((world.reason("default").as_str(), world.nonce()), ("PendingUnknown", None));
    }
    world.step(&[]).await;
    assert_eq!(world.nonce(), Some(0), "it signs at the settled count all the same");
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

/// For how many decisions the journal says that something unknown has been waited for.
fn waited(world: &Faulty) -> u64 {
    let journal = std::fs::read_to_string(world.path("journal")).unwrap();
    let journal: serde_json::Value = serde_json::from_str(&journal).unwrap();
    let lanes = journal["content"]["lanes"].as_object().unwrap();
    lanes.values().map(|lane| lane["waited"].as_u64().unwrap_or_default()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_decisions_that_saw_something_unknown_pending_use_up_the_patience() {
    let world = Faulty::still().await;
    world.anchored(&[]).await;
    for _ in 0..3 {
        world.step(&[]).await;
        assert_eq!((world.reason("default").as_str(), waited(&world)), ("Anchored", 0));
        world.node.mine(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_transaction_that_is_stuck_is_waited_for_and_then_outbid() {
    let world = Faulty::still().await;
    let account = world.account.to_string();
    let theirs = json!([{ "from": account, "to": account, "maxFeePerGas": "0x12a05f200", "maxPriorityFeePerGas": "0x12a05f200" }]);
    let theirs: B256 =
        text(&json!({ "hash": world.node.call("eth_sendTransaction", theirs).await }), "hash")
            .parse()
            .unwrap();
    for _ in 0..10 {
        world.step(&[]).await;
        assert_eq!(world.reason("default"), "PendingUnknown");
    }
    let known =
        async || world.node.call("eth_getTransactionByHash", json!([theirs.to_string()])).await;
    for _ in 0..16 {
        world.step(&[]).await;
        if known().await.is_null() {
            break;
        }
    }
    assert!(known().await.is_null(), "it is outbid");
    is_one_call_raised(&world.signed());
    assert!(world.attempts() > 1, "the first offer was too low");
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}
