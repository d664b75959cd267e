//! `registrar explain`: why each offer is published or not.

use std::{collections::BTreeMap, fmt::Write, process::ExitCode};

use anstyle::Style;
use anyhow::bail;

use super::{
    ReadIds, print_json, project_at, read_once,
    terminal::{ATTENTION, BAD, GOOD, HEADING, paint, print_painted, table},
};
use crate::{
    cli::ExplainArgs,
    clock::Clock,
    lint::Finding,
    offer::print_seconds,
    registration::{DroppedService, Explanation, OfferState, Projection, X402Problem},
    review::{ExplainedOffer, findings},
};

pub(super) async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let (config, only, at, json) = args.resolve();
    let source = read_once(&config, ReadIds::No).await?;
    let at = at.unwrap_or_else(|| Clock::system().now());
    let mut explanations = explained(project_at(&source.world, &config, at));
    if let Some(id) = only {
        explanations.retain(|explained| explained.explanation.id == id);
        if explanations.is_empty() {
            let absence = source.absence_of(&id, &config.scope).await;
            bail!("{absence}; run explain without a name to list all offers");
        }
    }
    let printed =
        if json { print_json(&explanations)? } else { print_painted(&describe(&explanations))? };
    Ok(if source.has_refused() { ExitCode::FAILURE } else { printed })
}

/// Every offer with what lint finds in its own document.
fn explained(projection: Projection) -> Vec<ExplainedOffer> {
    let documents = projection.published.iter().map(|offer| (&offer.id, &offer.document));
    let findings: BTreeMap<_, _> =
        documents.map(|(id, document)| (id, findings(&document.render()))).collect();
    let explained = projection.explanations.into_iter().map(|explanation| ExplainedOffer {
        findings: findings.get(&explanation.id).cloned().unwrap_or_default().into(),
        explanation,
    });
    explained.collect()
}

/// One offer in detail, or a table of several.
fn describe(explanations: &[ExplainedOffer]) -> String {
    match explanations {
        [] => String::new(),
        [one] => detail(one),
        several => overview(several),
    }
}

fn overview(explanations: &[ExplainedOffer]) -> String {
    let heading = ["OFFER", "STATE", "REASON", "DRAIN ENDS", "LEFT OUT", "FINDINGS", "MESSAGE"];
    let row = |explained: &ExplainedOffer| {
        let ExplainedOffer { explanation, findings } = explained;
        let count = |count: usize| if count == 0 { "-".to_owned() } else { count.to_string() };
        [
            explanation.id.to_string(),
            explanation.state.to_string(),
            explanation.reason.to_string(),
            explanation.drain_ends_at.map_or_else(|| "-".to_owned(), print_seconds),
            count(explanation.dropped_services.len()),
            count(findings.len()),
            explanation.message.clone(),
        ]
    };
    let rows: Vec<_> =
        [heading.map(str::to_owned)].into_iter().chain(explanations.iter().map(row)).collect();
    let style = |row: usize, column: usize| match (row.checked_sub(1), column) {
        (None, _) => Some(HEADING),
        (Some(offer), 1) => explanations.get(offer).map(|one| colour(one.explanation.state)),
        (Some(_), _) => None,
    };
    table(&rows, style)
        + "\nregistrar explain NAMESPACE/NAME shows the fix, entries that are left out, and findings.\n"
}

fn colour(state: OfferState) -> Style {
    match state {
        OfferState::Published => GOOD,
        OfferState::Draining => ATTENTION,
        OfferState::Drained | OfferState::Unpublished => BAD,
    }
}

fn detail(explained: &ExplainedOffer) -> String {
    let ExplainedOffer { explanation, findings } = explained;
    let Explanation { id, state, reason, message, fix, x402, .. } = explanation;
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
    if let Some(problem) = x402.as_ref().and_then(|listing| listing.problem.as_ref()) {
        let X402Problem { code, message, fix } = problem;
        writeln!(text, "  not in the x402 lists: {code}: {message} {fix}")
            .expect("writing to a String cannot fail");
    }
    for finding in &findings[..] {
        let Finding { code, message, .. } = finding;
        let severity = code.severity().as_str();
        writeln!(text, "  {severity}: {code}: {message} {}", code.fix())
            .expect("writing to a String cannot fail");
    }
    text
}
