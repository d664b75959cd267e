//! Reads the event history range by range. What was read is kept whatever happens next, and is
//! saved every few ranges, so that no scan begins anew.

use std::{fmt, sync::Arc};

use alloy::{primitives::B256, sol_types::SolEvent};
use futures::future::BoxFuture;
use serde_json::json;

use super::{
    AtBlock, History, RpcError, SnapshotError,
    contract::IdentityRegistry::Transfer,
    events::{Events, Log, logs},
    range::RangeWidth,
    saved::SavedScan,
};
use crate::anchor::evidence::{Accounts, Block};

/// After how many ranges progress is saved.
const SAVE_AFTER_RANGES: u32 = 20;
/// A scan that would take more requests than this, about three hours at ten per second, is not
/// begun.
const MOST_REQUESTS: u64 = 100_000;

/// How far the scan of one endpoint is.
#[derive(Clone, Debug)]
pub(crate) struct ScanProgress {
    /// The endpoint's name.
    pub(crate) endpoint: String,
    /// What to continue from.
    pub(crate) scan: SavedScan,
}

type Observe = dyn Fn(ScanProgress) -> BoxFuture<'static, ()> + Send + Sync;

/// Who is told how far scans are. By default nobody is.
#[derive(Clone, Default)]
pub(crate) struct ScanObserver(Option<Arc<Observe>>);

impl ScanObserver {
    pub(crate) fn new(
        observe: impl Fn(ScanProgress) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(observe)))
    }
}

impl fmt::Debug for ScanObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanObserver")
    }
}

impl History {
    /// Reads on to the given block, which the endpoint must have under its hash. After a failure,
    /// what was read so far is kept.
    pub(super) async fn extend(
        &mut self,
        at: &AtBlock<'_>,
        accounts: &Accounts,
    ) -> Result<(), SnapshotError> {
        let endpoint = at.endpoint();
        let target = at.block();
        self.begin(at, accounts).await?;
        self.learned_width(at);
        let (mut ranges, mut is_served) = (0, true);
        while self.next <= target.number {
            let width = endpoint.width();
            let left = target.number - self.next + 1;
            let requests = left.div_ceil(width.blocks());
            if requests > MOST_REQUESTS {
                return Err(SnapshotError::EndpointTooNarrow {
                    endpoint: endpoint.to_string(),
                    blocks: width.blocks(),
                    requests,
                });
            }
            let asked = left.min(width.blocks());
            let to = self.next + asked - 1;
            let have_held = !self.events.transfers.is_empty();
            let read = Events::read(at, accounts, self.next, to, have_held).await;
            if let Some(events) = endpoint.learn(width, asked, read)? {
                self.events.extend(events);
                self.next = to + 1;
                ranges += 1;
            }
            if ranges == SAVE_AFTER_RANGES && self.next <= target.number {
                ranges = 0;
                let hash = endpoint.block_hash(self.next - 1).await?;
                self.last = Some(Block { number: self.next - 1, hash });
                is_served = is_served && self.is_eldest_served(at).await?;
                if is_served {
                    self.report(at, target.number).await;
                }
            }
        }
        if !self.is_vouched {
            self.is_vouched = is_served && self.is_eldest_served(at).await?;
        }
        // Logs are requested by number, so they belong to this block's chain only if its number
        // still has its hash.
        if endpoint.block_hash(target.number).await? != target.hash {
            self.back_to_verified();
            let message = "its number names another block";
            return Err(endpoint.invalid("the finalized block", message).into());
        }
        (self.last, self.verified) = (Some(target), Some(target));
        if self.is_vouched {
            self.report(at, target.number).await;
        }
        Ok(())
    }

    /// As [`Self::extend`], unless the accounts were not used up to the block: then there is nothing
    /// to read.
    pub(super) async fn read_to(
        &mut self,
        at: &AtBlock<'_>,
        accounts: &Accounts,
    ) -> Result<(), SnapshotError> {
        if self.is_new(accounts) && at.is_unused(accounts).await? {
            self.skip_to(at.block(), accounts);
            self.report(at, at.block().number).await;
            return Ok(());
        }
        if self.eldest.is_none() {
            self.eldest = at.eldest().await?;
        }
        self.extend(at, accounts).await
    }

    /// Checks that what was read before belongs to the same chain and is about the same accounts.
    async fn begin(&mut self, at: &AtBlock<'_>, accounts: &Accounts) -> Result<(), RpcError> {
        let wanted = accounts.all().collect();
        if self.accounts != wanted {
            *self = Self { accounts: wanted, ..self.emptied() };
        }
        if let Some(last) = self.last
            && !at.contains(last).await?
        {
            *self = Self { accounts: self.accounts.clone(), ..self.emptied() };
            let message = "its hash has changed, so the events are read again";
            return Err(at.endpoint().invalid("a block that was read before", message));
        }
        Ok(())
    }

    fn back_to_verified(&mut self) {
        let (accounts, verified) = (self.accounts.clone(), self.verified);
        match verified {
            None => *self = Self { accounts, ..self.emptied() },
            Some(block) => {
                self.events.truncate(block.number);
                (self.next, self.last) = (block.number + 1, verified);
            }
        }
    }

    async fn report(&self, at: &AtBlock<'_>, target: u64) {
        let (Some(observe), Some(last)) = (&self.observer.0, self.last) else { return };
        let scan = SavedScan::of(self, last, at.endpoint().width(), target);
        observe(ScanProgress { endpoint: at.endpoint().to_string(), scan }).await;
    }

    /// Begins with the width of ranges that worked before.
    pub(super) fn learned_width(&mut self, at: &AtBlock<'_>) {
        if let Some(blocks) = self.width.take()
            && at.endpoint().width().is_new()
        {
            at.endpoint().set_width(RangeWidth::starting_at(blocks));
        }
    }

    /// Whether the node serves the mint of the registry's first token, with which all later events
    /// begin: one that drops old events without an error does not. Only what was read before such
    /// an answer is saved, so that a lie does not outlive the process.
    ///
    /// Without any token there are no events to be dropped.
    async fn is_eldest_served(&mut self, at: &AtBlock<'_>) -> Result<bool, RpcError> {
        let Some(eldest) = self.eldest else { return Ok(true) };
        let endpoint = at.endpoint();
        let id = B256::from(eldest.number());
        let topics = json!([Transfer::SIGNATURE_HASH, B256::ZERO, null, id]);
        if let Some(block) = self.eldest_block {
            return Ok(!logs(at, block, block, topics).await?.is_empty());
        }
        let mut next = self.first;
        while next < self.next {
            let width = endpoint.width();
            let asked = (self.next - next).min(width.blocks());
            let found = logs(at, next, next + asked - 1, topics.clone()).await;
            let Some(found) = endpoint.learn(width, asked, found)? else { continue };
            self.eldest_block = found.first().and_then(Log::block);
            if self.eldest_block.is_some() {
                return Ok(true);
            }
            next += asked;
        }
        Ok(false)
    }
}
