//! `registrar anchor plan`: prints what `anchor run` would execute.

use std::process::ExitCode;

use alloy::primitives::Address;
use serde::Serialize;

use super::{
    published_once,
    report::{AgentRow, accounts, agent_rows, describe_agents, exit_code, line, print_rows},
};
use crate::{
    anchor::{
        Attention,
        account::{AccountKey, PricedCall},
        evm::{ScanObserver, ScanProgress},
        journal::Journal,
        reconcile::{Action, ChainTarget, Intent, Prepared},
    },
    cli::AnchorReportArgs,
    clock::Clock,
    command::progress::Progress,
    registration::{AgentName, Projection},
};

/// What would be done on one chain.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChainPlan {
    chain: String,
    registry: String,
    account: String,
    /// Why nothing is decided or signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HeldRow>,
    /// The finalized block it was decided at.
    block: Option<u64>,
    step: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<Transaction>,
    agents: Vec<AgentRow>,
    /// What to review before anything is signed.
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct HeldRow {
    reason: &'static str,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    agent: AgentName,
    call: String,
    nonce: u64,
    gas: u64,
    max_fee_per_gas: String,
    max_priority_fee_per_gas: String,
    /// What the data costs on the chain below; part of the total.
    data_fee_wei: String,
    max_cost_wei: String,
    data: String,
}

pub(super) async fn run(args: AnchorReportArgs) -> anyhow::Result<ExitCode> {
    let (offers, settings, json) = args.resolve();
    let accounts = accounts(&settings);
    let (published, projection) = published_once(&offers).await?;
    let journal = settings.journal.read().await?.unwrap_or_default();
    let mut plans = Vec::new();
    let mut attention = Attention::None;
    let intent = Intent {
        policy: &settings.policy,
        accounts: &accounts,
        published: &published,
        now: Clock::system().now(),
    };
    for mut target in settings.targets {
        let prepared = prepare(&mut target, &journal, intent).await;
        attention = attention.max(prepared.state.attention());
        let mut warnings = payee_warnings(&projection, accounts.current);
        warnings.extend(target.warnings);
        plans.push(ChainPlan::new(prepared, warnings));
    }
    print_rows(&plans, json, describe)?;
    Ok(exit_code(attention))
}

/// Reads and decides with what a journal remembers, and shows how far the event history was read.
pub(super) async fn prepare(
    target: &mut ChainTarget,
    journal: &Journal,
    intent: Intent<'_>,
) -> Prepared {
    let (registry, account) = (target.client.registry, intent.accounts.current);
    let key = AccountKey { registry, account };
    let reading = journal.readings.get(&key).cloned().unwrap_or_default();
    target.resume(&reading, observer(registry.chain_id));
    target.prepare(journal.recall(&key), intent).await
}

/// Shows how far the event history has been read; that may take long.
fn observer(chain_id: u64) -> ScanObserver {
    let progress = Progress::of(format!("eip155:{chain_id}: reading the event history"));
    ScanObserver::new(move |scanned| {
        let ScanProgress { endpoint, scan } = &scanned;
        let (read, all) = (scan.last.number, scan.target);
        let (read, all) = (read.saturating_sub(scan.first), all.saturating_sub(scan.first));
        progress.at(read, all, &format!("at {endpoint}"));
        Box::pin(std::future::ready(()))
    })
}

impl ChainPlan {
    pub(super) fn new(prepared: Prepared, warnings: Vec<String>) -> Self {
        let Prepared { key, block, action, state, former: _, blocked } = prepared;
        Self {
            chain: format!("eip155:{}", key.registry.chain_id),
            registry: key.registry.address.to_checksum(None),
            account: key.account.to_checksum(None),
            held: blocked.map(|blocked| HeldRow {
                reason: blocked.reason.as_str(),
                message: blocked.message,
            }),
            step: if block.is_some() { state.step.clone() } else { "rest".to_owned() },
            block: block.map(|block| block.number),
            transaction: match action {
                Action::Sign(reserved) => {
                    Some(Transaction::new(reserved.reservation.nonce(), reserved.call))
                }
                Action::Rest | Action::Wait | Action::Broadcast | Action::Release => None,
            },
            agents: agent_rows(&state),
            warnings,
        }
    }
}

impl Transaction {
    fn new(nonce: u64, call: PricedCall) -> Self {
        let PricedCall { agent, call, to: _, data, gas, fees, data_fee, budget: _ } = call;
        Self {
            agent,
            call,
            nonce,
            gas,
            max_fee_per_gas: fees.max_fee.to_string(),
            max_priority_fee_per_gas: fees.tip.to_string(),
            data_fee_wei: data_fee.to_string(),
            max_cost_wei: fees.cost(gas).saturating_add(data_fee).to_string(),
            data: data.to_string(),
        }
    }
}

/// A mint sets the agent's wallet to the signing account; buyers may compare it with an offer's
/// payTo.
fn payee_warnings(projection: &Projection, account: Address) -> Vec<String> {
    let account = account.to_checksum(None);
    let mut payees: Vec<_> = projection
        .published
        .iter()
        .filter_map(|offer| Some((&offer.id, offer.pay_to.as_ref()?.to_string())))
        .collect();
    payees.sort();
    let others = payees.into_iter().filter(|(_, payee)| !payee.eq_ignore_ascii_case(&account));
    let warnings = others.map(|(id, payee)| {
        format!(
            "{id} is paid to {payee}, but the agent's wallet on chain is the signing account {account}"
        )
    });
    warnings.collect()
}

pub(super) fn describe(plan: &ChainPlan) -> String {
    let mut text =
        format!("{}  registry {}  account {}\n", plan.chain, plan.registry, plan.account);
    if let Some(held) = &plan.held {
        line(&mut text, &format!("held: {}: {}", held.reason, held.message));
    }
    match (&plan.transaction, plan.block) {
        (Some(sent), _) => {
            line(&mut text, &format!("would sign for {}: {}", sent.agent, sent.call));
            let fee = format!(
                "nonce {}, gas {}, at most {} wei per gas, {} wei in total",
                sent.nonce, sent.gas, sent.max_fee_per_gas, sent.max_cost_wei
            );
            line(&mut text, &fee);
        }
        (None, Some(block)) => {
            line(&mut text, &format!("{} (at finalized block {block})", plan.step));
        }
        (None, None) => {}
    }
    describe_agents(&mut text, &plan.agents);
    for warning in &plan.warnings {
        line(&mut text, &format!("warning: {warning}"));
    }
    text
}
