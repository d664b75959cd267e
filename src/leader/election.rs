//! When a replica takes, renews or gives up a Lease. Pure: times are what this process's own
//! monotonic clock showed, so neither a wrong wall clock nor another host's timestamps matter.

use std::time::Duration;

/// Another holder's own `leaseDurationSeconds` counts, within these bounds: an absurd value must
/// neither hand its Lease to everybody nor lock it for ever.
const HOLDER_DURATION: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long a Lease is held, and how often it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// After this time without a change, others may take the Lease.
    pub(crate) lease: Duration,
    /// The holder stops acting this long after the start of its last successful renewal. Shorter
    /// than `lease`, so that it has stopped before anybody else may start.
    pub(crate) deadline: Duration,
    /// The time between two renewals by the holder.
    pub(crate) renew: Duration,
    /// The time between two readings by the others. Short, so that a Lease that was released is
    /// taken at once.
    pub(crate) poll: Duration,
}

/// A successor acts at most `lease + poll` after its predecessor's last renewal: 10.5 s.
pub(crate) const TIMING: Timing = Timing {
    lease: Duration::from_secs(10),
    deadline: Duration::from_secs(7),
    renew: Duration::from_secs(2),
    poll: Duration::from_millis(500),
};

/// A Lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseRecord {
    /// `metadata.resourceVersion`, on which every write depends.
    pub(crate) version: String,
    /// The whole `spec` as text. Its holder changes it with every renewal.
    pub(crate) spec: String,
    /// `spec.holderIdentity`; `None` if nobody holds the Lease.
    pub(crate) holder: Option<String>,
    /// `spec.leaseDurationSeconds`.
    pub(crate) duration: Duration,
    /// `spec.leaseTransitions`.
    pub(crate) transitions: i64,
}

/// What to do about the Lease now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is none.
    Create,
    /// It is free, or its holder has been silent for too long.
    Take { version: String, transitions: i64 },
    /// We hold it.
    Renew { version: String, transitions: i64 },
    /// Somebody else holds it.
    Wait,
}

/// What one candidate remembers between two attempts.
#[derive(Clone, Debug)]
pub(crate) struct Election {
    /// Unique to this process: after a restart, a candidate is another one.
    identity: String,
    timing: Timing,
    /// The `spec` that was seen last, and when it was first seen.
    seen: Option<(String, Duration)>,
    /// Until when this process may act.
    leads_until: Option<Duration>,
}

impl Election {
    pub(crate) fn new(identity: String, timing: Timing) -> Self {
        Self { identity, timing, seen: None, leads_until: None }
    }

    /// Decides what to do about what was read. `now` is a monotonic time of this process.
    pub(crate) fn step(&mut self, read: Option<&LeaseRecord>, now: Duration) -> Step {
        let Some(record) = read else { return Step::Create };
        let (version, transitions) = (record.version.clone(), record.transitions);
        match record.holder.as_deref() {
            Some(holder) if holder == self.identity => Step::Renew { version, transitions },
            None => Step::Take { version, transitions },
            Some(_) => {
                // Whoever holds it, it is not us.
                self.leads_until = None;
                let first_seen = match &self.seen {
                    Some((seen, at)) if *seen == record.spec => *at,
                    Some(_) | None => now,
                };
                self.seen = Some((record.spec.clone(), first_seen));
                let duration = record.duration.clamp(HOLDER_DURATION.0, HOLDER_DURATION.1);
                match now.saturating_sub(first_seen) >= duration {
                    true => Step::Take { version, transitions },
                    false => Step::Wait,
                }
            }
        }
    }

    /// A write that began at `started` has made or kept this process the holder.
    pub(crate) fn holds_since(&mut self, started: Duration) {
        self.leads_until = Some(started + self.timing.deadline);
    }

    /// Whether this process may act at `now`.
    pub(crate) fn leads(&self, now: Duration) -> bool {
        self.leads_until(now).is_some()
    }

    /// When this process must stop acting unless it renews before; `None` if it may not act at
    /// `now`.
    pub(crate) fn leads_until(&self, now: Duration) -> Option<Duration> {
        self.leads_until.filter(|until| now < *until)
    }

    /// How long to wait after an attempt that began at `now`.
    pub(crate) fn rest(&self, now: Duration) -> Duration {
        if self.leads(now) { self.timing.renew } else { self.timing.poll }
    }

    /// How long an attempt at `now` may take after so many failures in a row.
    ///
    /// The leader's must leave time for a second one before its deadline. The others' is short at
    /// first: what they wait for on a dead connection, they do not see.
    pub(crate) fn patience(&self, now: Duration, failures: u32) -> Duration {
        let longest = self.timing.deadline / 2;
        let first = self.timing.poll * 2;
        if self.leads(now) {
            return longest;
        }
        first.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(longest)
    }

    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(crate) fn timing(&self) -> Timing {
        self.timing
    }
}

#[cfg(test)]
mod tests;
