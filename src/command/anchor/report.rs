//! What `anchor plan` and `anchor status` have in common: which accounts they report on, and how
//! they print.

use std::{fmt::Write, process::ExitCode};

use serde::Serialize;

use super::open_signer;
use crate::{
    anchor::{Attention, account::AccountState, evidence::Accounts, facts::IdRecord},
    cli::{AnchorSettings, bad_setting},
    command::{print, print_json},
    registration::AgentName,
};

/// One agent's reason on one chain.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentRow {
    agent: AgentName,
    reason: &'static str,
    message: String,
    /// What has to happen before it is anchored: `none`, `retry` or `person`.
    attention: Attention,
    /// Decimal, since JSON readers round large numbers.
    agent_id: Option<String>,
    /// Calls for it that were mined and failed, in a row.
    failures: u32,
}

/// The accounts of settings that may name one without a key.
pub(super) fn accounts(settings: &AnchorSettings) -> Accounts {
    let current = match (settings.account, &settings.signer) {
        (Some(account), _) => account,
        (None, Some(source)) => open_signer(source, None, &[]).account(),
        (None, None) => bad_setting("--account", "is required without a signer"),
    };
    Accounts { current, former: settings.former_accounts.clone() }
}

pub(super) fn agent_rows(state: &AccountState) -> Vec<AgentRow> {
    let rows = state.agents.iter().map(|(agent, record)| AgentRow {
        agent: agent.clone(),
        reason: record.reason.as_str(),
        message: record.message().to_owned(),
        attention: record.reason.attention(),
        agent_id: match record.id {
            IdRecord::Ours(id) => Some(id.to_string()),
            IdRecord::Unknown | IdRecord::Lost | IdRecord::Refuted => None,
        },
        failures: record.failures,
    });
    rows.collect()
}

pub(super) fn describe_agents(text: &mut String, agents: &[AgentRow]) {
    for row in agents {
        let id = row.agent_id.as_deref().map(|id| format!(" agentId {id}")).unwrap_or_default();
        line(text, &format!("{}:{id} {}: {}", row.agent, row.reason, row.message));
    }
}

/// Adds one indented line.
pub(super) fn line(text: &mut String, line: &str) {
    writeln!(text, "  {line}").expect("a String takes every write");
}

/// 1 if anything is held for a reason that needs a person or a retry, so that a Job fails visibly.
pub(super) fn exit_code(attention: Attention) -> ExitCode {
    match attention {
        Attention::None => ExitCode::SUCCESS,
        Attention::Retry | Attention::Person => ExitCode::FAILURE,
    }
}

pub(super) fn print_rows<T: Serialize>(
    rows: &[T],
    json: bool,
    describe: fn(&T) -> String,
) -> anyhow::Result<ExitCode> {
    if json {
        return print_json(rows);
    }
    print(rows.iter().map(describe).collect::<Vec<_>>().join("\n").as_bytes())
}
