//! Log lines and metrics.

mod connections;
mod exposition;
mod logs;
mod metrics;
mod requests;

pub(crate) use self::{
    connections::ListenerMetrics,
    exposition::Exposition,
    logs::{LogFormat, log_to_stderr},
    metrics::{ChainStats, Metrics, ScrapeValues},
    requests::AnswerCounter,
};
