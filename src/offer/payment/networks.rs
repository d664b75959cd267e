//! The networks that a payment may name, and USDC on them.

use alloy::primitives::{Address, address};

/// Of USDC on every network of the table.
pub(super) const USDC_DECIMALS: u8 = 6;
/// The version of its EIP-712 domain on every network of the table.
pub(super) const USDC_VERSION: &str = "2";

/// A network by EIP-155 chain id.
pub(crate) struct Network {
    pub(crate) id: u64,
    /// Its names in x402 v1 and in the original system.
    pub(crate) names: &'static [&'static str],
    /// The asset that an offer means if it names none.
    pub(crate) usdc: Option<Usdc>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Usdc {
    pub(crate) asset: Address,
    /// The name of its EIP-712 domain.
    pub(crate) name: &'static str,
}

const fn usdc(asset: Address) -> Option<Usdc> {
    Some(Usdc { asset, name: "USD Coin" })
}

/// Where the domain of USDC has its symbol for a name.
const fn short(asset: Address) -> Option<Usdc> {
    Some(Usdc { asset, name: "USDC" })
}

/// Addresses and domains are those of the npm package `@x402/evm` 2.27.0, of which a test compares
/// every row; names are those of the same package and of the original.
pub(crate) const NETWORKS: &[Network] = &[
    Network {
        id: 1,
        names: &["ethereum", "ethereum-mainnet", "mainnet"],
        usdc: usdc(address!("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")),
    },
    Network {
        id: 50,
        names: &[],
        usdc: short(address!("0xfA2958CB79b0491CC627c1557F441eF849Ca8eb1")),
    },
    Network {
        id: 51,
        names: &[],
        usdc: short(address!("0xb5AB69F7bBada22B28e79C8FFAECe55eF1c771D4")),
    },
    Network {
        id: 137,
        names: &["polygon", "polygon-mainnet"],
        usdc: usdc(address!("0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359")),
    },
    Network {
        id: 143,
        names: &["monad"],
        usdc: short(address!("0x754704Bc059F8C67012fEd69BC8A327a5aafb603")),
    },
    Network {
        id: 1328,
        names: &["sei-testnet"],
        usdc: short(address!("0x4fCF1784B31630811181f670Aea7A7bEF803eaED")),
    },
    Network {
        id: 1329,
        names: &["sei"],
        usdc: short(address!("0xe15fC38F6D8c56aF07bbCBe3BAf5708A2Bf42392")),
    },
    Network { id: 2741, names: &["abstract"], usdc: None },
    Network { id: 4326, names: &["megaeth"], usdc: None },
    Network {
        id: 8453,
        names: &["base", "base-mainnet"],
        usdc: usdc(address!("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")),
    },
    Network { id: 11124, names: &["abstract-testnet"], usdc: None },
    Network {
        id: 42161,
        names: &["arbitrum", "arbitrum-one"],
        usdc: usdc(address!("0xaf88d065e77c8cC2239327C5EDb3A432268e5831")),
    },
    Network {
        id: 42220,
        names: &["celo"],
        usdc: short(address!("0xcebA9300f2b948710d2653dD7B07f33A8B32118C")),
    },
    Network { id: 43113, names: &["avalanche-fuji"], usdc: None },
    Network {
        id: 43114,
        names: &["avalanche", "avalanche-mainnet"],
        usdc: usdc(address!("0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E")),
    },
    Network { id: 80002, names: &["polygon-amoy"], usdc: None },
    Network {
        id: 84532,
        names: &["base-sepolia"],
        usdc: short(address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e")),
    },
    Network {
        id: 421614,
        names: &["arbitrum-sepolia"],
        usdc: usdc(address!("0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d")),
    },
    Network {
        id: 11142220,
        names: &[],
        usdc: short(address!("0x01C5C0122039549AD1493B8220cABEdD739BC44E")),
    },
    Network { id: 11155111, names: &["sepolia"], usdc: None },
    Network { id: 324705682, names: &["skale-base-sepolia"], usdc: None },
];

/// The chain that a payment names, by name or by CAIP-2 id, and USDC on it if its address is known.
pub(super) fn find(network: &str) -> Option<(u64, Option<&'static Usdc>)> {
    let network = network.trim();
    let by_id = |id: u64| NETWORKS.iter().find(|known| known.id == id);
    if let Some(id) = network.strip_prefix("eip155:") {
        let is_plain = id.bytes().all(|b| b.is_ascii_digit()) && !id.starts_with('0');
        let id = id.parse().ok().filter(|_| is_plain)?;
        return Some((id, by_id(id).and_then(|known| known.usdc.as_ref())));
    }
    let has_name = |known: &&Network| known.names.iter().any(|it| it.eq_ignore_ascii_case(network));
    NETWORKS.iter().find(has_name).map(|known| (known.id, known.usdc.as_ref()))
}
