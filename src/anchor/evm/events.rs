//! Events of the registry as a node serves them, read field by field: a node may add fields, and
//! transactions may have types, that the library does not know.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256, Bytes, U64, keccak256},
    sol_types::SolEvent,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    AtBlock, Endpoint, RpcError,
    contract::IdentityRegistry::{MetadataSet, Registered, Transfer as TransferEvent},
    endpoint::hex,
};
use crate::{
    anchor::{
        evidence::{Accounts, KeyEvent, LogPosition, Mint, Transfer},
        key::{AnchorKey, KEY_METADATA},
    },
    registration::AgentId,
};

/// The events that matter, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    pub(super) mints: Vec<Mint>,
    pub(super) transfers: Vec<Transfer>,
    /// κ set on a token, with the transaction that set it, whoever sent it.
    pub(super) keys: Vec<(KeyEvent, B256)>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: Option<U64>,
    block_hash: Option<B256>,
    transaction_hash: Option<B256>,
    log_index: Option<U64>,
    removed: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    block_hash: Option<B256>,
    /// Absent before Byzantium.
    status: Option<U64>,
    logs: Vec<Log>,
}

#[derive(Debug, Deserialize)]
struct Transaction {
    from: Address,
}

impl Events {
    /// Appends later events.
    pub(super) fn extend(&mut self, later: Self) {
        self.mints.extend(later.mints);
        self.transfers.extend(later.transfers);
        self.keys.extend(later.keys);
    }

    /// Removes all events after a block.
    pub(super) fn truncate(&mut self, last: u64) {
        self.mints.retain(|mint| mint.at.block <= last);
        self.transfers.retain(|moved| moved.at.block <= last);
        self.keys.retain(|(event, _)| event.at.block <= last);
    }

    /// Reads the events of a range of blocks. One request is enough until the accounts have
    /// received a token: what they have never held they cannot have sent.
    pub(super) async fn read(
        at: &AtBlock<'_>,
        accounts: &Accounts,
        from: u64,
        to: u64,
        have_held: bool,
    ) -> Result<Self, RpcError> {
        let ours: Vec<B256> = accounts.all().map(|account| account.into_word()).collect();
        let key = keccak256(KEY_METADATA);
        let kinds = [
            Registered::SIGNATURE_HASH,
            TransferEvent::SIGNATURE_HASH,
            MetadataSet::SIGNATURE_HASH,
        ];
        // The owner of `Registered`, the receiver of `Transfer` and the key of `MetadataSet` are in
        // the same place.
        let third: Vec<B256> = ours.iter().copied().chain([key]).collect();
        let received = logs(at, from, to, json!([kinds, null, third])).await?;
        let mut events = Self::default();
        let mut moves = BTreeMap::new();
        for log in &received {
            let (kind, third) = (log.topics.first(), log.topics.get(2));
            let is_ours = third.is_some_and(|third| ours.contains(third));
            if kind == Some(&Registered::SIGNATURE_HASH) && is_ours {
                events.mints.push(mint(at.endpoint(), at.registry(), log).await?);
            } else if kind == Some(&TransferEvent::SIGNATURE_HASH) && is_ours {
                moves.insert(log.position(at.endpoint())?, log);
            } else if kind == Some(&MetadataSet::SIGNATURE_HASH) && third == Some(&key) {
                events.keys.extend(key_event(at.endpoint(), log)?);
            }
        }
        let sent = match have_held || !moves.is_empty() {
            true => logs(at, from, to, json!([TransferEvent::SIGNATURE_HASH, ours])).await?,
            false => Vec::new(),
        };
        // A transfer between two of our accounts is in both answers.
        for log in &sent {
            moves.insert(log.position(at.endpoint())?, log);
        }
        for (position, log) in moves {
            let event = log.decode::<TransferEvent>(at.endpoint())?;
            let (from, to) = (event.from, event.to);
            events.transfers.push(Transfer {
                at: position,
                id: AgentId::new(event.tokenId),
                from,
                to,
            });
        }
        Ok(events)
    }
}

impl Log {
    pub(super) fn block(&self) -> Option<u64> {
        self.block_number.map(|number| number.to())
    }

    fn position(&self, endpoint: &Endpoint) -> Result<LogPosition, RpcError> {
        let position = self.block_number.zip(self.log_index);
        let (block, index) = position.ok_or_else(|| endpoint.missing("a log's position"))?;
        Ok(LogPosition { block: block.to(), index: index.to() })
    }

    fn decode<E: SolEvent>(&self, endpoint: &Endpoint) -> Result<E, RpcError> {
        E::decode_raw_log(self.topics.iter().copied(), &self.data)
            .map_err(|error| endpoint.invalid("a log", error.to_string()))
    }
}

/// Asks for the registry's logs in a range of blocks.
pub(super) async fn logs(
    at: &AtBlock<'_>,
    from: u64,
    to: u64,
    topics: Value,
) -> Result<Vec<Log>, RpcError> {
    let filter = json!([{
        "address": at.registry(),
        "fromBlock": hex(from),
        "toBlock": hex(to),
        "topics": topics,
    }]);
    let found: Vec<Log> = at.endpoint().ask("eth_getLogs", filter).await?;
    let is_foreign = |log: &&Log| log.address != at.registry() || log.removed == Some(true);
    match found.iter().find(is_foreign) {
        Some(_) => {
            let message = "a log is not the registry's, or was removed";
            Err(at.endpoint().invalid("eth_getLogs", message))
        }
        None => Ok(found),
    }
}

fn key_event(endpoint: &Endpoint, log: &Log) -> Result<Option<(KeyEvent, B256)>, RpcError> {
    let at = log.position(endpoint)?;
    let event = log.decode::<MetadataSet>(endpoint)?;
    let id = AgentId::new(event.agentId);
    let key = AnchorKey::from_metadata(&event.metadataValue).zip(log.transaction_hash);
    Ok(key.map(|(key, hash)| (KeyEvent { at, id, key, sender: None }, hash)))
}

/// A mint, with κ from its own receipt.
async fn mint(endpoint: &Endpoint, registry: Address, log: &Log) -> Result<Mint, RpcError> {
    let event = log.decode::<Registered>(endpoint)?;
    let hash = log.transaction_hash.ok_or_else(|| endpoint.missing("a log's transaction"))?;
    let receipt = receipt(endpoint, hash).await?;
    let receipt = receipt.ok_or_else(|| endpoint.missing("a mint's receipt"))?;
    if receipt.block_hash != log.block_hash || receipt.succeeded() == Some(false) {
        let message = "it is in another block, or the transaction failed";
        return Err(endpoint.invalid("a mint's receipt", message));
    }
    let own = receipt.logs.iter().filter(|log| log.address == registry);
    let set = own.filter_map(|log| log.decode::<MetadataSet>(endpoint).ok());
    let mut keys =
        set.filter(|set| set.agentId == event.agentId && set.metadataKey == KEY_METADATA);
    let key = keys.find_map(|set| AnchorKey::from_metadata(&set.metadataValue));
    let (at, id) = (log.position(endpoint)?, AgentId::new(event.agentId));
    Ok(Mint { at, id, owner: event.owner, uri: event.agentURI, key })
}

impl Receipt {
    /// `None` where the chain's receipts do not say.
    pub(super) fn succeeded(&self) -> Option<bool> {
        self.status.map(|status| !status.is_zero())
    }
}

/// A transaction's receipt, whatever its type; `None` if the node has none.
pub(super) async fn receipt(endpoint: &Endpoint, hash: B256) -> Result<Option<Receipt>, RpcError> {
    endpoint.ask("eth_getTransactionReceipt", json!([hash])).await
}

/// Who sent a final transaction, whatever its type.
pub(super) async fn sender(endpoint: &Endpoint, hash: B256) -> Result<Address, RpcError> {
    let found: Option<Transaction> =
        endpoint.ask("eth_getTransactionByHash", json!([hash])).await?;
    Ok(found.ok_or_else(|| endpoint.missing("a final transaction"))?.from)
}
