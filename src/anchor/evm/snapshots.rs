//! For nodes that prune: they keep no state at a finalized block, so what was read at a head is
//! used once that block is finalized.

use std::collections::VecDeque;

use super::{AtBlock, RpcError};
use crate::anchor::{account::CodeHashes, evidence::Evidence};

/// Everything that a decision needs of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The code behind the registry's address.
    pub(crate) code: CodeHashes,
    pub(crate) evidence: Evidence,
}

/// Snapshots of blocks that were the head, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotCache(VecDeque<Snapshot>);

impl SnapshotCache {
    /// One decision every 12 s for three hours: finality takes less on every known chain.
    const CAPACITY: usize = 900;

    /// Keeps what was read at the head.
    pub(super) fn keep(&mut self, snapshot: Snapshot) {
        let newer = |last: &Snapshot| last.evidence.block.number >= snapshot.evidence.block.number;
        while self.0.back().is_some_and(newer) {
            self.0.pop_back();
        }
        self.0.push_back(snapshot);
        if self.0.len() > Self::CAPACITY {
            self.0.pop_front();
        }
    }

    /// The newest snapshot whose block is in the finalized chain. Older ones are dropped.
    pub(super) async fn newest_final(
        &mut self,
        at: &AtBlock<'_>,
    ) -> Result<Option<Snapshot>, RpcError> {
        let is_due = |snapshot: &&Snapshot| snapshot.evidence.block.number <= at.block().number;
        for place in (0..self.0.iter().take_while(is_due).count()).rev() {
            let Some(snapshot) = self.0.get(place).cloned() else { continue };
            if at.contains(snapshot.evidence.block).await? {
                self.0.drain(..place);
                return Ok(Some(snapshot));
            }
        }
        Ok(None)
    }
}
