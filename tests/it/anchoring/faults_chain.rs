//! C8, C9, C18, C19 and C26: what is not the chain, the registry or the account that it should be.

use alloy::{
    hex,
    primitives::{Address, address},
};
use serde_json::json;

use super::faulty::Faulty;

const MOVED: [&str; 2] = ["--public-url", "https://moved.example"];
const ELSEWHERE: Address = address!("00000000000000000000000000000000deadbeef");

async fn code(world: &Faulty, at: Address, code: &[u8]) {
    let params = json!([at.to_string(), hex::encode_prefixed(code)]);
    world.node.call("anvil_setCode", params).await;
    world.node.mine(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chain_id_at_the_start_or_later_signs_nothing() {
    let world = Faulty::new().await;
    let chain_id = async |id: u64| drop(world.node.call("anvil_setChainId", json!([id])).await);
    chain_id(1).await;
    let printed = world.step(&[]).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("ChainMismatch", 0));
    assert!(printed.stderr.contains("serves chain 1, not 31337"), "{}", printed.stderr);
    chain_id(31_337).await;
    world.anchored(&[]).await;
    let sent = world.sent();
    chain_id(1).await;
    world.step(&MOVED).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("ChainMismatch", sent));
    assert_eq!(world.recorded("default")["agentId"], "0", "what is known stays known");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_registry_code_holds_until_its_hash_is_accepted() {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    let sent = world.sent();
    let mut changed = crate::support::chain::registry_code();
    changed.push(0);
    code(&world, ELSEWHERE, &changed).await;
    let slot = crate::support::chain::IMPLEMENTATION_SLOT.to_string();
    let upgrade = json!([world.registry.to_string(), slot, ELSEWHERE.into_word().to_string()]);
    world.node.call("anvil_setStorageAt", upgrade).await;
    world.node.mine(3).await;

    let printed = world.step(&MOVED).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("RegistryChanged", sent));
    let hash = printed.stderr.split("--accept-registry ").nth(1).unwrap();
    let accept = &hash[.."eip155:31337=0x".len() + 64];
    let other = format!("eip155:31337=0x{}", "11".repeat(32));
    world.step(&[&MOVED[..], &["--accept-registry", &other]].concat()).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("RegistryChanged", sent));
    world.anchored(&[&MOVED[..], &["--accept-registry", accept]].concat()).await;
    // It is noted now, so the flag is needed once.
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_registry_at_the_address_is_named() {
    let world = Faulty::new().await;
    let place = format!("eip155:31337={ELSEWHERE}");
    // Each answers every call with 0x, with the text "0.0.1" as placeholders do, or with a revert.
    let placeholder = "6020600052600560205264302e302e3160d81b60405260606000f3";
    for other in ["", "00", placeholder, "60006000fd"] {
        code(&world, ELSEWHERE, &hex::decode(other).unwrap()).await;
        let printed = world.step(&["--registry", &place]).await;
        assert_eq!(
            (world.reason("default").as_str(), world.sent()),
            ("RegistryMissing", 0),
            "{other}"
        );
        let named = format!("no registry answers at {}", ELSEWHERE.to_checksum(None));
        assert!(printed.stderr.contains(&named), "{}", printed.stderr);
    }
    assert_eq!(world.plan(&["--registry", &place])["held"]["reason"], "RegistryMissing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_code_mints_nothing() {
    let world = Faulty::new().await;
    code(&world, world.account, &[0]).await;
    world.step(&[]).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("AccountHasCode", 0));
    assert_eq!(world.plan(&[])["held"]["reason"], "AccountHasCode");
    // An EIP-7702 delegation is code too.
    code(&world, world.account, &[&hex!("ef0100")[..], world.registry.as_slice()].concat()).await;
    world.step(&[]).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("AccountHasCode", 0));
    code(&world, world.account, &[]).await;
    world.anchored(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_fork_with_the_same_chain_id_is_no_majority() {
    let mut world = Faulty::new().await;
    let fork = crate::support::chain::Anvil::start(&[]).await;
    fork.mine(9).await;
    let before_fork = crate::support::proxy::Proxy::start(vec![fork.url().to_owned()]).await;
    world.asks_too(&before_fork);
    let printed = world.step(&[]).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("NoQuorum", 0));
    assert!(
        printed.stderr.contains("1 of 2 endpoints agree on a finalized block"),
        "{}",
        printed.stderr
    );
    // A third one that agrees with the first makes a majority.
    let _third = world.joined_by(1).await;
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}
