//! C15 to C17 and C25: what costs too much, cannot be paid, or was paid for in vain.

use serde_json::{Value, json};

use super::faulty::Faulty;
use crate::{support::process::eventually, support::proxy::Fault};

const MOVED: [&str; 2] = ["--public-url", "https://moved.example"];

#[tokio::test(flavor = "multi_thread")]
async fn without_funds_nothing_is_signed_and_work_resumes_with_them() {
    let world = Faulty::new().await;
    let balance = async |wei: &str| {
        world.node.call("anvil_setBalance", json!([world.account.to_string(), wei])).await;
    };
    balance("0x0").await;
    for _ in 0..3 {
        world.step(&[]).await;
        assert_eq!((world.reason("default").as_str(), world.nonce()), ("NoFunds", None));
    }
    assert_eq!((world.sent(), world.plan(&[])["held"]["reason"].as_str()), (0, Some("NoFunds")));
    balance("0xde0b6b3a7640000").await;
    world.anchored(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_server_decides_once_an_interval_and_no_oftener() {
    let world = Faulty::new().await;
    world.node.call("anvil_setBalance", json!([world.account.to_string(), "0x0"])).await;
    let server = world.serve(&[]).await;
    let decisions = || world.proxy.count("eth_chainId");
    eventually("it decides", async || decisions() > 0).await;
    let first = decisions();
    let took = eventually("it decides twice more", async || decisions() >= first + 2).await;
    assert!(took.as_millis() > 1_000, "{took:?} for two decisions a second apart");
    assert_eq!(world.sent(), 0);
    assert_eq!(crate::support::stage::agent(&server).await["anchoring"][0]["reason"], "NoFunds");
    super::faulty::server_tells_nothing(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_days_budget_is_kept_over_restarts_and_renewed_the_next_day() {
    let world = Faulty::new().await;
    world.step(&["--daily-budget-ether", "0.000001"]).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("BudgetSpent", 0));
    world.anchored(&[]).await;
    let spent: u128 = world.status()["spentTodayWei"].as_str().unwrap().parse().unwrap();
    let signed = world.signed();
    let worst: u128 = signed.iter().map(|tx| tx.max_fee_per_gas * u128::from(tx.gas_limit)).sum();
    assert_eq!(spent, worst, "what was signed, at its worst");

    let just_spent = format!("0.{:018}", spent);
    let more = [&MOVED[..], &["--daily-budget-ether", &just_spent]].concat();
    world.step(&more).await;
    assert_eq!((world.reason("default").as_str(), world.signed().len()), ("BudgetSpent", 1));
    // An amount that nobody can read never lets more be spent.
    let mut spent = Value::Null;
    world.edit_journal(|lane| {
        spent = lane["spent"].clone();
        lane["spent"]["wei"] = json!("plenty");
    });
    world.step(&MOVED).await;
    assert_eq!((world.reason("default").as_str(), world.signed().len()), ("BudgetSpent", 1));
    world.edit_journal(|lane| {
        lane["spent"] = spent.clone();
        lane["spent"]["day"] = json!("2020-01-01");
    });
    world.anchored(&more).await;
    assert_eq!(world.signed().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_costs_the_budget_its_difference_only() {
    let world = Faulty::still().await;
    world.refuse_all("replacement transaction underpriced");
    for _ in 0..5 {
        world.step(&[]).await;
    }
    let last = world.signed().pop().unwrap();
    let spent = (last.max_fee_per_gas * u128::from(last.gas_limit)).to_string();
    assert_eq!(
        (world.attempts(), world.status()["spentTodayWei"].as_str()),
        (5, Some(spent.as_str()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_would_revert_is_told_and_not_sent() {
    let world = Faulty::new().await;
    let reverts = Fault::JsonRpcError(3, "execution reverted: reserved key".to_owned());
    world.proxy.on("eth_estimateGas").then(reverts);
    let printed = world.step(&[]).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("WouldRevert", 0));
    assert!(printed.stderr.contains("execution reverted: reserved key"), "{}", printed.stderr);
    assert_eq!((world.nonce(), world.status()["spentTodayWei"].as_str()), (None, Some("0")));
    world.proxy.lift();
    world.anchored(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_calls_that_fail_on_chain_are_paid_for_and_no_more() {
    let world = Faulty::new().await;
    // Gas for the transaction itself and a little, so that it is mined and fails.
    let short = Fault::rewrite(|_: Value| json!("0xea60"));
    world.proxy.on("eth_estimateGas").then(short);
    for _ in 0..8 {
        world.step(&[]).await;
        world.node.mine(3).await;
    }
    assert_eq!((world.reason("default").as_str(), world.signed().len()), ("Reverted", 3));
    assert_eq!(world.node.transaction_count(world.account, "latest").await, 3);
    assert_eq!((world.mints().await, &world.status()["foreignNonces"]), (0, &json!(0)));
    // The way out that the reason names.
    world.proxy.lift();
    world.step(&[]).await;
    assert_eq!(world.reason("default"), "Reverted");
    std::fs::remove_file(world.path("journal")).unwrap();
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_absurd_numbers_costs_no_more_than_the_ceiling() {
    let world = Faulty::still().await;
    let deep = || (0..200).fold(json!(0), |inner, _| json!([inner]));
    let absurd = [
        json!(format!("0x{}", "f".repeat(64))),
        json!(format!("0x{}", "f".repeat(32))),
        json!(format!("0x{}", "f".repeat(400))),
        json!("-1"),
        deep(),
    ];
    for answer in absurd {
        for method in ["eth_maxPriorityFeePerGas", "eth_estimateGas", "eth_getBalance"] {
            let answer = answer.clone();
            world.proxy.on(method).then(Fault::rewrite(move |_| answer.clone()));
            world.step(&["--daily-budget-ether", "0.1"]).await;
            let _gone = std::fs::remove_file(world.path("journal"));
            world.node.call("anvil_dropAllTransactions", json!([])).await;
            world.proxy.clear();
        }
    }
    let signed = world.signed();
    assert!(!signed.is_empty());
    for signed in signed {
        let cost = signed.max_fee_per_gas * u128::from(signed.gas_limit);
        assert!(signed.max_fee_per_gas <= 100_000_000_000 && cost <= 100_000_000_000_000_000);
    }
}
