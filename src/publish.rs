//! World and calendar in, published catalog out.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{
    catalog::{Catalog, Shared},
    clock::Clock,
    registration::{OnChainFacts, Rules, project},
    source::Observation,
    telemetry::Metrics,
};

/// The wall clock may be stepped while a timer sleeps, so every sleep is short and the calendar is read again.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Publishes a new catalog whenever the world or the calendar changes. Ends when the source does.
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
            // Whoever learns ids may end; what it learned stays.
            Ok(()) = learned.changed() => {}
            () = sleep => {}
        }
    }
}

/// Publishes what is true now and says how long at most to wait before asking again.
fn publish(
    observed: &Observation,
    learned: &OnChainFacts,
    rules: &Rules,
    clock: Clock,
    catalog: &watch::Sender<Shared>,
) -> Duration {
    let Some(world) = &observed.world else { return LONGEST_SLEEP };
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
            "The first complete world is published"
        );
    }
    catalog.send_replace(Some(Arc::new(built)));
    let until = next_change.and_then(|next| (next - clock.now()).to_std().ok());
    // An instant that has passed meanwhile is due at once; never a nap of zero in a loop, since `project` moves past it.
    next_change.map_or(LONGEST_SLEEP, |_| until.unwrap_or_default().min(LONGEST_SLEEP))
}

#[cfg(test)]
mod tests;
