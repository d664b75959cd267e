//! The chains with an ERC-8004 identity registry, by id and alias.
//!
//! Source: the deployment list of the contracts as of 2026-08-15, and its scripts. All mainnets
//! share one registry address, all testnets another. Chains whose id no source states are left out.

use std::collections::BTreeMap;

use alloy::primitives::{Address, address};

use super::agent::AgentRegistry;

pub(crate) const MAINNET_REGISTRY: Address = address!("0x8004A169FB4a3325136EB29fA0ceB6D2e539a432");
pub(crate) const TESTNET_REGISTRY: Address = address!("0x8004A818BFB912233c491871b3d84c89A494BD9e");

/// One deployment of the identity registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deployment {
    /// EIP-155 chain id.
    pub(crate) id: u64,
    pub(crate) registry: Address,
    /// Other names of the chain, in lower case.
    pub(crate) aliases: &'static [&'static str],
    /// A block at or shortly before the deployment of the registry, if known.
    pub(crate) deployed: Option<u64>,
}

const fn main(id: u64, aliases: &'static [&'static str]) -> Deployment {
    Deployment { id, registry: MAINNET_REGISTRY, aliases, deployed: None }
}

const fn test(id: u64, aliases: &'static [&'static str]) -> Deployment {
    Deployment { id, registry: TESTNET_REGISTRY, aliases, deployed: None }
}

impl Deployment {
    const fn since(self, block: u64) -> Self {
        Self { deployed: Some(block), ..self }
    }
}

/// Every known deployment, by chain id.
pub(crate) const CHAINS: &[Deployment] = &[
    main(1, &["ethereum", "ethereum-mainnet", "mainnet"]).since(24339924),
    main(10, &["optimism", "optimism-mainnet"]),
    main(56, &["bsc", "bnb"]).since(79031671),
    test(97, &["bsc-testnet", "bnb-testnet"]).since(78270834),
    main(100, &["gnosis"]),
    main(137, &["polygon", "polygon-mainnet"]).since(82458528),
    main(143, &["monad"]).since(52952898),
    main(196, &["xlayer"]),
    main(295, &["hedera"]),
    test(296, &["hedera-testnet"]),
    main(360, &["shape"]),
    main(1088, &["metis"]),
    test(1439, &["injective-testnet"]),
    main(1776, &["injective"]),
    main(1868, &["soneium"]),
    test(1946, &["soneium-minato"]),
    test(1952, &["xlayer-testnet"]),
    main(2345, &["goat"]),
    main(2741, &["abstract"]),
    main(4326, &["megaeth"]),
    main(4663, &["robinhood"]),
    main(5000, &["mantle"]),
    test(5003, &["mantle-sepolia"]),
    test(6343, &["megaeth-testnet"]),
    main(8453, &["base", "base-mainnet"]).since(41663799),
    test(10143, &["monad-testnet"]).since(10392352),
    test(10200, &["gnosis-chiado"]),
    test(11011, &["shape-sepolia"]),
    test(11124, &["abstract-testnet"]),
    test(16602, &["0g-galileo"]),
    main(16661, &["0g"]),
    main(42161, &["arbitrum", "arbitrum-one"]),
    main(42220, &["celo"]),
    test(43113, &["avalanche-fuji"]),
    main(43114, &["avalanche"]),
    test(46630, &["robinhood-testnet"]),
    test(48816, &["goat-testnet3"]),
    test(59141, &["linea-sepolia"]),
    main(59144, &["linea"]),
    test(59902, &["metis-sepolia"]),
    test(80002, &["polygon-amoy"]),
    test(84532, &["base-sepolia"]).since(37174254),
    main(167000, &["taiko"]),
    test(167013, &["taiko-hoodi"]),
    test(421614, &["arbitrum-sepolia"]),
    test(534351, &["scroll-sepolia"]),
    main(534352, &["scroll"]),
    test(5042002, &["arc-testnet"]),
    test(11142220, &["celo-sepolia"]),
    test(11155111, &["sepolia", "ethereum-sepolia"]).since(9980000),
    test(11155420, &["optimism-sepolia"]),
    test(324705682, &["skale-base-sepolia"]),
    main(1187947933, &["skale-base"]),
];

/// The registries that an AgentIdentity may name: those of the table, and those that the operator
/// adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownRegistries(BTreeMap<u64, Address>);

impl KnownRegistries {
    /// Adds registries to the table. A chain of the table keeps its own, so that the names of its
    /// registry never change their meaning.
    pub(crate) fn with(added: impl IntoIterator<Item = AgentRegistry>) -> Self {
        let added = added.into_iter().map(|registry| (registry.chain_id, registry.address));
        Self(added.filter(|(id, _)| CHAINS.iter().all(|chain| chain.id != *id)).collect())
    }

    /// Finds the registry of a chain by CAIP-2 id or decimal id, or by an alias of the table.
    pub(super) fn find(&self, name: &str) -> Option<AgentRegistry> {
        let added = || {
            let chain_id = chain_id(name)?;
            Some(AgentRegistry { chain_id, address: *self.0.get(&chain_id)? })
        };
        find(name).map(AgentRegistry::from).or_else(added)
    }
}

/// Reads a CAIP-2 id or a decimal id.
fn chain_id(name: &str) -> Option<u64> {
    let name = name.trim().to_lowercase();
    let digits = name.strip_prefix("eip155:").unwrap_or(&name);
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Finds a chain by CAIP-2 id (`eip155:8453`), decimal id or alias. Ignores case and surrounding
/// white space.
pub(crate) fn find(name: &str) -> Option<&'static Deployment> {
    if let Some(id) = chain_id(name) {
        return CHAINS.iter().find(|chain| chain.id == id);
    }
    let name = name.trim().to_lowercase();
    CHAINS.iter().find(|chain| chain.aliases.contains(&name.as_str()))
}

#[cfg(test)]
mod tests;
