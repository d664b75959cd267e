//! Log lines and metrics.

mod logs;
mod metrics;

pub(crate) use self::{
    logs::{LogFormat, log_to_stderr},
    metrics::{ChainStats, Metrics, ScrapeValues},
};
