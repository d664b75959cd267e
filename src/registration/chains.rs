//! The chains with an ERC-8004 identity registry, by id and alias.
//!
//! Source: the deployment list of the contracts as of 2026-08-15, and its scripts. All mainnets
//! share one registry address, all testnets another. Chains whose id no source states are left out.
//! docs/chains.md says where the first blocks are from.

use std::collections::BTreeMap;

use alloy::primitives::{Address, address};

use self::Speciality::{AccountAbstraction, DataFee, GasPrice, LegacyFees};
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
    /// A block at or before the deployment of the registry, if known.
    pub(crate) deployed: Option<u64>,
    /// How many blocks below the newest one are final at the least, where that is known; see
    /// [`REVIEWED_ON`]. The rule itself is the `finalized` tag everywhere.
    pub(crate) final_depth: Option<u64>,
    pub(crate) speciality: Option<Speciality>,
}

/// When the finality rules of the table were last looked at. docs/chains.md says by what.
pub(crate) const REVIEWED_ON: &str = "2026-11-29";

/// What has to be done differently on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speciality {
    /// The data of a transaction is charged in addition to its gas.
    DataFee,
    /// The base fee and the suggested tip may be 0: the gas price counts.
    GasPrice,
    /// Transactions are signed with a gas price, as type 0.
    LegacyFees,
    /// An account can act without using one of its nonces: not anchored on.
    AccountAbstraction,
}

const fn main(id: u64, aliases: &'static [&'static str]) -> Deployment {
    Deployment {
        id,
        registry: MAINNET_REGISTRY,
        aliases,
        deployed: None,
        final_depth: None,
        speciality: None,
    }
}

const fn test(id: u64, aliases: &'static [&'static str]) -> Deployment {
    Deployment { registry: TESTNET_REGISTRY, ..main(id, aliases) }
}

impl Deployment {
    const fn since(self, block: u64) -> Self {
        Self { deployed: Some(block), ..self }
    }

    const fn final_after(self, blocks: u64) -> Self {
        Self { final_depth: Some(blocks), ..self }
    }

    const fn with(self, speciality: Speciality) -> Self {
        Self { speciality: Some(speciality), ..self }
    }
}

/// Every known deployment, by chain id.
pub(crate) const CHAINS: &[Deployment] = &[
    main(1, &["ethereum", "ethereum-mainnet", "mainnet"]).since(24339871).final_after(96),
    main(10, &["optimism", "optimism-mainnet"]).since(147514947).final_after(900).with(DataFee),
    main(56, &["bsc", "bnb"]).since(79027268).final_after(336),
    test(97, &["bsc-testnet", "bnb-testnet"]).since(78270834).final_after(336),
    main(100, &["gnosis"]).since(44505010).final_after(48),
    main(137, &["polygon", "polygon-mainnet"]).since(82458484).final_after(512),
    main(143, &["monad"]).since(52952790).final_after(3),
    main(196, &["xlayer"]).since(51947237).with(DataFee),
    main(295, &["hedera"]).final_after(1).with(GasPrice),
    test(296, &["hedera-testnet"]).final_after(1).with(GasPrice),
    main(360, &["shape"]).since(25649378).final_after(900).with(DataFee),
    main(1088, &["metis"]).since(22161525).with(DataFee),
    test(1439, &["injective-testnet"]).final_after(1),
    main(1776, &["injective"]).final_after(1),
    main(1868, &["soneium"]).since(19710954).final_after(900).with(DataFee),
    test(1946, &["soneium-minato"]).final_after(900).with(DataFee),
    test(1952, &["xlayer-testnet"]).with(DataFee),
    main(2345, &["goat"]).since(10129146).with(DataFee),
    main(2741, &["abstract"]).since(39596871).with(AccountAbstraction),
    main(4326, &["megaeth"]).since(7833805).with(DataFee),
    main(4663, &["robinhood"]).since(12058809).final_after(7_200),
    main(5000, &["mantle"]).since(91333846).final_after(900).with(DataFee),
    test(5003, &["mantle-sepolia"]).final_after(900).with(DataFee),
    test(6343, &["megaeth-testnet"]).with(DataFee),
    main(8453, &["base", "base-mainnet"]).since(41663783).final_after(900).with(DataFee),
    test(10143, &["monad-testnet"]).since(10391697).final_after(3),
    test(10200, &["gnosis-chiado"]).final_after(48),
    test(11011, &["shape-sepolia"]).final_after(900).with(DataFee),
    test(11124, &["abstract-testnet"]).with(AccountAbstraction),
    test(16602, &["0g-galileo"]),
    main(16661, &["0g"]),
    main(42161, &["arbitrum", "arbitrum-one"]).since(428895443).final_after(7_200),
    main(42220, &["celo"]).since(58396724).final_after(1_800).with(DataFee),
    test(43113, &["avalanche-fuji"]).final_after(1),
    main(43114, &["avalanche"]).since(77389000).final_after(1),
    test(46630, &["robinhood-testnet"]).final_after(7_200),
    test(48816, &["goat-testnet3"]).with(DataFee),
    test(59141, &["linea-sepolia"]),
    main(59144, &["linea"]).since(28662553),
    test(59902, &["metis-sepolia"]).with(DataFee),
    test(80002, &["polygon-amoy"]).since(33069064).final_after(512),
    test(84532, &["base-sepolia"]).since(36304165).final_after(900).with(DataFee),
    main(167000, &["taiko"]).since(4305747),
    test(167013, &["taiko-hoodi"]),
    test(421614, &["arbitrum-sepolia"]).since(239945838).final_after(7_200),
    test(534351, &["scroll-sepolia"]).since(16543185).with(DataFee),
    main(534352, &["scroll"]).since(29432417).with(DataFee),
    test(5042002, &["arc-testnet"]).final_after(1),
    test(11142220, &["celo-sepolia"]).final_after(1_800).with(DataFee),
    test(11155111, &["sepolia", "ethereum-sepolia"]).since(9980000).final_after(96),
    test(11155420, &["optimism-sepolia"]).final_after(900).with(DataFee),
    test(324705682, &["skale-base-sepolia"]).final_after(1).with(LegacyFees),
    main(1187947933, &["skale-base"]).since(689195).final_after(1).with(LegacyFees),
];

/// Chains outside the table on which an account can act without using one of its nonces: ZKsync Era,
/// Lens, Sophon and other chains of that stack, and their test and development networks.
/// docs/chains.md says where the list is from.
const ACCOUNT_ABSTRACTION: &[u64] = &[
    232, 240, 260, 270, 272, 282, 300, 302, 312, 320, 324, 325, 388, 626, 627, 4654, 37111, 50104,
    61166, 333271, 543210, 555271, 555272, 978658, 1612127, 4457845, 531050104,
];

/// The first alias of a chain, else its CAIP-2 id.
pub(crate) fn short_name(id: u64) -> String {
    let known = CHAINS.iter().find(|chain| chain.id == id).and_then(|chain| chain.aliases.first());
    known.map_or_else(|| format!("eip155:{id}"), |alias| (*alias).to_owned())
}

/// Whether an account of a chain can act without using one of its nonces. The nonce rule does not
/// hold there.
pub(crate) fn has_account_abstraction(id: u64) -> bool {
    let known = CHAINS.iter().find(|chain| chain.id == id);
    known.is_some_and(|chain| chain.speciality == Some(AccountAbstraction))
        || ACCOUNT_ABSTRACTION.contains(&id)
}

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

    /// The name of a registry's chain as the original system writes it; the CAIP-2 id if it has none.
    /// `None` if the name stands for another registry.
    pub(crate) fn name(&self, registry: &AgentRegistry) -> Option<String> {
        let name = short_name(registry.chain_id);
        (self.find(&name) == Some(*registry)).then_some(name)
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
