//! Publishes a catalog whenever the world or the clock changes what it says.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{
    catalog::{Catalog, Shared},
    clock::Clock,
    registration::{OnChainFacts, Rules, project},
    source::Observation,
    telemetry::Metrics,
};

/// The wall clock may be stepped while a timer sleeps, so the clock is read at least this often.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// Republishes on every change of the world or of the learned ids, and when a drain ends. Returns
/// when the sender of `world` is dropped.
pub(crate) async fn run(
    mut world: watch::Receiver<Observation>,
    mut learned: watch::Receiver<OnChainFacts>,
    rules: Rules,
    clock: Clock,
    catalog: watch::Sender<Shared>,
    metrics: Metrics,
) {
    loop {
        let ids = learned.borrow_and_update().clone();
        let next = publish(&world.borrow_and_update().clone(), &ids, &rules, clock, &catalog);
        metrics.heartbeat();
        let sleep = tokio::time::sleep_until(Instant::now() + next);
        tokio::select! {
            changed = world.changed() => if changed.is_err() { return },
            // Anchoring may end; the ids that it has learned remain published.
            Ok(()) = learned.changed() => {}
            () = sleep => {}
        }
    }
}

/// Publishes the catalog of this instant. Returns how long it is valid, 30 s at most.
fn publish(
    observed: &Observation,
    learned: &OnChainFacts,
    rules: &Rules,
    clock: Clock,
    catalog: &watch::Sender<Shared>,
) -> Duration {
    let Some(world) = &observed.world else { return MAX_SLEEP };
    let now = clock.now();
    let ids = learned.ids(&world.identity.registrations);
    let projection = project(&world.offers, &ids, &world.public_url, rules, now);
    let next_change = projection.next_change;
    let last = catalog.borrow().clone();
    let built = Catalog::new(
        projection,
        &world.public_url,
        &world.identity.registrations,
        learned,
        last.as_deref(),
        now,
    );
    if last.is_none() {
        tracing::info!(
            offers.seen = built.explanations.len(),
            "Published the first complete world"
        );
    }
    catalog.send_replace(Some(Arc::new(built)));
    let until = next_change.and_then(|next| (next - clock.now()).to_std().ok());
    // If the instant has passed, republish now; this cannot spin because `project` always advances.
    next_change.map_or(MAX_SLEEP, |_| until.unwrap_or_default().min(MAX_SLEEP))
}

#[cfg(test)]
mod tests;
