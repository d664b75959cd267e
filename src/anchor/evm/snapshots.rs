//! For nodes that prune: they keep no state at a finalized block, so what was read at a head is
//! used once that block is finalized.

use std::collections::{BTreeMap, VecDeque};

use super::{AtBlock, Endpoint, History, RpcError, saved::NotedHead};
use crate::anchor::{
    account::CodeHashes,
    evidence::{Accounts, Evidence},
};

/// Everything that a decision needs of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The code behind the registry's address.
    pub(crate) code: CodeHashes,
    pub(crate) evidence: Evidence,
}

/// What each endpoint served of blocks that were its head: none vouches for another.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotCache(BTreeMap<String, NotedHeads>);

/// What was read of blocks that were the head of one endpoint, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotedHeads(VecDeque<NotedHead>);

impl SnapshotCache {
    /// What was read at one endpoint.
    pub(in crate::anchor) fn of(&mut self, endpoint: &Endpoint) -> &mut NotedHeads {
        self.0.entry(endpoint.to_string()).or_default()
    }

    /// Continues with what was saved, where nothing was read since.
    pub(in crate::anchor) fn resume(&mut self, saved: &BTreeMap<String, Vec<NotedHead>>) {
        for (endpoint, heads) in saved {
            let noted = self.0.entry(endpoint.clone()).or_default();
            if noted.0.is_empty() {
                noted.0 = heads.iter().cloned().collect();
            }
        }
    }

    /// What to save.
    pub(in crate::anchor) fn saved(&self) -> BTreeMap<String, Vec<NotedHead>> {
        let noted = self.0.iter().filter(|(_, noted)| !noted.0.is_empty());
        noted.map(|(endpoint, noted)| (endpoint.clone(), noted.saved())).collect()
    }
}

impl NotedHeads {
    /// One decision every 12 s for three hours: finality takes less on every known chain.
    const CAPACITY: usize = 900;
    /// How many of them the journal keeps.
    const SAVED: usize = 32;

    /// Keeps what was read at the head.
    pub(super) fn keep(&mut self, snapshot: &Snapshot) {
        let newer = |last: &NotedHead| last.block.number >= snapshot.evidence.block.number;
        while self.0.back().is_some_and(newer) {
            self.0.pop_back();
        }
        self.0.push_back(NotedHead::of(snapshot));
        if self.0.len() > Self::CAPACITY {
            self.0.pop_front();
        }
    }

    /// What was read at the newest block that is in the finalized chain, with the events up to it.
    /// Older ones are dropped. `history` must reach up to the finalized block.
    pub(super) async fn newest_final(
        &mut self,
        at: &AtBlock<'_>,
        history: &mut History,
        accounts: &Accounts,
    ) -> Result<Option<Snapshot>, RpcError> {
        let is_due = |noted: &&NotedHead| noted.block.number <= at.block().number;
        for place in (0..self.0.iter().take_while(is_due).count()).rev() {
            let Some(noted) = self.0.get(place) else { continue };
            if at.contains(noted.block).await? {
                let events = history.evidence(&at.at(noted.block), accounts).await?;
                let snapshot = noted.with_events(events);
                self.0.drain(..place);
                return Ok(Some(snapshot));
            }
        }
        Ok(None)
    }

    /// What to save: the newest one, and older ones at even distances.
    fn saved(&self) -> Vec<NotedHead> {
        let step = self.0.len().div_ceil(Self::SAVED).max(1);
        let mut saved: Vec<NotedHead> = self.0.iter().rev().step_by(step).cloned().collect();
        saved.reverse();
        saved
    }
}
