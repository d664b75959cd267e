//! The admin listener's router: health, metrics, and every offer with its reason.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, header, uri::Authority},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use tokio::time::Instant;
use tower_http::set_header::SetResponseHeaderLayer;
use url::form_urlencoded;

use super::{
    CatalogReader, Front, Route, assemble, common_layers, listings::Slice, problem,
    problem::ProblemDetails, status,
};
use crate::{
    catalog::Catalog,
    offer::{OfferId, print_seconds},
    registration::{AgentName, Explanation, OfferState, Reason, encode},
    review::{ExplainedOffer, ReviewedAgent},
    source::{self, BrakeRelease},
    telemetry::{Exposition, ScrapeValues},
};

/// Responses describe the process at this moment, so they must not be cached.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// The publisher wakes at least every second, and shows that it is alive while it renders a large
/// world; after this long it is stuck.
const HEARTBEAT_LIMIT: Duration = Duration::from_secs(30);

/// How many agents with findings `/debug/offers` lists.
const REVIEWED_AGENTS: usize = 100;

/// What admin handlers read.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) reader: CatalogReader,
    pub(crate) release: BrakeRelease,
    pub(crate) hosts: AdminHosts,
    /// Set when shutdown begins.
    pub(crate) stopping: Arc<AtomicBool>,
}

/// The host names by which the admin listener is reached.
///
/// A web page can have a browser send requests to a private address under a name of its own, but
/// not under the address itself or under `localhost`.
#[derive(Clone, Debug)]
pub(crate) struct AdminHosts(Arc<[String]>);

impl AdminHosts {
    /// `named` are the names besides IP addresses and `localhost`.
    pub(crate) fn new(named: Vec<String>) -> Self {
        Self(named.into())
    }

    /// Whether requests for an authority, a host with or without a port, are answered.
    fn allow(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        bare.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.0.iter().any(|named| host.eq_ignore_ascii_case(named))
    }
}

impl Admin {
    /// Why this process is not ready, if it is not.
    fn refusal(&self) -> Option<ProblemDetails> {
        if self.stopping.load(Ordering::Relaxed) {
            return Some(ProblemDetails::stopping());
        }
        self.reader.problem()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.refusal().is_none()
    }
}

/// Everything that the admin listener answers.
pub(crate) fn admin(admin: Admin) -> Front {
    let metrics = admin.reader.metrics.clone();
    let router: Router = assemble(routes())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::admin_method_not_allowed)
        .layer(from_fn_with_state(admin.hosts.clone(), check_host))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, NO_STORE))
        .layer(common_layers())
        .with_state(admin);
    Front::admin(router, metrics)
}

/// Every path of the admin router, in the notation of openapi.yaml.
#[cfg(test)]
pub(crate) fn paths() -> Vec<&'static str> {
    routes().into_iter().map(|(path, _)| path).collect()
}

fn routes() -> Vec<Route<Admin>> {
    vec![
        ("/livez", get(livez)),
        ("/readyz", get(readyz)),
        ("/startupz", get(startupz)),
        ("/metrics", get(scrape)),
        ("/debug/status", get(status::status)),
        ("/debug/offers", get(debug_offers)),
        (problem::RELEASE_BRAKE, post(release_brake)),
    ]
}

async fn check_host(
    State(hosts): State<AdminHosts>,
    request: Request,
    next: Next,
) -> Result<Response, ProblemDetails> {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let mut fields = request.headers().get_all(header::HOST).iter();
    let field = || fields.next().and_then(|host| host.to_str().ok());
    let allowed = authority.or_else(field).is_some_and(|authority| hosts.allow(authority));
    if allowed { Ok(next.run(request).await) } else { Err(ProblemDetails::wrong_host()) }
}

/// Fails when the publisher is stuck, so that the process is restarted.
async fn livez(State(admin): State<Admin>) -> Result<&'static str, ProblemDetails> {
    let silent = admin.reader.metrics.since_heartbeat();
    if silent > HEARTBEAT_LIMIT { Err(ProblemDetails::stuck(silent.as_secs())) } else { Ok("ok\n") }
}

/// Always succeeds: settings are valid and both listeners are bound. A missing source must not
/// cause restarts.
async fn startupz() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadinessReport {
    ready: bool,
    /// What prevents the first world from being complete.
    missing: Vec<source::SourceProblem>,
    /// Problems that do not affect readiness, and what was retained because of them.
    problems: Vec<source::SourceProblem>,
    source_silence_seconds: Option<f64>,
    source_incomplete_seconds: Option<f64>,
    /// How many lost offers the shrink brake keeps published.
    held_offers: usize,
    public_url: Option<String>,
    next_change: Option<String>,
    document_changed_at: Option<String>,
    offers: std::collections::BTreeMap<&'static str, usize>,
    /// The anchoring state of each agent in each registry; empty if none is anchored.
    anchoring: Vec<AnchorStatus>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnchorStatus {
    agent: AgentName,
    agent_registry: String,
    reason: &'static str,
}

/// Whether documents can be served; `?verbose` adds the details as JSON.
async fn readyz(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let verbose = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .any(|(name, _)| name == "verbose");
    let problem = admin.refusal();
    if !verbose {
        return problem.map_or_else(|| "ok\n".into_response(), IntoResponse::into_response);
    }
    let mut response = json(&readiness(&admin, problem.is_none()));
    if let Some(refusal) = problem.map(IntoResponse::into_response) {
        *response.status_mut() = refusal.status();
        let retry_after = refusal.headers().get(header::RETRY_AFTER).cloned();
        response.headers_mut().extend(retry_after.map(|seconds| (header::RETRY_AFTER, seconds)));
    }
    response
}

/// Problems that do not belong to one offer: those of the source, its stale parts, and documents that are too large
/// for some readers.
fn problems(admin: &Admin) -> Vec<source::SourceProblem> {
    let mut problems = admin.reader.observed.borrow().problems.clone();
    problems.extend(admin.reader.health.stale_parts());
    let catalog = admin.reader.catalog.load();
    let large = catalog.iter().flat_map(|catalog| catalog.projection.large_documents());
    problems.extend(large.map(|(agent, bytes)| {
        let message = format!(
            "The document has {bytes} bytes, but some readers accept at most 65,536. Publish fewer or \
             shorter entries."
        );
        source::SourceProblem::new(source::SourceProblemCode::LargeDocument, format!("the document of {agent}"), message)
    }));
    problems
}

pub(super) fn readiness(admin: &Admin, ready: bool) -> ReadinessReport {
    let observed = admin.reader.observed.borrow().clone();
    let catalog = admin.reader.catalog.load();
    ReadinessReport {
        ready,
        missing: observed.missing,
        problems: problems(admin),
        source_silence_seconds: admin
            .reader
            .health
            .since_response()
            .map(|silence| silence.as_secs_f64()),
        source_incomplete_seconds: admin
            .reader
            .health
            .since_complete(Instant::now())
            .map(|silence| silence.as_secs_f64()),
        held_offers: observed.held_offers,
        public_url: observed.world.map(|world| world.public_url.to_string()),
        next_change: catalog.as_ref().and_then(|catalog| catalog.valid_until).map(print_seconds),
        document_changed_at: catalog.as_ref().map(|catalog| print_seconds(catalog.changed_at)),
        offers: states(catalog.as_deref()).into_iter().collect(),
        anchoring: catalog.iter().flat_map(|catalog| anchors(catalog)).collect(),
    }
}

/// The state of anchoring, which does not affect readiness.
fn anchors(catalog: &Catalog) -> impl Iterator<Item = AnchorStatus> + '_ {
    let is_listed = |agent: &AgentName| match agent {
        AgentName::Default => true,
        AgentName::Host(host) => catalog.projection.hosts().contains_key(host),
    };
    let listed = catalog.on_chain.0.iter().filter(move |((agent, _), _)| is_listed(agent));
    listed.map(|((agent, registry), known)| AnchorStatus {
        agent: agent.clone(),
        agent_registry: registry.to_string(),
        reason: known.reason,
    })
}

/// The number of offers in each state.
fn states(catalog: Option<&Catalog>) -> Vec<(&'static str, usize)> {
    let count = |state| catalog.map_or(0, |catalog| catalog.projection.count_in_state(state));
    OfferState::ALL.into_iter().map(|state| (state.as_str(), count(state))).collect()
}

/// The number of offers with each reason.
pub(super) fn reasons(catalog: Option<&Catalog>) -> Vec<(&'static str, usize)> {
    let count = |reason| catalog.map_or(0, |catalog| catalog.projection.count_with_reason(reason));
    Reason::ALL.into_iter().map(|reason| (reason.as_str(), count(reason))).collect()
}

/// Metrics in the format that the client prefers.
async fn scrape(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let catalog = admin.reader.catalog.load();
    let now = admin.reader.clock.now();
    let mut problems = std::collections::BTreeMap::new();
    for problem in &self::problems(&admin) {
        *problems.entry(problem.code.as_str()).or_insert(0) += 1;
    }
    let seconds = |span: chrono::TimeDelta| span.as_seconds_f64();
    let review = admin.reader.review.load();
    let findings = review
        .counts()
        .map(|(code, documents)| (code.as_str(), code.severity().as_str(), documents));
    let values = ScrapeValues {
        ready: admin.is_ready(),
        states: states(catalog.as_deref()),
        reasons: reasons(catalog.as_deref()),
        problems: problems.into_iter().collect(),
        since_response: admin.reader.health.since_response(),
        since_complete: admin.reader.health.since_complete(Instant::now()),
        brake_engaged: admin.reader.observed.borrow().held_offers > 0,
        document_age: catalog.as_ref().map(|catalog| seconds(now - catalog.changed_at)),
        next_change: catalog
            .as_ref()
            .and_then(|catalog| catalog.valid_until)
            .map(|next| seconds(next - now)),
        findings: findings.collect(),
    };
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let format = Exposition::accepted(accept);
    let headers = [(header::CONTENT_TYPE, format.media_type()), (header::VARY, "Accept")];
    (headers, admin.reader.metrics.scrape(&values, format)).into_response()
}

#[derive(Serialize)]
struct DebugReport {
    offers: Vec<ExplainedOffer>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
    /// The first 100 agents in whose documents lint finds something.
    agents: Vec<ReviewedAgent>,
    problems: Vec<source::SourceProblem>,
}

/// A page of the offers with their explanations, and the problems that do not belong to one offer.
async fn debug_offers(
    State(admin): State<Admin>,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemDetails> {
    let slice = Slice::parse(query.as_deref(), OfferId::parse)?;
    let current = admin.reader.current().await?;
    let rest = current.catalog.projection.explanations_after(slice.after());
    let (offers, next) = slice.page(rest, |explanation| explanation.id.clone());
    let review = admin.reader.review.load();
    let explained = |explanation: Explanation| ExplainedOffer {
        findings: review.of_offer(&explanation.id),
        explanation,
        // They are listed once for all offers.
        agents: Vec::new(),
    };
    let agents = review.agents().take(REVIEWED_AGENTS).map(|(agent, findings)| ReviewedAgent {
        agent: agent.clone(),
        findings: Arc::clone(findings),
    });
    Ok(json(&DebugReport {
        offers: offers.into_iter().map(explained).collect(),
        next,
        agents: agents.collect(),
        problems: problems(&admin),
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BrakeReport {
    /// How many lost offers were still published and will not be any more.
    released_offers: usize,
}

/// Releases the shrink brake. Harmless if it is not engaged.
async fn release_brake(State(admin): State<Admin>) -> Response {
    let released_offers = admin.reader.observed.borrow().held_offers;
    admin.release.order();
    json(&BrakeReport { released_offers })
}

pub(super) fn json<T: Serialize>(value: &T) -> Response {
    let media_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, media_type)], encode(value)).into_response()
}
