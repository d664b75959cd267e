//! `registrar explain`: why each offer is published or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    process::ExitCode,
};

use anstyle::Style;
use anyhow::bail;

use super::{
    ReadIds, print_json, project_at, read_once,
    terminal::{ATTENTION, BAD, GOOD, HEADING, paint, print_painted, table},
};
use crate::{
    cli::ExplainArgs,
    clock::Clock,
    lint::{Finding, Severity},
    offer::{OfferId, print_seconds},
    registration::{
        AgentName, DroppedService, Explanation, OfferState, Projection, Reason, X402Problem,
    },
    review::{ExplainedOffer, ReviewedAgent, findings},
};

pub(super) async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let (config, only, at, json) = args.resolve();
    let source = read_once(&config, ReadIds::No).await?;
    let at = at.unwrap_or_else(|| Clock::system().now());
    let mut projection = project_at(&source.world, &config, at);
    if let Some(id) = &only {
        projection.explanations.retain(|explanation| explanation.id == *id);
        projection.published.retain(|offer| offer.id == *id);
        if projection.explanations.is_empty() {
            let absence = source.absence_of(id, &config.scope).await;
            bail!("{absence}; run explain without a name to list all offers");
        }
    }
    let agents = reviewed(&projection, only.as_ref());
    let mut explanations = explained(projection);
    let printed = match (&mut explanations[..], only) {
        // The documents of its agents belong to it alone.
        ([one], Some(_)) => {
            one.agents = agents;
            if json { print_json(&explanations)? } else { print_painted(&detail(one))? }
        }
        (_, _) if json => print_json(&explanations)?,
        (several, _) => print_painted(&describe(several, &agents))?,
    };
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
        agents: Vec::new(),
    });
    explained.collect()
}

/// What lint finds in the documents of agents: of all, or of those that sell one offer. Agents in whose
/// documents it finds nothing are left out.
fn reviewed(projection: &Projection, only: Option<&OfferId>) -> Vec<ReviewedAgent> {
    let sells = |reason| !matches!(reason, Reason::DocumentFull | Reason::OfferTooLarge);
    let is_listed = projection.published.iter().any(|offer| sells(offer.reason));
    let default =
        (only.is_none() || is_listed).then_some((AgentName::Default, &projection.default));
    let hosts =
        projection.hosts.iter().filter(|(_, of)| only.is_none() || of.holder.as_ref() == only);
    let hosts = hosts.map(|(host, of)| (AgentName::Host(host.clone()), &of.document));
    let reviewed = default.into_iter().chain(hosts).map(|(agent, document)| ReviewedAgent {
        agent,
        findings: findings(&document.render()).into(),
    });
    reviewed.filter(|reviewed| !reviewed.findings.is_empty()).collect()
}

/// A table of several offers, or one in detail, and what agents' documents have that need attention.
fn describe(explanations: &[ExplainedOffer], agents: &[ReviewedAgent]) -> String {
    let offers = match explanations {
        [] => String::new(),
        [one] => detail(one),
        several => overview(several),
    };
    let worth = agents.iter().filter(|reviewed| grave(&reviewed.findings) > 0);
    let lines = worth.map(|ReviewedAgent { agent, findings }| {
        let codes: BTreeSet<_> = findings
            .iter()
            .filter(|finding| is_grave(finding))
            .map(|finding| finding.code.as_str())
            .collect();
        format!(
            "in the document of {agent}: {}\n",
            codes.into_iter().collect::<Vec<_>>().join(", ")
        )
    });
    offers + &lines.collect::<String>()
}

/// How many findings are errors or warnings.
fn grave(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| is_grave(finding)).count()
}

fn is_grave(finding: &Finding) -> bool {
    finding.code.severity() != Severity::Info
}

fn overview(explanations: &[ExplainedOffer]) -> String {
    let heading = ["OFFER", "STATE", "REASON", "DRAIN ENDS", "LEFT OUT", "FINDINGS", "MESSAGE"];
    let row = |explained: &ExplainedOffer| {
        let ExplainedOffer { explanation, findings, .. } = explained;
        let count = |count: usize| if count == 0 { "-".to_owned() } else { count.to_string() };
        [
            explanation.id.to_string(),
            explanation.state.to_string(),
            explanation.reason.to_string(),
            explanation.drain_ends_at.map_or_else(|| "-".to_owned(), print_seconds),
            count(explanation.dropped_services.len()),
            count(grave(findings)),
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
    let ExplainedOffer { explanation, findings, agents } = explained;
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
        text += &describe_finding(finding, "");
    }
    // What an agent's document has in common with the offer's own is told once, and notes on the entries
    // of others not at all.
    for ReviewedAgent { agent, findings: of_agent } in agents {
        let own: BTreeSet<_> = findings.iter().map(|finding| finding.code).collect();
        for finding in of_agent.iter().filter(|f| is_grave(f) && !own.contains(&f.code)) {
            text += &describe_finding(finding, &format!(" in the document of {agent}"));
        }
    }
    text
}

fn describe_finding(finding: &Finding, place: &str) -> String {
    let Finding { code, message, .. } = finding;
    format!("  {}{place}: {code}: {message} {}\n", code.severity().as_str(), code.fix())
}
