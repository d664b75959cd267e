//! `registrar anchor`, and what `serve` does about the chain.

mod report;

use std::{path::Path, process::ExitCode, time::Duration};

use tokio::task::JoinSet;

use super::{
    ReadIds,
    pipeline::{Pipeline, start_pipeline},
    project_at, read_once,
    signals::Signals,
    supervise::{Ended, first_to_end, supervised},
};
use crate::{
    anchor::{
        AnchorReason,
        facts::learned,
        journal::{self, Journal, JournalFile},
        run::{self, Anchoring, Round, SharedJournal, Sources},
    },
    catalog::Catalog,
    cli::{AnchorCommand, AnchorConfig, AnchorRunArgs, OfferConfig},
    clock::Clock,
    registration::{OnChainAgent, OnChainFacts, OnChainId},
    telemetry::log_to_stderr,
};

/// How often a journal that another process writes is read.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// How long a refused journal is left alone before it is tried again.
const REFUSED_INTERVAL: Duration = Duration::from_secs(10);

pub(super) async fn run(verb: AnchorCommand) -> anyhow::Result<ExitCode> {
    match verb {
        AnchorCommand::Run(args) => anchor_run(args).await,
        AnchorCommand::Plan(args) => report::plan(args).await,
        AnchorCommand::Status(args) => report::status(args).await,
    }
}

/// Starts what `serve` does about the chain. Documents are served whatever becomes of it.
pub(super) fn start_anchoring(
    config: AnchorConfig,
    watched: &Pipeline,
    tasks: &mut JoinSet<Ended>,
) {
    let sources = sources(watched);
    let sender = watched.learned.clone();
    match config {
        AnchorConfig::Off => {}
        AnchorConfig::Reads(path) => {
            tasks.spawn(supervised("journal reader", async move {
                // A journal that is refused for a day is worth a line, not one every two seconds.
                let mut logged = None;
                loop {
                    match journal::read(&path).map_err(|refused| refused.to_string()) {
                        Ok(journal) => {
                            logged = None;
                            run::tell(&sender, learned(&journal.unwrap_or_default()));
                        }
                        Err(refused) if logged.as_ref() == Some(&refused) => {}
                        Err(refused) => {
                            tracing::warn!("What was last learned stays: {refused}");
                            logged = Some(refused);
                        }
                    }
                    tokio::time::sleep(READ_INTERVAL).await;
                }
            }));
        }
        AnchorConfig::Anchors { mut anchoring, journal } => {
            tasks.spawn(supervised("anchoring", async move {
                loop {
                    let ended = match open(&journal, &anchoring) {
                        Ok((file, remembered)) => {
                            let ledger = SharedJournal::new(file, remembered, sender.clone());
                            run::run(&mut anchoring, sources.clone(), ledger).await
                        }
                        Err(error) => format!("{error:#}"),
                    };
                    // A journal that can't be used holds anchoring, not documents, and is tried again: a disk that was
                    // full may not be.
                    tracing::error!(anchor.reason = %AnchorReason::JournalRefused, "Nothing is anchored: {ended}");
                    sender.send_modify(|learned| refuse(learned, &anchoring));
                    tokio::time::sleep(REFUSED_INTERVAL).await;
                }
            }));
        }
    }
}

/// What anchoring needs of a world that is watched.
fn sources(watched: &Pipeline) -> Sources {
    Sources {
        catalog: watched.catalog.clone(),
        clock: watched.clock,
        metrics: watched.metrics.clone(),
    }
}

/// Says of every agent that the journal is refused; what was learned of its id stays.
fn refuse(learned: &mut OnChainFacts, anchoring: &Anchoring) {
    let reason = AnchorReason::JournalRefused.as_str();
    learned.0.values_mut().for_each(|agent| agent.reason = reason);
    for anchorage in &anchoring.chains {
        let hosts = anchoring.anchored.hosts.iter().map(|host| format!("host:{host}"));
        for agent in std::iter::once("default".to_owned()).chain(hosts) {
            let unknown = OnChainAgent { id: OnChainId::Unknown, reason };
            learned.0.entry((agent, anchorage.chain.registry)).or_insert(unknown);
        }
    }
}

fn open(path: &Path, anchoring: &Anchoring) -> anyhow::Result<(JournalFile, Journal)> {
    Ok(JournalFile::open(path, &anchoring.anchored.owner.id, &anchoring.accounts)?)
}

async fn anchor_run(args: AnchorRunArgs) -> anyhow::Result<ExitCode> {
    let (offers, anchoring, once, log_format) = args.resolve();
    log_to_stderr(log_format);
    let AnchorConfig::Anchors { mut anchoring, journal } = anchoring else {
        return Ok(ExitCode::SUCCESS);
    };
    let (file, remembered) = open(&journal, &anchoring)?;
    if once {
        let catalog = publish_once(&offers).await?;
        let (sender, _receiver) = tokio::sync::watch::channel(OnChainFacts::default());
        let ledger = SharedJournal::new(file, remembered, sender);
        let clock = Clock::system();
        for anchorage in &mut anchoring.chains {
            let round = Round {
                anchored: &anchoring.anchored,
                accounts: &anchoring.accounts,
                signer: &anchoring.signer,
                ledger: &ledger,
                clock,
            };
            while round.once(anchorage, &catalog).await? {}
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut signals = Signals::new()?;
    let mut tasks: JoinSet<Ended> = JoinSet::new();
    let watched = start_pipeline(offers, &mut tasks).await?;
    let sources = sources(&watched);
    let ledger = SharedJournal::new(file, remembered, watched.learned.clone());
    let anchored = async move { run::run(&mut anchoring, sources, ledger).await };
    tasks.spawn(supervised("anchoring", anchored));
    tokio::select! {
        error = first_to_end(&mut tasks) => Err(error),
        signal = signals.next() => {
            // Every step boundary is safe, and so is every point between: what was signed is written down.
            tracing::info!(signal = signal.name(), "Shutting down");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reads the world and publishes it once, without a listener.
async fn publish_once(offers: &OfferConfig) -> anyhow::Result<Catalog> {
    let world = read_once(offers, ReadIds::Yes).await?;
    let now = Clock::system().now();
    let projection = project_at(&world, offers, now);
    let catalog = Catalog::new(
        projection,
        &world.public_url,
        &world.identity.registrations,
        &OnChainFacts::default(),
        None,
        now,
    );
    Ok(catalog)
}
