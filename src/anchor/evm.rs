//! The chain over JSON-RPC: agree on one finalized block, read everything at it, send bytes to all
//! endpoints.

mod at_block;
mod confirm;
mod contract;
mod endpoint;
mod history;
mod snapshots;
mod transport;

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256, Bytes},
    providers::Provider,
    rpc::types::{TransactionInput, TransactionRequest},
};

pub(super) use self::contract::calldata;
pub(crate) use self::{
    at_block::{AtBlock, ReadRequest},
    confirm::DoubtedEvidence,
    endpoint::{Endpoint, RpcError},
    history::{Histories, History},
    snapshots::{Snapshot, SnapshotCache},
};
use super::{
    account::{FinalOutcome, InFlight},
    evidence::Block,
    plan::HeadState,
};
use crate::registration::AgentRegistry;

/// The priority fee for a node that suggests none: one gwei, which no proposer refuses.
const FALLBACK_TIP: u128 = 1_000_000_000;

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
}

impl RegistryClient {
    /// The highest block that a majority of the endpoints calls final with one hash, at an endpoint
    /// that does.
    pub(crate) async fn at_final(&self) -> Result<AtBlock<'_>, SnapshotError> {
        let majority = self.endpoints.len() / 2 + 1;
        let mut claims = Vec::new();
        let mut silent = None;
        for endpoint in &self.endpoints {
            match self.claim(endpoint).await {
                Ok(block) => claims.push((endpoint, block)),
                Err(SnapshotError::Rpc(error)) => silent = Some(error),
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
        match hashes.iter().find(|(_, hash)| votes(*hash) >= majority) {
            Some((endpoint, hash)) => {
                Ok(AtBlock::new(endpoint, self.registry.address, Block { number, hash: *hash }))
            }
            None => {
                let most = hashes.iter().map(|(_, hash)| votes(*hash)).max().unwrap_or_default();
                Err(SnapshotError::NoQuorum { agreeing: most, all: self.endpoints.len() })
            }
        }
    }

    /// The block that one endpoint calls final, if it serves the right chain.
    async fn claim(&self, endpoint: &Endpoint) -> Result<Block, SnapshotError> {
        let provider = endpoint.provider();
        let theirs = endpoint.request("eth_chainId", provider.get_chain_id()).await?;
        if theirs != self.registry.chain_id {
            let ours = self.registry.chain_id;
            return Err(SnapshotError::ChainMismatch {
                endpoint: endpoint.to_string(),
                theirs,
                ours,
            });
        }
        let tag = match self.finality {
            Finality::Finalized => BlockNumberOrTag::Finalized,
            Finality::Safe => BlockNumberOrTag::Safe,
            Finality::Depth(depth) => {
                let newest =
                    endpoint.request("eth_blockNumber", provider.get_block_number()).await?;
                BlockNumberOrTag::Number(newest.saturating_sub(depth))
            }
        };
        let header = endpoint.header("the finalized block", tag).await?;
        Ok(Block { number: header.number, hash: header.hash })
    }

    /// Reads everything at the finalized block or, where the node keeps no state there, takes what
    /// was read at a head that is finalized by now.
    pub(crate) async fn read(
        &self,
        at: AtBlock<'_>,
        history: &mut History,
        snapshots: &mut SnapshotCache,
        request: &ReadRequest<'_>,
    ) -> Result<Snapshot, SnapshotError> {
        history.extend(&at, request.accounts).await?;
        match at.read(history, request).await {
            // The node answers, but not about this block.
            Err(SnapshotError::Rpc(RpcError::Refused { reverted: false, .. })) => {}
            read => return read,
        }
        let head = at.at_head().await?;
        // Events up to the head do not belong to the history: they may still be undone.
        let mut ahead = history.clone();
        ahead.extend(&head, request.accounts).await?;
        snapshots.keep(head.read(&mut ahead, request).await?);
        history.eldest = ahead.eldest;
        snapshots.newest_final(&at).await?.ok_or(SnapshotError::StatePruned)
    }

    /// Reads the head.
    pub(crate) async fn head(
        &self,
        at: AtBlock<'_>,
        account: Address,
    ) -> Result<HeadState, RpcError> {
        let endpoint = at.endpoint();
        let provider = endpoint.provider();
        let header = endpoint.header("the newest block", BlockNumberOrTag::Latest).await?;
        let newest = BlockId::hash(header.hash);
        let count = async |block: BlockId| {
            let count = provider.get_transaction_count(account).block_id(block);
            endpoint.request("eth_getTransactionCount", count).await
        };
        let (mined, pending) = (count(newest).await?, count(BlockId::pending()).await?);
        let balance = provider.get_balance(account).block_id(newest);
        let balance = endpoint.request("eth_getBalance", balance).await?;
        Ok(HeadState {
            mined,
            pending,
            base_fee: header.base_fee_per_gas.unwrap_or_default().into(),
            tip: provider.get_max_priority_fee_per_gas().await.unwrap_or(FALLBACK_TIP),
            balance: u128::try_from(balance).unwrap_or(u128::MAX),
        })
    }

    /// The transaction count of an account including what is pending, by the endpoint that has seen
    /// most.
    pub(crate) async fn pending(&self, at: AtBlock<'_>, account: Address) -> Result<u64, RpcError> {
        let mut most = None;
        for endpoint in &self.endpoints {
            let pending = BlockId::pending();
            let count = endpoint.provider().get_transaction_count(account).block_id(pending);
            match endpoint.request("eth_getTransactionCount", count).await {
                Ok(count) => most = most.max(Some(count)),
                // The others may have seen it; the decision's own endpoint must answer.
                Err(_) if endpoint.to_string() != at.endpoint().to_string() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(most.unwrap_or_default())
    }

    /// The gas that a call needs at the head, with a quarter to spare. A revert is an error with
    /// its text.
    pub(crate) async fn estimate(
        &self,
        at: AtBlock<'_>,
        from: Address,
        data: &Bytes,
    ) -> Result<u64, RpcError> {
        let request = TransactionRequest::default()
            .from(from)
            .to(self.registry.address)
            .input(TransactionInput::new(data.clone()));
        let endpoint = at.endpoint();
        let estimate = endpoint.provider().estimate_gas(request);
        let gas = endpoint.request("eth_estimateGas", estimate).await?;
        Ok(gas.saturating_add(gas / 4))
    }

    /// Sends signed bytes to every endpoint and returns the refusals.
    pub(crate) async fn broadcast(&self, raw: &Bytes) -> Vec<RpcError> {
        let mut refusals = Vec::new();
        for endpoint in &self.endpoints {
            let sent = endpoint.provider().send_raw_transaction(raw);
            refusals.extend(endpoint.request("eth_sendRawTransaction", sent).await.err());
        }
        refusals
    }

    /// Whether some endpoint knows a transaction, pending or mined: a reason not to send it again,
    /// and nothing else.
    pub(crate) async fn is_known(&self, hash: B256) -> bool {
        for endpoint in &self.endpoints {
            if let Ok(Some(_)) = endpoint.provider().get_transaction_by_hash(hash).await {
                return true;
            }
        }
        false
    }

    /// How the in-flight transaction ended, once its nonce is final. Each endpoint is asked, since
    /// one may lag.
    pub(crate) async fn outcome(&self, sent: Option<&InFlight>) -> Result<FinalOutcome, RpcError> {
        for attempt in sent.into_iter().flat_map(|sent| &sent.attempts) {
            for endpoint in &self.endpoints {
                let receipt = endpoint.provider().get_transaction_receipt(attempt.hash);
                let receipt = endpoint.request("eth_getTransactionReceipt", receipt).await?;
                match receipt.map(|receipt| receipt.status()) {
                    Some(true) => return Ok(FinalOutcome::Succeeded),
                    Some(false) => return Ok(FinalOutcome::Failed),
                    None => {}
                }
            }
        }
        Ok(FinalOutcome::Foreign)
    }
}
