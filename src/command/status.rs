//! `registrar status`: how a running server is, on one screen.

mod describe;

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use serde::Deserialize;
use url::Url;

use self::describe::describe;
use super::{check::public::Asker, print, terminal::print_painted};
use crate::{cli::StatusArgs, registration::AgentName};

/// How often `--watch` asks.
const EVERY: Duration = Duration::from_secs(2);
/// Moves the cursor to the corner and clears what is below.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// The answer of `/debug/status`, as far as it is shown.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    version: String,
    now: String,
    ready: bool,
    public_url: Option<String>,
    source_silence_seconds: Option<f64>,
    source_incomplete_seconds: Option<f64>,
    held_offers: usize,
    document_changed_at: Option<String>,
    missing: Vec<Problem>,
    problems: Vec<Problem>,
    offers: std::collections::BTreeMap<String, usize>,
    reasons: std::collections::BTreeMap<String, usize>,
    next_drains: Vec<Drain>,
    agent_count: usize,
    agents: Vec<Agent>,
    findings: Vec<Counted>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    about: String,
    message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Drain {
    namespace: String,
    name: String,
    drain_ends_at: String,
}

#[derive(Debug, Deserialize)]
struct Agent {
    agent: AgentName,
    active: bool,
    registrations: Vec<Registration>,
    anchoring: Vec<Anchor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registration {
    agent_id: serde_json::Number,
    agent_registry: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Anchor {
    agent_registry: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Counted {
    code: String,
    severity: String,
    documents: usize,
}

pub(super) async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let StatusArgs { admin_url, json, watch } = args;
    let asker = Asker::new(None).map_err(anyhow::Error::msg)?;
    if !watch {
        return show(&asker, &admin_url, json, "").await;
    }
    let clear = if std::io::stdout().is_terminal() && !json { CLEAR } else { "" };
    loop {
        // A server that restarts is away for a moment.
        if let Err(error) = show(&asker, &admin_url, json, clear).await {
            print_painted(&format!("{clear}{error:#}\n"))?;
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn show(
    asker: &Asker<'_>,
    admin_url: &Url,
    json: bool,
    before: &str,
) -> anyhow::Result<ExitCode> {
    let url = admin_url.join("/debug/status")?;
    let answer = asker.get(url.as_str()).await.map_err(anyhow::Error::msg).with_context(|| {
        format!(
            "cannot read {url}; is `registrar serve` running, and is --admin-url its admin listener?"
        )
    })?;
    if answer.status != 200 {
        bail!("{url} answers {}; is that the admin listener of this version?", answer.status);
    }
    let report: Report = serde_json::from_slice(&answer.body)
        .with_context(|| format!("{url} does not answer with a status"))?;
    if json {
        let mut body = answer.body;
        body.push(b'\n');
        print(&body)?;
    } else {
        print_painted(&format!("{before}{}", describe(&report, admin_url)))?;
    }
    Ok(if report.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
