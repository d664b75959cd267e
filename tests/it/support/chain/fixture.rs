//! The fixture registry behaves as the deployed ones do. The expected values were read from those.

mod wallet;

use alloy::{
    hex,
    primitives::{Address, B256, Bytes, U256, address, fixed_bytes, keccak256},
    sol_types::{SolCall, SolEvent},
};
use serde_json::{Value, json};

use super::{
    Anvil,
    IdentityRegistry::{
        ERC721InvalidReceiver, ERC721NonexistentToken, InvalidInitialization, MetadataEntry,
        MetadataSet, MetadataUpdate, OwnableUnauthorizedAccount, Registered, Transfer, URIUpdated,
        Upgraded, approveCall, balanceOfCall, eip712DomainCall, getAgentWalletCall,
        getMetadataCall, getVersionCall, initializeCall, isAuthorizedOrOwnerCall, nameCall,
        ownerCall, ownerOfCall, register_0Call, register_1Call, register_2Call, setAgentURICall,
        setAgentWalletCall, setApprovalForAllCall, setMetadataCall, supportsInterfaceCall,
        symbolCall, tokenURICall, transferFromCall, unsetAgentWalletCall, upgradeToAndCallCall,
    },
    Logged, Receipt, Refused,
    registry::{ContractAccount, code},
    topics::{METADATA_SET, METADATA_UPDATE, REGISTERED, TRANSFER, URI_UPDATED},
};

/// 64 bytes.
const URI: &str = "https://seller.example/.well-known/agent-registration.json?v=001";
const OTHER_URI: &str = "https://seller.example/.well-known/agent-registration.json?v=002";
const FIRST: U256 = U256::ZERO;
const UNKNOWN: U256 = U256::MAX;

/// A node with a registry, and the accounts that use it.
struct World {
    chain: Anvil,
    registry: Address,
    /// Account 0, owner of agents.
    seller: Address,
    /// Account 1, somebody else.
    stranger: Address,
}

impl World {
    async fn new() -> Self {
        let chain = Anvil::start(&[]).await;
        let registry = chain.deploy_registry().await;
        let (seller, stranger) = (chain.account(0).await, chain.account(1).await);
        Self { chain, registry, seller, stranger }
    }

    /// One where the seller has registered [`URI`] as agent 0.
    async fn with_agent() -> Self {
        let world = Self::new().await;
        world.send(register(URI)).await;
        world
    }

    /// The seller sends.
    async fn send(&self, call: impl SolCall) -> Receipt {
        self.chain.send_as(self.seller, self.registry, call).await
    }

    async fn ask<C: SolCall>(&self, call: C) -> C::Return {
        self.chain.call_contract(self.registry, call).await.unwrap()
    }

    /// How the registry refuses this account.
    async fn refusal<C: SolCall>(&self, from: Address, call: C) -> Refused {
        self.chain.call_as(from, self.registry, call).await.err().unwrap()
    }

    /// A contract that may own agents, with the seller's key.
    async fn contract_account(&self) -> Address {
        self.chain.create_as(self.seller, &code("ContractAccount", "bytecode")).await
    }
}

fn register(uri: &str) -> register_1Call {
    register_1Call { agentURI: uri.into() }
}

fn register_with(key: &str, value: &[u8]) -> register_2Call {
    let entry = MetadataEntry { metadataKey: key.into(), metadataValue: value.to_vec().into() };
    register_2Call { agentURI: URI.into(), metadata: vec![entry] }
}

fn set_uri(agent: U256, uri: &str) -> setAgentURICall {
    setAgentURICall { agentId: agent, newURI: uri.into() }
}

fn set_metadata(agent: U256, key: &str, value: &[u8]) -> setMetadataCall {
    setMetadataCall {
        agentId: agent,
        metadataKey: key.into(),
        metadataValue: value.to_vec().into(),
    }
}

fn get_metadata(agent: U256, key: &str) -> getMetadataCall {
    getMetadataCall { agentId: agent, metadataKey: key.into() }
}

/// The first topic of each log, in order.
fn topics(receipt: &Receipt) -> Vec<B256> {
    receipt.logs.iter().map(|logged| logged.log.topics()[0]).collect()
}

fn read<E: SolEvent>(logged: &Logged) -> E {
    E::decode_log(&logged.log).unwrap().data
}

fn metadata_set(agent: U256, key: &str, value: &[u8]) -> MetadataSet {
    MetadataSet {
        agentId: agent,
        indexedMetadataKey: keccak256(key),
        metadataKey: key.into(),
        metadataValue: value.to_vec().into(),
    }
}

#[test]
fn selectors_and_topics_are_those_of_the_deployed_registries() {
    let selectors = [
        (register_0Call::SELECTOR, [0x1a, 0xa3, 0xa0, 0x08]),
        (register_1Call::SELECTOR, [0xf2, 0xc2, 0x98, 0xbe]),
        (register_2Call::SELECTOR, [0x8e, 0xa4, 0x22, 0x86]),
        (setAgentURICall::SELECTOR, [0x0a, 0xf2, 0x8b, 0xd3]),
        (setMetadataCall::SELECTOR, [0x46, 0x66, 0x48, 0xda]),
        (getMetadataCall::SELECTOR, [0xcb, 0x47, 0x99, 0xf2]),
        (setAgentWalletCall::SELECTOR, [0x2d, 0x1e, 0xf5, 0xae]),
        (getAgentWalletCall::SELECTOR, [0x00, 0x33, 0x95, 0x09]),
        (unsetAgentWalletCall::SELECTOR, [0x3f, 0xdd, 0xcf, 0x19]),
        (tokenURICall::SELECTOR, [0xc8, 0x7b, 0x56, 0xdd]),
        (ownerOfCall::SELECTOR, [0x63, 0x52, 0x21, 0x1e]),
        (isAuthorizedOrOwnerCall::SELECTOR, [0xd9, 0x5e, 0x72, 0xbe]),
        (getVersionCall::SELECTOR, [0x0d, 0x8e, 0x6e, 0x2c]),
    ];
    for (ours, theirs) in selectors {
        assert_eq!(hex::encode(ours), hex::encode(theirs));
    }
    let topics = [
        (Registered::SIGNATURE_HASH, REGISTERED),
        (URIUpdated::SIGNATURE_HASH, URI_UPDATED),
        (MetadataSet::SIGNATURE_HASH, METADATA_SET),
        (Transfer::SIGNATURE_HASH, TRANSFER),
        (MetadataUpdate::SIGNATURE_HASH, METADATA_UPDATE),
    ];
    for (ours, theirs) in topics {
        assert_eq!(ours, theirs);
    }
}

#[tokio::test]
async fn the_registry_names_itself_as_the_deployed_ones_do() {
    let world = World::new().await;
    assert_eq!(world.ask(getVersionCall {}).await, "2.0.0");
    assert_eq!(world.ask(nameCall {}).await, "AgentIdentity");
    assert_eq!(world.ask(symbolCall {}).await, "AGENT");
    assert_eq!(world.ask(ownerCall {}).await, world.chain.account(9).await);
    let domain = world.ask(eip712DomainCall {}).await;
    assert_eq!((&*domain.name, &*domain.version), ("ERC8004IdentityRegistry", "1"));
    assert_eq!((domain.chainId, domain.verifyingContract), (U256::from(31_337), world.registry));
    let interfaces = [
        ("ERC-165", fixed_bytes!("01ffc9a7"), true),
        ("ERC-721", fixed_bytes!("80ac58cd"), true),
        ("its metadata", fixed_bytes!("5b5e139f"), true),
        ("ERC-4906", fixed_bytes!("49064906"), true),
        ("enumerable", fixed_bytes!("780e9d63"), false),
        ("none", fixed_bytes!("ffffffff"), false),
    ];
    for (case, id, expected) in interfaces {
        let supported = world.ask(supportsInterfaceCall { interfaceId: id }).await;
        assert_eq!(supported, expected, "{case}");
    }
}

#[tokio::test]
async fn the_first_agent_is_number_zero_and_the_owner_is_its_wallet() {
    let world = World::new().await;
    let receipt = world.send(register_0Call {}).await;
    let [transfer, registered, wallet] = &receipt.logs[..] else { panic!("{receipt:?}") };
    assert_eq!(topics(&receipt), [TRANSFER, REGISTERED, METADATA_SET]);
    let (seller, nobody) = (world.seller, Address::ZERO);
    assert_eq!(
        read::<Transfer>(transfer),
        Transfer { from: nobody, to: seller, tokenId: U256::ZERO }
    );
    assert_eq!(
        read::<Registered>(registered),
        Registered { agentId: U256::ZERO, agentURI: String::new(), owner: seller }
    );
    assert_eq!(registered.log.topics()[1..], [B256::ZERO, seller.into_word()]);
    assert_eq!(read::<MetadataSet>(wallet), metadata_set(FIRST, "agentWallet", seller.as_slice()));
    assert_eq!(world.ask(ownerOfCall { agentId: FIRST }).await, seller);
    assert_eq!(world.ask(getAgentWalletCall { agentId: FIRST }).await, seller);
    assert_eq!(world.ask(get_metadata(FIRST, "agentWallet")).await, *seller.as_slice());
    assert_eq!(world.ask(tokenURICall { agentId: FIRST }).await, "");
}

#[tokio::test]
async fn a_registration_with_uri_and_metadata_says_so_in_this_order() {
    let world = World::new().await;
    let receipt = world.send(register(URI)).await;
    assert_eq!(topics(&receipt), [TRANSFER, METADATA_UPDATE, REGISTERED, METADATA_SET]);
    assert_eq!(read::<MetadataUpdate>(&receipt.logs[1]).tokenId, U256::ZERO);
    assert_eq!(read::<Registered>(&receipt.logs[2]).agentURI, URI);

    let entry = |key: &str, value: &'static [u8]| MetadataEntry {
        metadataKey: key.into(),
        metadataValue: Bytes::from_static(value),
    };
    let metadata = vec![entry("x402", b"{\"x402\":true}"), entry("registrar.key", &[7; 20])];
    let receipt = world.send(register_2Call { agentURI: URI.into(), metadata }).await;
    let order = [TRANSFER, METADATA_UPDATE, REGISTERED, METADATA_SET, METADATA_SET, METADATA_SET];
    assert_eq!(topics(&receipt), order);
    let second = U256::from(1);
    let set: Vec<MetadataSet> = receipt.logs[3..].iter().map(read).collect();
    let expected = [
        metadata_set(second, "agentWallet", world.seller.as_slice()),
        metadata_set(second, "x402", b"{\"x402\":true}"),
        metadata_set(second, "registrar.key", &[7; 20]),
    ];
    assert_eq!(set, expected);
    assert_eq!(world.ask(get_metadata(second, "registrar.key")).await, [7; 20][..]);
    assert_eq!(world.ask(tokenURICall { agentId: second }).await, URI);
}

#[tokio::test]
async fn the_same_registration_again_mints_again() {
    let world = World::with_agent().await;
    for expected in [1, 2] {
        let receipt = world.send(register(URI)).await;
        assert_eq!(read::<Registered>(&receipt.logs[2]).agentId, U256::from(expected));
    }
    let count = world.ask(balanceOfCall { owner: world.seller }).await;
    assert_eq!(count, U256::from(3));
    let registered = world.chain.logs(world.registry).await;
    let mut registered = registered.iter().filter(|logged| logged.log.topics()[0] == REGISTERED);
    assert!(registered.all(|logged| read::<Registered>(logged).owner == world.seller));
}

#[tokio::test]
async fn the_wallet_key_is_reserved() {
    let world = World::with_agent().await;
    let refused = world.refusal(world.seller, register_with("agentWallet", &[1; 20])).await;
    assert_eq!(refused.reason(), "reserved key");
    let refused = world.refusal(world.seller, set_metadata(FIRST, "agentWallet", &[1; 20])).await;
    assert_eq!(refused.reason(), "reserved key");
    world.send(set_metadata(FIRST, "AgentWallet", &[1; 20])).await;
}

#[tokio::test]
async fn only_the_owner_and_those_it_names_may_change_an_agent() {
    let world = World::with_agent().await;
    let (stranger, registry) = (world.stranger, world.registry);
    let authorized = isAuthorizedOrOwnerCall { spender: stranger, agentId: FIRST };
    let refused = [
        world.refusal(stranger, set_uri(FIRST, OTHER_URI)).await,
        world.refusal(stranger, set_metadata(FIRST, "x402", b"")).await,
        world.refusal(stranger, unsetAgentWalletCall { agentId: FIRST }).await,
        world.refusal(stranger, world.consent(stranger, stranger, world.now().await).await).await,
    ];
    for refused in refused {
        assert_eq!(refused.reason(), "Not authorized");
    }
    assert!(!world.ask(authorized.clone()).await);

    world.send(approveCall { to: stranger, agentId: FIRST }).await;
    assert!(world.ask(authorized.clone()).await);
    let receipt = world.chain.send_as(stranger, registry, set_uri(FIRST, OTHER_URI)).await;
    assert_eq!(read::<URIUpdated>(&receipt.logs[1]).updatedBy, stranger);

    world.send(approveCall { to: Address::ZERO, agentId: FIRST }).await;
    assert!(!world.ask(authorized.clone()).await);
    world.send(setApprovalForAllCall { operator: stranger, approved: true }).await;
    assert!(world.ask(authorized).await);
    world.chain.send_as(stranger, registry, set_metadata(FIRST, "x402", b"1")).await;
}

#[tokio::test]
async fn an_unknown_agent_reverts_where_its_owner_matters_and_is_empty_elsewhere() {
    let world = World::with_agent().await;
    let seller = world.seller;
    let refused = [
        world.refusal(seller, set_uri(UNKNOWN, URI)).await,
        world.refusal(seller, set_metadata(UNKNOWN, "x402", b"1")).await,
        world.refusal(seller, unsetAgentWalletCall { agentId: UNKNOWN }).await,
        world.refusal(seller, tokenURICall { agentId: UNKNOWN }).await,
        world.refusal(seller, ownerOfCall { agentId: UNKNOWN }).await,
    ];
    for refused in refused {
        assert!(refused.is(&ERC721NonexistentToken { tokenId: UNKNOWN }), "{refused:?}");
        assert_eq!(refused.data[..4], [0x7e, 0x27, 0x32, 0x89]);
    }
    assert_eq!(world.ask(getAgentWalletCall { agentId: UNKNOWN }).await, Address::ZERO);
    assert!(world.ask(get_metadata(UNKNOWN, "x402")).await.is_empty());
    assert!(world.ask(get_metadata(FIRST, "x402")).await.is_empty());
}

#[tokio::test]
async fn a_uri_set_to_what_it_was_is_announced_again() {
    let world = World::with_agent().await;
    for uri in [OTHER_URI, OTHER_URI, ""] {
        let receipt = world.send(set_uri(FIRST, uri)).await;
        assert_eq!(topics(&receipt), [METADATA_UPDATE, URI_UPDATED]);
        let expected = URIUpdated { agentId: FIRST, newURI: uri.into(), updatedBy: world.seller };
        assert_eq!(read::<URIUpdated>(&receipt.logs[1]), expected);
        assert_eq!(world.ask(tokenURICall { agentId: FIRST }).await, uri);
    }
}

#[tokio::test]
async fn metadata_is_replaced_and_announced_under_the_digest_of_its_key() {
    let world = World::with_agent().await;
    for value in [&b"{\"x402\":true}"[..], b"{\"x402\":true}", b""] {
        let receipt = world.send(set_metadata(FIRST, "x402", value)).await;
        assert_eq!(topics(&receipt), [METADATA_SET]);
        assert_eq!(read::<MetadataSet>(&receipt.logs[0]), metadata_set(FIRST, "x402", value));
        assert_eq!(world.ask(get_metadata(FIRST, "x402")).await, *value);
    }
}

#[tokio::test]
async fn a_transfer_clears_the_wallet_first_and_keeps_the_rest() {
    let world = World::with_agent().await;
    world.send(set_metadata(FIRST, "x402", b"1")).await;
    let (seller, stranger) = (world.seller, world.stranger);
    // To itself first: even that clears.
    for to in [seller, stranger] {
        let receipt = world.send(transferFromCall { from: seller, to, agentId: FIRST }).await;
        assert_eq!(topics(&receipt), [METADATA_SET, TRANSFER]);
        assert_eq!(read::<MetadataSet>(&receipt.logs[0]), metadata_set(FIRST, "agentWallet", b""));
        assert_eq!(world.ask(getAgentWalletCall { agentId: FIRST }).await, Address::ZERO);
        assert_eq!(world.ask(ownerOfCall { agentId: FIRST }).await, to);
    }
    assert_eq!(world.ask(tokenURICall { agentId: FIRST }).await, URI);
    assert_eq!(world.ask(get_metadata(FIRST, "x402")).await, b"1"[..]);
    assert_eq!(world.ask(balanceOfCall { owner: seller }).await, U256::ZERO);
    assert_eq!(world.refusal(seller, set_uri(FIRST, URI)).await.reason(), "Not authorized");
}

#[tokio::test]
async fn a_contract_is_asked_before_the_uri_is_stored_and_one_without_an_answer_gets_no_agent() {
    let world = World::new().await;
    let account = world.contract_account().await;
    for contract in [account, world.registry] {
        let contract = contract.to_string();
        world.chain.call("anvil_impersonateAccount", json!([contract])).await;
        let rich = json!([contract, "0xde0b6b3a7640000"]);
        world.chain.call("anvil_setBalance", rich).await;
    }
    world.chain.send_as(account, world.registry, register(URI)).await;
    let seen =
        world.chain.call_contract(account, ContractAccount::uriAtReceiptCall {}).await.unwrap();
    assert_eq!(seen, "");
    assert_eq!(world.ask(tokenURICall { agentId: FIRST }).await, URI);

    let refused = world.refusal(world.registry, register(URI)).await;
    assert!(refused.is(&ERC721InvalidReceiver { receiver: world.registry }), "{refused:?}");
}

#[tokio::test]
async fn only_the_registrys_owner_upgrades_it_and_agents_stay() {
    let world = World::with_agent().await;
    let deployer = world.chain.account(9).await;
    let code = code("IdentityRegistryNext", "bytecode");
    let next = world.chain.create_as(deployer, &code).await;
    let upgrade = || upgradeToAndCallCall { newImplementation: next, data: Bytes::new() };
    let refused = world.refusal(world.seller, upgrade()).await;
    assert!(refused.is(&OwnableUnauthorizedAccount { account: world.seller }), "{refused:?}");

    let receipt = world.chain.send_as(deployer, world.registry, upgrade()).await;
    assert_eq!(read::<Upgraded>(&receipt.logs[0]).implementation, next);
    assert_eq!(world.ask(getVersionCall {}).await, "3.0.0");
    assert_eq!(world.ask(tokenURICall { agentId: FIRST }).await, URI);
    let receipt = world.send(register(URI)).await;
    assert_eq!(read::<Registered>(&receipt.logs[2]).agentId, U256::from(1));
}

#[tokio::test]
async fn neither_the_proxy_nor_its_implementation_is_initialized_twice() {
    let world = World::new().await;
    let slot = super::registry::IMPLEMENTATION_SLOT;
    let word = world.chain.storage_at(world.registry, slot).await;
    for contract in [world.registry, Address::from_word(word)] {
        let refused = world.chain.call_as(world.seller, contract, initializeCall {}).await;
        assert!(refused.err().unwrap().is(&InvalidInitialization {}));
    }
}

#[tokio::test]
async fn the_registry_works_at_the_address_that_all_mainnets_share() {
    let chain = Anvil::start(&["--chain-id", "8453"]).await;
    let shared = address!("8004A169FB4a3325136EB29fA0ceB6D2e539a432");
    chain.deploy_registry_at(shared).await;
    let seller = chain.account(0).await;
    let receipt = chain.send_as(seller, shared, register(URI)).await;
    assert_eq!(receipt.logs[2].log.address, shared);
    assert_eq!(chain.call_contract(shared, ownerOfCall { agentId: FIRST }).await.unwrap(), seller);
    let domain = chain.call_contract(shared, eip712DomainCall {}).await.unwrap();
    assert_eq!((domain.chainId, domain.verifyingContract), (U256::from(8_453), shared));
}

#[tokio::test]
async fn gas_is_about_what_the_deployed_code_takes() {
    let world = World::new().await;
    let seller = world.seller;
    let data_uri = |bytes: usize| format!("{:x<bytes$}", "data:application/json;base64,");
    let second = U256::from(1);
    let mut used: Vec<(&str, u64, u64)> = Vec::new();
    let mut note = |case, measured, receipt: Receipt| used.push((case, measured, receipt.gas_used));
    note("the first register()", 123_983, world.send(register_0Call {}).await);
    note("a later register()", 89_783, world.send(register_0Call {}).await);
    note("register, https", 160_909, world.send(register(URI)).await);
    note("register, 1 KiB", 852_000, world.send(register(&data_uri(1_024))).await);
    note("register, 4 KiB", 3_060_000, world.send(register(&data_uri(4_096))).await);
    note("register, 32 B entry", 213_526, world.send(register_with("key", &[1; 32])).await);
    note("a first URI", 101_231, world.send(set_uri(FIRST, URI)).await);
    note("another URI", 44_466, world.send(set_uri(FIRST, OTHER_URI)).await);
    note("the same URI", 41_666, world.send(set_uri(FIRST, OTHER_URI)).await);
    note("new metadata", 80_024, world.send(set_metadata(FIRST, "key", &[1; 32])).await);
    note("other metadata", 43_159, world.send(set_metadata(FIRST, "key", &[2; 32])).await);
    let consent = world.consent(world.stranger, world.stranger, world.now().await + 200).await;
    note("a wallet", 50_392, world.send(consent).await);
    note("no wallet", 32_325, world.send(unsetAgentWalletCall { agentId: FIRST }).await);
    note("approve", 53_220, world.send(approveCall { to: world.stranger, agentId: second }).await);
    let transfer = transferFromCall { from: seller, to: world.stranger, agentId: second };
    note("a transfer", 68_280, world.send(transfer).await);
    for (case, measured, used) in used {
        let percent = used * 100 / measured;
        assert!((65..=135).contains(&percent), "{case}: {used} is {percent} % of {measured}");
    }
}

#[tokio::test]
async fn the_block_before_the_head_is_safe_and_the_one_before_that_is_final() {
    let world = World::new().await;
    let receipt = world.send(register(URI)).await;
    let at = async |tag| world.chain.block_number(tag).await;
    for behind in 0..3 {
        let head = receipt.block + behind;
        let tags = [at("latest").await, at("safe").await, at("finalized").await];
        assert_eq!(tags, [head, head - 1, head - 2]);
        world.chain.mine(1).await;
    }
    let by_number: Value = world.chain.block(&format!("{:#x}", receipt.block)).await;
    assert_eq!(by_number["hash"], json!(receipt.block_hash.to_string()));
}
