//! `registrar explain`: why each offer is published or not.

use std::{fmt::Write, process::ExitCode};

use anyhow::bail;

use super::{ReadIds, print, project_at, read_once};
use crate::{
    cli::ExplainArgs,
    clock::Clock,
    offer::print_seconds,
    registration::{DroppedService, Explanation, encode},
};

pub(super) async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let (config, only, at, json) = args.resolve();
    let source = read_once(&config, ReadIds::No).await?;
    let at = at.unwrap_or_else(|| Clock::system().now());
    let mut explanations = project_at(&source.world, &config, at).explanations;
    if let Some(id) = only {
        explanations.retain(|explanation| explanation.id == id);
        if explanations.is_empty() {
            let absence = source.absence_of(&id, &config.scope).await;
            bail!("{absence}; run explain without a name to list all offers");
        }
    }
    let text = if json {
        let mut bytes = encode(&explanations);
        bytes.push(b'\n');
        bytes
    } else {
        explanations.iter().map(describe).collect::<Vec<_>>().join("\n").into_bytes()
    };
    let printed = print(&text)?;
    Ok(if source.has_refused() { ExitCode::FAILURE } else { printed })
}

fn describe(explanation: &Explanation) -> String {
    let Explanation { id, state, reason, message, fix, .. } = explanation;
    let mut text = format!("{id}  {state}  {reason}\n  {message}\n");
    if let Some(ends_at) = explanation.drain_ends_at {
        text += &format!("  drain ends: {}\n", print_seconds(ends_at));
    }
    text += &format!("  fix: {fix}\n");
    for dropped in &explanation.dropped_services {
        let place = dropped
            .index
            .map_or_else(|| "generated".to_owned(), |index| format!("services[{index}]"));
        let DroppedService { name, endpoint, code, message, documents, .. } = dropped;
        let documents: Vec<_> = documents.iter().map(|document| document.as_str()).collect();
        let documents = documents.join(", ");
        writeln!(text, "  dropped: {place} {name:?} {endpoint:?} {code} ({documents}): {message}")
            .expect("writing to a String cannot fail");
    }
    text
}
