//! `registrar anchor status`: what the journal remembers, without asking the chain.

use std::{collections::BTreeSet, process::ExitCode};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::report::{AgentRow, accounts, agent_rows, describe_agents, line, print_rows};
use crate::{
    anchor::{
        account::{AccountKey, AccountState},
        evm::{SavedReading, SavedScan},
        fees::{Budget, SpendLimits},
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
    /// For `data:` URIs, in addition.
    spent_on_uris_today_wei: String,
    balance_wei: String,
    /// Absent where the settings do not anchor in the registry.
    days_of_funds: Option<f64>,
    agents: Vec<AgentRow>,
    /// Event histories that have not been read completely.
    scans: Vec<ScanRow>,
    /// The endpoints that failed when they were last asked.
    failing_endpoints: Vec<FailingEndpoint>,
}

/// How far the event history was read at one endpoint.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScanRow {
    endpoint: String,
    first_block: u64,
    read_block: u64,
    target_block: u64,
}

#[derive(Serialize)]
struct FailingEndpoint {
    endpoint: String,
    failure: String,
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
    let journal = settings.journal.read().await.context("cannot report the status")?;
    let journal = journal.unwrap_or_default();
    let now = Clock::system().now();
    let (none, nothing) = (AccountState::default(), SavedReading::default());
    // While a first scan runs, there is progress and no decision yet.
    let keys: BTreeSet<&AccountKey> =
        journal.accounts.keys().chain(journal.readings.keys()).collect();
    let rows = keys.into_iter().map(|key| {
        let own = settings.targets.iter().find(|target| target.client.registry == key.registry);
        let state = journal.accounts.get(key).unwrap_or(&none);
        let reading = journal.readings.get(key).unwrap_or(&nothing);
        AccountStatus::new(key, state, reading, own.map(|target| &target.limits), now)
    });
    print_rows(&rows.collect::<Vec<_>>(), json, describe)
}

impl AccountStatus {
    fn new(
        key: &AccountKey,
        state: &AccountState,
        reading: &SavedReading,
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
            spent_today_wei: state.spent(Budget::Daily, now).to_string(),
            spent_on_uris_today_wei: state.spent(Budget::AgentUri, now).to_string(),
            balance_wei: state.balance.to_string(),
            days_of_funds: limits.map(|limits| limits.days_of(state.balance)),
            agents: agent_rows(state),
            scans: reading.scans.iter().filter_map(ScanRow::unfinished).collect(),
            failing_endpoints: reading
                .failures
                .iter()
                .map(|(endpoint, failure)| FailingEndpoint {
                    endpoint: endpoint.clone(),
                    failure: failure.clone(),
                })
                .collect(),
        }
    }
}

impl ScanRow {
    fn unfinished((endpoint, scan): (&String, &SavedScan)) -> Option<Self> {
        (!scan.is_done()).then(|| Self {
            endpoint: endpoint.clone(),
            first_block: scan.first,
            read_block: scan.last.number,
            target_block: scan.target,
        })
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
    let on_uris = match status.spent_on_uris_today_wei.as_str() {
        "0" => String::new(),
        wei => format!(", and for {wei} wei for data: URIs"),
    };
    line(
        &mut text,
        &format!("balance: {balance} wei{days}; signed for {spent} wei today{on_uris}"),
    );
    for ScanRow { endpoint, first_block, read_block, target_block } in &status.scans {
        let all = target_block.saturating_sub(*first_block).max(1);
        let percent = read_block.saturating_sub(*first_block) * 100 / all;
        line(
            &mut text,
            &format!(
                "reading the event history at {endpoint}: block {read_block} of {target_block} ({percent} %)"
            ),
        );
    }
    for FailingEndpoint { endpoint: _, failure } in &status.failing_endpoints {
        line(&mut text, &format!("endpoint fails: {failure}"));
    }
    describe_agents(&mut text, &status.agents);
    text
}
