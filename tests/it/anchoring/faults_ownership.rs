//! C20 to C22 and C28: other hands on our account and our tokens, and ids at the ends of their
//! range.

use alloy::{
    primitives::{U256, b256},
    sol_types::SolCall,
};
use serde_json::json;

use super::faulty::{Faulty, server_tells_nothing, stands};
use crate::{
    support::anchor_key::{KEY_METADATA, anchor_key},
    support::chain::IdentityRegistry::{self, MetadataEntry},
    support::process::eventually,
};

const DOCUMENT: &str = "https://agents.example/.well-known/agent-registration.json";

#[tokio::test(flavor = "multi_thread")]
async fn nonces_that_somebody_else_used_are_counted_and_work_goes_on() {
    let world = Faulty::still().await;
    let other = async || {
        let hash = world.node.submit(world.account, Some(world.account), &[]).await;
        world.node.included(hash).await;
    };
    // While ours is signed at that nonce.
    world.step(&[]).await;
    world.node.call("anvil_dropAllTransactions", json!([])).await;
    other().await;
    world.node.mine(3).await;
    world.step(&[]).await;
    assert_eq!((&world.status()["foreignNonces"], world.nonce()), (&json!(1), Some(1)));
    world.node.mine(3).await;
    world.anchored(&[]).await;
    // And while nothing of ours is open.
    other().await;
    other().await;
    world.node.mine(3).await;
    world.step(&[]).await;
    world.step(&[]).await;
    assert_eq!((&world.status()["foreignNonces"], world.mints().await), (&json!(3), 1));
    world.node.mine(3).await;
    let server = world.serve(&[]).await;
    eventually("they are counted for all to see", async || {
        let metrics = server.admin("/metrics").await.text().await.unwrap();
        metrics.contains("registrar_anchor_foreign_nonces{chain=\"eip155:31337\"} 3")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_an_attacker_mints_with_our_key_and_sends_to_us_is_not_adopted() {
    let world = Faulty::new().await;
    let attacker = world.node.account(1).await;
    let key = anchor_key(world.registry, "default");
    let entry =
        MetadataEntry { metadataKey: KEY_METADATA.to_owned(), metadataValue: key.to_vec().into() };
    let forged =
        IdentityRegistry::register_2Call { agentURI: DOCUMENT.into(), metadata: vec![entry] };
    world.node.send_as(attacker, world.registry, forged).await;
    let gift = IdentityRegistry::transferFromCall {
        from: attacker,
        to: world.account,
        agentId: U256::ZERO,
    };
    world.node.send_as(attacker, world.registry, gift).await;
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.recorded("default")["agentId"], "1");
    std::fs::remove_file(world.path("journal")).unwrap();
    world.anchored(&[]).await;
    assert_eq!(world.recorded("default")["agentId"], "1");
    assert_eq!((world.mints().await, world.balance().await), (1, U256::from(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_given_away_leaves_the_document_and_is_not_minted_again() {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    let server = world.serve(&[]).await;
    stands(&server, &world.node, "Anchored").await;
    assert_eq!(server.document().await["registrations"][0]["agentId"], 0);
    let sent = world.sent();
    let given = IdentityRegistry::transferFromCall {
        from: world.account,
        to: world.node.account(1).await,
        agentId: U256::ZERO,
    };
    world.node.send_as(world.account, world.registry, given).await;
    stands(&server, &world.node, "NotOwner").await;
    eventually("the document drops it", async || {
        server.document().await["registrations"].is_null()
    })
    .await;
    server_tells_nothing(&server).await;
    drop(server);
    std::fs::remove_file(world.path("journal")).unwrap();
    for _ in 0..3 {
        world.step(&[]).await;
        assert_eq!(world.reason("default"), "NotOwner");
    }
    assert_eq!((world.sent(), world.mints().await), (sent, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_beyond_what_a_float_holds_are_exact_everywhere() {
    // Where the fixture keeps its counter: ERC-7201, erc8004.identity.registry.
    let counter = b256!("a040f782729de4970518741823ec1276cbcd41a0c7493f62d173341566a04e00");
    for id in [U256::from((1_u64 << 53) + 1), U256::MAX - U256::from(1)] {
        let world = Faulty::new().await;
        let params =
            json!([world.registry.to_string(), counter.to_string(), format!("{id:#066x}")]);
        world.node.call("anvil_setStorageAt", params).await;
        world.node.mine(3).await;
        world.anchored(&[]).await;
        assert_eq!(world.recorded("default")["agentId"], id.to_string());
        let call = IdentityRegistry::tokenURICall { agentId: id };
        assert_eq!(world.node.call_contract(world.registry, call).await.unwrap(), DOCUMENT);
        let server = world.serve(&[]).await;
        let digits = format!("\"agentId\":{id},");
        for path in ["/.well-known/agent-registration.json", "/agents"] {
            eventually("the id stands to its last digit", async || {
                server.get(path).await.text().await.unwrap().contains(&digits)
            })
            .await;
        }
        let more = ["--public-url", "https://moved.example"];
        drop(server);
        world.anchored(&more).await;
        let last = world.signed().pop().unwrap();
        let set = IdentityRegistry::setAgentURICall::abi_decode(&last.input).unwrap();
        assert_eq!(set.agentId, id);
    }
}
