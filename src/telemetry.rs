//! Log lines and metrics.

mod connections;
mod exposition;
mod latency;
mod logs;
mod metrics;

pub(crate) use self::{
    connections::ListenerMetrics,
    exposition::Exposition,
    latency::Latency,
    logs::{LogFormat, log_to_stderr},
    metrics::{ChainStats, Metrics, ScrapeValues},
};
