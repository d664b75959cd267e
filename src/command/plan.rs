//! `registrar plan`: how each document differs from the one that is served now.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

use super::{
    ReadIds,
    check::public::Asker,
    print_json,
    progress::{Progress, number},
    project_at, read_once,
    terminal::{ATTENTION, BAD, GOOD, HEADING, paint, print_painted},
};
use crate::{
    check::diff::{Difference, differences},
    cli::PlanArgs,
    clock::Clock,
    registration::{AgentName, WELL_KNOWN_PATH},
};

/// How a document compares with what is served at its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// The bytes are the same.
    SameBytes,
    /// The bytes differ, but not what they mean.
    SameContent,
    Differs,
    /// Nothing is served there.
    NotServed,
    /// What is served is not JSON, or nothing answers.
    Unreadable,
}

/// One document.
#[derive(Serialize)]
struct Row {
    agent: AgentName,
    document: String,
    outcome: Outcome,
    /// Why it cannot be compared; empty if it can.
    message: String,
    differences: Vec<Difference>,
}

pub(super) async fn run(args: PlanArgs) -> anyhow::Result<ExitCode> {
    let (config, via, json) = args.resolve();
    let source = read_once(&config, ReadIds::Yes).await?;
    let projection = project_at(&source.world, &config, Clock::system().now());
    let asker = Asker::new(via.as_ref()).map_err(anyhow::Error::msg)?;
    let default = (AgentName::Default, source.world.public_url.to_string(), &projection.default);
    let hosts = projection
        .hosts
        .iter()
        .map(|(host, agent)| (AgentName::Host(host.clone()), host.origin(), &agent.document));
    let mut rows = Vec::new();
    let (progress, count) = (Progress::of("comparing documents"), projection.hosts.len() + 1);
    for (agent, origin, document) in [default].into_iter().chain(hosts) {
        progress.at(number(rows.len()), number(count), &format!("at {agent}"));
        rows.push(row(&asker, agent, &origin, &document.render()).await);
    }
    drop(progress);
    let is_complete = rows.iter().all(|row| row.outcome != Outcome::Unreadable);
    let printed = if json {
        print_json(&rows)?
    } else {
        print_painted(&rows.iter().map(describe).collect::<String>())?
    };
    Ok(if is_complete { printed } else { ExitCode::FAILURE })
}

async fn row(asker: &Asker<'_>, agent: AgentName, origin: &str, ours: &[u8]) -> Row {
    let document = format!("{origin}{WELL_KNOWN_PATH}");
    let row = |outcome, message: String, differences| Row {
        agent,
        document: document.clone(),
        outcome,
        message,
        differences,
    };
    let answer = match asker.get(&document).await {
        Ok(answer) => answer,
        Err(why) => return row(Outcome::Unreadable, why, vec![]),
    };
    if answer.body == ours && answer.status == 200 {
        return row(Outcome::SameBytes, String::new(), vec![]);
    }
    if answer.status != 200 {
        let outcome = match answer.status {
            404 | 410 => Outcome::NotServed,
            _ => Outcome::Unreadable,
        };
        return row(outcome, format!("the answer is {}", answer.status), vec![]);
    }
    let parsed: Result<(Value, Value), serde_json::Error> = serde_json::from_slice(&answer.body)
        .and_then(|served| Ok((served, serde_json::from_slice(ours)?)));
    match parsed {
        Err(error) => row(Outcome::Unreadable, format!("the answer is not JSON: {error}"), vec![]),
        Ok((served, ours)) => {
            let found = differences(&served, &ours);
            let outcome = if found.is_empty() { Outcome::SameContent } else { Outcome::Differs };
            row(outcome, String::new(), found)
        }
    }
}

fn describe(row: &Row) -> String {
    let Row { agent, document, outcome, message, differences } = row;
    let verdict = match outcome {
        Outcome::SameBytes => paint(GOOD, "the same bytes"),
        Outcome::SameContent => paint(GOOD, "the same content in other bytes"),
        Outcome::Differs => {
            let places = if differences.len() == 1 { "place" } else { "places" };
            paint(ATTENTION, &format!("differs in {} {places}", differences.len()))
        }
        Outcome::NotServed => paint(ATTENTION, &format!("new: {message}")),
        Outcome::Unreadable => paint(BAD, &format!("cannot be compared: {message}")),
    };
    let mut text = format!("{}  {document}\n  {verdict}\n", paint(HEADING, &agent.to_string()));
    for Difference { path, served, ours } in differences {
        text += &match (served, ours) {
            (Some(served), Some(ours)) => {
                paint(ATTENTION, &format!("  ~ {path}: {served} -> {ours}\n"))
            }
            (Some(served), None) => paint(BAD, &format!("  - {path}: {served}\n")),
            (None, Some(ours)) => paint(GOOD, &format!("  + {path}: {ours}\n")),
            (None, None) => String::new(),
        };
    }
    text
}
