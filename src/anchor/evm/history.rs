//! The registry's events about our accounts, as one endpoint serves them. They are read once, since
//! finalized blocks do not change; [`super::scan`] reads them.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::Address;

use super::{
    AtBlock, Endpoint, RpcError,
    events::{Events, sender},
    saved::SavedScan,
    scan::ScanObserver,
};
use crate::{
    anchor::evidence::{Accounts, Block, Evidence, KeyEvent},
    registration::AgentId,
};

/// The events that have been read so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The first block of the scan: the registry's deployment, or earlier.
    pub(super) first: u64,
    /// How many decisions in a row found it incomplete.
    pub(super) doubts: u32,
    /// The accounts that the events are about.
    pub(super) accounts: BTreeSet<Address>,
    /// The first block that has not been read.
    pub(super) next: u64,
    /// The last block that has been read and whose hash is known.
    pub(super) last: Option<Block>,
    /// The last block up to which all events are known to belong to one chain.
    pub(super) verified: Option<Block>,
    pub(super) events: Events,
    /// The registry's first token, once it is known to exist.
    pub(super) eldest: Option<AgentId>,
    /// The block of that token's mint, once the node has served it.
    pub(super) eldest_block: Option<u64>,
    /// Whether the node served the registry's first event after it served ours: a node that drops
    /// old events without an error does not.
    pub(super) is_vouched: bool,
    /// Whether it was begun by another process.
    pub(super) is_resumed: bool,
    /// Tokens of which nothing need be read before a mint.
    pub(super) plain: PlainTokens,
    /// How many blocks one request covered when the scan was saved.
    pub(super) width: Option<u64>,
    /// Who is told how far the scan is.
    pub(super) observer: ScanObserver,
}

/// Tokens that carried no κ when our accounts had sent so many transactions. Only one that they
/// send can set a κ that counts, so a stranger's gift is looked at once and not in every decision.
#[derive(Clone, Debug, Default)]
pub(super) struct PlainTokens {
    counts: Vec<u64>,
    ids: BTreeSet<AgentId>,
}

impl PlainTokens {
    /// Those that still carry none by this evidence.
    pub(super) fn since(&mut self, evidence: &Evidence) -> &mut BTreeSet<AgentId> {
        let counts =
            std::iter::once(evidence.count).chain(evidence.former_counts.values().copied());
        let counts = counts.collect();
        if self.counts != counts {
            *self = Self { counts, ids: BTreeSet::new() };
        }
        &mut self.ids
    }
}

/// What each endpoint of a chain serves: an endpoint's events must not vouch for another's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histories {
    first: u64,
    by_endpoint: BTreeMap<String, History>,
    observer: ScanObserver,
}

impl Histories {
    /// Empty histories that begin at `block`.
    pub(crate) fn since(block: u64) -> Self {
        Self { first: block, ..Self::default() }
    }

    /// The first block of the scan.
    pub(crate) fn first_block(&self) -> u64 {
        self.first
    }

    /// Has an observer told how far the scans are.
    pub(in crate::anchor) fn observe(&mut self, observer: ScanObserver) {
        for history in self.by_endpoint.values_mut() {
            history.observer = observer.clone();
        }
        self.observer = observer;
    }

    /// Continues what was saved, for endpoints that have not been read from yet.
    pub(in crate::anchor) fn resume(&mut self, saved: &BTreeMap<String, SavedScan>) {
        for (endpoint, scan) in saved {
            if let Some(history) = scan.resumed(self.first) {
                let observer = self.observer.clone();
                let history = History { observer, ..history };
                self.by_endpoint.entry(endpoint.clone()).or_insert(history);
            }
        }
    }

    /// The history that one endpoint serves.
    pub(in crate::anchor) fn of(&mut self, endpoint: &Endpoint) -> &mut History {
        let (first, observer) = (self.first, &self.observer);
        self.by_endpoint
            .entry(endpoint.to_string())
            .or_insert_with(|| History { observer: observer.clone(), ..History::since(first) })
    }
}

impl History {
    /// An empty history that begins at `block`.
    pub(super) fn since(block: u64) -> Self {
        Self { first: block, next: block, ..Self::default() }
    }

    /// The same, still empty.
    pub(super) fn emptied(&self) -> Self {
        let (observer, eldest) = (self.observer.clone(), self.eldest);
        Self { doubts: self.doubts, observer, eldest, ..Self::since(self.first) }
    }

    /// Forgets what another process read, and returns whether there was any of it.
    pub(in crate::anchor) fn forget_saved(&mut self) -> bool {
        let is_resumed = self.is_resumed;
        if is_resumed {
            *self = self.emptied();
        }
        is_resumed
    }

    /// A copy that may be read on beyond the finalized block. Nobody is told of it.
    pub(super) fn ahead(&self) -> Self {
        Self { observer: ScanObserver::default(), ..self.clone() }
    }

    /// Call with whether the evidence was complete. If it was not, a node left something out:
    /// rescans immediately, then with exponential backoff, since a rescan can be slow.
    /// What another process read is not judged: if it is incomplete, [`Self::forget_saved`] follows.
    pub(in crate::anchor) fn judge(&mut self, is_complete: bool) {
        if self.is_resumed && !is_complete {
            return;
        }
        self.doubts = if is_complete { 0 } else { self.doubts.saturating_add(1) };
        if self.doubts.is_power_of_two() {
            *self = self.emptied();
        }
    }

    /// Whether nothing has been read of these accounts' history.
    pub(super) fn is_new(&self, accounts: &Accounts) -> bool {
        self.next == self.first || self.accounts != accounts.all().collect()
    }

    /// Goes on after a block up to which the accounts have sent nothing and hold nothing: there is
    /// no event about them.
    pub(super) fn skip_to(&mut self, block: Block, accounts: &Accounts) {
        let (last, verified) = (Some(block), Some(block));
        let accounts = accounts.all().collect();
        let next = block.number + 1;
        *self = Self { next, last, verified, accounts, is_vouched: true, ..self.emptied() };
    }

    /// The events up to the block as evidence; counts, balances and tokens are still missing.
    pub(super) async fn evidence(
        &mut self,
        at: &AtBlock<'_>,
        accounts: &Accounts,
    ) -> Result<Evidence, RpcError> {
        let mut events = self.events.clone();
        events.truncate(at.block().number);
        let mut evidence = Evidence {
            block: at.block(),
            count: 0,
            former_counts: BTreeMap::new(),
            mints: events.mints,
            transfers: events.transfers,
            balances: BTreeMap::new(),
            key_events: Vec::new(),
            tokens: BTreeMap::new(),
        };
        let ever_held = evidence.ever_held(accounts);
        for (event, hash) in &mut self.events.keys {
            if !ever_held.contains(&event.id) || event.at.block > at.block().number {
                continue;
            }
            if event.sender.is_none() && evidence.is_claim(event, accounts) {
                event.sender = Some(sender(at.endpoint(), *hash).await?);
            }
            evidence.key_events.push(KeyEvent { ..*event });
        }
        Ok(evidence)
    }
}
