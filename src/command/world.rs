//! Facts in, pages out, as tasks: what `serve` and `anchor run` have in common.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use anyhow::{Context, anyhow};
use futures::FutureExt;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    catalog::Shared,
    cli::{OfferConfig, OfferSource},
    clock::Clock,
    publish,
    registration::{OnChainFacts, PublishedAgents},
    source::{
        Observation, SourceHealth, cluster,
        files::{self, Manifests},
    },
    telemetry::Metrics,
};

/// A long-lived task that ended: its name and how.
pub(super) type Ended = (&'static str, String);

/// A world that is watched and published.
pub(super) struct WatchedWorld {
    pub(super) catalog: watch::Receiver<Shared>,
    pub(super) observed: watch::Receiver<Observation>,
    pub(super) agents: watch::Receiver<Option<Arc<PublishedAgents>>>,
    pub(super) on_chain: watch::Sender<OnChainFacts>,
    pub(super) vitals: SourceHealth,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
}

/// Starts the source and the publisher.
pub(super) async fn watch_world(
    offers: OfferConfig,
    tasks: &mut JoinSet<Ended>,
) -> anyhow::Result<WatchedWorld> {
    let (observed_sender, observed) = watch::channel(Observation::default());
    let (catalog_sender, catalog) = watch::channel(None);
    let (agents_sender, agents) = watch::channel(None);
    let (on_chain, on_chain_receiver) = watch::channel(OnChainFacts::default());
    let (metrics, vitals, clock) = (Metrics::new(), SourceHealth::default(), Clock::system());
    match offers.source {
        OfferSource::Files { root, public_url } => {
            let public_url = public_url.context("--public-url is required with --offers")?;
            let mut manifests = Manifests::new(&root, offers.scope, public_url);
            // A path that does not exist is a bad setting; what breaks later is reported and waited out.
            manifests.read()?;
            let watched = files::watch(manifests, observed_sender, vitals.clone());
            tasks.spawn(supervised(
                "source",
                watched.map(|()| "the files are no longer read".to_owned()),
            ));
        }
        OfferSource::Cluster { access, public_url } => {
            cluster::connect(&access).await?;
            let watched =
                cluster::watch(access, offers.scope, public_url, observed_sender, vitals.clone());
            tasks.spawn(supervised("source", watched));
        }
    }
    let published = publish::run(
        observed.clone(),
        on_chain_receiver,
        offers.rules,
        clock,
        publish::Outputs { catalog: catalog_sender, agents: agents_sender },
        metrics.clone(),
    );
    tasks.spawn(supervised("publisher", published.map(|()| "the source is gone".to_owned())));
    Ok(WatchedWorld { catalog, observed, agents, on_chain, vitals, metrics, clock })
}

/// Runs a task under its name, so that its end can be told, a panic's too.
pub(super) async fn supervised(name: &'static str, task: impl Future<Output = String>) -> Ended {
    let ended = AssertUnwindSafe(task).catch_unwind().await;
    (name, ended.unwrap_or_else(|panic| format!("it panicked: {}", panic_text(&*panic))))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}

/// Waits until one of the tasks ends, which none should, and says which one did.
pub(super) async fn first_to_end(tasks: &mut JoinSet<Ended>) -> anyhow::Error {
    match tasks.join_next().await {
        Some(Ok((name, why))) => anyhow!("the {name} ended: {why}"),
        Some(Err(error)) => anyhow!("a task ended: {error}"),
        None => anyhow!("no task was started"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_task_to_end_is_named_with_its_reason() {
        let mut tasks = JoinSet::new();
        tasks.spawn(supervised("publisher", std::future::pending()));
        tasks.spawn(supervised("source", async { "the files are no longer read".to_owned() }));
        let error = first_to_end(&mut tasks).await;
        assert_eq!(error.to_string(), "the source ended: the files are no longer read");
    }

    #[tokio::test]
    async fn a_task_that_panics_is_named_with_its_words() {
        let mut tasks = JoinSet::new();
        tasks.spawn(supervised("publisher", async { panic!("a broken invariant") }));
        let error = first_to_end(&mut tasks).await;
        assert_eq!(error.to_string(), "the publisher ended: it panicked: a broken invariant");
    }
}
