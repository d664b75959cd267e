//! What the journal keeps of reading a chain, so that a restart continues where the last process
//! stopped: the events that are ours, and what was read at heads.
//!
//! Losing it costs time and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::{History, Snapshot, events::Events, range::RangeWidth};
use crate::{
    anchor::{
        account::CodeHashes,
        evidence::{Block, Evidence, KeyEvent, LogPosition, Mint, Token, Transfer},
        key::AnchorKey,
    },
    registration::AgentId,
};

/// What was read of one registry for one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SavedReading {
    /// The event scan of each endpoint, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) scans: BTreeMap<String, SavedScan>,
    /// What each endpoint served at heads that are not final yet, by its name, oldest first.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) noted_heads: BTreeMap<String, Vec<NotedHead>>,
    /// How each endpoint last failed; one that works is absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) failures: BTreeMap<String, String>,
}

/// How far the event history was read at one endpoint, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SavedScan {
    /// Where the scan began.
    pub(crate) first: u64,
    /// The last block that was read.
    pub(crate) last: Block,
    /// The block that it was to read up to.
    pub(crate) target: u64,
    /// How many blocks one request covered.
    width: u64,
    accounts: BTreeSet<Address>,
    mints: Vec<SavedMint>,
    transfers: Vec<SavedTransfer>,
    keys: Vec<SavedKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedMint {
    at: LogPosition,
    id: U256,
    owner: Address,
    uri: String,
    key: Option<AnchorKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedTransfer {
    at: LogPosition,
    id: U256,
    from: Address,
    to: Address,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedKey {
    at: LogPosition,
    id: U256,
    key: AnchorKey,
    transaction: B256,
    sender: Option<Address>,
}

/// What was read of state at a block that was the head. Its events are read again once it is final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotedHead {
    pub(super) block: Block,
    code: CodeHashes,
    count: u64,
    former_counts: BTreeMap<Address, u64>,
    balances: BTreeMap<Address, U256>,
    tokens: Vec<SavedToken>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedToken {
    id: U256,
    owner: Address,
    uri: String,
    x402: bool,
    key: Option<AnchorKey>,
}

impl SavedReading {
    /// How many bytes it takes.
    pub(in crate::anchor) fn size(&self) -> usize {
        size(self)
    }

    /// Leaves out the largest of its parts. Returns whether there was one.
    pub(in crate::anchor) fn shed(&mut self) -> bool {
        let largest = self.scans.iter().max_by_key(|(_, scan)| size(*scan));
        let largest = largest.map(|(endpoint, scan)| (endpoint.clone(), size(scan)));
        let heads = size(&self.noted_heads);
        match largest {
            Some((endpoint, size)) if size >= heads => self.scans.remove(&endpoint).is_some(),
            Some(_) | None => !std::mem::take(&mut self.noted_heads).is_empty(),
        }
    }
}

/// How many bytes of JSON a value takes.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |bytes| bytes.len())
}

impl NotedHead {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let evidence = &snapshot.evidence;
        let tokens = evidence.tokens.iter().map(|(id, token)| {
            let Token { owner, uri, x402, key } = token.clone();
            SavedToken { id: id.number(), owner, uri, x402, key }
        });
        Self {
            block: evidence.block,
            code: snapshot.code,
            count: evidence.count,
            former_counts: evidence.former_counts.clone(),
            balances: evidence.balances.clone(),
            tokens: tokens.collect(),
        }
    }

    /// Everything at that block, given its events.
    pub(super) fn with_events(&self, events: Evidence) -> Snapshot {
        let tokens = self.tokens.iter().cloned().map(|saved| {
            let SavedToken { id, owner, uri, x402, key } = saved;
            (AgentId::new(id), Token { owner, uri, x402, key })
        });
        let evidence = Evidence {
            block: self.block,
            count: self.count,
            former_counts: self.former_counts.clone(),
            balances: self.balances.clone(),
            tokens: tokens.collect(),
            ..events
        };
        Snapshot { code: self.code, evidence }
    }
}

impl SavedScan {
    pub(crate) fn is_done(&self) -> bool {
        self.last.number >= self.target
    }

    /// In percent, rounded down.
    pub(crate) fn percent(&self) -> u64 {
        let all = self.target.saturating_sub(self.first).max(1);
        self.last.number.saturating_sub(self.first).min(all) * 100 / all
    }

    pub(super) fn of(history: &History, last: Block, width: RangeWidth, target: u64) -> Self {
        let Events { mints, transfers, keys } = &history.events;
        let held: BTreeSet<AgentId> = transfers.iter().map(|moved| moved.id).collect();
        // Others use the same metadata key. Their events matter only if we are given the token, and
        // then a check finds that one is missing and reads everything again.
        let keys = keys.iter().filter(|(event, _)| held.contains(&event.id));
        Self {
            first: history.first,
            last,
            target,
            width: width.blocks(),
            accounts: history.accounts.clone(),
            mints: mints.iter().map(SavedMint::from).collect(),
            transfers: transfers.iter().map(SavedTransfer::from).collect(),
            keys: keys.map(SavedKey::from).collect(),
        }
    }

    /// The history to continue; `None` if it did not begin at this block.
    pub(super) fn resumed(&self, first: u64) -> Option<History> {
        let events = Events {
            mints: self.mints.iter().map(Mint::from).collect(),
            transfers: self.transfers.iter().map(Transfer::from).collect(),
            keys: self.keys.iter().map(<(KeyEvent, B256)>::from).collect(),
        };
        (self.first == first).then(|| History {
            accounts: self.accounts.clone(),
            next: self.last.number.saturating_add(1),
            last: Some(self.last),
            verified: Some(self.last),
            width: Some(self.width),
            is_resumed: true,
            events,
            ..History::since(first)
        })
    }
}

impl From<&Mint> for SavedMint {
    fn from(Mint { at, id, owner, uri, key }: &Mint) -> Self {
        Self { at: *at, id: id.number(), owner: *owner, uri: uri.clone(), key: *key }
    }
}

impl From<&SavedMint> for Mint {
    fn from(SavedMint { at, id, owner, uri, key }: &SavedMint) -> Self {
        Self { at: *at, id: AgentId::new(*id), owner: *owner, uri: uri.clone(), key: *key }
    }
}

impl From<&Transfer> for SavedTransfer {
    fn from(Transfer { at, id, from, to }: &Transfer) -> Self {
        Self { at: *at, id: id.number(), from: *from, to: *to }
    }
}

impl From<&SavedTransfer> for Transfer {
    fn from(SavedTransfer { at, id, from, to }: &SavedTransfer) -> Self {
        Self { at: *at, id: AgentId::new(*id), from: *from, to: *to }
    }
}

impl From<&(KeyEvent, B256)> for SavedKey {
    fn from((event, transaction): &(KeyEvent, B256)) -> Self {
        let KeyEvent { at, id, key, sender } = *event;
        Self { at, id: id.number(), key, transaction: *transaction, sender }
    }
}

impl From<&SavedKey> for (KeyEvent, B256) {
    fn from(saved: &SavedKey) -> Self {
        let SavedKey { at, id, key, transaction, sender } = *saved;
        (KeyEvent { at, id: AgentId::new(id), key, sender }, transaction)
    }
}
