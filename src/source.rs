//! Facts in: one complete world of offers, agent ids and the public URL, and how old it is.

pub(crate) mod cluster;
pub(crate) mod files;
mod lossless_json;
mod manifest;
mod selector;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::core::Selector;
use serde::Serialize;
use tokio::time::Instant;

pub(crate) use self::{manifest::parse_yaml, selector::parse_selector};
use crate::{
    offer::{OfferId, Offers, Origin},
    registration::Identity,
};

/// Everything that documents are made from, besides the clock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct World {
    /// Every offer seen.
    pub(crate) offers: Arc<Offers>,
    /// The agent's ids.
    pub(crate) identity: Arc<Identity>,
    /// The origin of all published URLs.
    pub(crate) public_url: Origin,
}

/// What a source knows now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observation {
    /// The last complete world, once there was one.
    pub(crate) world: Option<World>,
    /// What keeps the first world from being complete.
    pub(crate) missing: Vec<SourceProblem>,
    /// What is wrong besides, and what was kept because of it.
    pub(crate) problems: Vec<SourceProblem>,
}

/// Something an operator should know that belongs to no single offer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct SourceProblem {
    /// One word for machines, such as `BrokenFile`.
    pub(crate) code: &'static str,
    /// What it is about: a file, an object, a kind.
    pub(crate) about: String,
    /// What is the case and what to do about it.
    pub(crate) message: String,
}

/// Which objects exist for us.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// Namespaces of offers; all when empty.
    pub(crate) namespaces: BTreeSet<String>,
    /// Labels of offers; all when `None`.
    pub(crate) selector: Option<Selector>,
    /// The AgentIdentity that names the agent's ids; none when `None`.
    pub(crate) identity: Option<OfferId>,
}

/// When the source last spoke and when it was last whole, for readiness pages and metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceHealth(Arc<Mutex<Times>>);

#[derive(Debug, Default)]
struct Times {
    responded: Option<Instant>,
    complete: Option<Instant>,
}

impl SourceHealth {
    /// The source gave an answer of any use.
    pub(crate) fn responded(&self) {
        self.times(|times| times.responded = Some(Instant::now()));
    }

    /// Everything that documents are made from was seen as it stood at `instant`.
    pub(crate) fn complete_at(&self, instant: Instant) {
        self.times(|times| times.complete = times.complete.max(Some(instant)));
    }

    /// How long ago the source last responded.
    pub(crate) fn since_response(&self) -> Option<Duration> {
        self.times(|times| times.responded).map(|at| at.elapsed())
    }

    /// How long ago the source was last whole.
    pub(crate) fn since_complete(&self) -> Option<Duration> {
        self.times(|times| times.complete).map(|at| at.elapsed())
    }

    fn times<T>(&self, act: impl FnOnce(&mut Times) -> T) -> T {
        // Two plain values: a panic between them leaves nothing half-done.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SourceProblem {
    /// A problem from its parts.
    pub(crate) fn new(
        code: &'static str,
        about: impl fmt::Display,
        message: impl Into<String>,
    ) -> Self {
        Self { code, about: about.to_string(), message: message.into() }
    }
}

impl fmt::Display for SourceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.code, self.about, self.message)
    }
}

/// The problems of an AgentIdentity, as problems of the source.
fn identity_problems(scope: &Scope, identity: &Identity) -> Vec<SourceProblem> {
    let about =
        scope.identity.iter().map(|id| format!("AgentIdentity {id}")).next().unwrap_or_default();
    identity
        .problems
        .iter()
        .map(|problem| SourceProblem::new(problem.code(), &about, problem.to_string()))
        .collect()
}
