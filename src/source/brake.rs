//! The shrink brake: holds back a sudden loss of offers until a second reading confirms it.
//!
//! Pure: a source passes in every reading of its offers and publishes what it gets back. Only the
//! loss is held back. Offers that were added or changed pass at once, and the drain of a retained
//! offer ends as it would have.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use imbl::ordmap::DiffItem;
use tokio::time::Instant;

use super::{SourceProblem, SourceProblemCode};
use crate::offer::{OfferId, Offers};

/// A loss engages the brake only if it is larger than this, and more than half of the offers.
const MAX_ORDINARY_LOSS: usize = 10;
/// Offers that disappear one after another within this time count as one loss.
const BURST: Duration = Duration::from_secs(60);
/// So many deletions, each within [`PAUSE`] of the next, pass at once. More may be the beginning of a
/// sudden loss, so they wait until the burst pauses.
const FEW: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// A burst waits no longer than this, unless it becomes a sudden loss.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// A complete reading confirms a loss if it comes this long after the loss. One that comes sooner
/// may repeat the same mistake; one that comes later has nothing to do with the first.
const CONFIRM_AFTER: Duration = Duration::from_secs(10);
const CONFIRM_UNTIL: Duration = Duration::from_secs(30);

/// How a reading of the offers came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Everything was read: a list of the cluster, or all manifests.
    Complete,
    /// Single changes were applied to what was known.
    Changes,
}

/// What [`ShrinkBrake::observe`] did with a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrakeChange {
    None,
    /// The brake engaged and retains this many offers.
    Engaged(usize),
    /// The brake was released: the loss was confirmed, or the offers are back.
    Released,
}

#[derive(Debug, Default)]
pub(crate) struct ShrinkBrake {
    /// What the source was told to publish; `None` before the first reading.
    published: Option<Arc<Offers>>,
    /// When offers disappeared from what is published, within the last [`BURST`].
    removed: BTreeMap<OfferId, Instant>,
    held: Option<Held>,
    burst: Option<Burst>,
}

/// Deletions that wait, since more may follow.
#[derive(Debug)]
struct Burst {
    began: Instant,
    grew: Instant,
    /// The reading without the deleted offers.
    read: Arc<Offers>,
}

/// A loss that is not confirmed yet.
#[derive(Debug)]
struct Held {
    since: Instant,
    /// The reading without the lost offers.
    read: Arc<Offers>,
    /// How many offers are retained.
    retained: usize,
}

impl ShrinkBrake {
    /// Takes a reading of all offers at `now`. Returns the offers to publish, which are those of the
    /// reading and, while the brake is engaged, the lost ones as they were last read.
    pub(crate) fn observe(
        &mut self,
        read: &Arc<Offers>,
        reading: Reading,
        now: Instant,
    ) -> (Arc<Offers>, BrakeChange) {
        let Some(published) = self.published.clone() else {
            return (self.pass(read, now), BrakeChange::None);
        };
        // While a loss waits for its confirmation, what began it still belongs to it.
        let was_held = self.held.is_some();
        self.removed.retain(|id, at| {
            (was_held || now.duration_since(*at) < BURST) && !read.contains_key(id)
        });
        let lost = gone(&published, read);
        if lost.is_empty() || !is_sudden(&published, lost.len(), self.removed.len()) {
            let change = if was_held { BrakeChange::Released } else { BrakeChange::None };
            if !was_held && self.is_burst(&published, read, lost.len(), now) {
                return (self.retain(read, lost), change);
            }
            return (self.pass(read, now), change);
        }
        self.burst = None;
        if self.held.as_ref().is_some_and(|held| held.is_confirmed_by(read, reading, now)) {
            return (self.release(read), BrakeChange::Released);
        }
        let retained = lost.len();
        let since = match &self.held {
            Some(held) if !held.starts_over(read, reading, now) => held.since,
            Some(_) | None => now,
        };
        self.held = Some(Held { since, read: Arc::clone(read), retained });
        let change = if was_held { BrakeChange::None } else { BrakeChange::Engaged(retained) };
        (self.retain(read, lost), change)
    }

    /// Accepts the loss because an operator says so. Returns the offers to publish from now on;
    /// `None` if nothing is held back.
    pub(crate) fn release_now(&mut self) -> Option<Arc<Offers>> {
        let held = self.held.as_ref().map(|held| &held.read);
        let read = Arc::clone(held.or(self.burst.as_ref().map(|burst| &burst.read))?);
        Some(self.release(&read))
    }

    /// How many lost offers are still published; 0 unless the brake is engaged.
    pub(crate) fn retained(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.retained)
    }

    /// When the next complete reading can confirm the loss; `None` unless the brake is engaged.
    pub(crate) fn confirmable_at(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.since + CONFIRM_AFTER)
    }

    /// When deletions that wait will pass, if no others follow; `None` if none wait.
    pub(crate) fn passes_at(&self) -> Option<Instant> {
        let burst = self.burst.as_ref()?;
        Some((burst.grew + PAUSE).min(burst.began + MAX_PAUSE))
    }

    /// Whether what is published is more than what was read.
    pub(crate) fn is_waiting(&self) -> bool {
        self.held.is_some() || self.burst.is_some()
    }

    /// The problem to report while the brake is engaged.
    pub(crate) fn problem(&self, about: &str) -> Option<SourceProblem> {
        let held = self.held.as_ref()?;
        let message = format!(
            "{} of {} offers disappeared at once. They stay published until a second complete \
             reading, {} to {} s later, agrees, or until POST /debug/release-brake.",
            held.retained,
            self.published.as_ref().map_or(0, |published| published.len()),
            CONFIRM_AFTER.as_secs(),
            CONFIRM_UNTIL.as_secs(),
        );
        Some(SourceProblem::new(SourceProblemCode::ShrinkBrake, about, message))
    }

    /// Whether an ordinary loss is to wait, since it may be the beginning of a sudden one.
    fn is_burst(
        &mut self,
        published: &Offers,
        read: &Arc<Offers>,
        lost: usize,
        now: Instant,
    ) -> bool {
        let recent = |at: &&Instant| now.duration_since(**at) < PAUSE;
        let in_a_row = lost + self.removed.values().filter(recent).count();
        let may_become_sudden = published.len() + self.removed.len() > MAX_ORDINARY_LOSS;
        if lost == 0 || in_a_row <= FEW || !may_become_sudden {
            return false;
        }
        let burst = self.burst.get_or_insert_with(|| Burst {
            began: now,
            grew: now,
            read: Arc::clone(read),
        });
        if !gone(&burst.read, read).is_empty() {
            burst.grew = now;
        }
        burst.read = Arc::clone(read);
        self.passes_at().is_some_and(|passes| now < passes)
    }

    /// Publishes a reading with the lost offers as they were last read.
    fn retain(&mut self, read: &Offers, lost: Offers) -> Arc<Offers> {
        let kept = Arc::new(Offers::clone(read).union(lost));
        self.published = Some(Arc::clone(&kept));
        kept
    }

    /// Publishes a reading whose loss, if any, is an ordinary one.
    fn pass(&mut self, read: &Arc<Offers>, now: Instant) -> Arc<Offers> {
        if let Some(published) = self.published.replace(Arc::clone(read))
            && !Arc::ptr_eq(&published, read)
        {
            let lost = gone(&published, read);
            self.removed.extend(lost.keys().map(|id| (id.clone(), now)));
        }
        (self.held, self.burst) = (None, None);
        Arc::clone(read)
    }

    /// Publishes a reading whose loss was confirmed, so that it does not count again.
    fn release(&mut self, read: &Arc<Offers>) -> Arc<Offers> {
        self.published = Some(Arc::clone(read));
        self.removed.clear();
        (self.held, self.burst) = (None, None);
        Arc::clone(read)
    }
}

impl Held {
    fn is_confirmed_by(&self, read: &Offers, reading: Reading, now: Instant) -> bool {
        let age = now.duration_since(self.since);
        let in_time = CONFIRM_AFTER <= age && age <= CONFIRM_UNTIL;
        reading == Reading::Complete && in_time && !self.shrinks_further(read)
    }

    /// Whether the waiting time begins again: more was lost since, or a complete reading came too
    /// late to confirm the first.
    fn starts_over(&self, read: &Offers, reading: Reading, now: Instant) -> bool {
        let is_late = now.duration_since(self.since) > CONFIRM_UNTIL;
        self.shrinks_further(read) || (reading == Reading::Complete && is_late)
    }

    fn shrinks_further(&self, read: &Offers) -> bool {
        is_sudden(&self.read, gone(&self.read, read).len(), 0)
    }
}

/// The offers of `before` that are not in `after`. Looks only at what they do not share.
fn gone(before: &Offers, after: &Offers) -> Offers {
    before
        .diff(after)
        .filter_map(|change| match change {
            DiffItem::Remove(id, parsed) => Some((id.clone(), Arc::clone(parsed))),
            DiffItem::Add(..) | DiffItem::Update { .. } => None,
        })
        .collect()
}

/// Whether a loss is more than an operator deletes in passing. `before` are the offers before it,
/// and `removed` is how many had disappeared shortly before that.
fn is_sudden(before: &Offers, lost: usize, removed: usize) -> bool {
    let all = before.len() + removed;
    let lost = lost + removed;
    lost > MAX_ORDINARY_LOSS && lost > all / 2
}

#[cfg(test)]
mod tests;
