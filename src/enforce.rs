//! Ends drains in the cluster: deletes the routes of an offer whose drain has ended, and sets its
//! conditions, as the original's controller does.
//!
//! Everything here can be repeated, and can be done by two processes at once.

mod children;
mod teardown;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use kube::Client;
use tokio::{
    sync::{OnceCell, watch},
    time::Instant,
};

pub(crate) use self::children::GRANTS_NAMESPACE;
use self::teardown::{EndedOffer, drain_end};
use crate::{
    clock::Clock,
    error_chain::with_causes,
    offer::{OfferId, Offers, ParsedOffer, Timestamp},
    source::{
        Observation,
        cluster::{Access, AccessError, apply_status, connect, offers_api, read_offer},
    },
    telemetry::Metrics,
};

/// The field manager of the conditions.
const FIELD_MANAGER: &str = "erc8004-registrar-drains";
/// How often the clock is compared with the ends of drains. It bounds the delay after an end.
const TICK: Duration = Duration::from_millis(250);
/// After a failure, an offer is tried again this much later, and twice as late after each further
/// one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// An offer that is drained is looked at again this often, in case its routes came back without a
/// change of the offer.
const RECHECK: Duration = Duration::from_secs(600);
/// How long one offer may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How many offers are worked on at once.
const AT_ONCE: usize = 8;

/// What enforcement reads and reports to.
#[derive(Clone, Debug)]
pub(crate) struct Enforcement {
    pub(crate) access: Access,
    pub(crate) observed: watch::Receiver<Observation>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
}

/// Why the end of a drain could not be enforced.
#[derive(Debug, thiserror::Error)]
enum EnforceError {
    #[error("the API server cannot be used")]
    Access(#[from] AccessError),
    #[error("access is forbidden: apply deploy/rbac-enforcement.yaml ({0})")]
    Forbidden(String),
    #[error("the API server did not do it")]
    Request(#[source] kube::Error),
    #[error("it was changed at the same time by someone else")]
    Conflict,
    #[error("the API server did not answer within {} s", LIMIT.as_secs())]
    Timeout,
}

impl From<kube::Error> for EnforceError {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = &error {
            match status.code {
                403 => return Self::Forbidden(status.message.clone()),
                409 => return Self::Conflict,
                _ => {}
            }
        }
        Self::Request(error)
    }
}

/// What was done last about an offer that is drained.
#[derive(Debug)]
struct Attempt {
    /// What was known of the offer then.
    offer: Arc<ParsedOffer>,
    next: Instant,
    failures: u32,
}

/// Enforces the end of every drain that the source shows. Never returns.
pub(crate) async fn run(enforcement: Enforcement) -> String {
    let Enforcement { access, mut observed, clock, metrics } = enforcement;
    let mut attempts: BTreeMap<OfferId, Attempt> = BTreeMap::new();
    // Dropped after a failure, so that credentials are read from disk again.
    let mut client: Option<Client> = None;
    loop {
        let world = observed.borrow_and_update().world.clone();
        let due = world.map(|world| due(&world.offers, &mut attempts, clock.now()));
        // One client for all offers of a pass.
        let shared = OnceCell::new_with(client.take());
        let mut results = stream::iter(due.unwrap_or_default())
            .map(|(id, offer)| {
                let (access, shared) = (&access, &shared);
                async move {
                    let enforced = enforce(access, shared, &id, clock);
                    let result = tokio::time::timeout(LIMIT, enforced).await;
                    (id, offer, result.unwrap_or(Err(EnforceError::Timeout)))
                }
            })
            .buffer_unordered(AT_ONCE);
        let mut any_failed = false;
        while let Some((id, offer, result)) = results.next().await {
            any_failed |= result.is_err();
            settle(&mut attempts, id, offer, result, &metrics);
        }
        drop(results);
        client = shared.into_inner().filter(|_| !any_failed);
        tokio::time::sleep(TICK).await;
    }
}

/// The offers whose drain has ended and that have to be looked at now. Forgets those that drain no
/// longer.
fn due(
    offers: &Offers,
    attempts: &mut BTreeMap<OfferId, Attempt>,
    now: Timestamp,
) -> Vec<(OfferId, Arc<ParsedOffer>)> {
    let has_ended = |offer: &ParsedOffer| drain_end(offer).is_some_and(|end| end <= now);
    attempts.retain(|id, _| offers.get(id).is_some_and(|offer| has_ended(offer)));
    let ended = offers.iter().filter(|(_, offer)| has_ended(offer));
    ended
        .filter(|(id, offer)| match attempts.get(id) {
            None => true,
            Some(last) => Instant::now() >= last.next || last.offer != **offer,
        })
        .map(|(id, offer)| (id.clone(), Arc::clone(offer)))
        .collect()
}

/// Records the result of an attempt, and when to make the next one.
fn settle(
    attempts: &mut BTreeMap<OfferId, Attempt>,
    id: OfferId,
    offer: Arc<ParsedOffer>,
    result: Result<Done, EnforceError>,
    metrics: &Metrics,
) {
    let failures = attempts.get(&id).map_or(0, |last| last.failures);
    let (wait, failures) = match result {
        Ok(done) => {
            if done.deleted > 0 || done.status {
                metrics.drain_enforced(true);
                tracing::info!(
                    offer.namespace = %id.namespace, offer.name = %id.name,
                    deleted = done.deleted, conditions = done.status, "Ended a drain"
                );
            }
            (RECHECK, 0)
        }
        Err(error) => {
            metrics.drain_enforced(false);
            if failures == 0 {
                tracing::warn!(
                    offer.namespace = %id.namespace, offer.name = %id.name,
                    "The end of a drain could not be enforced and is tried again: {}", with_causes(&error)
                );
            }
            let wait = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures)).min(LAST_RETRY);
            (wait, failures.saturating_add(1))
        }
    };
    attempts.insert(id, Attempt { offer, next: Instant::now() + wait, failures });
}

/// What was changed.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    /// The number of objects that were deleted.
    deleted: usize,
    /// Whether conditions were written.
    status: bool,
}

/// Reads the offer as it is now, and does what remains to be done.
async fn enforce(
    access: &Access,
    client: &OnceCell<Client>,
    id: &OfferId,
    clock: Clock,
) -> Result<Done, EnforceError> {
    let client = client.get_or_try_init(|| connect(access)).await?;
    let object = read_offer(client, id).await?;
    let ended = object.and_then(|object| EndedOffer::of(id, &object, clock.now()));
    let mut done = Done::default();
    if let Some(ended) = ended {
        done.deleted = children::delete(client, &ended).await?;
        if let Some(status) = ended.status(clock.now()) {
            let api = offers_api(client.clone(), Some(&id.namespace));
            apply_status(&api, &id.name, FIELD_MANAGER, &status).await?;
            done.status = true;
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests;
