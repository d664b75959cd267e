//! The admin listener: health, metrics, and every offer seen with its reason.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tower_http::set_header::SetResponseHeaderLayer;
use url::form_urlencoded;

use super::{
    CatalogReader, Route, assemble, common_layers, count_misses, problem, problem::ProblemDetails,
};
use crate::{
    catalog::ListedAgent,
    offer::print_seconds,
    registration::{AgentName, Explanation, OfferState, Reason, encode},
    source::{self, SourceHealth},
    telemetry::ScrapeValues,
};

/// What is said here is true now only.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// A publisher that is silent for longer cannot do its job any more: it goes round every 30 s at least.
const HEARTBEAT_LIMIT: Duration = Duration::from_secs(120);

/// What the admin listener can see.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    /// What the public listener serves from.
    pub(crate) reader: CatalogReader,
    /// How the source is.
    pub(crate) vitals: SourceHealth,
    /// Set when the process is about to end.
    pub(crate) stopping: Arc<AtomicBool>,
}

/// The admin router.
pub(crate) fn router(admin: Admin) -> Router {
    let metrics = admin.reader.metrics.clone();
    assemble(routes(), &metrics)
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, NO_STORE))
        .layer(common_layers())
        .layer(axum::middleware::from_fn_with_state(metrics, count_misses))
        .with_state(admin)
}

/// Every path of the admin router, as it is written there and in openapi.yaml.
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
        ("/debug/offers", get(debug_offers)),
    ]
}

/// Whether the process can still do its job.
async fn livez(State(admin): State<Admin>) -> Result<&'static str, ProblemDetails> {
    let silent = admin.reader.metrics.since_heartbeat();
    if silent > HEARTBEAT_LIMIT { Err(ProblemDetails::stuck(silent.as_secs())) } else { Ok("ok\n") }
}

/// Settings are read and both listeners bound. A source that is missing restarts nothing.
async fn startupz() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadinessReport {
    ready: bool,
    /// What keeps the first world from being complete.
    missing: Vec<source::SourceProblem>,
    /// What is wrong besides, and what was kept because of it.
    problems: Vec<source::SourceProblem>,
    source_silence_seconds: Option<f64>,
    source_incomplete_seconds: Option<f64>,
    public_url: Option<String>,
    next_change: Option<String>,
    document_changed_at: Option<String>,
    offers: std::collections::BTreeMap<&'static str, usize>,
    /// How agents stand on chain, by agent, then registry; nothing where none is anchored.
    anchoring: Vec<Anchor>,
}

/// How one agent stands in one registry.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Anchor {
    agent: AgentName,
    agent_registry: String,
    reason: &'static str,
}

/// Whether documents can be served; `?verbose` says all there is to say.
async fn readyz(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let verbose = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .any(|(name, _)| name == "verbose");
    let problem = if admin.stopping.load(Ordering::Relaxed) {
        Some(ProblemDetails::stopping())
    } else {
        admin.reader.catalog.borrow().is_none().then(|| admin.reader.incomplete())
    };
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

/// What is wrong besides single offers: with the source, and with documents that some readers will not take.
fn problems(admin: &Admin) -> Vec<source::SourceProblem> {
    let mut problems = admin.reader.observed.borrow().problems.clone();
    let large = admin.reader.catalog.borrow().as_ref().map(|catalog| catalog.large_documents());
    problems.extend(large.into_iter().flatten().map(|(agent, bytes)| {
        let message = format!("{bytes} bytes; some readers take no more than 65,536. Publish fewer or shorter entries.");
        source::SourceProblem::new("LargeDocument", format!("the document of {agent}"), message)
    }));
    problems
}

fn readiness(admin: &Admin, ready: bool) -> ReadinessReport {
    let observed = admin.reader.observed.borrow().clone();
    let catalog = admin.reader.catalog.borrow().clone();
    let explanations =
        catalog.as_ref().map(|catalog| catalog.explanations.as_slice()).unwrap_or_default();
    ReadinessReport {
        ready,
        missing: observed.missing,
        problems: problems(admin),
        source_silence_seconds: admin.vitals.since_response().map(|silence| silence.as_secs_f64()),
        source_incomplete_seconds: admin
            .vitals
            .since_complete()
            .map(|silence| silence.as_secs_f64()),
        public_url: observed.world.map(|world| world.public_url.to_string()),
        next_change: catalog.as_ref().and_then(|catalog| catalog.valid_until).map(print_seconds),
        document_changed_at: catalog.as_ref().map(|catalog| print_seconds(catalog.changed_at)),
        offers: count_by(explanations, OfferState::ALL, OfferState::as_str, |told| told.state)
            .into_iter()
            .collect(),
        anchoring: catalog.iter().flat_map(|catalog| anchors(&catalog.agents)).collect(),
    }
}

/// Anchoring's health. It plays no part in readiness.
fn anchors(agents: &[ListedAgent]) -> impl Iterator<Item = Anchor> + '_ {
    agents.iter().flat_map(|listed| {
        listed.anchoring.iter().map(|anchor| Anchor {
            agent: listed.agent.clone(),
            agent_registry: anchor.agent_registry.clone(),
            reason: anchor.reason,
        })
    })
}

fn count_by<T: Copy + PartialEq, const N: usize>(
    explanations: &[Explanation],
    all: [T; N],
    name: fn(T) -> &'static str,
    of: fn(&Explanation) -> T,
) -> Vec<(&'static str, usize)> {
    all.into_iter()
        .map(|kind| (name(kind), explanations.iter().filter(|told| of(told) == kind).count()))
        .collect()
}

/// OpenMetrics text.
async fn scrape(State(admin): State<Admin>) -> Response {
    let catalog = admin.reader.catalog.borrow().clone();
    let now = admin.reader.clock.now();
    let explanations =
        catalog.as_ref().map(|catalog| catalog.explanations.as_slice()).unwrap_or_default();
    let mut problems = std::collections::BTreeMap::new();
    for problem in &self::problems(&admin) {
        *problems.entry(problem.code).or_insert(0) += 1;
    }
    let seconds = |span: chrono::TimeDelta| span.as_seconds_f64();
    let reading = ScrapeValues {
        states: count_by(explanations, OfferState::ALL, OfferState::as_str, |told| told.state),
        reasons: count_by(explanations, Reason::ALL, Reason::as_str, |told| told.reason),
        problems: problems.into_iter().collect(),
        since_response: admin.vitals.since_response(),
        since_complete: admin.vitals.since_complete(),
        document_age: catalog.as_ref().map(|catalog| seconds(now - catalog.changed_at)),
        next_change: catalog
            .as_ref()
            .and_then(|catalog| catalog.valid_until)
            .map(|next| seconds(next - now)),
    };
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], admin.reader.metrics.scrape(&reading)).into_response()
}

#[derive(Serialize)]
struct Debug<'a> {
    offers: &'a [Explanation],
    problems: Vec<source::SourceProblem>,
}

/// Every offer seen, and what is wrong besides.
async fn debug_offers(State(admin): State<Admin>) -> Result<Response, ProblemDetails> {
    let current = admin.reader.current().await?;
    let offers = &current.catalog.explanations;
    Ok(json(&Debug { offers, problems: problems(&admin) }))
}

fn json<T: Serialize>(value: &T) -> Response {
    let media_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, media_type)], encode(value)).into_response()
}
