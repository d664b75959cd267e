//! Metrics and logs. What is counted here is documented in docs/metrics.md, and a test compares the two.

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use clap::ValueEnum;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise. The Kubernetes client's own lines repeat what `source` says once.
const DEFAULT_FILTER: &str = "info,kube_runtime=off,kube_client=off";

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends log lines to stderr: stdout is for data.
pub(crate) fn log_to_stderr(format: LogFormat) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

/// An error with its causes, each said once: many libraries repeat the cause in the message.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Where every metric lives. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    offers: Family<StateLabel, Gauge>,
    reasons: Family<ReasonLabel, Gauge>,
    problems: Family<CodeLabel, Gauge>,
    responded: Seconds,
    complete: Seconds,
    document_age: Seconds,
    next_change: Seconds,
    requests: Family<RequestLabels, Counter>,
    anchors: Family<AnchorLabels, Gauge>,
    balances: Family<ChainLabel, Seconds>,
    foreign_nonces: Family<ChainLabel, Gauge>,
    settled_nonces: Family<ChainLabel, Gauge>,
    endpoints: Family<ChainLabel, Gauge>,
    heartbeat: Mutex<Instant>,
}

type Seconds = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AnchorLabels {
    chain: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ChainLabel {
    chain: String,
}

/// How anchoring stands on one chain.
#[derive(Clone, Debug)]
pub(crate) struct ChainStats {
    /// The chain, CAIP-2.
    pub(crate) chain: String,
    /// Agents by reason, every reason named.
    pub(crate) reasons: Vec<(&'static str, usize)>,
    /// Days that the account's balance lasts at the daily budget.
    pub(crate) days_of_funds: f64,
    /// Settled nonces that somebody else used.
    pub(crate) foreign_nonces: u64,
    /// The account's transaction count in the last final block.
    pub(crate) settled_nonces: u64,
    /// How many endpoints are asked; below 2 nobody contradicts a lie.
    pub(crate) endpoints: usize,
}

/// What is known at the moment of a scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScrapeValues {
    /// Offers by state, every state named.
    pub(crate) states: Vec<(&'static str, usize)>,
    /// Offers by reason, every reason named.
    pub(crate) reasons: Vec<(&'static str, usize)>,
    /// Problems of the source by code.
    pub(crate) problems: Vec<(&'static str, usize)>,
    /// How long ago the source responded.
    pub(crate) since_response: Option<Duration>,
    /// How long ago the source was whole.
    pub(crate) since_complete: Option<Duration>,
    /// How long ago the default document changed, seconds.
    pub(crate) document_age: Option<f64>,
    /// Seconds until the clock changes something.
    pub(crate) next_change: Option<f64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("registrar");
        let offers = Family::default();
        registry.register("offers", "Offers seen, by state", offers.clone());
        let reasons = Family::default();
        registry.register(
            "offers_by_reason",
            "Offers seen, by the first reason that applies",
            reasons.clone(),
        );
        let problems = Family::default();
        registry.register(
            "source_problems",
            "Problems of the source that belong to no single offer",
            problems.clone(),
        );
        let responded = Seconds::default();
        registry.register(
            "source_silence_seconds",
            "Seconds since the source last spoke; NaN before",
            responded.clone(),
        );
        let complete = Seconds::default();
        let help =
            "Seconds since all that documents are made from was last seen as it stood; NaN before";
        registry.register("source_incomplete_seconds", help, complete.clone());
        let document_age = Seconds::default();
        let help =
            "Seconds since the default agent's document last changed; NaN before there is one";
        registry.register("document_age_seconds", help, document_age.clone());
        let next_change = Seconds::default();
        let help = "Seconds until the clock alone changes a document; NaN when nothing drains";
        registry.register("document_next_change_seconds", help, next_change.clone());
        let requests = Family::default();
        registry.register("http_requests", "Answers given on both listeners", requests.clone());
        let anchors = Family::default();
        registry.register(
            "anchor_agents",
            "Agents that are anchored, by chain and reason",
            anchors.clone(),
        );
        let balances = Family::default();
        let help = "Days that the account's balance lasts at the daily budget";
        registry.register("anchor_funds_days", help, balances.clone());
        let foreign_nonces = Family::default();
        let help = "Settled nonces of the account that none of our transactions used";
        registry.register("anchor_foreign_nonces", help, foreign_nonces.clone());
        let settled_nonces = Family::default();
        let help = "The account's transaction count in the last final block";
        registry.register("anchor_settled_nonces", help, settled_nonces.clone());
        let endpoints = Family::default();
        let help = "JSON-RPC endpoints that are asked; below 2 nobody contradicts a lie";
        registry.register("anchor_endpoints", help, endpoints.clone());
        let build = Info::new([
            ("version", env!("CARGO_PKG_VERSION")),
            ("commit", env!("REGISTRAR_COMMIT")),
        ]);
        registry.register("build", "What is running", build);
        let heartbeat = Mutex::new(Instant::now());
        let inner = Inner {
            registry,
            offers,
            reasons,
            problems,
            responded,
            complete,
            document_age,
            next_change,
            requests,
            anchors,
            balances,
            foreign_nonces,
            settled_nonces,
            endpoints,
            heartbeat,
        };
        Self(Arc::new(inner))
    }

    /// Counts one answer.
    pub(crate) fn answered(&self, route: &'static str, status: u16) {
        self.0.requests.get_or_create(&RequestLabels { route, status }).inc();
    }

    /// How anchoring stands on one chain.
    pub(crate) fn anchored(&self, reading: &ChainStats) {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let chain = ChainLabel { chain: reading.chain.clone() };
        for (reason, agents) in &reading.reasons {
            let labels = AnchorLabels { chain: reading.chain.clone(), reason };
            self.0.anchors.get_or_create(&labels).set(i64::try_from(*agents).unwrap_or(i64::MAX));
        }
        self.0.balances.get_or_create(&chain).set(reading.days_of_funds);
        self.0.foreign_nonces.get_or_create(&chain).set(count(reading.foreign_nonces));
        self.0.settled_nonces.get_or_create(&chain).set(count(reading.settled_nonces));
        self.0
            .endpoints
            .get_or_create(&chain)
            .set(i64::try_from(reading.endpoints).unwrap_or(i64::MAX));
    }

    /// The publisher went round once.
    pub(crate) fn heartbeat(&self) {
        *self.0.heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long ago the publisher went round.
    pub(crate) fn since_heartbeat(&self) -> Duration {
        self.0.heartbeat.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Everything in OpenMetrics text, with the readings of now.
    pub(crate) fn scrape(&self, reading: &ScrapeValues) -> String {
        let inner = &self.0;
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for (state, offers) in &reading.states {
            inner.offers.get_or_create(&StateLabel { state }).set(count(*offers));
        }
        for (reason, offers) in &reading.reasons {
            inner.reasons.get_or_create(&ReasonLabel { reason }).set(count(*offers));
        }
        inner.problems.clear();
        for (code, problems) in &reading.problems {
            inner.problems.get_or_create(&CodeLabel { code }).set(count(*problems));
        }
        let seconds = |duration: Option<Duration>| {
            duration.map_or(f64::NAN, |duration| duration.as_secs_f64())
        };
        inner.responded.set(seconds(reading.since_response));
        inner.complete.set(seconds(reading.since_complete));
        inner.document_age.set(reading.document_age.unwrap_or(f64::NAN));
        inner.next_change.set(reading.next_change.unwrap_or(f64::NAN));
        let mut text = String::new();
        encode(&mut text, &inner.registry).expect("a String takes every write");
        text
    }
}
