//! `registrar anchor plan` and `status`: what would be sent, and what the journal remembers.

use std::{fmt::Write, process::ExitCode};

use alloy::primitives::Address;
use anyhow::Context;
use serde::Serialize;

use super::publish_once;
use crate::{
    anchor::{
        Purpose, Step,
        journal::{self, AccountState, lane_key},
        lane::days_of_funds,
    },
    catalog::Catalog,
    cli::{AnchorReportArgs, AnchorView},
    clock::Clock,
    command::print,
    offer::OfferId,
    registration::encode,
};

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

pub(super) async fn plan(args: AnchorReportArgs) -> anyhow::Result<ExitCode> {
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

fn rows(lane: &AccountState) -> Vec<AgentRow> {
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

pub(super) async fn status(args: AnchorReportArgs) -> anyhow::Result<ExitCode> {
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
