//! `/debug/status`: everything that `registrar status` shows, in one answer of bounded size.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use serde::Serialize;

use super::admin::{Admin, ReadinessReport, json, readiness, reasons};
use crate::{
    catalog::{Catalog, ListedAnchor},
    lint::Severity,
    offer::{OfferId, print_seconds},
    registration::{AgentName, RegistrationEntry},
};

/// How many drains, the next ones to end, are listed.
const DRAINS: usize = 10;
/// How many agents are listed.
const AGENTS: usize = 20;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusReport {
    version: &'static str,
    /// The time of the answer.
    now: String,
    #[serde(flatten)]
    readiness: ReadinessReport,
    /// The number of offers with each reason, those that no offer has left out.
    reasons: BTreeMap<&'static str, usize>,
    /// The first ten drains to end.
    next_drains: Vec<NextDrain>,
    agent_count: usize,
    /// The first 20 agents.
    agents: Vec<StatusAgent>,
    /// What lint finds in documents, the worst first.
    findings: Vec<CountedFinding>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NextDrain {
    #[serde(flatten)]
    id: OfferId,
    drain_ends_at: String,
}

#[derive(Serialize)]
struct StatusAgent {
    agent: AgentName,
    active: bool,
    registrations: Vec<RegistrationEntry>,
    anchoring: Vec<ListedAnchor>,
}

#[derive(Serialize)]
struct CountedFinding {
    code: &'static str,
    severity: Severity,
    /// How many documents have it.
    documents: usize,
}

/// `GET /debug/status`
pub(super) async fn status(State(admin): State<Admin>) -> Response {
    let is_ready = admin.is_ready();
    let catalog = admin.reader.catalog.load();
    let catalog = catalog.as_deref();
    let mut findings: Vec<_> = admin.reader.review.load().counts().collect();
    findings.sort_by_key(|(code, _)| (code.severity(), *code));
    let findings = findings.into_iter().map(|(code, documents)| CountedFinding {
        code: code.as_str(),
        severity: code.severity(),
        documents,
    });
    json(&StatusReport {
        version: env!("CARGO_PKG_VERSION"),
        now: print_seconds(admin.reader.clock.now()),
        readiness: readiness(&admin, is_ready),
        reasons: reasons(catalog).into_iter().filter(|(_, offers)| *offers > 0).collect(),
        next_drains: catalog.map(next_drains).unwrap_or_default(),
        agent_count: catalog.map_or(0, |catalog| catalog.projection.agent_count()),
        agents: catalog.map(agents).unwrap_or_default(),
        findings: findings.collect(),
    })
}

fn next_drains(catalog: &Catalog) -> Vec<NextDrain> {
    let drains = catalog.projection.next_drains().take(DRAINS);
    let drain = |(ends_at, id): (_, &OfferId)| NextDrain {
        id: id.clone(),
        drain_ends_at: print_seconds(ends_at),
    };
    drains.map(drain).collect()
}

fn agents(catalog: &Catalog) -> Vec<StatusAgent> {
    let listed = catalog.agents_after(None).take(AGENTS);
    let agent = |listed: crate::catalog::ListedAgent| StatusAgent {
        agent: listed.agent,
        active: listed.active,
        registrations: listed.registrations,
        anchoring: listed.anchoring,
    };
    listed.map(agent).collect()
}
