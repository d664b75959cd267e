//! The chain over JSON-RPC: agree on one finalized block, read everything at it, send bytes to all
//! endpoints.

mod at_block;
mod confirm;
mod contract;
mod endpoint;
mod events;
mod head;
mod history;
mod pace;
mod range;
mod refusal;
mod saved;
mod scan;
mod snapshots;
mod transport;

use alloy::primitives::{Address, B256, U64};
use futures::future::join_all;
use serde_json::json;

pub(super) use self::contract::{calldata, is_own_call};
use self::endpoint::{Header, Service};
pub(crate) use self::{
    at_block::{AtBlock, ReadRequest},
    confirm::DoubtedEvidence,
    contract::IdentityRegistry,
    endpoint::{Endpoint, RpcError},
    history::{Histories, History},
    refusal::Refusal,
    saved::{NotedHead, SavedReading, SavedScan},
    scan::{ScanObserver, ScanProgress},
    snapshots::{NotedHeads, Snapshot, SnapshotCache},
};
use super::evidence::Block;
use crate::registration::AgentRegistry;

/// Which block counts as final on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finality {
    /// The node's `finalized` tag.
    Finalized,
    /// The node's `safe` tag.
    Safe,
    /// This many blocks below the newest one.
    Depth(u64),
}

/// One chain's registry, read through one or more endpoints.
#[derive(Clone, Debug)]
pub(crate) struct RegistryClient {
    pub(crate) registry: AgentRegistry,
    /// The first is asked first.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) finality: Finality,
    /// Whether transactions are signed with a gas price, as type 0.
    pub(crate) legacy_fees: bool,
}

/// Why no finalized block could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error("{agreeing} of {all} endpoints agree on a finalized block")]
    NoQuorum { agreeing: usize, all: usize },
    #[error("{endpoint} serves chain {theirs}, not {ours}")]
    ChainMismatch { endpoint: String, theirs: u64, ours: u64 },
    #[error("no registry answers at {0}")]
    RegistryMissing(Address),
    #[error("the account {0} has code")]
    AccountHasCode(Address),
    #[error(
        "block {0} was finalized with another hash: this is another chain, or its history was rewritten"
    )]
    Rewritten(u64),
    #[error(
        "the node keeps no state at the finalized block; what was read at the head is used once that block is finalized"
    )]
    StatePruned,
    #[error(
        "{endpoint} serves {blocks} blocks per eth_getLogs, so reading the event history would take {requests} requests; use an endpoint or a plan that serves at least 1,000 blocks"
    )]
    EndpointTooNarrow { endpoint: String, blocks: u64, requests: u64 },
}

impl SnapshotError {
    /// Whether another endpoint may do better at the same block.
    pub(in crate::anchor) fn is_of_one_endpoint(&self) -> bool {
        match self {
            Self::Rpc(_) | Self::StatePruned | Self::EndpointTooNarrow { .. } => true,
            Self::NoQuorum { .. }
            | Self::ChainMismatch { .. }
            | Self::RegistryMissing(_)
            | Self::AccountHasCode(_)
            | Self::Rewritten(_) => false,
        }
    }
}

impl RegistryClient {
    /// The highest block that a majority of the endpoints calls final with one hash, at each
    /// endpoint that does: those first that did not fail lately. Not empty.
    pub(crate) async fn at_final(&self) -> Result<Vec<AtBlock<'_>>, SnapshotError> {
        let majority = self.endpoints.len() / 2 + 1;
        let mut claims = Vec::new();
        let mut silent = None;
        // All at once: one that is dead must not keep the others waiting.
        let asked = self.endpoints.iter().map(|endpoint| self.claim(endpoint));
        for (endpoint, claim) in self.endpoints.iter().zip(join_all(asked).await) {
            endpoint.begin_decision();
            match claim {
                Ok(block) => {
                    endpoint.note(Service::Blocks, None);
                    claims.push((endpoint, block));
                }
                Err(SnapshotError::Rpc(error)) => {
                    endpoint.note(Service::Blocks, Some(error.to_string()));
                    silent = Some(error);
                }
                Err(other) => return Err(other),
            }
        }
        // A majority calls this height final: it is the lowest of the majority's highest claims.
        claims.sort_by_key(|(_, block)| std::cmp::Reverse(block.number));
        let Some((_, lowest)) = claims.get(majority - 1) else {
            let no_quorum =
                SnapshotError::NoQuorum { agreeing: claims.len(), all: self.endpoints.len() };
            return Err(silent.map_or(no_quorum, SnapshotError::from));
        };
        let number = lowest.number;
        let mut hashes: Vec<(&Endpoint, B256)> = Vec::new();
        for (endpoint, block) in claims.iter().filter(|(_, block)| block.number >= number) {
            if block.number == number {
                hashes.push((endpoint, block.hash));
            } else if let Ok(hash) = endpoint.block_hash(number).await {
                // An endpoint that does not answer has no vote; the others may still agree.
                hashes.push((endpoint, hash));
            }
        }
        let votes = |hash: B256| hashes.iter().filter(|(_, other)| *other == hash).count();
        let Some((_, hash)) = hashes.iter().find(|(_, hash)| votes(*hash) >= majority) else {
            let most = hashes.iter().map(|(_, hash)| votes(*hash)).max().unwrap_or_default();
            return Err(SnapshotError::NoQuorum { agreeing: most, all: self.endpoints.len() });
        };
        let block = Block { number, hash: *hash };
        let agreeing = hashes.iter().filter(|(_, other)| other == hash);
        let mut agreeing: Vec<&Endpoint> = agreeing.map(|(endpoint, _)| *endpoint).collect();
        agreeing.sort_by_key(|endpoint| (endpoint.avoided(), self.place(endpoint)));
        let at = |endpoint| AtBlock::new(endpoint, self.registry.address, block);
        Ok(agreeing.into_iter().map(at).collect())
    }

    /// An endpoint's place in the configured order.
    fn place(&self, endpoint: &Endpoint) -> usize {
        self.endpoints.iter().take_while(|other| !other.is(endpoint)).count()
    }

    /// All endpoints: the given one first, those last that failed lately.
    fn beginning_with(&self, first: &Endpoint) -> Vec<&Endpoint> {
        let mut endpoints: Vec<&Endpoint> = self.endpoints.iter().collect();
        endpoints.sort_by_key(|endpoint| (!endpoint.is(first), endpoint.avoided()));
        endpoints
    }

    /// The block that one endpoint calls final, if it serves the right chain.
    async fn claim(&self, endpoint: &Endpoint) -> Result<Block, SnapshotError> {
        let theirs: U64 = endpoint.ask("eth_chainId", json!([])).await?;
        let (theirs, ours) = (theirs.to(), self.registry.chain_id);
        if theirs != ours {
            let endpoint = endpoint.to_string();
            return Err(SnapshotError::ChainMismatch { endpoint, theirs, ours });
        }
        let header = match self.finality {
            Finality::Finalized => self.tagged(endpoint, "finalized").await?,
            Finality::Safe => self.tagged(endpoint, "safe").await?,
            Finality::Depth(depth) => {
                let newest: U64 = endpoint.ask("eth_blockNumber", json!([])).await?;
                let number = newest.to::<u64>().saturating_sub(depth);
                return Ok(endpoint.final_block(number).await?);
            }
        };
        Ok(Block { number: header.number(), hash: header.hash })
    }

    /// The block behind a tag, which not every chain has.
    async fn tagged(&self, endpoint: &Endpoint, tag: &str) -> Result<Header, RpcError> {
        let header = endpoint.header("the finalized block", tag).await;
        header.map_err(|error| {
            error.with_hint(&format!(
                "if the chain has no block tag {tag:?}, say what is final with --finality eip155:{}=depth:N",
                self.registry.chain_id
            ))
        })
    }

    /// Reads everything at the finalized block or, where the node keeps no state there, takes what
    /// was read at a head of this endpoint that is finalized by now.
    pub(crate) async fn read(
        &self,
        at: AtBlock<'_>,
        history: &mut History,
        noted: &mut NotedHeads,
        request: &ReadRequest<'_>,
    ) -> Result<Snapshot, SnapshotError> {
        if let Some(checkpoint) = request.checkpoint
            && !at.contains(checkpoint).await?
        {
            return Err(SnapshotError::Rewritten(checkpoint.number));
        }
        let accounts = request.accounts;
        let is_new = history.is_new(accounts);
        let unread = match self.read_final(&at, history, request).await {
            Err(SnapshotError::Rpc(error)) => error,
            read => return read,
        };
        if !at.lacks_state(&unread).await {
            return Err(unread.into());
        }
        let head = at.at_head().await?;
        match is_new && head.is_unused(accounts).await? {
            true => history.skip_to(at.block(), accounts),
            false => {
                if history.eldest.is_none() {
                    history.eldest = head.eldest().await?;
                }
                history.extend(&at, accounts).await?;
            }
        }
        // Events up to the head do not belong to the history: they may still be undone.
        let mut ahead = history.ahead();
        ahead.extend(&head, accounts).await?;
        let code = head.check(accounts.current).await?;
        let evidence = head.evidence(&mut ahead, request).await?;
        noted.keep(&Snapshot { code, evidence });
        history.eldest = ahead.eldest;
        let newest = noted.newest_final(&at, history, accounts).await?;
        newest.ok_or(SnapshotError::StatePruned)
    }

    /// Reads everything at the finalized block.
    async fn read_final(
        &self,
        at: &AtBlock<'_>,
        history: &mut History,
        request: &ReadRequest<'_>,
    ) -> Result<Snapshot, SnapshotError> {
        let code = at.check(request.accounts.current).await?;
        history.read_to(at, request.accounts).await?;
        Ok(Snapshot { code, evidence: at.evidence(history, request).await? })
    }

    /// Whether each endpoint works, in the configured order.
    pub(crate) fn health(&self) -> Vec<(String, bool)> {
        let health = |endpoint: &Endpoint| (endpoint.to_string(), endpoint.failure().is_none());
        self.endpoints.iter().map(health).collect()
    }

    /// How each endpoint last failed; one that works is left out.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.endpoints
            .iter()
            .filter_map(|endpoint| Some((endpoint.to_string(), endpoint.failure()?)))
    }
}
