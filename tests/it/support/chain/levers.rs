//! The faults that tests of anchoring will use do what they are used for.

use std::time::Duration;

use alloy::{
    hex,
    primitives::{Address, U256},
    sol_types::SolCall,
};
use serde_json::json;
use tokio::time::timeout;

use super::{
    Anvil,
    IdentityRegistry::{balanceOfCall, getVersionCall, register_0Call},
    Rpc,
    rpc::quantity,
};

async fn agents_of(chain: &Rpc, registry: Address, owner: Address) -> U256 {
    chain.call_contract(registry, balanceOfCall { owner }).await.unwrap()
}

#[tokio::test]
async fn a_frozen_node_is_silent_and_answers_when_thawed() {
    let chain = Anvil::start(&[]).await;
    chain.freeze().await;
    let asked = chain.block_number("latest");
    tokio::pin!(asked);
    assert!(timeout(Duration::from_millis(50), &mut asked).await.is_err());
    chain.thaw();
    assert_eq!(asked.await, 0);
}

#[tokio::test]
async fn a_killed_node_comes_back_empty_at_the_same_address() {
    let mut chain = Anvil::start(&[]).await;
    chain.mine(3).await;
    let url = chain.url().to_owned();
    chain.kill();
    assert!(reqwest::get(&url).await.unwrap_err().is_connect());
    chain.run().await;
    assert_eq!((chain.url(), chain.block_number("latest").await), (&*url, 0));
}

#[tokio::test]
async fn a_node_that_remembers_has_its_chain_after_a_stop() {
    let mut chain = Anvil::remembering(&[]).await;
    let registry = chain.deploy_registry().await;
    let seller = chain.account(0).await;
    let receipt = chain.send_as(seller, registry, register_0Call {}).await;
    chain.stop().await;
    chain.run().await;
    assert_eq!(chain.receipt(receipt.transaction).await, Some(receipt));
    assert_eq!(agents_of(&chain, registry, seller).await, U256::from(1));
}

#[tokio::test]
async fn without_mining_a_transaction_waits_and_may_be_lost() {
    let chain = Anvil::start(&["--no-mining"]).await;
    let registry = chain.deploy_registry().await;
    let seller = chain.account(0).await;
    let data = register_0Call {}.abi_encode();
    let lost = chain.submit(seller, Some(registry), &data).await;
    let counts = async || {
        let at = async |tag| chain.transaction_count(seller, tag).await;
        (at("latest").await, at("pending").await)
    };
    assert_eq!((counts().await, chain.receipt(lost).await), ((0, 1), None));
    chain.call("anvil_dropAllTransactions", json!([])).await;
    assert_eq!(counts().await, (0, 0));

    // A fee of its own, or it would be the same transaction.
    chain.call("anvil_setNextBlockBaseFeePerGas", json!(["0x77359400"])).await;
    let mined = chain.submit(seller, Some(registry), &data).await;
    let receipt = chain.included(mined).await;
    assert_eq!((counts().await, receipt.logs.len()), ((1, 1), 3));
    assert_eq!(agents_of(&chain, registry, seller).await, U256::from(1));
}

#[tokio::test]
async fn a_reorganization_takes_a_registration_back() {
    let chain = Anvil::start(&[]).await;
    let registry = chain.deploy_registry().await;
    let seller = chain.account(0).await;
    let receipt = chain.send_as(seller, registry, register_0Call {}).await;
    chain.mine(1).await;
    let height = chain.block_number("latest").await;
    assert_eq!(chain.logs(registry).await.last(), receipt.logs.last());

    chain.call("anvil_reorg", json!([2, []])).await;
    assert_eq!(chain.block_number("latest").await, height);
    assert_eq!(chain.receipt(receipt.transaction).await, None);
    assert_eq!(agents_of(&chain, registry, seller).await, U256::ZERO);
    assert!(
        chain.logs(registry).await.iter().all(|logged| logged.transaction != receipt.transaction)
    );
}

#[tokio::test]
async fn a_node_may_claim_to_be_another_chain() {
    let chain = Anvil::start(&[]).await;
    let seller = chain.account(0).await;
    chain.call("anvil_setChainId", json!([1])).await;
    assert_eq!(quantity(&chain.call("eth_chainId", json!([])).await), 1);
    // Its own keys stay with the first chain.
    let transaction = json!([{ "from": seller.to_string(), "to": seller.to_string() }]);
    let refused = chain.try_call("eth_sendTransaction", transaction).await.unwrap_err();
    assert!(refused.message.contains("chain ID"), "{refused:?}");
}

#[tokio::test]
async fn success_without_a_contract_proves_no_registration() {
    let chain = Anvil::start(&[]).await;
    let registry = chain.deploy_registry().await;
    let code = async |code: &[u8]| {
        let params = json!([registry.to_string(), hex::encode_prefixed(code)]);
        chain.call("anvil_setCode", params).await
    };
    code(&[]).await;
    let receipt = chain.send_as(chain.account(0).await, registry, register_0Call {}).await;
    assert_eq!((receipt.succeeded, receipt.logs.len()), (true, 0));
    // PUSH1 0, PUSH1 0, REVERT
    code(&[0x60, 0, 0x60, 0, 0xfd]).await;
    assert!(chain.call_contract(registry, getVersionCall {}).await.is_err());
}
