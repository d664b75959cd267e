//! Settings of the verbs that read a running server: `registrar status` and `registrar watch`.

use std::num::NonZero;

use clap::Args;
use url::Url;

use super::{offer_id, origin_url};
use crate::{offer::OfferId, registration::AgentName};

/// `registrar status`
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 if documents are served, 1 if they are not or the admin listener cannot be \
    reached, 2 bad usage. In a cluster, forward the port first: kubectl -n erc8004-registrar port-forward \
    deploy/registrar 9004."
)]
pub(crate) struct StatusArgs {
    /// The admin listener of a running server
    #[arg(long, value_name = "URL", env = "REGISTRAR_ADMIN_URL", value_parser = origin_url, default_value = "http://127.0.0.1:9004")]
    pub(crate) admin_url: Url,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Show it again every two seconds until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `registrar watch`
#[derive(Debug, Args)]
#[command(
    after_help = "Connects again by itself and misses nothing: it resumes from the last event. Exit codes: 0 \
    after --count events, 1 if the server cannot be reached at first or refuses, 2 bad usage."
)]
pub(crate) struct WatchArgs {
    /// The public listener of a running server
    #[arg(long, value_name = "URL", env = "REGISTRAR_URL", value_parser = origin_url, default_value = "http://127.0.0.1:8004")]
    pub(crate) url: Url,
    /// Only events of this agent: default or host:NAME
    #[arg(long, value_name = "AGENT", value_parser = agent_name)]
    pub(crate) agent: Option<AgentName>,
    /// Only events of this offer
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = offer_id)]
    pub(crate) offer: Option<OfferId>,
    /// Exit after this many events
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<NonZero<u32>>,
    /// Print one JSON object for each event
    #[arg(long)]
    pub(crate) json: bool,
}

fn agent_name(text: &str) -> Result<AgentName, &'static str> {
    AgentName::parse(text).ok_or("must be default or host:NAME")
}
