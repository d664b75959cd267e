//! The command line and the environment, parsed into checked settings. Nothing else reads settings.

mod anchoring;
mod check;
mod drain;
mod leadership;
mod lint;
mod live;
mod offers;
mod plan;
mod retire;
mod serve;

use std::{path::Path, time::Duration};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};
use url::Url;

use self::{anchoring::AgentOnChain, offers::require_public_url};
pub(crate) use self::{
    anchoring::{AnchorArgs, AnchorConfig, AnchorSettings, bad_setting},
    check::{CheckArgs, CheckConfig},
    drain::{DrainArgs, UndrainArgs},
    leadership::{LeaderArgs, Leadership},
    lint::{LintArgs, LintInput},
    live::{StatusArgs, WatchArgs},
    offers::{AccessArgs, OfferArgs, OfferConfig, OfferSource},
    plan::PlanArgs,
    retire::{AnchorRetireArgs, AnchorRetirement},
    serve::{ServeArgs, ServeConfig},
};
use crate::{
    offer::{GracePeriod, Hostname, OfferId, Origin, Timestamp, parse_timestamp},
    registration::{AgentName, AgentRegistry},
    telemetry::LogFormat,
};

/// Publishes Kubernetes ServiceOffers as ERC-8004 agent registrations.
#[derive(Debug, Parser)]
#[command(name = "registrar", version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("REGISTRAR_COMMIT"), ")"))]
#[command(
    max_term_width = 100,
    after_help = "Each setting can also be set by its REGISTRAR_… environment variable; separate the \
    values of a repeatable setting by commas. Exit codes: 0 success, 1 failure, 2 bad usage."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Parses the command line. As a plugin of kubectl, usage lines say `kubectl registrar`.
    fn try_parse_as_called() -> Result<Self, clap::Error> {
        let called = std::env::args_os().next();
        let name = called.as_ref().and_then(|path| Path::new(path).file_name());
        let command = match name.is_some_and(|name| name == KUBECTL_PLUGIN) {
            true => Self::command().bin_name("kubectl registrar"),
            false => Self::command(),
        };
        Self::from_arg_matches(&command.try_get_matches()?)
    }

    /// Parses the command line. Exits the process with code 2 and a usage message if it is invalid.
    pub(crate) fn read() -> Self {
        Self::try_parse_as_called().unwrap_or_else(|mut error| {
            // A misplaced URL may contain an API key, so the message must not repeat it.
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

/// The name of a link to the binary that makes it a plugin of kubectl.
const KUBECTL_PLUGIN: &str = "kubectl-registrar";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves registration documents over HTTP, from a cluster or from files
    Serve(ServeArgs),
    /// Prints the exact bytes of one document, from files
    Render(RenderArgs),
    /// Explains why each offer is published or not
    Explain(ExplainArgs),
    /// Shows how a running server is: sources, offers, drains, agents, findings
    Status(StatusArgs),
    /// Follows what becomes of the offers of a running server
    Watch(WatchArgs),
    /// Shows how each document would differ from the one that is served now
    Plan(PlanArgs),
    /// Checks an installation: cluster, rights, kinds, offers, public URL, routes and chain
    Check(CheckArgs),
    /// Checks any registration document against ERC-8004 and against what its readers reject
    Lint(LintArgs),
    /// Stops selling an offer after a grace period, which documents announce immediately
    Drain(DrainArgs),
    /// Cancels a drain, including one that has ended
    Undrain(UndrainArgs),
    /// Registers agents in the on-chain identity registry, exactly once, without serving
    #[command(subcommand)]
    Anchor(AnchorCommand),
    /// Prints the CustomResourceDefinitions, for a cluster without the original controller
    Crds,
    /// Prints a manual page
    Man {
        /// The verb to print the page of, such as explain or anchor run; default the program itself
        #[arg(value_name = "VERB")]
        verb: Vec<String>,
    },
    /// Prints a shell completion script
    Completions {
        /// The shell to generate the script for
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AnchorCommand {
    /// Anchors agents as serve --anchor does, without a listener
    Run(AnchorRunArgs),
    /// Shows which transactions would be sent and why, without sending any
    Plan(AnchorReportArgs),
    /// Shows the content of the journal: agent ids, transactions in flight, and the last decision
    /// with its reasons
    Status(AnchorReportArgs),
    /// Has calls tried again for an agent that is Reverted: three of them were mined and failed
    Resume(AnchorResumeArgs),
    /// Retires an agent: its agentURI says for good that it is inactive, and it is never minted;
    /// shows the plan unless --yes is given
    Retire(AnchorRetireArgs),
}

/// `registrar anchor run`
#[derive(Debug, Args)]
pub(crate) struct AnchorRunArgs {
    #[command(flatten)]
    offers: OfferArgs,
    #[command(flatten)]
    anchoring: AnchorArgs,
    #[command(flatten)]
    leader: LeaderArgs,
    /// Decide once on each chain, then exit
    #[arg(long)]
    once: bool,
    /// The format of log lines on stderr
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

/// `registrar anchor resume`
#[derive(Debug, Args)]
pub(crate) struct AnchorResumeArgs {
    #[command(flatten)]
    offers: OfferArgs,
    #[command(flatten)]
    anchoring: AnchorArgs,
    /// The agent: the default agent on a chain, or a host's
    #[arg(value_name = "CHAIN[/HOST]")]
    agent: AgentOnChain,
}

/// `registrar render`
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    #[command(flatten)]
    offers: OfferArgs,
    /// The time to render the document for, RFC 3339; default now
    #[arg(long, value_name = "RFC3339", value_parser = timestamp)]
    pub(crate) at: Option<Timestamp>,
    /// The agent or offer to render: default, host:NAME, or offer:NAMESPACE/NAME
    #[arg(long, value_name = "AGENT", default_value = "default", value_parser = agent)]
    pub(crate) agent: RenderTarget,
}

/// The document that `render` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RenderTarget {
    Default,
    Host(Hostname),
    Offer(OfferId),
}

/// `registrar explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    offers: OfferArgs,
    /// The time to explain the offers at, RFC 3339; default now
    #[arg(long, value_name = "RFC3339", value_parser = timestamp)]
    pub(crate) at: Option<Timestamp>,
    /// Print a JSON array instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Explain only this offer
    #[arg(value_name = "NAMESPACE/NAME", value_parser = offer_id)]
    pub(crate) offer: Option<OfferId>,
}

/// The checked settings of `registrar anchor run`.
pub(crate) struct AnchorRunConfig {
    pub(crate) offers: OfferConfig,
    pub(crate) anchoring: AnchorSettings,
    pub(crate) leadership: Option<Leadership>,
    /// Whether to decide only once.
    pub(crate) once: bool,
    pub(crate) log_format: LogFormat,
}

impl AnchorRunArgs {
    /// Checks the settings. Exits the process with code 2 if they contradict each other.
    pub(crate) fn resolve(self) -> AnchorRunConfig {
        let Self { offers, anchoring, leader, once, log_format } = self;
        let offers = offers.resolve();
        let anchoring = anchoring.signing(&offers);
        let leadership = leader.resolve(&offers, true);
        if once && leadership.is_some() {
            refuse(
                ErrorKind::ArgumentConflict,
                "--once decides at once and does not wait for a --lease; use one of the two",
            );
        }
        AnchorRunConfig { offers, anchoring, leadership, once, log_format }
    }
}

impl AnchorReportArgs {
    /// Checks the settings. The flag is whether to print JSON.
    pub(crate) fn resolve(self) -> (OfferConfig, AnchorSettings, bool) {
        let Self { offers, anchoring, json } = self;
        let offers = offers.resolve();
        let anchoring = anchoring.reporting(&offers);
        (offers, anchoring, json)
    }
}

impl AnchorResumeArgs {
    /// Checks the settings. The agent is given with its chain's registry.
    pub(crate) fn resolve(self) -> (AnchorSettings, AgentRegistry, AgentName) {
        let Self { offers, anchoring, agent } = self;
        let settings = anchoring.reporting(&offers.resolve());
        let (registry, agent) = agent.anchored(&settings);
        (settings, registry, agent)
    }
}

impl AgentOnChain {
    /// The agent with the registry of its chain, on which the settings must anchor.
    fn anchored(self, settings: &AnchorSettings) -> (AgentRegistry, AgentName) {
        let Self { chain, agent } = self;
        let mut registries = settings.targets.iter().map(|target| target.client.registry);
        let registry = registries.find(|registry| registry.chain_id == chain.0);
        let registry = registry.unwrap_or_else(|| {
            bad_setting("CHAIN[/HOST]", &format!("names {chain}, which --anchor does not"))
        });
        (registry, agent)
    }
}

impl RenderArgs {
    /// Checks the settings. Exits the process with code 2 if one is missing.
    pub(crate) fn resolve(self) -> (OfferConfig, RenderTarget, Option<Timestamp>) {
        let Self { offers, at, agent } = self;
        let offers = offers.resolve();
        if matches!(offers.source, OfferSource::Cluster { .. }) {
            refuse(
                ErrorKind::MissingRequiredArgument,
                "--offers PATH is required, because render reads manifests",
            );
        }
        require_public_url(&offers.source);
        (offers, agent, at)
    }
}

impl ExplainArgs {
    /// Checks the settings. The flag is whether to print JSON.
    pub(crate) fn resolve(self) -> (OfferConfig, Option<OfferId>, Option<Timestamp>, bool) {
        let Self { offers, at, json, offer } = self;
        (offers.resolve(), offer, at, json)
    }
}

/// The manual page of a verb, or of the program. Exits the process with code 2 if there is no such
/// verb.
pub(crate) fn manual(verb: &[String]) -> std::io::Result<Vec<u8>> {
    let mut program = Cli::command();
    program.build();
    let mut command = &program;
    for name in verb {
        command = command.find_subcommand(name).unwrap_or_else(|| {
            refuse(ErrorKind::InvalidSubcommand, &format!("there is no verb {name:?}"))
        });
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}

fn refuse(kind: ErrorKind, message: &str) -> ! {
    Cli::command().error(kind, message).exit()
}

/// The message with every URL masked.
fn without_urls(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.contains("://") { "<URL>" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn offer_id(text: &str) -> Result<OfferId, &'static str> {
    OfferId::parse(text).ok_or("must be NAMESPACE/NAME")
}

fn origin_url(text: &str) -> Result<Url, String> {
    let origin = Origin::parse(text).map_err(|error| error.to_string())?;
    Url::parse(&origin.to_string()).map_err(|error| error.to_string())
}

fn timestamp(text: &str) -> Result<Timestamp, &'static str> {
    parse_timestamp(text).ok_or("must be an RFC 3339 time such as 2026-05-24T14:00:00Z")
}

fn agent(text: &str) -> Result<RenderTarget, &'static str> {
    let host = |name| Hostname::parse(name).map(RenderTarget::Host);
    let offer = |name| OfferId::parse(name).map(RenderTarget::Offer);
    match text.split_once(':') {
        None if text == "default" => Some(RenderTarget::Default),
        Some(("host", name)) => host(name),
        Some(("offer", name)) => offer(name),
        Some(_) | None => None,
    }
    .ok_or("must be default, host:NAME or offer:NAMESPACE/NAME")
}

/// Parses whole seconds, at most a day, from a number or a Go duration.
fn seconds(text: &str) -> Result<Duration, String> {
    let text =
        if text.bytes().all(|b| b.is_ascii_digit()) { format!("{text}s") } else { text.to_owned() };
    let duration = GracePeriod::parse(&text).map_err(|error| error.to_string())?.duration();
    let whole = duration.subsec_nanos() == 0 && duration.as_secs() <= 86_400;
    whole.then_some(duration).ok_or_else(|| "must be whole seconds, at most a day".to_owned())
}
