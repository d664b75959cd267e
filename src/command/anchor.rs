//! `registrar anchor`: run, plan and status.

use std::{fmt::Write, path::Path, process::ExitCode, time::Duration};

use alloy::primitives::Address;
use anyhow::Context;
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    ReadIds, print, project_at, read_once,
    signals::Signals,
    world::{Ended, Watched, first_to_end, supervised, watch_world},
};
use crate::{
    anchor::{
        AnchorReason, Purpose, Step,
        facts::learned,
        journal::{self, Journal, JournalFile, Lane, lane_key},
        lane::days_of_funds,
        run::{self, Anchoring, Ledger, Round, Sources},
    },
    catalog::Catalog,
    cli::{AnchorCommand, AnchorConfig, AnchorReportArgs, AnchorRunArgs, AnchorView, OfferConfig},
    clock::Clock,
    offer::OfferId,
    registration::{Learned, encode},
    telemetry::log_to_stderr,
};

/// How often a journal that another process writes is read.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// How long a refused journal is left alone before it is tried again.
const REFUSED_INTERVAL: Duration = Duration::from_secs(30);

pub(super) async fn run(verb: AnchorCommand) -> anyhow::Result<ExitCode> {
    match verb {
        AnchorCommand::Run(args) => anchor_run(args).await,
        AnchorCommand::Plan(args) => plan(args).await,
        AnchorCommand::Status(args) => status(args).await,
    }
}

/// Starts what `serve` does about the chain. Documents are served whatever becomes of it.
pub(super) fn start_anchoring(config: AnchorConfig, watched: &Watched, tasks: &mut JoinSet<Ended>) {
    let sources = Sources {
        catalog: watched.catalog.clone(),
        clock: watched.clock,
        metrics: watched.metrics.clone(),
    };
    let sender = watched.learned.clone();
    match config {
        AnchorConfig::Off => {}
        AnchorConfig::Reads(path) => {
            tasks.spawn(supervised("journal reader", async move {
                loop {
                    let changed = match journal::read(&path) {
                        Ok(journal) => learned(&journal.unwrap_or_default()),
                        Err(refused) => {
                            tracing::warn!("What was last learned stays: {refused}");
                            sender.borrow().clone()
                        }
                    };
                    tell(&sender, changed);
                    tokio::time::sleep(READ_INTERVAL).await;
                }
            }));
        }
        AnchorConfig::Anchors { anchoring, journal } => {
            tasks.spawn(supervised("anchoring", async move {
                let opened = loop {
                    match open(&journal, &anchoring) {
                        Ok(opened) => break opened,
                        Err(error) => {
                            tracing::error!(anchor.reason = %AnchorReason::JournalRefused, "Nothing is anchored: {error:#}");
                            tell(&sender, refused(&anchoring));
                        }
                    }
                    tokio::time::sleep(REFUSED_INTERVAL).await;
                };
                let ledger = Ledger::new(opened.0, opened.1, sender.clone());
                let ended = run::run(*anchoring, sources, ledger).await;
                // A journal that can no longer be written holds anchoring, not documents: what was learned stays.
                sender.send_modify(|learned| {
                    let refused = AnchorReason::JournalRefused.as_str();
                    learned.0.values_mut().for_each(|agent| agent.reason = refused);
                });
                tracing::error!(anchor.reason = %AnchorReason::JournalRefused, "Nothing is anchored any more: {ended}");
                std::future::pending().await
            }));
        }
    }
}

fn tell(sender: &tokio::sync::watch::Sender<Learned>, learned: Learned) {
    sender.send_if_modified(|last| {
        let changed = *last != learned;
        if changed {
            *last = learned;
        }
        changed
    });
}

fn refused(anchoring: &Anchoring) -> Learned {
    let mut learned = Learned::default();
    for anchorage in &anchoring.chains {
        let hosts = anchoring.anchored.hosts.iter().map(|host| format!("host:{host}"));
        for agent in std::iter::once("default".to_owned()).chain(hosts) {
            let reason = AnchorReason::JournalRefused.as_str();
            let unknown = crate::registration::LearnedAgent {
                id: crate::registration::LearnedId::Unknown,
                reason,
            };
            learned.0.insert((agent, anchorage.chain.registry), unknown);
        }
    }
    learned
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
        let (sender, _receiver) = tokio::sync::watch::channel(Learned::default());
        let ledger = Ledger::new(file, remembered, sender);
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
    let watched = watch_world(offers, &mut tasks).await?;
    let sources = Sources {
        catalog: watched.catalog.clone(),
        clock: watched.clock,
        metrics: watched.metrics.clone(),
    };
    let ledger = Ledger::new(file, remembered, watched.learned.clone());
    tasks.spawn(supervised("anchoring", run::run(*anchoring, sources, ledger)));
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
        &Learned::default(),
        None,
        now,
    );
    Ok(catalog)
}

/// What would be done on one chain.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChainPlan {
    chain: String,
    registry: String,
    account: String,
    /// Why nothing could be decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Told>,
    block: Option<u64>,
    step: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<Transaction>,
    agents: Vec<AgentRow>,
    /// What is worth a look before anything is signed.
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Told {
    reason: &'static str,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    agent: String,
    call: String,
    nonce: u64,
    gas: u64,
    max_fee_per_gas: String,
    max_priority_fee_per_gas: String,
    max_cost_wei: String,
    data: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentRow {
    agent: String,
    reason: &'static str,
    message: &'static str,
    agent_id: Option<String>,
}

async fn plan(args: AnchorReportArgs) -> anyhow::Result<ExitCode> {
    let (offers, view, json) = args.resolve();
    let catalog = publish_once(&offers).await?;
    let journal = journal::read(&view.journal)?.unwrap_or_default();
    let AnchorView { chains, anchored, accounts, journal: _ } = view;
    let mut plans = Vec::new();
    for mut anchorage in chains {
        let registry = anchorage.chain.registry;
        let (chain, allowance) = (anchorage.chain.clone(), anchorage.allowance);
        let mut lane = journal.lane(&lane_key(&registry, accounts.current));
        let wanted = anchored.wanted(&registry, &catalog);
        let mut plan = ChainPlan {
            chain: format!("eip155:{}", registry.chain_id),
            registry: registry.address.to_checksum(None),
            account: accounts.current.to_checksum(None),
            held: None,
            block: None,
            step: "rest",
            transaction: None,
            agents: Vec::new(),
            warnings: Vec::new(),
        };
        match anchorage.look(&lane, wanted, &accounts, anchored.mint_beside).await {
            Err(held) => {
                plan.held =
                    Some(Told { reason: held.reason().as_str(), message: held.to_string() });
            }
            Ok(look) => {
                let now = Clock::system().now();
                look.note(&mut lane, &accounts, now);
                plan.block = Some(look.view.block.number);
                plan.step = look.decision.step.name();
                if let Step::Sign(reservation) = &look.decision.step {
                    match look.price(&chain, &lane, reservation, &allowance, now).await {
                        Err(reason) => {
                            let message = reason.message().to_owned();
                            plan.held = Some(Told { reason: reason.as_str(), message });
                            if let Purpose::Open { agent, .. } = reservation.purpose()
                                && let Some(note) = lane.agents.get_mut(&agent.to_string())
                            {
                                note.reason = reason;
                            }
                        }
                        Ok(priced) => {
                            let (gas, fees) = (priced.unsigned.gas, priced.unsigned.fees);
                            plan.transaction = Some(Transaction {
                                agent: priced.agent,
                                call: priced.call,
                                nonce: reservation.nonce(),
                                gas,
                                max_fee_per_gas: fees.max_fee.to_string(),
                                max_priority_fee_per_gas: fees.tip.to_string(),
                                max_cost_wei: fees.max_fee.saturating_mul(gas.into()).to_string(),
                                data: priced.unsigned.data.to_string(),
                            });
                        }
                    }
                }
            }
        }
        plan.agents = rows(&lane);
        plan.warnings = payee_warnings(&catalog, accounts.current);
        plans.push(plan);
    }
    report(&plans, json, describe_plan)
}

fn rows(lane: &Lane) -> Vec<AgentRow> {
    let row = |(agent, note): (&String, &journal::AgentNote)| AgentRow {
        agent: agent.clone(),
        reason: note.reason.as_str(),
        message: note.reason.message(),
        agent_id: match &note.id {
            journal::IdNote::Ours(id) => Some(id.clone()),
            journal::IdNote::Unknown | journal::IdNote::Lost | journal::IdNote::Refuted => None,
        },
    };
    lane.agents.iter().map(row).collect()
}

/// A mint presets the agent's wallet to the account that signs; buyers may hold it against whom an offer is paid to.
fn payee_warnings(catalog: &Catalog, account: Address) -> Vec<String> {
    let account = account.to_checksum(None);
    let others = catalog.payees.iter().filter(|(_, payee)| !payee.eq_ignore_ascii_case(&account));
    let tell = |(id, payee): (&OfferId, &String)| {
        format!(
            "{id} is paid to {payee}, but the agent's wallet on chain is the signing account {account}"
        )
    };
    others.map(tell).collect()
}

fn describe_plan(plan: &ChainPlan) -> String {
    let mut text =
        format!("{}  registry {}  account {}\n", plan.chain, plan.registry, plan.account);
    if let Some(held) = &plan.held {
        line(&mut text, &format!("held: {}: {}", held.reason, held.message));
    }
    match (&plan.transaction, plan.block) {
        (Some(sent), _) => {
            line(&mut text, &format!("would sign for {}: {}", sent.agent, sent.call));
            let fee = format!(
                "nonce {}, gas {}, at most {} wei per gas, {} wei in all",
                sent.nonce, sent.gas, sent.max_fee_per_gas, sent.max_cost_wei
            );
            line(&mut text, &fee);
        }
        (None, Some(block)) => {
            line(&mut text, &format!("{} (as of final block {block})", plan.step))
        }
        (None, None) => {}
    }
    describe_agents(&mut text, &plan.agents);
    for warning in &plan.warnings {
        line(&mut text, &format!("warning: {warning}"));
    }
    text
}

fn describe_agents(text: &mut String, agents: &[AgentRow]) {
    for row in agents {
        let id = row.agent_id.as_deref().map(|id| format!(" agentId {id}")).unwrap_or_default();
        line(text, &format!("{}:{id} {}: {}", row.agent, row.reason, row.message));
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "  {line}").expect("a String takes every write");
}

/// What the journal remembers of one chain.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChainStatus {
    lane: String,
    settled_block: u64,
    settled_nonces: u64,
    foreign_nonces: u64,
    decided_at: String,
    next_decision: String,
    step: String,
    open_slot: Option<OpenRow>,
    spent_today_wei: String,
    balance_wei: String,
    days_of_funds: Option<f64>,
    agents: Vec<AgentRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OpenRow {
    nonce: u64,
    agent: String,
    call: String,
    decisions: u32,
    hashes: Vec<String>,
}

async fn status(args: AnchorReportArgs) -> anyhow::Result<ExitCode> {
    let (_, view, json) = args.resolve();
    let journal =
        journal::read(&view.journal).context("the journal tells nothing")?.unwrap_or_default();
    let now = Clock::system().now();
    let rows = journal.lanes.iter().map(|(name, lane)| {
        let own = view
            .chains
            .iter()
            .find(|anchorage| name.starts_with(&anchorage.chain.registry.to_string()));
        let balance: u128 = lane.balance.parse().unwrap_or_default();
        ChainStatus {
            lane: name.clone(),
            settled_block: lane.settled_block,
            settled_nonces: lane.settled_count,
            foreign_nonces: lane.foreign_nonces,
            decided_at: lane.decided_at.clone(),
            next_decision: "by the running process, within its --anchor-interval".to_owned(),
            step: lane.step.clone(),
            open_slot: lane.slot.as_ref().map(|slot| OpenRow {
                nonce: slot.nonce,
                agent: slot.agent.clone(),
                call: slot.call.clone(),
                decisions: slot.decisions,
                hashes: slot.attempts.iter().map(|attempt| attempt.hash.to_string()).collect(),
            }),
            spent_today_wei: lane.spent.on(now).to_string(),
            balance_wei: lane.balance.clone(),
            days_of_funds: own.map(|anchorage| days_of_funds(balance, &anchorage.allowance)),
            agents: rows(lane),
        }
    });
    report(&rows.collect::<Vec<_>>(), json, describe_status)
}

fn describe_status(status: &ChainStatus) -> String {
    let mut text = format!("{}\n", status.lane);
    line(
        &mut text,
        &format!(
            "last decision {} at {} (final block {})",
            status.step, status.decided_at, status.settled_block
        ),
    );
    line(&mut text, &format!("next decision {}", status.next_decision));
    line(
        &mut text,
        &format!(
            "settled nonces {}, {} of them used by somebody else",
            status.settled_nonces, status.foreign_nonces
        ),
    );
    if let Some(open) = &status.open_slot {
        line(
            &mut text,
            &format!(
                "open: nonce {} for {}: {}, {} signature(s)",
                open.nonce,
                open.agent,
                open.call,
                open.hashes.len()
            ),
        );
    }
    let days = status
        .days_of_funds
        .map(|days| format!(", {days:.1} days of the daily budget"))
        .unwrap_or_default();
    line(
        &mut text,
        &format!(
            "balance {} wei{days}; signed for {} wei today",
            status.balance_wei, status.spent_today_wei
        ),
    );
    describe_agents(&mut text, &status.agents);
    text
}

fn report<T: Serialize>(
    rows: &[T],
    json: bool,
    describe: fn(&T) -> String,
) -> anyhow::Result<ExitCode> {
    if json {
        let mut bytes = encode(rows);
        bytes.push(b'\n');
        return print(&bytes);
    }
    print(rows.iter().map(describe).collect::<Vec<_>>().join("\n").as_bytes())
}
