//! Metrics. docs/metrics.md documents each one, and a test compares that page with a scrape.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Metric, Registry},
};
use tokio::time::Instant;

use super::{
    Exposition,
    connections::{ConnectionMetrics, ListenerMetrics},
    requests::{AnswerCounter, Answers},
};

/// Every metric of the process. Clones share the same values.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ready: Gauge,
    offers: Family<StateLabel, Gauge>,
    reasons: Family<ReasonLabel, Gauge>,
    problems: Family<CodeLabel, Gauge>,
    findings: Family<FindingLabels, Gauge>,
    silence: Seconds,
    incomplete: Seconds,
    brake_engaged: Gauge,
    drift: Counter,
    clock_steps: Counter,
    document_age: Seconds,
    next_change: Seconds,
    answers: Answers,
    panics: Counter,
    leader: Gauge,
    drains_enforced: Family<ResultLabel, Counter>,
    connections: ConnectionMetrics,
    anchoring: AnchoringMetrics,
    heartbeat: Mutex<Instant>,
    registry: Registry,
}

#[derive(Debug)]
struct AnchoringMetrics {
    agents: Family<AnchorLabels, Gauge>,
    funds_days: Family<ChainLabel, Gauge<f64, AtomicU64>>,
    foreign_nonces: Family<ChainLabel, Gauge>,
    duplicate_mints: Family<ChainLabel, Gauge>,
    settled_nonces: Family<ChainLabel, Gauge>,
    endpoints: Family<ChainLabel, Gauge>,
    endpoint_up: Family<EndpointLabels, Gauge>,
    history_left: Family<ChainLabel, Gauge>,
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
struct FindingLabels {
    code: &'static str,
    severity: &'static str,
}

/// What became of an attempt to enforce the end of a drain.
const DRAIN_RESULTS: [&str; 2] = ["enforced", "failed"];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
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

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndpointLabels {
    chain: String,
    endpoint: String,
}

/// The state of anchoring on one chain.
#[derive(Clone, Debug)]
pub(crate) struct ChainStats {
    /// The chain's CAIP-2 identifier.
    pub(crate) chain: String,
    /// The number of agents for every reason, including reasons that no agent has.
    pub(crate) reasons: Vec<(&'static str, usize)>,
    /// How many days the account's balance lasts at the daily budget.
    pub(crate) days_of_funds: f64,
    /// Finalized nonces used by transactions that are not in this journal.
    pub(crate) foreign_nonces: u64,
    /// Tokens of the account that carry a key which an older token carries.
    pub(crate) duplicate_mints: usize,
    /// The account's transaction count in the last final block.
    pub(crate) settled_nonces: u64,
    /// The number of configured endpoints; a single endpoint is trusted without cross-checking.
    pub(crate) endpoints: usize,
}

/// Values that are read at the moment of a scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScrapeValues {
    /// Whether documents can be served.
    pub(crate) ready: bool,
    /// The number of offers in every state, including states that no offer is in.
    pub(crate) states: Vec<(&'static str, usize)>,
    /// The number of offers for every reason, including reasons that no offer has.
    pub(crate) reasons: Vec<(&'static str, usize)>,
    /// The number of source problems by code; codes without a problem are absent.
    pub(crate) problems: Vec<(&'static str, usize)>,
    /// The number of published documents with a finding, by its code and severity; codes without a
    /// document are absent.
    pub(crate) findings: Vec<(&'static str, &'static str, usize)>,
    /// Time since the source last responded; `None` before its first response.
    pub(crate) since_response: Option<Duration>,
    /// Time since the source was last complete; `None` before it first was.
    pub(crate) since_complete: Option<Duration>,
    /// Whether the shrink brake keeps lost offers published.
    pub(crate) brake_engaged: bool,
    /// Seconds since the default document changed; `None` before the first document.
    pub(crate) document_age: Option<f64>,
    /// Seconds until the clock alone changes a document, negative when overdue; `None` if it never
    /// does.
    pub(crate) next_change: Option<f64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Creates every metric, at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("registrar");
        register_build_info(&mut registry);
        let answers = Answers::default();
        registry.register_collector(Box::new(answers.clone()));
        let to = &mut registry;
        let metrics = Self(Arc::new(Inner {
            ready: register(
                to,
                "ready",
                "1 while documents can be served, as /readyz says, else 0",
            ),
            offers: register(to, "offers", "Offers seen, by state"),
            reasons: register(
                to,
                "offers_by_reason",
                "Offers seen, by the first reason that applies",
            ),
            problems: register(
                to,
                "source_problems",
                "Source problems that do not belong to one offer",
            ),
            findings: register(
                to,
                "document_findings",
                "Published documents in which lint finds something, by its code",
            ),
            silence: register(
                to,
                "source_silence_seconds",
                "Seconds since the source last responded; NaN before its first response",
            ),
            incomplete: register(
                to,
                "source_incomplete_seconds",
                "Seconds since the source was last complete; NaN before it first was",
            ),
            brake_engaged: register(
                to,
                "source_brake_engaged",
                "1 while the shrink brake keeps lost offers published, else 0",
            ),
            drift: register(
                to,
                "source_drift",
                "Objects whose changes a watch had missed, corrected by a full list",
            ),
            clock_steps: register(
                to,
                "clock_steps",
                "Times that the wall clock was stepped or the machine was suspended",
            ),
            document_age: register(
                to,
                "document_age_seconds",
                "Seconds since the default agent's document last changed; NaN before the first one",
            ),
            next_change: register(
                to,
                "document_next_change_seconds",
                "Seconds until the clock alone changes a document; NaN when nothing drains",
            ),
            answers,
            panics: register(
                to,
                "http_panics",
                "Requests answered with 500 because a handler panicked",
            ),
            leader: register(to, "leader", "1 while this process holds the Lease, else 0"),
            drains_enforced: register(
                to,
                "drains_enforced",
                "Ends of drains that were enforced in the cluster, and attempts that failed",
            ),
            connections: ConnectionMetrics::new(to),
            anchoring: AnchoringMetrics::new(to),
            heartbeat: Mutex::new(Instant::now()),
            registry,
        }));
        // Both results exist from the start, so that the first failure is an increase.
        for result in DRAIN_RESULTS {
            drop(metrics.0.drains_enforced.get_or_create(&ResultLabel { result }));
        }
        metrics
    }

    /// Counts the answers of one more thread of a listener.
    pub(crate) fn answers(&self, listener: &'static str) -> AnswerCounter {
        self.0.answers.counter(listener)
    }

    /// The metrics of one listener's connections, for every reason to close one.
    pub(crate) fn listener(
        &self,
        name: &'static str,
        reasons: impl IntoIterator<Item = &'static str>,
    ) -> ListenerMetrics {
        self.0.connections.listener(name, reasons)
    }

    /// Counts a request whose handler panicked.
    pub(crate) fn panicked(&self) {
        self.0.panics.inc();
    }

    /// Records whether this process holds the Lease.
    pub(crate) fn leads(&self, leads: bool) {
        self.0.leader.set(leads.into());
    }

    /// Counts an attempt to enforce the end of a drain that changed something or failed.
    pub(crate) fn drain_enforced(&self, succeeded: bool) {
        let [enforced, failed] = DRAIN_RESULTS;
        let result = if succeeded { enforced } else { failed };
        self.0.drains_enforced.get_or_create(&ResultLabel { result }).inc();
    }

    /// Records the state of anchoring on one chain.
    pub(crate) fn anchored(&self, stats: &ChainStats) {
        let metrics = &self.0.anchoring;
        let chain = ChainLabel { chain: stats.chain.clone() };
        for (reason, agents) in &stats.reasons {
            let labels = AnchorLabels { chain: stats.chain.clone(), reason };
            metrics.agents.get_or_create(&labels).set(clamped(*agents));
        }
        metrics.funds_days.get_or_create(&chain).set(stats.days_of_funds);
        metrics.foreign_nonces.get_or_create(&chain).set(clamped(stats.foreign_nonces));
        metrics.duplicate_mints.get_or_create(&chain).set(clamped(stats.duplicate_mints));
        metrics.settled_nonces.get_or_create(&chain).set(clamped(stats.settled_nonces));
        metrics.endpoints.get_or_create(&chain).set(clamped(stats.endpoints));
    }

    /// Records which endpoints of a chain work, by their names.
    pub(crate) fn endpoints_answered(&self, chain: &str, health: &[(String, bool)]) {
        for (endpoint, is_up) in health {
            let labels = EndpointLabels { chain: chain.to_owned(), endpoint: endpoint.clone() };
            self.0.anchoring.endpoint_up.get_or_create(&labels).set((*is_up).into());
        }
    }

    /// Records how many blocks of a chain's event history are still to be read.
    pub(crate) fn history_read(&self, chain: &str, left: u64) {
        let chain = ChainLabel { chain: chain.to_owned() };
        self.0.anchoring.history_left.get_or_create(&chain).set(clamped(left));
    }

    /// Counts objects whose changes a watch had missed.
    pub(crate) fn drifted(&self, objects: usize) {
        self.0.drift.inc_by(objects.try_into().unwrap_or(u64::MAX));
    }

    /// Counts a step of the wall clock.
    pub(crate) fn clock_stepped(&self) {
        self.0.clock_steps.inc();
    }

    /// Records that the publisher has completed an iteration.
    pub(crate) fn heartbeat(&self) {
        *self.0.heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Time since the publisher last completed an iteration.
    pub(crate) fn since_heartbeat(&self) -> Duration {
        self.0.heartbeat.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Encodes every metric in a format.
    pub(crate) fn scrape(&self, values: &ScrapeValues, format: Exposition) -> String {
        let inner = &self.0;
        inner.ready.set(values.ready.into());
        for (state, offers) in &values.states {
            inner.offers.get_or_create(&StateLabel { state }).set(clamped(*offers));
        }
        for (reason, offers) in &values.reasons {
            inner.reasons.get_or_create(&ReasonLabel { reason }).set(clamped(*offers));
        }
        inner.problems.clear();
        for (code, problems) in &values.problems {
            inner.problems.get_or_create(&CodeLabel { code }).set(clamped(*problems));
        }
        inner.findings.clear();
        for (code, severity, documents) in &values.findings {
            let labels = FindingLabels { code, severity };
            inner.findings.get_or_create(&labels).set(clamped(*documents));
        }
        let seconds = |duration: Option<Duration>| {
            duration.map_or(f64::NAN, |duration| duration.as_secs_f64())
        };
        inner.silence.set(seconds(values.since_response));
        inner.incomplete.set(seconds(values.since_complete));
        inner.brake_engaged.set(values.brake_engaged.into());
        inner.document_age.set(values.document_age.unwrap_or(f64::NAN));
        inner.next_change.set(values.next_change.unwrap_or(f64::NAN));
        let mut text = String::new();
        encode(&mut text, &inner.registry).expect("writing to a String cannot fail");
        format.translate(text)
    }
}

impl AnchoringMetrics {
    fn new(to: &mut Registry) -> Self {
        Self {
            agents: register(to, "anchor_agents", "Agents to be anchored, by chain and reason"),
            funds_days: register(
                to,
                "anchor_funds_days",
                "Days that the account's balance lasts at the daily budget",
            ),
            foreign_nonces: register(
                to,
                "anchor_foreign_nonces",
                "Finalized nonces used by transactions that are not in this journal",
            ),
            duplicate_mints: register(
                to,
                "anchor_duplicate_mints",
                "Tokens of the account that carry an agent's key although an older token carries it",
            ),
            settled_nonces: register(
                to,
                "anchor_settled_nonces",
                "The account's transaction count in the last final block",
            ),
            endpoints: register(
                to,
                "anchor_endpoints",
                "Configured JSON-RPC endpoints; a single one is trusted without cross-checking",
            ),
            endpoint_up: register(
                to,
                "anchor_endpoint_up",
                "1 if the endpoint served the last request of its kind, else 0",
            ),
            history_left: register(
                to,
                "anchor_history_blocks_left",
                "Blocks of the registry's event history that are still to be read",
            ),
        }
    }
}

/// Adds a metric at zero to the registry and returns a handle to it.
pub(super) fn register<M: Metric + Clone + Default>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn register_build_info(registry: &mut Registry) {
    let build =
        Info::new([("version", env!("CARGO_PKG_VERSION")), ("commit", env!("REGISTRAR_COMMIT"))]);
    registry.register("build", "The version that is running", build);
}

fn clamped(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
