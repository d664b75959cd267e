//! C2 to C4: whatever becomes of a reply, a nonce stays bound to its call and nothing is minted
//! twice.

use std::collections::BTreeSet;

use super::faulty::Faulty;
use crate::support::proxy::Fault;

/// Plays one fault on every method that a mint needs, one method after the other, each from the
/// beginning.
async fn on_every_method(fault: Fault) {
    let world = Faulty::new().await;
    let snapshot = world.snapshot().await;
    world.anchored(&[]).await;
    let methods: BTreeSet<String> =
        world.proxy.seen().into_iter().map(|call| call.method).collect();
    assert!(methods.len() >= 12 && methods.contains("eth_sendRawTransaction"), "{methods:?}");
    world.revert(snapshot).await;
    for method in methods {
        let snapshot = world.snapshot().await;
        world.proxy.on(&method).then(fault.clone());
        for _ in 0..2 {
            world.step(&[]).await;
            assert!(world.mints().await <= 1, "{method}: {fault:?}");
            world.node.mine(3).await;
        }
        world.proxy.lift();
        world.anchored(&[]).await;
        assert_eq!(world.mints().await, 1, "{method}: {fault:?}");
        assert_eq!(world.status()["foreignNonces"], 0, "{method}: {fault:?}");
        world.revert(snapshot).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_lost_after_delivery_frees_no_nonce_on_any_method() {
    on_every_method(Fault::LoseReply).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateways_page_in_place_of_a_reply_frees_no_nonce_on_any_method() {
    on_every_method(Fault::bad_gateway().delivered()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_reply_frees_no_nonce_on_any_method() {
    on_every_method(Fault::CutJson).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_another_request_frees_no_nonce_on_any_method() {
    on_every_method(Fault::WrongId).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_reply_frees_no_nonce_on_any_method() {
    on_every_method(Fault::NullResult).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_delivered_twice_mint_once() {
    on_every_method(Fault::DeliverTwice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_another_request_is_not_believed() {
    let world = Faulty::new().await;
    // Without a history there would be no logs to ask for.
    world.anchored(&[]).await;
    let sent = world.sent();
    for method in ["eth_chainId", "eth_getTransactionCount", "eth_call", "eth_getLogs"] {
        std::fs::remove_file(world.path("journal")).unwrap();
        world.proxy.on(method).then(Fault::WrongId);
        let printed = world.step(&["--public-url", "https://moved.example"]).await;
        assert_eq!(world.reason("default"), "Unreachable", "{method}");
        assert!(printed.stderr.contains("it answers another request"), "{}", printed.stderr);
        world.proxy.lift();
    }
    assert_eq!(world.sent(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let world = Faulty::new().await;
    for method in ["eth_chainId", "eth_call", "eth_maxPriorityFeePerGas"] {
        let snapshot = world.snapshot().await;
        world.proxy.on(method).then(Fault::Flood(64));
        let printed = world.step(&[]).await;
        if method != "eth_maxPriorityFeePerGas" {
            assert!(printed.stderr.contains("too large"), "{}", printed.stderr);
        }
        world.proxy.lift();
        world.anchored(&[]).await;
        assert_eq!(world.mints().await, 1, "{method}");
        world.revert(snapshot).await;
    }
}
