//! Tells a file that is being written from one that was shortened on purpose.

use std::time::Duration;

use tokio::time::Instant;

/// How long a file that lost much must stay the same before its content is used.
pub(super) const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// Whether a file with `new` objects that had `kept` objects before may be half written: it lost
/// all of them, or more than half.
pub(super) fn may_be_half_written(kept: usize, new: usize) -> bool {
    new < kept && (new == 0 || new < kept - new)
}

/// Whether a file that has been the same since `since` is no longer being written.
pub(super) fn is_settled(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= SETTLED_AFTER
}

#[cfg(test)]
mod tests;
