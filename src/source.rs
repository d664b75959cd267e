//! Sources of offers, agent ids and the public URL: a cluster or manifest files.

pub(crate) mod brake;
pub(crate) mod cluster;
pub(crate) mod files;
mod lossless_json;
mod manifest;
mod passed_over;
mod problem;
mod selector;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kube::core::Selector;
use tokio::{sync::Notify, time::Instant};

use self::problem::identity_problems;
pub(crate) use self::{
    manifest::parse_yaml,
    passed_over::HiddenBy,
    problem::{SourceProblem, SourceProblemCode},
    selector::parse_selector,
};
use crate::{
    offer::{OfferId, Offers, Origin},
    registration::{Identity, chains::KnownRegistries},
};

/// The complete input of documents, except for the time.
// `Eq` of everything in it makes comparing two `Arc`s of the same value free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) offers: Arc<Offers>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) public_url: Origin,
}

/// What a source knows at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observation {
    /// The last complete world; `None` until everything has been read once.
    pub(crate) world: Option<World>,
    /// Why there is no complete world yet. Empty once there was one.
    pub(crate) missing: Vec<SourceProblem>,
    /// Everything that is wrong with the source. The last complete world remains published.
    pub(crate) problems: Vec<SourceProblem>,
    /// How many lost offers the shrink brake keeps published; 0 unless it is engaged.
    pub(crate) held_offers: usize,
}

/// Which objects of a source are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// The namespaces of offers; all if empty.
    pub(crate) namespaces: BTreeSet<String>,
    /// The labels of offers; any if `None`.
    pub(crate) selector: Option<Selector>,
    /// The AgentIdentity with the agent's ids, if one is used.
    pub(crate) identity: Option<OfferId>,
    /// The registries that the AgentIdentity may name.
    pub(crate) registries: KnownRegistries,
}

impl Scope {
    /// The namespaces whose offers are asked for one by one; `None` stands for all at once.
    pub(crate) fn asked_namespaces(&self) -> Vec<Option<&str>> {
        match self.namespaces.is_empty() {
            true => vec![None],
            false => self.namespaces.iter().map(|name| Some(name.as_str())).collect(),
        }
    }
}

/// A dead watch is detected within this time. Facts that are older are reported as stale.
pub(crate) const FRESH_LIMIT: Duration = Duration::from_secs(35);

/// When a source last responded and when it was last read completely, for readiness and metrics.
#[derive(Clone, Debug)]
pub(crate) struct SourceHealth(Arc<Health>);

#[derive(Debug)]
struct Health {
    began: Instant,
    /// One more than the nanoseconds from the beginning until the last complete reading; 0 before the
    /// first. Every request looks at it, and a lock would make threads wait for each other.
    complete: AtomicU64,
    times: Mutex<Times>,
}

impl Default for SourceHealth {
    fn default() -> Self {
        let (complete, times) = (AtomicU64::default(), Mutex::default());
        Self(Arc::new(Health { began: Instant::now(), complete, times }))
    }
}

#[derive(Debug, Default)]
struct Times {
    responded: Option<Instant>,
    /// When each part of the source last confirmed what is known of it.
    parts: BTreeMap<String, Instant>,
}

/// An operator's order to release the shrink brake of a running source.
#[derive(Clone, Debug, Default)]
pub(crate) struct BrakeRelease(Arc<Notify>);

impl BrakeRelease {
    pub(crate) fn order(&self) {
        self.0.notify_one();
    }

    /// Waits for the next order. A source waits at all times, so that no order is left over for a
    /// later loss.
    pub(crate) async fn ordered(&self) {
        self.0.notified().await;
    }
}

impl SourceHealth {
    /// Records that the source responded with success.
    pub(crate) fn responded(&self) {
        self.times(|times| times.responded = Some(Instant::now()));
    }

    /// Records that everything known is at least as recent as `instant`.
    pub(crate) fn complete_at(&self, instant: Instant) {
        let nanos = instant.saturating_duration_since(self.0.began).as_nanos();
        let after = u64::try_from(nanos).unwrap_or(u64::MAX).saturating_add(1);
        self.0.complete.fetch_max(after, Ordering::Relaxed);
    }

    /// Records that what is known of one part of the source was confirmed at `instant`.
    pub(crate) fn confirmed(&self, part: impl fmt::Display, instant: Instant) {
        self.times(|times| {
            times.responded = times.responded.max(Some(instant));
            times.parts.insert(part.to_string(), instant);
        });
    }

    /// One problem for each part of the source that was not confirmed for longer than
    /// [`FRESH_LIMIT`].
    pub(crate) fn stale_parts(&self) -> Vec<SourceProblem> {
        let parts = self.times(|times| times.parts.clone());
        let aged = parts.into_iter().map(|(part, at)| (part, at.elapsed()));
        aged.filter(|(_, age)| *age > FRESH_LIMIT)
            .map(|(part, age)| {
                let message = format!(
                    "What is published was last confirmed {} s ago. Check the connection to the \
                     source and its access rights.",
                    age.as_secs()
                );
                SourceProblem::new(SourceProblemCode::StaleSource, part, message)
            })
            .collect()
    }

    pub(crate) fn since_response(&self) -> Option<Duration> {
        self.times(|times| times.responded).map(|at| at.elapsed())
    }

    /// The age of the last complete reading at `now`.
    pub(crate) fn since_complete(&self, now: Instant) -> Option<Duration> {
        let nanos = self.0.complete.load(Ordering::Relaxed).checked_sub(1)?;
        Some(now.saturating_duration_since(self.0.began + Duration::from_nanos(nanos)))
    }

    fn times<T>(&self, act: impl FnOnce(&mut Times) -> T) -> T {
        // Both values are set independently, so a poisoned lock holds no broken state.
        act(&mut self.0.times.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
