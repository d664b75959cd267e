//! `registrar anchor`, and what `serve` does about the chain.

mod plan;
mod report;
mod resume;
mod status;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use alloy::primitives::Address;
use tokio::{sync::watch, task::JoinSet};

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
        evidence::Accounts,
        facts::on_chain_facts,
        journal::{
            Journal, JournalError, SharedJournal,
            file::{self, JournalFile},
            publish_if_changed,
        },
        reconcile::ChainTarget,
        run::{self, Anchoring, Sources},
        signer::{KeySource, Signer, SignerError},
    },
    cli::{AnchorCommand, AnchorConfig, AnchorRunArgs, AnchorSettings, OfferConfig, bad_setting},
    clock::Clock,
    error_chain::with_causes,
    registration::{OnChainAgent, OnChainFacts, OnChainId, Projection, PublishedAgents},
    telemetry::log_to_stderr,
};

/// How often a journal that another process writes is read.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait before a journal that could not be used is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

pub(super) async fn run(verb: AnchorCommand) -> anyhow::Result<ExitCode> {
    match verb {
        AnchorCommand::Run(args) => anchor_run(args).await,
        AnchorCommand::Plan(args) => plan::run(args).await,
        AnchorCommand::Status(args) => status::run(args).await,
        AnchorCommand::Resume(args) => resume::run(args).await,
    }
}

/// What anchoring starts with: read before anything is listened on, so that a bad key stops the
/// start.
pub(super) enum AnchorStart {
    Off,
    ReadJournal(PathBuf),
    Anchor { anchoring: Box<Anchoring>, journal: PathBuf },
}

impl AnchorStart {
    pub(super) fn open(config: AnchorConfig) -> Self {
        match config {
            AnchorConfig::Off => Self::Off,
            AnchorConfig::ReadJournal(path) => Self::ReadJournal(path),
            AnchorConfig::Anchor(settings) => {
                let (anchoring, journal) = with_key(*settings);
                Self::Anchor { anchoring: Box::new(anchoring), journal }
            }
        }
    }
}

/// Starts what `serve` does about the chain. Documents are served whatever becomes of it.
///
/// With a Lease, `leading` tells whether this process anchors; the others read its journal.
pub(super) fn start_anchoring(
    start: AnchorStart,
    pipeline: &Pipeline,
    leading: Option<watch::Receiver<bool>>,
    tasks: &mut JoinSet<Ended>,
) {
    let facts = pipeline.on_chain.clone();
    match start {
        AnchorStart::Off => {}
        AnchorStart::ReadJournal(path) => {
            let reader = async move { follow_journal(&path, &facts).await };
            tasks.spawn(supervised("journal reader", reader));
        }
        AnchorStart::Anchor { anchoring, journal } => {
            let sources = sources(pipeline);
            let work = async move {
                let mut anchoring = anchoring;
                match leading {
                    None => anchor_forever(&mut anchoring, &journal, sources, facts).await,
                    Some(leading) => {
                        anchor_while_leading(leading, &mut anchoring, &journal, sources, facts)
                            .await
                    }
                }
            };
            tasks.spawn(supervised("anchoring", work));
        }
    }
}

/// Publishes what another process records in its journal.
async fn follow_journal(path: &Path, facts: &watch::Sender<OnChainFacts>) -> String {
    // An error that lasts for a day is worth one line, not one every two seconds.
    let mut logged = None;
    loop {
        match file::read(path).map_err(|error| with_causes(&error)) {
            Ok(journal) => {
                logged = None;
                publish_if_changed(facts, on_chain_facts(&journal.unwrap_or_default().accounts));
            }
            Err(error) if logged.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::warn!("The ids read last remain in use: {error}");
                logged = Some(error);
            }
        }
        tokio::time::sleep(READ_INTERVAL).await;
    }
}

/// Anchors. A journal that cannot be used stops anchoring, not documents, and is tried again: a
/// disk that was full may have space again. One that another process writes is read until that
/// process ends.
async fn anchor_forever(
    anchoring: &mut Anchoring,
    journal: &Path,
    sources: Sources,
    facts: watch::Sender<OnChainFacts>,
) -> String {
    let mut is_reading = false;
    loop {
        let ended = match open_journal(journal, anchoring) {
            Ok((file, remembered)) => {
                let journal = SharedJournal::new(Box::new(file), remembered, facts.clone());
                run::run(anchoring, sources.clone(), journal).await
            }
            Err(locked @ JournalError::Locked(_)) => match read_beside(journal, anchoring) {
                Ok(remembered) => {
                    publish_if_changed(&facts, on_chain_facts(&remembered.accounts));
                    if !is_reading {
                        tracing::info!("Anchoring waits, and the ids are read: {locked}");
                    }
                    is_reading = true;
                    tokio::time::sleep(READ_INTERVAL).await;
                    continue;
                }
                Err(error) => with_causes(&error),
            },
            Err(error) => with_causes(&error),
        };
        is_reading = false;
        tracing::error!(anchor.reason = %AnchorReason::JournalRefused, "Anchoring is stopped: {ended}");
        facts.send_modify(|facts| refuse(facts, anchoring));
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

/// Anchors while this process leads; otherwise publishes what the leader records in the journal.
async fn anchor_while_leading(
    mut leading: watch::Receiver<bool>,
    anchoring: &mut Anchoring,
    journal: &Path,
    sources: Sources,
    facts: watch::Sender<OnChainFacts>,
) -> String {
    loop {
        // Stopping is safe at any point: what was signed is recorded.
        let leads = *leading.borrow_and_update();
        let changed = async {
            if leading.wait_for(|now| *now != leads).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let ended = async {
            match leads {
                true => anchor_forever(anchoring, journal, sources.clone(), facts.clone()).await,
                false => follow_journal(journal, &facts).await,
            }
        };
        tokio::select! {
            biased;
            () = changed => {}
            ended = ended => return ended,
        }
    }
}

/// Gives every agent the reason that the journal is refused; the ids remain.
fn refuse(facts: &mut OnChainFacts, anchoring: &Anchoring) {
    let reason = AnchorReason::JournalRefused.as_str();
    facts.0.values_mut().for_each(|agent| agent.reason = reason);
    for target in &anchoring.targets {
        for agent in anchoring.policy.agents() {
            let unknown = OnChainAgent { id: OnChainId::Unknown, reason };
            facts.0.entry((agent, target.client.registry)).or_insert(unknown);
        }
    }
}

fn sources(pipeline: &Pipeline) -> Sources {
    Sources {
        published: pipeline.agents.clone(),
        clock: pipeline.clock,
        metrics: pipeline.metrics.clone(),
    }
}

fn open_journal(
    path: &Path,
    anchoring: &Anchoring,
) -> Result<(JournalFile, Journal), JournalError> {
    JournalFile::open(path, &anchoring.policy.owner.id, &anchoring.accounts)
}

/// Reads a journal that another process writes.
fn read_beside(path: &Path, anchoring: &Anchoring) -> Result<Journal, JournalError> {
    file::read_own(path, &anchoring.policy.owner.id, &anchoring.accounts)
}

/// Reads the key, or the secrets of the service that holds it.
pub(super) fn open_key(
    source: &KeySource,
    account: Option<Address>,
    targets: &[ChainTarget],
) -> Result<Signer, SignerError> {
    Signer::open(source, account, targets.iter().map(ChainTarget::signing_policy))
}

/// The same. One that cannot be used is a bad setting.
fn open_signer(source: &KeySource, account: Option<Address>, targets: &[ChainTarget]) -> Signer {
    open_key(source, account, targets)
        .unwrap_or_else(|error| bad_setting("--signer", &with_causes(&error)))
}

/// The settings of verbs that sign, with the key; and the journal's path.
fn with_key(settings: AnchorSettings) -> (Anchoring, PathBuf) {
    let AnchorSettings { targets, policy, former_accounts, account, signer, interval, journal } =
        settings;
    let source = signer.unwrap_or_else(|| bad_setting("--signer", "is required to sign"));
    let signer = open_signer(&source, account, &targets);
    for warning in targets.iter().flat_map(|target| &target.warnings) {
        tracing::warn!("{warning}");
    }
    let accounts = Accounts { current: signer.account(), former: former_accounts };
    (Anchoring { targets, policy, accounts, signer, interval }, journal)
}

async fn anchor_run(args: AnchorRunArgs) -> anyhow::Result<ExitCode> {
    let (offers, settings, once, log_format) = args.resolve();
    log_to_stderr(log_format);
    let (mut anchoring, path) = with_key(settings);
    let (file, journal) = open_journal(&path, &anchoring)?;
    if once {
        let (facts, _unread) = watch::channel(OnChainFacts::default());
        let journal = SharedJournal::new(Box::new(file), journal, facts);
        let (published, _) = published_once(&offers).await?;
        let needs = run::run_once(&mut anchoring, &published, &journal, Clock::system()).await?;
        return Ok(report::exit_code(needs));
    }
    let mut signals = Signals::new()?;
    let mut tasks: JoinSet<Ended> = JoinSet::new();
    let pipeline = start_pipeline(offers, &mut tasks).await?;
    let journal = SharedJournal::new(Box::new(file), journal, pipeline.on_chain.clone());
    let sources = sources(&pipeline);
    let anchored = async move { run::run(&mut anchoring, sources, journal).await };
    tasks.spawn(supervised("anchoring", anchored));
    tokio::select! {
        error = first_to_end(&mut tasks) => Err(error),
        signal = signals.next() => {
            // Stopping is safe at any point: what was signed is recorded.
            tracing::info!(signal = signal.name(), "Shutting down");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reads the world once. Returns what anchoring needs to know of it, and all that is published.
async fn published_once(offers: &OfferConfig) -> anyhow::Result<(PublishedAgents, Projection)> {
    let world = read_once(offers, ReadIds::Yes).await?.world;
    let projection = project_at(&world, offers, Clock::system().now());
    Ok((PublishedAgents::new(&projection, &world.public_url, &world.identity), projection))
}
