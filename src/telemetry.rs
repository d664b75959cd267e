//! Log lines and metrics.

mod exposition;
mod logs;
mod metrics;

pub(crate) use self::{
    exposition::Exposition,
    logs::{LogFormat, log_to_stderr},
    metrics::{ChainStats, Metrics, ScrapeValues},
};
