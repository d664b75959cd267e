//! The identity registry: its interface, and our fixture of it put on a node.

use alloy::{
    hex,
    primitives::{Address, B256, b256},
    sol,
    sol_types::{SolCall, SolValue},
};
use serde_json::{Value, json};

use super::Rpc;

/// Where an ERC-1967 proxy keeps the address of its implementation.
pub const IMPLEMENTATION_SLOT: B256 =
    b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");

sol! {
    /// What ERC-8004's identity registry, version 2.0.0, can be asked and says.
    #[derive(Debug, PartialEq)]
    interface IdentityRegistry {
        struct MetadataEntry {
            string metadataKey;
            bytes metadataValue;
        }

        function register() external returns (uint256 agentId);
        function register(string agentURI) external returns (uint256 agentId);
        function register(string agentURI, MetadataEntry[] metadata) external returns (uint256 agentId);
        function setAgentURI(uint256 agentId, string newURI) external;
        function setMetadata(uint256 agentId, string metadataKey, bytes metadataValue) external;
        function getMetadata(uint256 agentId, string metadataKey) external view returns (bytes);
        function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes signature) external;
        function getAgentWallet(uint256 agentId) external view returns (address);
        function unsetAgentWallet(uint256 agentId) external;
        function isAuthorizedOrOwner(address spender, uint256 agentId) external view returns (bool);
        function getVersion() external pure returns (string);
        function initialize() external;

        function tokenURI(uint256 agentId) external view returns (string);
        function ownerOf(uint256 agentId) external view returns (address);
        function balanceOf(address owner) external view returns (uint256);
        function name() external view returns (string);
        function symbol() external view returns (string);
        function approve(address to, uint256 agentId) external;
        function setApprovalForAll(address operator, bool approved) external;
        function transferFrom(address from, address to, uint256 agentId) external;
        function supportsInterface(bytes4 interfaceId) external view returns (bool);
        function eip712Domain() external view returns (
            bytes1 fields, string name, string version, uint256 chainId,
            address verifyingContract, bytes32 salt, uint256[] extensions);

        function owner() external view returns (address);
        function upgradeToAndCall(address newImplementation, bytes data) external payable;

        event Registered(uint256 indexed agentId, string agentURI, address indexed owner);
        event URIUpdated(uint256 indexed agentId, string newURI, address indexed updatedBy);
        event MetadataSet(
            uint256 indexed agentId, string indexed indexedMetadataKey, string metadataKey, bytes metadataValue);
        event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
        event MetadataUpdate(uint256 tokenId);
        event Upgraded(address indexed implementation);

        error ERC721NonexistentToken(uint256 tokenId);
        error ERC721InvalidReceiver(address receiver);
        error OwnableUnauthorizedAccount(address account);
        error InvalidInitialization();
    }

    /// A contract that owns agents and signs.
    interface ContractAccount {
        function uriAtReceipt() external view returns (string);
    }
}

/// A contract's code from the committed artifact: `bytecode` creates it, `deployedBytecode` is it.
pub fn code(contract: &str, form: &str) -> Vec<u8> {
    let artifacts: Value =
        serde_json::from_str(include_str!("../../../chain/artifacts.json")).unwrap();
    hex::decode(artifacts[contract][form].as_str().unwrap()).unwrap()
}

/// The runtime code of the registry's implementation, which a proxy delegates to.
pub fn registry_code() -> Vec<u8> {
    code("IdentityRegistry", "deployedBytecode")
}

impl Rpc {
    /// A new registry behind a proxy. Account 9 deploys and owns it.
    pub async fn deploy_registry(&self) -> Address {
        let deployer = self.account(9).await;
        let implementation = self.create_as(deployer, &code("IdentityRegistry", "bytecode")).await;
        let initialize = IdentityRegistry::initializeCall {}.abi_encode();
        let arguments = (implementation, initialize.as_slice()).abi_encode_params();
        let proxy = [code("Proxy", "bytecode"), arguments].concat();
        self.create_as(deployer, &proxy).await
    }

    /// The same at an address of choice, such as the one that all mainnets share.
    pub async fn deploy_registry_at(&self, address: Address) {
        let deployer = self.account(9).await;
        let implementation = self.create_as(deployer, &code("IdentityRegistry", "bytecode")).await;
        let proxy = hex::encode_prefixed(code("Proxy", "deployedBytecode"));
        let address_text = address.to_string();
        self.call("anvil_setCode", json!([address_text, proxy])).await;
        let slot = json!([
            address_text,
            IMPLEMENTATION_SLOT.to_string(),
            implementation.into_word().to_string()
        ]);
        self.call("anvil_setStorageAt", slot).await;
        self.send_as(deployer, address, IdentityRegistry::initializeCall {}).await;
    }
}
