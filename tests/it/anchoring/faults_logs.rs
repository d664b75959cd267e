//! C7: logs that are refused by range, or that come back short.

use alloy::primitives::B256;
use serde_json::{Value, json};

use super::faulty::{Faulty, METADATA_SET, REGISTERED, TRANSFER};
use crate::{support::chain::IdentityRegistry, support::proxy::Fault};

/// The first and the last block of a question for logs.
fn range(params: &Value) -> (u64, u64) {
    let number = |name: &str| {
        let text = params[0][name].as_str().unwrap();
        u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
    };
    (number("fromBlock"), number("toBlock"))
}

fn width(params: &Value) -> u64 {
    let (from, to) = range(params);
    to - from + 1
}

fn about(topic: B256) -> impl Fn(&Value) -> bool {
    move |params| params[0]["topics"].to_string().contains(&topic.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capped_range_is_halved_until_the_history_is_whole() {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    world.node.mine(1_300).await;
    let refusals: [Fault; 3] = [
        Fault::JsonRpcError(-32_005, "query exceeds max block range 500".to_owned()),
        Fault::Status(413, "too large".to_owned(), Vec::new()),
        Fault::bad_gateway(),
    ];
    for refusal in refusals {
        std::fs::remove_file(world.path("journal")).unwrap();
        world.proxy.on("eth_getLogs").when(|params| width(params) > 500).then(refusal);
        let before = world.proxy.seen().len();
        world.step(&[]).await;
        assert_eq!(world.reason("default"), "Anchored");
        world.proxy.clear();
        let seen = world.proxy.seen();
        let answered = |call: &&crate::support::proxy::Exchange| {
            call.method == "eth_getLogs" && call.delivered > 0 && about(REGISTERED)(&call.params)
        };
        let mut next = 0;
        for call in seen[before..].iter().filter(answered) {
            let (from, to) = range(&call.params);
            assert_eq!((from, width(&call.params) <= 500), (next, true), "no gap, no overlap");
            next = to + 1;
        }
        assert_eq!(next, world.node.block_number("finalized").await + 1);
    }
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_come_back_short_are_noticed_and_nothing_is_signed_on_them() {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    let sent = world.sent();
    let short: [&[B256]; 3] = [&[REGISTERED], &[TRANSFER], &[REGISTERED, TRANSFER, METADATA_SET]];
    for topics in short {
        let _gone = std::fs::remove_file(world.path("journal"));
        for topic in topics {
            world.proxy.on("eth_getLogs").when(about(*topic)).then(Fault::rewrite(|_| json!([])));
        }
        // A URL that moved, and an owner id of its own, would both have something to sign.
        for more in [["--public-url", "https://moved.example"], ["--owner-id", "test"]] {
            let printed = world.step(&more).await;
            assert_eq!(world.reason("default"), "ViewShort", "{topics:?} {}", printed.stderr);
        }
        world.proxy.lift();
    }
    assert_eq!((world.sent(), world.mints().await), (sent, 1));
    world.anchored(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_whose_event_is_missing_is_noticed() {
    let world = Faulty::new().await;
    let uri = "https://agents.example/.well-known/agent-registration.json".to_owned();
    let register = IdentityRegistry::register_1Call { agentURI: uri };
    world.node.send_as(world.account, world.registry, register).await;
    world.node.mine(3).await;
    world.anchored(&["--adopt", "eip155:31337=0"]).await;
    std::fs::remove_file(world.path("journal")).unwrap();
    let sent = world.sent();
    world.proxy.on("eth_getLogs").when(about(METADATA_SET)).then(Fault::rewrite(|_| json!([])));
    world.step(&["--mint-beside"]).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("ViewShort", sent));
    world.proxy.lift();
    world.anchored(&["--mint-beside"]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_or_removed_log_is_no_evidence() {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    let sent = world.sent();
    let faults: [fn(&mut Value); 2] = [
        |log| log["removed"] = json!(true),
        |log| log["address"] = json!("0x00000000000000000000000000000000deadbeef"),
    ];
    for change in faults {
        std::fs::remove_file(world.path("journal")).unwrap();
        world.proxy.on("eth_getLogs").then(Fault::rewrite(move |mut logs| {
            logs.as_array_mut().unwrap().iter_mut().for_each(change);
            logs
        }));
        world.step(&[]).await;
        assert_eq!((world.reason("default").as_str(), world.sent()), ("Unreachable", sent));
        world.proxy.lift();
    }
}
