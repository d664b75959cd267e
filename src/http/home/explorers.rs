//! Where a browser shows a token of a registry.

use crate::registration::{AgentId, AgentRegistry};

/// Block explorers by chain id. All of them have a page at `/nft/CONTRACT/ID`.
const EXPLORERS: [(u64, &str); 18] = [
    (1, "etherscan.io"),
    (10, "optimistic.etherscan.io"),
    (56, "bscscan.com"),
    (97, "testnet.bscscan.com"),
    (100, "gnosisscan.io"),
    (137, "polygonscan.com"),
    (143, "monadscan.com"),
    (8_453, "basescan.org"),
    (42_161, "arbiscan.io"),
    (42_220, "celoscan.io"),
    (59_144, "lineascan.build"),
    (80_002, "amoy.polygonscan.com"),
    (84_532, "sepolia.basescan.org"),
    (421_614, "sepolia.arbiscan.io"),
    (534_352, "scrollscan.com"),
    (5_000, "mantlescan.xyz"),
    (11_155_111, "sepolia.etherscan.io"),
    (11_155_420, "sepolia-optimism.etherscan.io"),
];

/// The page of an agent's token; `None` on a chain without an explorer that we know.
pub(super) fn token_page(registry: &AgentRegistry, id: &AgentId) -> Option<String> {
    let (_, host) = EXPLORERS.iter().find(|(chain, _)| *chain == registry.chain_id)?;
    Some(format!("https://{host}/nft/{}/{id}", registry.address))
}
