//! `registrar anchor`, and what `serve` does about the chain.

mod plan;
mod report;
mod resume;
mod retire;
mod status;
mod work;

use std::process::ExitCode;

use alloy::primitives::Address;
use tokio::{sync::watch, task::JoinSet};

use self::work::{Refusal, Work};
use super::{
    ReadIds,
    leadership::Leader,
    pipeline::{Pipeline, start_pipeline},
    project_at, read_once,
    signals::Signals,
    supervise::{Ended, first_to_end, supervised},
};
use crate::{
    anchor::{
        evidence::Accounts,
        facts::on_chain_facts,
        journal::{Journal, JournalError, SharedJournal},
        reconcile::ChainTarget,
        run::{self, Anchoring, Sources},
        signer::{KeySource, Signer, SignerError},
    },
    cli::{
        AnchorCommand, AnchorConfig, AnchorRunArgs, AnchorRunConfig, AnchorSettings, OfferConfig,
        bad_setting,
    },
    clock::Clock,
    error_chain::with_causes,
    journal_place::JournalPlace,
    registration::{OnChainFacts, Projection, PublishedAgents},
    telemetry::log_to_stderr,
};

pub(super) async fn run(verb: AnchorCommand) -> anyhow::Result<ExitCode> {
    match verb {
        AnchorCommand::Run(args) => anchor_run(args).await,
        AnchorCommand::Plan(args) => plan::run(args).await,
        AnchorCommand::Status(args) => status::run(args).await,
        AnchorCommand::Resume(args) => resume::run(args).await,
        AnchorCommand::Retire(args) => retire::run(args).await,
    }
}

/// What anchoring starts with: read before anything is listened on, so that a bad key stops the
/// start.
pub(super) enum AnchorStart {
    Off,
    ReadJournal(JournalPlace),
    Anchor { anchoring: Box<Anchoring>, journal: JournalPlace },
}

impl AnchorStart {
    pub(super) fn open(config: AnchorConfig) -> Self {
        match config {
            AnchorConfig::Off => Self::Off,
            AnchorConfig::ReadJournal(journal) => Self::ReadJournal(journal),
            AnchorConfig::Anchor(settings) => {
                let (anchoring, journal) = with_key(*settings);
                Self::Anchor { anchoring: Box::new(anchoring), journal }
            }
        }
    }

    /// What the journal says of agents. Empty if it cannot be used, which is reported later.
    pub(super) async fn remembered(&self) -> OnChainFacts {
        let read = match self {
            Self::Off => return OnChainFacts::default(),
            Self::ReadJournal(journal) => journal.read().await,
            Self::Anchor { anchoring, journal } => {
                journal.read_own(&anchoring.policy.owner.id, &anchoring.accounts).await
            }
        };
        let journal = read.ok().flatten().unwrap_or_default();
        on_chain_facts(&journal.accounts)
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
    match start {
        AnchorStart::Off => {}
        AnchorStart::ReadJournal(journal) => {
            let facts = pipeline.on_chain.clone();
            let reader = async move { work::follow(&journal, None, &facts).await };
            tasks.spawn(supervised("journal reader", reader));
        }
        AnchorStart::Anchor { anchoring, journal } => {
            let refusal = Refusal::Holds;
            let work = Work::new(anchoring, journal, pipeline, refusal);
            tasks.spawn(supervised("anchoring", work.run(leading)));
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

/// The settings of verbs that sign, with the key; and where the journal is.
fn with_key(settings: AnchorSettings) -> (Anchoring, JournalPlace) {
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
    let AnchorRunConfig { offers, anchoring, leadership, once, log_format } = args.resolve();
    log_to_stderr(log_format);
    let (mut anchoring, place) = with_key(anchoring);
    let (owner_id, accounts) = (anchoring.policy.owner.id.clone(), anchoring.accounts.clone());
    if once {
        let (store, journal) = place.open(&owner_id, &accounts).await?;
        let (facts, _unread) = watch::channel(OnChainFacts::default());
        let journal = SharedJournal::new(store, journal, facts);
        let (published, _) = published_once(&offers).await?;
        let needs = run::run_once(&mut anchoring, &published, &journal, Clock::system()).await?;
        return Ok(report::exit_code(needs));
    }
    // One that is not ours is refused by every replica, at once. One that cannot be asked for now is
    // asked for again.
    let remembered = match place.read_own(&owner_id, &accounts).await {
        Ok(read) => read.unwrap_or_default(),
        Err(JournalError::Request { .. }) => Journal::default(),
        Err(error) => return Err(error.into()),
    };
    let mut signals = Signals::new()?;
    let mut tasks: JoinSet<Ended> = JoinSet::new();
    let remembered = on_chain_facts(&remembered.accounts);
    let pipeline = start_pipeline(offers, remembered, &mut tasks).await?;
    let leader = Leader::start(leadership, &pipeline, &mut tasks);
    let leading = leader.as_ref().map(|leader| leader.leading.clone());
    let work = Work::new(Box::new(anchoring), place, &pipeline, Refusal::Ends);
    tasks.spawn(supervised("anchoring", work.run(leading)));
    let signal = tokio::select! {
        error = first_to_end(&mut tasks) => return Err(error),
        signal = signals.next() => signal,
    };
    // Stopping is safe at any point: what was signed is recorded.
    tracing::info!(signal = signal.name(), "Shutting down");
    if let Some(leader) = leader {
        leader.release().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the world once. Returns what anchoring needs to know of it, and all that is published.
async fn published_once(offers: &OfferConfig) -> anyhow::Result<(PublishedAgents, Projection)> {
    let world = read_once(offers, ReadIds::Yes).await?.world;
    let projection = project_at(&world, offers, Clock::system().now());
    Ok((PublishedAgents::new(&projection, &world.public_url, &world.identity), projection))
}
