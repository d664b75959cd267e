//! Nodes that prune keep no state at a final block. What they had at the head is noted, and used once that block is final.

use std::collections::VecDeque;

use super::{AtBlock, RpcError};
use crate::anchor::{evidence::Evidence, journal::CodeHashes};

/// Everything that a decision needs of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Which code answers for the registry.
    pub(crate) code: CodeHashes,
    /// The account and the registry.
    pub(crate) evidence: Evidence,
}

/// Readings of blocks that were the head, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotCache(VecDeque<Snapshot>);

impl SnapshotCache {
    /// A decision every 12 s for three hours: finality takes less on every known chain.
    const MOST: usize = 900;

    /// Keeps what was read at the head.
    pub(super) fn keep(&mut self, reading: Snapshot) {
        let newer = |last: &Snapshot| last.evidence.block.number >= reading.evidence.block.number;
        while self.0.back().is_some_and(newer) {
            self.0.pop_back();
        }
        self.0.push_back(reading);
        if self.0.len() > Self::MOST {
            self.0.pop_front();
        }
    }

    /// The newest reading whose block stands in the final chain; older ones are forgotten.
    pub(super) async fn settled(&mut self, at: &AtBlock<'_>) -> Result<Option<Snapshot>, RpcError> {
        let due =
            self.0.iter().take_while(|note| note.evidence.block.number <= at.block.number).count();
        for place in (0..due).rev() {
            let Some(note) = self.0.get(place).cloned() else { continue };
            if at.stands_on(note.evidence.block).await? {
                self.0.drain(..place);
                return Ok(Some(note));
            }
        }
        Ok(None)
    }
}
