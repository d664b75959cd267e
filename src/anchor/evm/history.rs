//! The registry's events about our accounts, read once: final blocks do not change.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address, B256, keccak256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};

use super::{AtBlock, RpcError, contract::IdentityRegistry, hash_at};
use crate::{
    anchor::{
        evidence::{Accounts, Adoption, Block, Evidence, Mint, Transfer},
        key::{AnchorKey, KEY_METADATA},
    },
    registration::AgentId,
};

/// How many blocks are asked for at once to begin with; nodes allow 500 to 10,000.
const RANGE: u64 = 10_000;

/// What was read so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The registry's first block.
    first: u64,
    /// Decisions in a row that found it incomplete.
    doubts: u32,
    /// The first block that was not read.
    next: u64,
    /// The last block that was read.
    last: Option<Block>,
    mints: Vec<Mint>,
    transfers: Vec<Transfer>,
    /// κ set on a token, by whatever transaction.
    keys: Vec<(AgentId, AnchorKey, B256)>,
    senders: BTreeMap<B256, Address>,
}

impl History {
    /// A history that begins at the registry's first block.
    pub(crate) fn since(block: u64) -> Self {
        Self { first: block, next: block, ..Self::default() }
    }

    /// Takes in whether what was read is complete. If it isn't, a node left something out, so it is read again from the
    /// start: at once, then after ever more decisions, for that may be long.
    pub(in crate::anchor) fn judged(&mut self, is_complete: bool) {
        self.doubts = if is_complete { 0 } else { self.doubts.saturating_add(1) };
        if self.doubts.is_power_of_two() {
            *self = Self { doubts: self.doubts, ..Self::since(self.first) };
        }
    }

    /// Reads on to the block at hand. Nothing is kept unless all of it was read and the block is still what it was.
    pub(super) async fn extend(
        &mut self,
        at: &AtBlock<'_>,
        accounts: &Accounts,
    ) -> Result<(), RpcError> {
        if let Some(last) = self.last
            && !at.stands_on(last).await?
        {
            return Err(at.endpoint.wrong("a final block", "its hash is not what it was"));
        }
        let mut grown = self.clone();
        let mut width = RANGE;
        while grown.next <= at.block.number {
            let to = at.block.number.min(grown.next.saturating_add(width - 1));
            match grown.read(at, accounts, to).await {
                Ok(()) => {
                    grown.next = to + 1;
                    width = (width * 2).min(RANGE);
                }
                // A range that is too wide is refused in many ways, so every refusal is tried again at half.
                Err(error) if width == 1 => return Err(error),
                Err(_) => width = (width / 2).max(1),
            }
        }
        // Logs are asked for by number: they were of this block's chain only if its number still names it.
        if hash_at(at.endpoint, at.block.number).await? != at.block.hash {
            return Err(at.endpoint.wrong("the final block", "its number names another block"));
        }
        grown.last = Some(at.block);
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
                .address(at.registry)
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
        // A transfer between two of our accounts is found by both filters.
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

    /// The evidence so far, without what is not an event.
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

    /// Who set κ on the tokens that are ours.
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
    let found = at.endpoint.provider().get_logs(&filter).await;
    let found = found.map_err(|error| at.endpoint.unanswered("eth_getLogs", &error))?;
    match found.iter().find(|log| log.address() != at.registry || log.removed) {
        Some(_) => {
            Err(at.endpoint.wrong("eth_getLogs", "a log is not the registry's, or was removed"))
        }
        None => Ok(found),
    }
}

fn decode<E: SolEvent>(at: &AtBlock<'_>, log: &Log) -> Result<E, RpcError> {
    let decoded =
        log.log_decode::<E>().map_err(|error| at.endpoint.wrong("a log", error.to_string()))?;
    Ok(decoded.inner.data)
}

/// A mint with κ as its own receipt has it.
async fn mint(at: &AtBlock<'_>, log: &Log) -> Result<Mint, RpcError> {
    let event = decode::<IdentityRegistry::Registered>(at, log)?;
    let hash = log.transaction_hash.ok_or_else(|| at.endpoint.missing("a log's transaction"))?;
    let receipt = at.endpoint.provider().get_transaction_receipt(hash).await;
    let receipt =
        receipt.map_err(|error| at.endpoint.unanswered("eth_getTransactionReceipt", &error))?;
    let receipt = receipt.ok_or_else(|| at.endpoint.missing("a mint's receipt"))?;
    if receipt.block_hash != log.block_hash || !receipt.status() {
        return Err(at.endpoint.wrong("a mint's receipt", "it is of another block, or failed"));
    }
    let own = receipt.inner.logs().iter().filter(|log| log.address() == at.registry);
    let set = own.filter_map(|log| log.log_decode::<IdentityRegistry::MetadataSet>().ok());
    let mut keys = set
        .map(|set| set.inner.data)
        .filter(|set| set.agentId == event.agentId && set.metadataKey == KEY_METADATA);
    let key = keys.find_map(|set| AnchorKey::from_metadata(&set.metadataValue));
    Ok(Mint { id: AgentId::new(event.agentId), owner: event.owner, uri: event.agentURI, key })
}

async fn sender(at: &AtBlock<'_>, hash: B256) -> Result<Address, RpcError> {
    use alloy::network::TransactionResponse;
    let transaction = at.endpoint.provider().get_transaction_by_hash(hash).await;
    let transaction =
        transaction.map_err(|error| at.endpoint.unanswered("eth_getTransactionByHash", &error))?;
    Ok(transaction.ok_or_else(|| at.endpoint.missing("a settled transaction"))?.from())
}
