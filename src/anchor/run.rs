//! The loop: one decision for each chain at each interval, over one journal.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    account::{AccountKey, AccountState},
    desired::AnchorPolicy,
    evidence::Accounts,
    journal::{JournalError, SharedJournal},
    reason::AnchorReason,
    reconcile::{ChainTarget, Intent, execute},
    signer::Signer,
};
use crate::{
    clock::Clock,
    error_chain::with_causes,
    registration::PublishedAgents,
    telemetry::{ChainStats, Metrics},
};

/// Everything that anchoring needs, checked.
#[derive(Debug)]
pub(crate) struct Anchoring {
    pub(crate) targets: Vec<ChainTarget>,
    pub(crate) policy: AnchorPolicy,
    pub(crate) accounts: Accounts,
    pub(crate) signer: Signer,
    /// How long to wait between two decisions on a chain.
    pub(crate) interval: Duration,
}

/// What the loop reads and counts.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// `None` before the first complete world.
    pub(crate) published: watch::Receiver<Option<Arc<PublishedAgents>>>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
}

/// The parts of [`Anchoring`] that all chains share.
#[derive(Clone, Copy)]
struct Reconciler<'a> {
    policy: &'a AnchorPolicy,
    accounts: &'a Accounts,
    signer: &'a Signer,
    journal: &'a SharedJournal,
    clock: Clock,
}

/// Anchors until the process ends. Returns only when the journal can no longer be written or
/// nothing is published any more, with the reason.
pub(crate) async fn run(
    anchoring: &mut Anchoring,
    sources: Sources,
    journal: SharedJournal,
) -> String {
    let Anchoring { targets, policy, accounts, signer, interval } = anchoring;
    let reconciler =
        Reconciler { policy, accounts, signer, journal: &journal, clock: sources.clock };
    let loops = targets
        .iter_mut()
        .map(|target| Box::pin(run_chain(target, reconciler, sources.clone(), *interval)));
    let (ended, _, _) = futures::future::select_all(loops).await;
    ended
}

async fn run_chain(
    target: &mut ChainTarget,
    reconciler: Reconciler<'_>,
    mut sources: Sources,
    interval: Duration,
) -> String {
    loop {
        let published = sources.published.borrow_and_update().clone();
        // What should be on chain is unknown before the first complete world.
        let Some(published) = published else {
            if sources.published.changed().await.is_err() {
                return "the publisher ended".to_owned();
            }
            continue;
        };
        match reconciler.reconcile(target, &published).await {
            Ok(state) => sources.metrics.anchored(&chain_stats(&state, target)),
            Err(error) => return with_causes(&error),
        }
        tokio::time::sleep(interval).await;
    }
}

/// Decides and acts once on each chain; again at once where a nonce has become final.
pub(crate) async fn run_once(
    anchoring: &mut Anchoring,
    published: &PublishedAgents,
    journal: &SharedJournal,
    clock: Clock,
) -> Result<(), JournalError> {
    let Anchoring { targets, policy, accounts, signer, interval: _ } = anchoring;
    let reconciler = Reconciler { policy, accounts, signer, journal, clock };
    for target in targets {
        reconciler.reconcile(target, published).await?;
    }
    Ok(())
}

impl Reconciler<'_> {
    /// Prepares and executes until no nonce has become final; returns the state after the last
    /// decision.
    async fn reconcile(
        &self,
        target: &mut ChainTarget,
        published: &PublishedAgents,
    ) -> Result<AccountState, JournalError> {
        let Self { policy, accounts, signer, journal, clock } = *self;
        let key = AccountKey { registry: target.client.registry, account: accounts.current };
        loop {
            let now = clock.now();
            let intent = Intent { policy, accounts, published, now };
            let prepared = target.prepare(journal.recall(&key).await, intent).await;
            let is_final_release = prepared.is_final_release();
            let state = execute(prepared, target, signer, journal, now).await?;
            if !is_final_release {
                return Ok(state);
            }
        }
    }
}

/// An account's state in numbers, for metrics.
fn chain_stats(state: &AccountState, target: &ChainTarget) -> ChainStats {
    let count =
        |reason: AnchorReason| state.agents.values().filter(|agent| agent.reason == reason).count();
    ChainStats {
        chain: format!("eip155:{}", target.client.registry.chain_id),
        reasons: AnchorReason::ALL.iter().map(|reason| (reason.as_str(), count(*reason))).collect(),
        days_of_funds: target.limits.days_of(state.balance),
        foreign_nonces: state.foreign_nonces,
        duplicate_mints: target.duplicates,
        settled_nonces: state.final_count,
        endpoints: target.client.endpoints.len(),
    }
}
