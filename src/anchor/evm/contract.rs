//! The part of the registry's ABI that we use, mapped to our types.

use alloy::{
    primitives::{Address, Bytes, address},
    sol,
    sol_types::SolCall,
};

use crate::{
    anchor::{
        key::{AnchorKey, KEY_METADATA},
        plan::Call,
    },
    registration::AgentId,
};

sol! {
    interface IdentityRegistry {
        struct MetadataEntry { string metadataKey; bytes metadataValue; }

        event Registered(uint256 indexed agentId, string agentURI, address indexed owner);
        event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
        event MetadataSet(uint256 indexed agentId, string indexed indexedMetadataKey, string metadataKey, bytes metadataValue);

        function register(string agentURI, MetadataEntry[] metadata) external returns (uint256 agentId);
        function setAgentURI(uint256 agentId, string newURI) external;
        function setMetadata(uint256 agentId, string metadataKey, bytes metadataValue) external;
        function getMetadata(uint256 agentId, string metadataKey) external view returns (bytes);
        function tokenURI(uint256 tokenId) external view returns (string);
        function ownerOf(uint256 tokenId) external view returns (address);
        function balanceOf(address owner) external view returns (uint256);
        function getVersion() external view returns (string);
    }
}

/// The metadata key and value by which the original system marks agents that accept x402 payments.
pub(super) const X402_METADATA: &str = "x402";
pub(super) const X402_VALUE: &[u8] = br#"{"x402":true}"#;

pub(in crate::anchor) fn calldata(call: &Call) -> Bytes {
    let entry = |key: &str, value: &[u8]| IdentityRegistry::MetadataEntry {
        metadataKey: key.to_owned(),
        metadataValue: value.to_vec().into(),
    };
    match call {
        Call::Mint { uri, key } => IdentityRegistry::registerCall {
            agentURI: uri.clone(),
            metadata: vec![entry(KEY_METADATA, key.as_bytes()), entry(X402_METADATA, X402_VALUE)],
        }
        .abi_encode(),
        Call::Adopt { id, key } => set_metadata(id, KEY_METADATA, key.as_bytes()),
        Call::SetUri { id, uri } | Call::SetDataUri { id, uri } => {
            IdentityRegistry::setAgentURICall { agentId: id.number(), newURI: uri.clone() }
                .abi_encode()
        }
        Call::SetX402 { id } => set_metadata(id, X402_METADATA, X402_VALUE),
    }
    .into()
}

/// Whether data is exactly one of the calls that [`calldata`] makes, with any agent and any URI.
pub(in crate::anchor) fn is_own_call(data: &[u8]) -> bool {
    let is_key = |name: &str, value: &[u8]| {
        name == KEY_METADATA && AnchorKey::from_metadata(value).is_some()
    };
    let is_x402 = |name: &str, value: &[u8]| name == X402_METADATA && value == X402_VALUE;
    if let Ok(call) = IdentityRegistry::registerCall::abi_decode(data) {
        let entries: Vec<(&str, &[u8])> = call
            .metadata
            .iter()
            .map(|entry| (entry.metadataKey.as_str(), entry.metadataValue.as_ref()))
            .collect();
        // Decoding is lenient, and the contract may read the bytes in another way.
        return call.abi_encode() == data
            && matches!(entries[..], [(key, value), (x402, yes)] if is_key(key, value) && is_x402(x402, yes));
    }
    if let Ok(call) = IdentityRegistry::setAgentURICall::abi_decode(data) {
        return call.abi_encode() == data;
    }
    if let Ok(call) = IdentityRegistry::setMetadataCall::abi_decode(data) {
        let (name, value) = (call.metadataKey.as_str(), call.metadataValue.as_ref());
        return call.abi_encode() == data && (is_key(name, value) || is_x402(name, value));
    }
    false
}

fn set_metadata(id: &AgentId, key: &str, value: &[u8]) -> Vec<u8> {
    let (agent_id, key, value) = (id.number(), key.to_owned(), value.to_vec().into());
    IdentityRegistry::setMetadataCall { agentId: agent_id, metadataKey: key, metadataValue: value }
        .abi_encode()
}

sol! {
    /// The gas price oracles of rollups that charge for a transaction's data on the chain below.
    interface GasPriceOracle {
        function getL1Fee(bytes data) external view returns (uint256 fee);
    }
}

/// Where such oracles are: the predeploy of OP Stack chains, and Scroll's.
pub(super) const L1_FEE_ORACLES: [Address; 2] = [
    address!("0x420000000000000000000000000000000000000F"),
    address!("0x5300000000000000000000000000000000000002"),
];

/// The call for the fee of an unsigned transaction.
pub(super) fn l1_fee_call(unsigned: &Bytes) -> Bytes {
    GasPriceOracle::getL1FeeCall { data: unsigned.clone() }.abi_encode().into()
}

/// The fee in the answer, wei; `None` if there is no such oracle.
pub(super) fn l1_fee(answer: &Bytes) -> Option<u128> {
    Some(GasPriceOracle::getL1FeeCall::abi_decode_returns(answer).ok()?.saturating_to())
}
