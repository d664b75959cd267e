//! What was typed, and what it means. The only place that reads settings.

mod anchoring;
mod offers;

use std::{net::SocketAddr, time::Duration};

use clap::{
    Args, CommandFactory, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};

use self::offers::require_public_url;
pub(crate) use self::{
    anchoring::{AnchorArgs, AnchorConfig, AnchorSettings, bad_setting},
    offers::{AccessArgs, OfferArgs, OfferConfig, OfferSource},
};
use crate::{
    offer::{GracePeriod, Hostname, OfferId, Timestamp, parse_timestamp},
    source::cluster::Access,
    telemetry::LogFormat,
};

/// Publishes Kubernetes ServiceOffers as ERC-8004 agent registrations.
#[derive(Debug, Parser)]
#[command(name = "registrar", version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("REGISTRAR_COMMIT"), ")"))]
#[command(
    max_term_width = 100,
    after_help = "Every setting can be given as REGISTRAR_… in the environment, \
    repeatable ones separated by commas. Exit codes: 0 fine, 1 failed, 2 bad usage."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line. Ends the process with usage help if it cannot be read.
    pub(crate) fn read() -> Self {
        Self::try_parse().unwrap_or_else(|mut error| {
            // A URL that slipped out of its setting may hold an API key.
            for kind in
                [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue]
            {
                if let Some(ContextValue::String(text)) = error.get(kind) {
                    let shown = without_urls(text);
                    error.insert(kind, ContextValue::String(shown));
                }
            }
            error.exit()
        })
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves registration documents over HTTP, from a cluster or from files
    Serve(ServeArgs),
    /// Prints one document's exact bytes, from files
    Render(RenderArgs),
    /// Says why each offer is or is not published
    Explain(ExplainArgs),
    /// Stops selling an offer after a grace period; announced from the moment drainAt is set
    Drain(DrainArgs),
    /// Takes a drain back, also one that has ended
    Undrain(UndrainArgs),
    /// Anchors agents in the on-chain identity registry, exactly once, without serving
    #[command(subcommand)]
    Anchor(AnchorCommand),
    /// Prints the CustomResourceDefinitions, for a cluster without the original controller
    Crds,
    /// Prints a completion script
    Completions {
        /// The shell that will read it
        shell: clap_complete::Shell,
    },
}

/// The verbs under `anchor`.
#[derive(Debug, Subcommand)]
pub(crate) enum AnchorCommand {
    /// Anchors as serve --anchor does, without a listener
    Run(AnchorRunArgs),
    /// Says which transactions would be sent and why, and sends nothing
    Plan(AnchorReportArgs),
    /// Says what the journal remembers: ids, open slots, the last decision and its reasons
    Status(AnchorReportArgs),
}

/// `registrar anchor run`
#[derive(Debug, Args)]
pub(crate) struct AnchorRunArgs {
    #[command(flatten)]
    offers: OfferArgs,
    #[command(flatten)]
    anchoring: AnchorArgs,
    /// Decide once on each chain, then end
    #[arg(long)]
    once: bool,
    /// The form of the log lines on stderr
    #[arg(long, value_name = "FORMAT", env = "REGISTRAR_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// `registrar anchor plan` and `registrar anchor status`
#[derive(Debug, Args)]
pub(crate) struct AnchorReportArgs {
    #[command(flatten)]
    offers: OfferArgs,
    #[command(flatten)]
    anchoring: AnchorArgs,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// `registrar serve`
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    offers: OfferArgs,
    #[command(flatten)]
    anchoring: AnchorArgs,
    /// The public listener's address; port 0 picks a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "REGISTRAR_LISTEN",
        default_value = "127.0.0.1:8004"
    )]
    listen: SocketAddr,
    /// The admin listener's address; port 0 picks a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "REGISTRAR_ADMIN_LISTEN",
        default_value = "127.0.0.1:9004"
    )]
    admin_listen: SocketAddr,
    /// The longest that an answer may be kept downstream; never past the next change that the clock will make
    #[arg(long, value_name = "SECONDS", env = "REGISTRAR_MAX_AGE", default_value = "5s", value_parser = seconds)]
    max_age: Duration,
    /// On SIGTERM, how long to go on serving with readiness off, so that load balancers notice; SIGINT skips it
    #[arg(long, value_name = "SECONDS", env = "REGISTRAR_SHUTDOWN_DELAY", default_value = "5s", value_parser = seconds)]
    shutdown_delay: Duration,
    /// The form of the log lines on stderr
    #[arg(long, value_name = "FORMAT", env = "REGISTRAR_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// `registrar render`
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    #[command(flatten)]
    offers: OfferArgs,
    /// The instant to render for, RFC 3339; default now
    #[arg(long, value_name = "RFC3339", value_parser = timestamp)]
    pub(crate) at: Option<Timestamp>,
    /// Whose document: default, host:NAME, or offer:NAMESPACE/NAME
    #[arg(long, value_name = "AGENT", default_value = "default", value_parser = agent)]
    pub(crate) agent: Agent,
}

/// Whose document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    /// The default agent's.
    Default,
    /// A host's.
    Host(Hostname),
    /// One offer's.
    Offer(OfferId),
}

/// `registrar explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    offers: OfferArgs,
    /// The instant to judge at, RFC 3339; default now
    #[arg(long, value_name = "RFC3339", value_parser = timestamp)]
    pub(crate) at: Option<Timestamp>,
    /// Print a JSON array instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Only this offer
    #[arg(value_name = "NAMESPACE/NAME", value_parser = offer_id)]
    pub(crate) offer: Option<OfferId>,
}

/// `registrar drain`
#[derive(Debug, Args)]
#[command(
    after_help = "The drain is announced at once: from the moment drainAt is set, documents say available: false \
    and drainEndsAt for this offer's services, and at the end they vanish."
)]
pub(crate) struct DrainArgs {
    /// The offer to stop
    #[arg(value_name = "NAMESPACE/NAME", value_parser = offer_id)]
    pub(crate) offer: OfferId,
    /// How long it goes on serving, as a Go duration; default 1h
    #[arg(long, value_name = "DURATION", value_parser = grace, conflicts_with = "force")]
    pub(crate) grace: Option<String>,
    /// No grace: the offer vanishes at once
    #[arg(long)]
    pub(crate) force: bool,
    /// Start over when the offer drains already, or has
    #[arg(long)]
    pub(crate) restart: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    access: AccessArgs,
}

/// `registrar undrain`
#[derive(Debug, Args)]
pub(crate) struct UndrainArgs {
    /// The offer to sell again
    #[arg(value_name = "NAMESPACE/NAME", value_parser = offer_id)]
    pub(crate) offer: OfferId,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    access: AccessArgs,
}

/// The settings of `serve`, checked.
#[derive(Debug)]
pub(crate) struct ServeConfig {
    /// Source and rules.
    pub(crate) offers: OfferConfig,
    /// What is done about the chain.
    pub(crate) anchoring: AnchorConfig,
    /// The public listener.
    pub(crate) listen: SocketAddr,
    /// The admin listener.
    pub(crate) admin_listen: SocketAddr,
    /// The longest that an answer may be kept downstream.
    pub(crate) max_age: Duration,
    /// How long readiness is off before the listeners close.
    pub(crate) shutdown_delay: Duration,
    /// The form of log lines.
    pub(crate) log_format: LogFormat,
}

impl ServeArgs {
    /// What the settings mean. Ends the process with usage help if they cannot work together.
    pub(crate) fn resolve(self) -> ServeConfig {
        let Self { offers, anchoring, listen, admin_listen, max_age, shutdown_delay, log_format } =
            self;
        let offers = offers.resolve();
        require_public_url(&offers.source);
        let anchoring = anchoring.resolve(offers.source.public_url());
        ServeConfig { offers, anchoring, listen, admin_listen, max_age, shutdown_delay, log_format }
    }
}

impl AnchorRunArgs {
    /// What the settings mean: offers, anchoring, whether to decide only once, and the log format.
    pub(crate) fn resolve(self) -> (OfferConfig, AnchorSettings, bool, LogFormat) {
        let Self { offers, anchoring, once, log_format } = self;
        let offers = offers.resolve();
        let anchoring = anchoring.signing(offers.source.public_url());
        (offers, anchoring, once, log_format)
    }
}

impl AnchorReportArgs {
    /// What the settings mean: offers, anchoring, and whether to print JSON.
    pub(crate) fn resolve(self) -> (OfferConfig, AnchorSettings, bool) {
        let Self { offers, anchoring, json } = self;
        let offers = offers.resolve();
        let anchoring = anchoring.reporting(offers.source.public_url());
        (offers, anchoring, json)
    }
}

impl RenderArgs {
    /// What the settings mean. Ends the process with usage help if one is missing.
    pub(crate) fn resolve(self) -> (OfferConfig, Agent, Option<Timestamp>) {
        let Self { offers, at, agent } = self;
        let offers = offers.resolve();
        if matches!(offers.source, OfferSource::Cluster { .. }) {
            refuse(
                ErrorKind::MissingRequiredArgument,
                "--offers PATH is required: render reads manifests",
            );
        }
        require_public_url(&offers.source);
        (offers, agent, at)
    }
}

impl ExplainArgs {
    /// What the settings mean.
    pub(crate) fn resolve(self) -> (OfferConfig, Option<OfferId>, Option<Timestamp>, bool) {
        let Self { offers, at, json, offer } = self;
        (offers.resolve(), offer, at, json)
    }
}

impl DrainArgs {
    /// How to reach the cluster.
    pub(crate) fn access(&self) -> Access {
        self.access.clone().resolve()
    }
}

impl UndrainArgs {
    /// How to reach the cluster.
    pub(crate) fn access(&self) -> Access {
        self.access.clone().resolve()
    }
}

fn refuse(kind: ErrorKind, message: &str) -> ! {
    Cli::command().error(kind, message).exit()
}

/// A message in which no word has a URL: it may hold an API key.
fn without_urls(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.contains("://") { "<URL>" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn offer_id(text: &str) -> Result<OfferId, &'static str> {
    OfferId::parse(text).ok_or("should be NAMESPACE/NAME")
}

fn timestamp(text: &str) -> Result<Timestamp, &'static str> {
    parse_timestamp(text).ok_or("should be an RFC 3339 time such as 2026-05-24T14:00:00Z")
}

fn agent(text: &str) -> Result<Agent, &'static str> {
    let host = |name| Hostname::parse(name).map(Agent::Host);
    let offer = |name| OfferId::parse(name).map(Agent::Offer);
    match text.split_once(':') {
        None if text == "default" => Some(Agent::Default),
        Some(("host", name)) => host(name),
        Some(("offer", name)) => offer(name),
        Some(_) | None => None,
    }
    .ok_or("should be default, host:NAME or offer:NAMESPACE/NAME")
}

fn grace(text: &str) -> Result<String, String> {
    GracePeriod::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Whole seconds, written as a number or as a Go duration.
fn seconds(text: &str) -> Result<Duration, String> {
    let text =
        if text.bytes().all(|b| b.is_ascii_digit()) { format!("{text}s") } else { text.to_owned() };
    let duration = GracePeriod::parse(&text).map_err(|error| error.to_string())?.duration();
    let whole = duration.subsec_nanos() == 0 && duration.as_secs() <= 86_400;
    whole.then_some(duration).ok_or_else(|| "should be whole seconds, at most a day".to_owned())
}
