//! The loop: one decision for each chain at each interval, over one journal.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::{
    account::{AccountKey, AccountState},
    desired::AnchorPolicy,
    evidence::Accounts,
    evm::{ScanObserver, ScanProgress},
    journal::{JournalError, SharedJournal},
    reason::{AnchorReason, Attention},
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

/// Why anchoring over one open journal ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    #[error("the publisher ended")]
    PublisherEnded,
    /// It cannot be written any more, or was changed by another process.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Anchoring {
    /// Closes a journal that was anchored over, so that it can be opened anew.
    pub(crate) fn close_journal(&mut self) {
        self.targets
            .iter_mut()
            .for_each(|target| target.histories.observe(ScanObserver::default()));
    }
}

/// Anchors until the journal can no longer be written or nothing is published any more. May be
/// dropped at any point: what was signed is recorded before it is sent.
///
/// [`Anchoring::close_journal`] is to be called afterwards.
pub(crate) async fn run(
    anchoring: &mut Anchoring,
    sources: Sources,
    journal: SharedJournal,
) -> Halt {
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
) -> Halt {
    reconciler.begin(target, Some(sources.metrics.clone())).await;
    loop {
        let published = sources.published.borrow_and_update().clone();
        // What should be on chain is unknown before the first complete world.
        let Some(published) = published else {
            if sources.published.changed().await.is_err() {
                return Halt::PublisherEnded;
            }
            continue;
        };
        match reconciler.reconcile(target, &published).await {
            Ok(state) => {
                sources.metrics.anchored(&chain_stats(&state, target));
                sources.metrics.endpoints_answered(&caip2(target), &target.client.health());
            }
            Err(error) => return error.into(),
        }
        tokio::time::sleep(interval).await;
    }
}

/// Decides and acts once on each chain; again at once where a nonce has become final. Returns
/// whether any agent needs a person or another decision.
pub(crate) async fn run_once(
    anchoring: &mut Anchoring,
    published: &PublishedAgents,
    journal: &SharedJournal,
    clock: Clock,
) -> Result<Attention, JournalError> {
    let Anchoring { targets, policy, accounts, signer, interval: _ } = anchoring;
    let reconciler = Reconciler { policy, accounts, signer, journal, clock };
    let mut attention = Attention::None;
    for target in targets {
        reconciler.begin(target, None).await;
        let state = reconciler.reconcile(target, published).await?;
        attention = attention.max(state.attention());
    }
    Ok(attention)
}

impl Reconciler<'_> {
    /// Continues where the journal says that reading the chain stopped, and keeps it informed.
    async fn begin(&self, target: &mut ChainTarget, metrics: Option<Metrics>) {
        let key = AccountKey { registry: target.client.registry, account: self.accounts.current };
        let reading = self.journal.reading(&key).await;
        target.resume(&reading, recorder(self.journal.clone(), key, metrics));
    }

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
            journal.resume_as_asked().await?;
            let now = clock.now();
            let intent = Intent { policy, accounts, published, now };
            let prepared = target.prepare(journal.recall(&key).await, intent).await;
            let is_final_release = prepared.is_final_release();
            let failures = target.client.failures().collect();
            journal.note_reading(key, target.snapshots.saved(), failures).await?;
            let state = execute(prepared, target, signer, journal, now).await?;
            if !is_final_release {
                return Ok(state);
            }
        }
    }
}

/// Records the progress of event scans in the journal, the log and the metrics.
fn recorder(journal: SharedJournal, key: AccountKey, metrics: Option<Metrics>) -> ScanObserver {
    let logged = Arc::new(AtomicU64::new(0));
    ScanObserver::new(move |progress| {
        let (journal, metrics, logged) = (journal.clone(), metrics.clone(), Arc::clone(&logged));
        Box::pin(async move {
            let chain_id = key.registry.chain_id;
            let ScanProgress { endpoint, scan } = progress;
            let (read, target) = (scan.last.number, scan.target);
            if let Some(metrics) = metrics {
                metrics.history_read(&format!("eip155:{chain_id}"), target.saturating_sub(read));
            }
            let percent = scan.percent();
            // A scan may take an hour: a line for each twentieth is enough.
            if !scan.is_done()
                && (percent / 5 + 1 != logged.swap(percent / 5 + 1, Ordering::Relaxed))
            {
                tracing::info!(
                    chain.id = chain_id,
                    "Reading the event history at {endpoint}: block {read} of {target} ({percent} %)"
                );
            }
            if let Err(error) = journal.note_scan(key, endpoint, scan).await {
                tracing::warn!(
                    "The progress of reading events is not saved: {}",
                    with_causes(&error)
                );
            }
        })
    })
}

/// The chain's CAIP-2 id.
fn caip2(target: &ChainTarget) -> String {
    format!("eip155:{}", target.client.registry.chain_id)
}

/// An account's state in numbers, for metrics.
fn chain_stats(state: &AccountState, target: &ChainTarget) -> ChainStats {
    let count =
        |reason: AnchorReason| state.agents.values().filter(|agent| agent.reason == reason).count();
    ChainStats {
        chain: caip2(target),
        reasons: AnchorReason::ALL.iter().map(|reason| (reason.as_str(), count(*reason))).collect(),
        days_of_funds: target.limits.days_of(state.balance),
        foreign_nonces: state.foreign_nonces,
        duplicate_mints: target.duplicates,
        settled_nonces: state.final_count,
        endpoints: target.client.endpoints.len(),
    }
}
