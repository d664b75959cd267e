//! Publishes a catalog whenever the world or the clock changes what it says.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{
    catalog::{Catalog, Shared},
    clock::Clock,
    registration::{OnChainFacts, PublishedAgents, Rules, project},
    source::Observation,
    telemetry::Metrics,
};

/// The wall clock may be stepped while a timer sleeps, so the clock is read at least this often.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// What the publisher publishes: documents for `http`, and what anchoring needs to know of them.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) catalog: watch::Sender<Shared>,
    /// `None` before the first complete world.
    pub(crate) agents: watch::Sender<Option<Arc<PublishedAgents>>>,
}

/// Republishes on every change of the world or of the facts from the chain, and when a drain ends.
/// Returns when the sender of `world` is dropped.
pub(crate) async fn run(
    mut world: watch::Receiver<Observation>,
    mut on_chain: watch::Receiver<OnChainFacts>,
    rules: Rules,
    clock: Clock,
    outputs: Outputs,
    metrics: Metrics,
) {
    loop {
        let facts = on_chain.borrow_and_update().clone();
        let next = publish(&world.borrow_and_update().clone(), &facts, &rules, clock, &outputs);
        metrics.heartbeat();
        let sleep = tokio::time::sleep_until(Instant::now() + next);
        tokio::select! {
            changed = world.changed() => if changed.is_err() { return },
            // Anchoring may end; the last facts remain in use.
            Ok(()) = on_chain.changed() => {}
            () = sleep => {}
        }
    }
}

/// Publishes the catalog of this instant. Returns how long it is valid, 30 s at most.
fn publish(
    observed: &Observation,
    on_chain: &OnChainFacts,
    rules: &Rules,
    clock: Clock,
    outputs: &Outputs,
) -> Duration {
    let Some(world) = &observed.world else { return MAX_SLEEP };
    let now = clock.now();
    let identity = &world.identity.registrations;
    let projection = project(&world.offers, &on_chain.ids(identity), &world.public_url, rules, now);
    let next_change = projection.next_change;
    let agents = PublishedAgents::new(&projection, &world.public_url, identity);
    outputs.agents.send_if_modified(|last| {
        let is_news = last.as_deref() != Some(&agents);
        if is_news {
            *last = Some(Arc::new(agents));
        }
        is_news
    });
    let last = outputs.catalog.borrow().clone();
    let built = Catalog::new(projection, &world.public_url, on_chain, last.as_deref(), now);
    if last.is_none() {
        tracing::info!(
            offers.seen = built.explanations.len(),
            "Published the first complete world"
        );
    }
    outputs.catalog.send_replace(Some(Arc::new(built)));
    // If the instant has passed, republish now; this cannot spin because `project` always advances.
    let until = next_change.map(|next| (next - clock.now()).to_std().unwrap_or_default());
    until.map_or(MAX_SLEEP, |until| until.min(MAX_SLEEP))
}

#[cfg(test)]
mod tests;
