//! `registrar anchor status`: what the journal remembers, without asking the chain.

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::report::{AgentRow, accounts, agent_rows, describe_agents, line, print_rows};
use crate::{
    anchor::{
        account::{AccountKey, AccountState},
        fees::SpendLimits,
        journal::file,
    },
    cli::AnchorReportArgs,
    clock::Clock,
    offer::print_seconds,
    registration::AgentName,
};

/// What the journal remembers of one account in one registry.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountStatus {
    lane: String,
    settled_block: u64,
    settled_nonces: u64,
    foreign_nonces: u64,
    decided_at: String,
    next_decision: &'static str,
    step: String,
    open_slot: Option<InFlightRow>,
    spent_today_wei: String,
    balance_wei: String,
    /// Absent where the settings do not anchor in the registry.
    days_of_funds: Option<f64>,
    agents: Vec<AgentRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InFlightRow {
    nonce: u64,
    agent: AgentName,
    call: String,
    decisions: u32,
    hashes: Vec<String>,
}

pub(super) async fn run(args: AnchorReportArgs) -> anyhow::Result<ExitCode> {
    let (_, settings, json) = args.resolve();
    accounts(&settings);
    let journal =
        file::read(&settings.journal).context("cannot report the status")?.unwrap_or_default();
    let now = Clock::system().now();
    let rows = journal.accounts.iter().map(|(key, state)| {
        let own = settings.targets.iter().find(|target| target.client.registry == key.registry);
        AccountStatus::new(key, state, own.map(|target| &target.limits), now)
    });
    print_rows(&rows.collect::<Vec<_>>(), json, describe)
}

impl AccountStatus {
    fn new(
        key: &AccountKey,
        state: &AccountState,
        limits: Option<&SpendLimits>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            lane: key.to_string(),
            settled_block: state.final_block,
            settled_nonces: state.final_count,
            foreign_nonces: state.foreign_nonces,
            decided_at: state.decided_at.map(print_seconds).unwrap_or_default(),
            next_decision: "by the running process, within its --anchor-interval",
            step: state.step.clone(),
            open_slot: state.in_flight.as_ref().map(|sent| InFlightRow {
                nonce: sent.nonce,
                agent: sent.agent.clone(),
                call: sent.call.clone(),
                decisions: sent.decisions,
                hashes: sent.attempts.iter().map(|attempt| attempt.hash.to_string()).collect(),
            }),
            spent_today_wei: state.spent.on(now).to_string(),
            balance_wei: state.balance.to_string(),
            days_of_funds: limits.map(|limits| limits.days_of(state.balance)),
            agents: agent_rows(state),
        }
    }
}

fn describe(status: &AccountStatus) -> String {
    let mut text = format!("{}\n", status.lane);
    let AccountStatus { step, decided_at, settled_block, .. } = status;
    line(
        &mut text,
        &format!("last decision: {step} at {decided_at} (finalized block {settled_block})"),
    );
    line(&mut text, &format!("next decision: {}", status.next_decision));
    let (nonces, foreign) = (status.settled_nonces, status.foreign_nonces);
    line(
        &mut text,
        &format!(
            "finalized nonces: {nonces}, of which {foreign} were used by transactions not in this journal"
        ),
    );
    if let Some(sent) = &status.open_slot {
        let InFlightRow { nonce, agent, call, hashes, .. } = sent;
        line(
            &mut text,
            &format!("in flight: nonce {nonce} for {agent}: {call}, {} signature(s)", hashes.len()),
        );
    }
    let days = status
        .days_of_funds
        .map(|days| format!(", {days:.1} days of the daily budget"))
        .unwrap_or_default();
    let (balance, spent) = (&status.balance_wei, &status.spent_today_wei);
    line(&mut text, &format!("balance: {balance} wei{days}; signed for {spent} wei today"));
    describe_agents(&mut text, &status.agents);
    text
}
