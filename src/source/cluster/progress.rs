//! When to list, when to watch, and how soon: the rules of one target, as a pure function of what
//! happened and when.

use std::time::Duration;

use tokio::time::Instant;

/// After this many failures in a row without an event, a bookmark or a list, the resourceVersion is
/// given up and everything is listed again.
const FAILURES_BEFORE_LIST: u32 = 3;
/// The same after this long, whatever the server answers. A watch that has been silent for this long
/// is abandoned. A live one is not: it ends after 25 s, and an API server sends a bookmark first.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// No two requests of a target but one begin within this time of each other.
const WINDOW: Duration = Duration::from_secs(1);
const MIN_DELAY: Duration = Duration::from_millis(500);
/// A connection that fails costs the server nothing, so its return is noticed soon.
const MAX_DELAY_UNREACHABLE: Duration = Duration::from_millis(1_400);
const MAX_DELAY_REFUSED: Duration = Duration::from_secs(5);
/// A server may ask for a day. It is asked again sooner, or it would decide how stale we become.
const MAX_THROTTLE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    List,
    Watch,
}

/// Why a request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// No connection, or one that broke.
    Unreachable,
    /// The watch ended early, without an event or a bookmark.
    Ended,
    /// The server answered with an error, or with something that no API server sends.
    Refused,
    /// The server does not know the kind.
    NoKind,
    /// The server does not know our resourceVersion, or went back to an earlier one.
    Expired,
    /// The server asks to wait for this long.
    Throttled(Duration),
}

/// What is known of one target's requests.
#[derive(Debug, Default)]
pub(super) struct WatchProgress {
    /// When the last two requests began, the older one first.
    began: [Option<Instant>; 2],
    /// The last list, event or bookmark.
    confirmed: Option<Instant>,
    /// Whether the next request must be a list.
    list_is_due: bool,
    /// Failures since the last list, event or bookmark.
    failures: u32,
    /// Failures since the last event or bookmark. A list alone does not end the backoff: it may
    /// succeed for as long as every watch fails.
    backoff: u32,
    /// Whether a version expired since the last event or bookmark.
    expired: bool,
    not_before: Option<Instant>,
}

impl WatchProgress {
    /// The next request, and the earliest time for it.
    pub(super) fn next(&self, now: Instant) -> (Request, Instant) {
        let spaced = self.began[0].map(|began| began + WINDOW);
        let at = now.max(self.not_before.unwrap_or(now)).max(spaced.unwrap_or(now));
        let is_list = self.list_is_due
            || self.failures >= FAILURES_BEFORE_LIST
            || self.confirmed.is_none_or(|confirmed| at.duration_since(confirmed) >= SILENCE_LIMIT);
        (if is_list { Request::List } else { Request::Watch }, at)
    }

    pub(super) fn began(&mut self, now: Instant) {
        self.began = [self.began[1], Some(now)];
    }

    /// A list is wanted although nothing failed.
    pub(super) fn plan_list(&mut self) {
        self.list_is_due = true;
    }

    /// A complete list was read.
    pub(super) fn listed(&mut self, now: Instant) {
        self.confirmed = Some(now);
        self.list_is_due = false;
        self.failures = 0;
        self.not_before = None;
    }

    /// The watch delivered an event or a bookmark.
    pub(super) fn delivered(&mut self, now: Instant) {
        self.confirmed = Some(now);
        self.failures = 0;
        self.backoff = 0;
        self.expired = false;
        self.not_before = None;
    }

    /// A request failed. `jitter` is a random number from 0 to 1.
    pub(super) fn failed(&mut self, cause: Cause, now: Instant, jitter: f64) {
        self.failures += 1;
        self.backoff += 1;
        self.list_is_due = cause == Cause::Expired;
        let delay = match cause {
            Cause::Unreachable | Cause::Ended => self.delay(MAX_DELAY_UNREACHABLE),
            Cause::Refused | Cause::NoKind => self.delay(MAX_DELAY_REFUSED),
            Cause::Expired if !self.expired => Duration::ZERO,
            Cause::Expired => self.delay(MAX_DELAY_REFUSED),
            Cause::Throttled(asked) => {
                asked.clamp(self.delay(MAX_DELAY_REFUSED), MAX_THROTTLE.max(MAX_DELAY_REFUSED))
            }
        };
        self.expired |= cause == Cause::Expired;
        // Replicas that lost the same server must not return to it at the same moment.
        self.not_before = Some(now + delay.mul_f64(1.0 + 0.25 * jitter.clamp(0.0, 1.0)));
    }

    /// Whether this is one failed request of a target that is known to be fresh: a connection that
    /// a server or proxy closed in passing.
    pub(super) fn is_passing(&self, cause: Cause, now: Instant) -> bool {
        let is_fresh =
            self.confirmed.is_some_and(|confirmed| now.duration_since(confirmed) < SILENCE_LIMIT);
        let broke = match cause {
            Cause::Unreachable | Cause::Ended => true,
            Cause::Refused | Cause::NoKind | Cause::Expired | Cause::Throttled(_) => false,
        };
        is_fresh && broke && self.backoff == 1
    }

    /// When a watch that stays silent is abandoned.
    pub(super) fn silent_at(&self, now: Instant) -> Instant {
        self.confirmed.unwrap_or(now) + SILENCE_LIMIT
    }

    fn delay(&self, limit: Duration) -> Duration {
        MIN_DELAY.saturating_mul(1 << (self.backoff.clamp(1, 10) - 1)).min(limit)
    }
}

#[cfg(test)]
mod tests;
