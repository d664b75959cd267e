//! Publishes a catalog whenever the world or the clock changes what it says.
//!
//! Deciding and rendering happen here, on a thread of their own, and never in a request.

mod clock_watch;
mod rebuild;
mod step;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use self::{clock_watch::ClockWatch, step::Publisher};
use crate::{
    catalog::CurrentCatalog,
    clock::Clock,
    offer::{Origin, Timestamp},
    registration::{Explanation, OnChainFacts, PublishedAgents, Rules, Transition},
    source::Observation,
    telemetry::Metrics,
};

/// The publisher wakes at least this often, to notice a clock that was stepped.
const MAX_SLEEP: Duration = Duration::from_secs(1);

/// How many steps a slow receiver of transitions may lag behind.
const STEPS_KEPT: usize = 1_024;

/// What the publisher publishes: documents for `http`, what anchoring needs to know of them, and
/// what became of which offer.
#[derive(Clone, Debug)]
pub(crate) struct Outputs {
    pub(crate) catalog: CurrentCatalog,
    /// `None` before the first complete world.
    pub(crate) agents: watch::Sender<Option<Arc<PublishedAgents>>>,
    /// Subscribe before reading the catalog, then read the catalog: its state and the steps that
    /// arrive afterwards are complete. A step may already be in the catalog. The first complete
    /// world is not a step. A receiver that lags gets `RecvError::Lagged`; the catalog shows what it
    /// missed.
    pub(crate) steps: broadcast::Sender<Arc<Step>>,
}

/// One publication that changed the state of offers, or why they are refused.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// When it was published.
    pub(crate) at: Timestamp,
    /// The origin of document URLs: `<public URL>/offers/<id>/agent-registration.json`.
    pub(crate) public_url: Origin,
    /// By offer.
    pub(crate) transitions: Vec<Transition>,
    /// The offers that are refused for another reason than before. A step has at least one of either.
    pub(crate) refused: Vec<Explanation>,
}

impl Outputs {
    pub(crate) fn new() -> Self {
        Self {
            catalog: CurrentCatalog::default(),
            agents: watch::Sender::new(None),
            steps: broadcast::Sender::new(STEPS_KEPT),
        }
    }
}

/// Republishes on every change of the world or of the facts from the chain, when a drain ends, and
/// when a reader finds that the catalog does not hold. Returns when the sender of `world` is
/// dropped.
pub(crate) async fn run(
    mut world: watch::Receiver<Observation>,
    mut on_chain: watch::Receiver<OnChainFacts>,
    rules: Rules,
    clock: Clock,
    outputs: Outputs,
    metrics: Metrics,
) {
    let wanted = outputs.catalog.clone();
    let mut clock_watch = ClockWatch::new(clock.now(), Instant::now());
    let mut publisher = Publisher::new(rules, clock, outputs, metrics.clone());
    loop {
        if clock_watch.was_stepped(clock.now(), Instant::now()) {
            metrics.clock_stepped();
            tracing::warn!("The wall clock was stepped, or the machine was suspended");
        }
        let facts = on_chain.borrow_and_update().clone();
        let observed = world.borrow_and_update().world.clone();
        if let Some(observed) = observed {
            publisher.publish(observed, facts);
        }
        if !world.has_changed().unwrap_or(true) {
            publisher.prepare();
        }
        metrics.heartbeat();
        let next = publisher.next_change().map(|next| (next - clock.now()).to_std());
        // If the instant has passed, go on at once; this cannot spin because a step always advances.
        let sleep = next.map_or(MAX_SLEEP, |next| next.unwrap_or_default().min(MAX_SLEEP));
        let sleep = tokio::time::sleep_until(Instant::now() + sleep);
        tokio::select! {
            changed = world.changed() => if changed.is_err() { return },
            // Anchoring may end; the last facts remain in use.
            Ok(()) = on_chain.changed() => {}
            () = wanted.wanted() => {}
            () = sleep => {}
        }
    }
}

#[cfg(test)]
mod tests;
