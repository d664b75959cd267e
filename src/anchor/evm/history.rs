//! The registry's events about our accounts. They are read once, since finalized blocks do not
//! change.

use std::collections::BTreeMap;

use alloy::{
    network::TransactionResponse,
    primitives::{Address, B256, keccak256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};

use super::{AtBlock, Endpoint, RpcError, contract::IdentityRegistry};
use crate::{
    anchor::{
        evidence::{Accounts, Block, Evidence, KeyEvent, LogPosition, Mint, Transfer},
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
    keys: Vec<(KeyEvent, B256)>,
    senders: BTreeMap<B256, Address>,
    /// The registry's first token, once it is known to exist.
    pub(super) eldest: Option<AgentId>,
    /// Whether the node served that token's mint: it serves the registry's oldest events.
    pub(super) serves_eldest: bool,
}

/// What each endpoint of a chain serves: an endpoint's events must not vouch for another's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histories {
    first: u64,
    by_endpoint: BTreeMap<String, History>,
}

impl Histories {
    /// Empty histories that begin at `block`.
    pub(crate) fn since(block: u64) -> Self {
        Self { first: block, by_endpoint: BTreeMap::new() }
    }

    /// The history that one endpoint serves.
    pub(in crate::anchor) fn of(&mut self, endpoint: &Endpoint) -> &mut History {
        let first = self.first;
        self.by_endpoint.entry(endpoint.to_string()).or_insert_with(|| History::since(first))
    }
}

impl History {
    /// An empty history that begins at `block`.
    fn since(block: u64) -> Self {
        Self { first: block, next: block, ..Self::default() }
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
        let mut moves = BTreeMap::new();
        for log in sent.iter().chain(&received) {
            moves.insert(position(at, log)?, log);
        }
        let mut transfers = Vec::new();
        for (position, log) in moves {
            let event = decode::<IdentityRegistry::Transfer>(at, log)?;
            transfers.push(Transfer {
                at: position,
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
                let (at, id) = (position(at, log)?, AgentId::new(event.agentId));
                keys.push((KeyEvent { at, id, key, sender: None }, hash));
            }
        }
        self.mints.extend(mints);
        self.transfers.extend(transfers);
        self.keys.extend(keys);
        Ok(())
    }

    /// The events as evidence; counts, balances and tokens are still missing.
    pub(super) async fn evidence(
        &mut self,
        at: &AtBlock<'_>,
        accounts: &Accounts,
    ) -> Result<Evidence, RpcError> {
        let mut evidence = Evidence {
            block: at.block(),
            count: 0,
            former_counts: BTreeMap::new(),
            mints: self.mints.clone(),
            transfers: self.transfers.clone(),
            balances: BTreeMap::new(),
            key_events: Vec::new(),
            tokens: BTreeMap::new(),
        };
        let ever_held = evidence.ever_held(accounts);
        for (event, hash) in self.keys.iter().filter(|(event, _)| ever_held.contains(&event.id)) {
            let sender = match self.senders.get(hash) {
                Some(sender) => Some(*sender),
                None if evidence.is_claim(event, accounts) => {
                    let sender = sender(at, *hash).await?;
                    self.senders.insert(*hash, sender);
                    Some(sender)
                }
                None => None,
            };
            evidence.key_events.push(KeyEvent { sender, ..*event });
        }
        Ok(evidence)
    }

    /// Whether the node serves the mint of the registry's first token, with which all later events
    /// begin. A node that drops old events without an error does not.
    pub(super) async fn serves(
        &mut self,
        at: &AtBlock<'_>,
        eldest: &AgentId,
    ) -> Result<bool, RpcError> {
        let (mut next, mut width) = (self.first, RANGE);
        let id = B256::from(eldest.number());
        while !self.serves_eldest && next <= at.block().number {
            let to = at.block().number.min(next.saturating_add(width - 1));
            let filter = Filter::new()
                .address(at.registry())
                .from_block(next)
                .to_block(to)
                .event_signature(IdentityRegistry::Registered::SIGNATURE_HASH)
                .topic1(id);
            match logs(at, filter).await {
                Ok(found) => {
                    self.serves_eldest = !found.is_empty();
                    next = to + 1;
                }
                Err(error) if width == 1 => return Err(error),
                Err(_) => width = (width / 2).max(1),
            }
        }
        Ok(self.serves_eldest)
    }
}

fn position(at: &AtBlock<'_>, log: &Log) -> Result<LogPosition, RpcError> {
    match (log.block_number, log.log_index) {
        (Some(block), Some(index)) => Ok(LogPosition { block, index }),
        (None, _) | (_, None) => Err(at.endpoint().missing("a log's position")),
    }
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
    let (at, id) = (position(at, log)?, AgentId::new(event.agentId));
    Ok(Mint { at, id, owner: event.owner, uri: event.agentURI, key })
}

async fn sender(at: &AtBlock<'_>, hash: B256) -> Result<Address, RpcError> {
    let transaction = at.endpoint().provider().get_transaction_by_hash(hash);
    let transaction = at.endpoint().request("eth_getTransactionByHash", transaction).await?;
    Ok(transaction.ok_or_else(|| at.endpoint().missing("a final transaction"))?.from())
}
