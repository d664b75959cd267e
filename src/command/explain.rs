//! `registrar explain`: why each offer is published or not.

use std::{fmt::Write, process::ExitCode};

use anstyle::Style;
use anyhow::bail;

use super::{
    ReadIds, print, project_at, read_once,
    terminal::{ATTENTION, BAD, GOOD, HEADING, paint, print_painted, table},
};
use crate::{
    cli::ExplainArgs,
    clock::Clock,
    offer::print_seconds,
    registration::{DroppedService, Explanation, OfferState, encode},
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
    let printed = if json {
        let mut bytes = encode(&explanations);
        bytes.push(b'\n');
        print(&bytes)?
    } else {
        print_painted(&describe(&explanations))?
    };
    Ok(if source.has_refused() { ExitCode::FAILURE } else { printed })
}

/// One offer in detail, or a table of several.
fn describe(explanations: &[Explanation]) -> String {
    match explanations {
        [] => String::new(),
        [one] => detail(one),
        several => overview(several),
    }
}

fn overview(explanations: &[Explanation]) -> String {
    let heading = ["OFFER", "STATE", "REASON", "DRAIN ENDS", "LEFT OUT", "MESSAGE"];
    let row = |explanation: &Explanation| {
        let left_out = explanation.dropped_services.len();
        [
            explanation.id.to_string(),
            explanation.state.to_string(),
            explanation.reason.to_string(),
            explanation.drain_ends_at.map_or_else(|| "-".to_owned(), print_seconds),
            if left_out == 0 { "-".to_owned() } else { left_out.to_string() },
            explanation.message.clone(),
        ]
    };
    let rows: Vec<_> =
        [heading.map(str::to_owned)].into_iter().chain(explanations.iter().map(row)).collect();
    let style = |row: usize, column: usize| match (row.checked_sub(1), column) {
        (None, _) => Some(HEADING),
        (Some(offer), 1) => explanations.get(offer).map(|explanation| colour(explanation.state)),
        (Some(_), _) => None,
    };
    table(&rows, style)
        + "\nregistrar explain NAMESPACE/NAME shows the fix and the entries that are left out.\n"
}

fn colour(state: OfferState) -> Style {
    match state {
        OfferState::Published => GOOD,
        OfferState::Draining => ATTENTION,
        OfferState::Drained | OfferState::Unpublished => BAD,
    }
}

fn detail(explanation: &Explanation) -> String {
    let Explanation { id, state, reason, message, fix, .. } = explanation;
    let state = paint(colour(*state), state.as_str());
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
