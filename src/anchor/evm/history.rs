//! The registry's events about our accounts. They are read once, since finalized blocks do not
//! change.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    network::TransactionResponse,
    primitives::{Address, B256, keccak256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};

use super::{AtBlock, RpcError, contract::IdentityRegistry};
use crate::{
    anchor::{
        evidence::{Accounts, Adoption, Block, Evidence, Mint, Transfer},
        key::{AnchorKey, KEY_METADATA},
    },
    registration::AgentId,
};

/// How many blocks one eth_getLogs covers to begin with; nodes allow 500 to 10,000.
const RANGE: u64 = 10_000;

/// The events that have been read so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The first block of the scan: the registry's deployment, or earlier.
    first: u64,
    /// How many decisions in a row found it incomplete.
    doubts: u32,
    /// The first block that has not been read.
    next: u64,
    /// The last block that has been read.
    last: Option<Block>,
    mints: Vec<Mint>,
    transfers: Vec<Transfer>,
    /// κ set on a token, with the transaction that set it, whoever sent it.
    keys: Vec<(AgentId, AnchorKey, B256)>,
    senders: BTreeMap<B256, Address>,
}

impl History {
    /// An empty history that begins at `block`.
    pub(crate) fn since(block: u64) -> Self {
        Self { first: block, next: block, ..Self::default() }
    }

    /// The first block of the scan.
    pub(crate) fn first_block(&self) -> u64 {
        self.first
    }

    /// Call with whether the evidence was complete. If it was not, a node left something out:
    /// rescans immediately, then with exponential backoff, since a rescan can be slow.
    pub(in crate::anchor) fn judge(&mut self, is_complete: bool) {
        self.doubts = if is_complete { 0 } else { self.doubts.saturating_add(1) };
        if self.doubts.is_power_of_two() {
            *self = Self { doubts: self.doubts, ..Self::since(self.first) };
        }
    }

    /// Reads on to the given block. Keeps nothing unless everything was read and the block is still
    /// in the chain.
    pub(super) async fn extend(
        &mut self,
        at: &AtBlock<'_>,
        accounts: &Accounts,
    ) -> Result<(), RpcError> {
        if let Some(last) = self.last
            && !at.contains(last).await?
        {
            return Err(at.endpoint().invalid("a finalized block", "its hash has changed"));
        }
        let mut grown = self.clone();
        let mut width = RANGE;
        while grown.next <= at.block().number {
            let to = at.block().number.min(grown.next.saturating_add(width - 1));
            match grown.read(at, accounts, to).await {
                Ok(()) => {
                    grown.next = to + 1;
                    width = (width * 2).min(RANGE);
                }
                // Nodes refuse a wide range in many ways, so every refusal is retried with half the
                // width.
                Err(error) if width == 1 => return Err(error),
                Err(_) => width = (width / 2).max(1),
            }
        }
        // Logs are requested by number, so they belong to this block's chain only if its number
        // still has its hash.
        if at.endpoint().block_hash(at.block().number).await? != at.block().hash {
            return Err(at
                .endpoint()
                .invalid("the finalized block", "its number names another block"));
        }
        grown.last = Some(at.block());
        *self = grown;
        Ok(())
    }

    async fn read(
        &mut self,
        at: &AtBlock<'_>,
        accounts: &Accounts,
        to: u64,
    ) -> Result<(), RpcError> {
        let ours: Vec<B256> = accounts.all().map(|account| account.into_word()).collect();
        let filter = |topic: B256| {
            Filter::new()
                .address(at.registry())
                .from_block(self.next)
                .to_block(to)
                .event_signature(topic)
        };
        let registered =
            logs(at, filter(IdentityRegistry::Registered::SIGNATURE_HASH).topic2(ours.clone()))
                .await?;
        let sent =
            logs(at, filter(IdentityRegistry::Transfer::SIGNATURE_HASH).topic1(ours.clone()))
                .await?;
        let received =
            logs(at, filter(IdentityRegistry::Transfer::SIGNATURE_HASH).topic2(ours)).await?;
        let key = keccak256(KEY_METADATA);
        let keyed =
            logs(at, filter(IdentityRegistry::MetadataSet::SIGNATURE_HASH).topic2(key)).await?;

        let mut mints = Vec::new();
        for log in registered {
            mints.push(mint(at, &log).await?);
        }
        // A transfer between two of our accounts matches both filters.
        let moves: BTreeMap<_, _> =
            sent.iter().chain(&received).map(|log| (position(log), log)).collect();
        let mut transfers = Vec::new();
        for log in moves.values() {
            let event = decode::<IdentityRegistry::Transfer>(at, log)?;
            transfers.push(Transfer {
                id: AgentId::new(event.tokenId),
                from: event.from,
                to: event.to,
            });
        }
        let mut keys = Vec::new();
        for log in &keyed {
            let event = decode::<IdentityRegistry::MetadataSet>(at, log)?;
            if let (Some(key), Some(hash)) =
                (AnchorKey::from_metadata(&event.metadataValue), log.transaction_hash)
            {
                keys.push((AgentId::new(event.agentId), key, hash));
            }
        }
        self.mints.extend(mints);
        self.transfers.extend(transfers);
        self.keys.extend(keys);
        Ok(())
    }

    /// The events as evidence; balances, adoptions and tokens are still missing.
    pub(super) fn evidence(&self, block: Block, count: u64) -> Evidence {
        Evidence {
            block,
            count,
            mints: self.mints.clone(),
            transfers: self.transfers.clone(),
            balances: BTreeMap::new(),
            adoptions: Vec::new(),
            tokens: BTreeMap::new(),
        }
    }

    /// Who set κ on the given tokens.
    pub(super) async fn adoptions(
        &mut self,
        at: &AtBlock<'_>,
        owned: &BTreeSet<AgentId>,
    ) -> Result<Vec<Adoption>, RpcError> {
        let mut adoptions = Vec::new();
        for (id, key, hash) in self.keys.iter().filter(|(id, _, _)| owned.contains(id)) {
            let sender = match self.senders.get(hash) {
                Some(sender) => *sender,
                None => {
                    let sender = sender(at, *hash).await?;
                    self.senders.insert(*hash, sender);
                    sender
                }
            };
            adoptions.push(Adoption { id: *id, sender, key: *key });
        }
        Ok(adoptions)
    }
}

fn position(log: &Log) -> (Option<u64>, Option<u64>) {
    (log.block_number, log.log_index)
}

async fn logs(at: &AtBlock<'_>, filter: Filter) -> Result<Vec<Log>, RpcError> {
    let endpoint = at.endpoint();
    let found = endpoint.request("eth_getLogs", endpoint.provider().get_logs(&filter)).await?;
    match found.iter().find(|log| log.address() != at.registry() || log.removed) {
        Some(_) => {
            Err(endpoint.invalid("eth_getLogs", "a log is not the registry's, or was removed"))
        }
        None => Ok(found),
    }
}

fn decode<E: SolEvent>(at: &AtBlock<'_>, log: &Log) -> Result<E, RpcError> {
    let decoded =
        log.log_decode::<E>().map_err(|error| at.endpoint().invalid("a log", error.to_string()))?;
    Ok(decoded.inner.data)
}

/// A mint, with κ from its own receipt.
async fn mint(at: &AtBlock<'_>, log: &Log) -> Result<Mint, RpcError> {
    let event = decode::<IdentityRegistry::Registered>(at, log)?;
    let hash = log.transaction_hash.ok_or_else(|| at.endpoint().missing("a log's transaction"))?;
    let receipt = at.endpoint().provider().get_transaction_receipt(hash);
    let receipt = at.endpoint().request("eth_getTransactionReceipt", receipt).await?;
    let receipt = receipt.ok_or_else(|| at.endpoint().missing("a mint's receipt"))?;
    if receipt.block_hash != log.block_hash || !receipt.status() {
        return Err(at
            .endpoint()
            .invalid("a mint's receipt", "it is in another block, or the transaction failed"));
    }
    let own = receipt.inner.logs().iter().filter(|log| log.address() == at.registry());
    let set = own.filter_map(|log| log.log_decode::<IdentityRegistry::MetadataSet>().ok());
    let mut keys = set
        .map(|set| set.inner.data)
        .filter(|set| set.agentId == event.agentId && set.metadataKey == KEY_METADATA);
    let key = keys.find_map(|set| AnchorKey::from_metadata(&set.metadataValue));
    Ok(Mint { id: AgentId::new(event.agentId), owner: event.owner, uri: event.agentURI, key })
}

async fn sender(at: &AtBlock<'_>, hash: B256) -> Result<Address, RpcError> {
    let transaction = at.endpoint().provider().get_transaction_by_hash(hash);
    let transaction = at.endpoint().request("eth_getTransactionByHash", transaction).await?;
    Ok(transaction.ok_or_else(|| at.endpoint().missing("a final transaction"))?.from())
}
