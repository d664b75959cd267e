//! The source and the publisher as tasks: what `serve` and `anchor run` have in common.

use std::{sync::Arc, thread};

use anyhow::Context;
use futures::FutureExt;
use tokio::{
    sync::{broadcast, oneshot, watch},
    task::JoinSet,
};

use super::supervise::{Ended, supervised};
use crate::{
    catalog::CurrentCatalog,
    cli::{OfferConfig, OfferSource},
    clock::Clock,
    publish::{self, Step},
    registration::{OnChainFacts, PublishedAgents},
    source::{
        BrakeRelease, Observation, SourceHealth,
        cluster::{self, ClusterSettings, SourceOutputs},
        files::{self, Manifests},
    },
    telemetry::Metrics,
};

/// A running source and publisher, as seen by listeners and by anchoring.
pub(super) struct Pipeline {
    pub(super) catalog: CurrentCatalog,
    pub(super) observed: watch::Receiver<Observation>,
    pub(super) steps: broadcast::Receiver<Arc<Step>>,
    pub(super) agents: watch::Receiver<Option<Arc<PublishedAgents>>>,
    pub(super) on_chain: watch::Sender<OnChainFacts>,
    pub(super) health: SourceHealth,
    pub(super) release: BrakeRelease,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
}

/// Starts the source and the publisher. `remembered` is what is known of the chain already, so that
/// the first documents have the ids of those before.
///
/// Fails if the manifests' path cannot be read or the kubeconfig cannot be used. A source that
/// fails later is retried forever.
pub(super) async fn start_pipeline(
    offers: OfferConfig,
    remembered: OnChainFacts,
    tasks: &mut JoinSet<Ended>,
) -> anyhow::Result<Pipeline> {
    let (observed_sender, observed) = watch::channel(Observation::default());
    let outputs = publish::Outputs::new();
    let (catalog, agents) = (outputs.catalog.clone(), outputs.agents.subscribe());
    let steps = outputs.steps.subscribe();
    let (on_chain, on_chain_receiver) = watch::channel(remembered);
    let (metrics, health, clock) = (Metrics::new(), SourceHealth::default(), Clock::system());
    let release = BrakeRelease::default();
    match offers.source {
        OfferSource::Files { root, public_url } => {
            let public_url = public_url.context("--public-url is required with --offers")?;
            let mut manifests = Manifests::new(&root, offers.scope, public_url);
            manifests.read(tokio::time::Instant::now())?;
            let watched = files::watch(manifests, observed_sender, health.clone(), release.clone());
            let watched = watched.map(|()| "the file watch ended".to_owned());
            tasks.spawn(supervised("source", watched));
        }
        OfferSource::Cluster { access, public_url, resync } => {
            cluster::connect(&access).await?;
            let settings = ClusterSettings { access, scope: offers.scope, public_url, resync };
            let outputs = SourceOutputs {
                observed: observed_sender,
                health: health.clone(),
                metrics: metrics.clone(),
                release: release.clone(),
            };
            let watched = on_own_thread("source", cluster::watch(settings, outputs))?;
            let watched =
                watched.map(|ended| ended.unwrap_or_else(|_| "its thread panicked".to_owned()));
            tasks.spawn(supervised("source", watched));
        }
    }
    let published = publish::run(
        observed.clone(),
        on_chain_receiver,
        offers.rules,
        clock,
        outputs,
        metrics.clone(),
    );
    let published = on_own_thread("publisher", published)?.map(|ended| match ended {
        Ok(()) => "the source ended".to_owned(),
        Err(_) => "its thread panicked".to_owned(),
    });
    tasks.spawn(supervised("publisher", published));
    Ok(Pipeline { catalog, steps, observed, agents, on_chain, health, release, metrics, clock })
}

/// Runs what may take its time where no request waits for it. The receiver gets its result, and
/// fails if it panicked.
pub(super) fn on_own_thread<T: Send + 'static>(
    name: &str,
    task: impl Future<Output = T> + Send + 'static,
) -> anyhow::Result<oneshot::Receiver<T>> {
    let (ended, end) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || {
        // The supervisor may have gone first.
        let _ = ended.send(runtime.block_on(task));
    };
    thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(end)
}
