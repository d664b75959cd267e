//! What was typed, and what it means. The only place that reads settings.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use kube::core::Selector;

use crate::{
    offer::{
        Fields, GracePeriod, Hostname, OfferId, Origin, Timestamp, is_dns_name, is_image,
        parse_timestamp,
    },
    registration::{Profile, Rules},
    source::{Scope, cluster::Access, parse_selector, parse_yaml},
    telemetry::LogFormat,
};

/// Condition types that a ServiceOffer in a cluster needs; manifests in files have no controller that sets any.
const CLUSTER_CONDITIONS: [&str; 4] =
    ["ModelReady", "UpstreamHealthy", "PaymentGateReady", "RoutePublished"];

/// Publishes Kubernetes ServiceOffers as ERC-8004 agent registrations.
#[derive(Debug, Parser)]
#[command(name = "registrar", version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("REGISTRAR_COMMIT"), ")"))]
#[command(
    max_term_width = 100,
    after_help = "Every setting can be given as REGISTRAR_… in the environment, \
    repeatable ones separated by commas. Exit codes: 0 fine, 1 failed, 2 bad usage."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
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
    /// Prints the CustomResourceDefinitions, for a cluster without the original controller
    Crds,
    /// Prints a completion script
    Completions {
        /// The shell that will read it
        shell: clap_complete::Shell,
    },
}

/// Where offers come from, and how they become documents. Every verb that reads offers takes these.
#[derive(Debug, Args)]
pub struct OfferArgs {
    /// Manifests to read instead of a cluster: a file, or a folder of *.yaml, *.yml and *.json
    #[arg(long, value_name = "PATH", env = "REGISTRAR_OFFERS")]
    offers: Option<PathBuf>,
    /// Only offers of this namespace; repeatable, default all
    #[arg(long = "namespace", value_name = "NAMESPACE", env = "REGISTRAR_NAMESPACE", value_delimiter = ',', value_parser = namespace)]
    namespaces: Vec<String>,
    /// Only offers with these labels, as kubectl -l takes them
    #[arg(long, value_name = "SELECTOR", env = "REGISTRAR_SELECTOR", value_parser = parse_selector)]
    selector: Option<Selector>,
    /// The AgentIdentity that names the agent's on-chain ids, or none to do without the kind
    #[arg(long, value_name = "NAMESPACE/NAME", env = "REGISTRAR_IDENTITY", default_value = "x402/default", value_parser = identity)]
    identity: IdentityArg,
    /// The origin of all published URLs, such as https://agents.example; in a cluster, default is the tunnelURL of
    /// ConfigMap obol-frontend/obol-stack-config
    #[arg(long, value_name = "URL", env = "REGISTRAR_PUBLIC_URL", value_parser = origin)]
    public_url: Option<Origin>,
    /// A YAML file with name, description, image, supportedTrust, metadata and provenance of the default agent, each on
    /// its own; what it leaves out comes from the oldest published offer
    #[arg(long, value_name = "FILE", env = "REGISTRAR_PROFILE", value_parser = profile)]
    profile: Option<Profile>,
    /// Condition types that must be True, or none; default in a cluster ModelReady, UpstreamHealthy, PaymentGateReady
    /// and RoutePublished, for files none
    #[arg(long, value_name = "A,B", env = "REGISTRAR_REQUIRED_CONDITIONS", value_delimiter = ',')]
    required_conditions: Option<Vec<String>>,
    /// Drop a draining offer that lacks a required condition, as the original system does
    #[arg(long, env = "REGISTRAR_DROP_UNREADY_DRAINS")]
    drop_unready_drains: bool,
    /// Publish only service entries with these names, generated ones (web, OASF) included; default all
    #[arg(long, value_name = "A,B", env = "REGISTRAR_SERVICE_NAMES", value_delimiter = ',')]
    service_names: Option<Vec<String>>,
    /// Cut the aggregate document above this size, newest offers first
    #[arg(
        long,
        value_name = "BYTES",
        env = "REGISTRAR_MAX_DOCUMENT_BYTES",
        default_value_t = 1_048_576
    )]
    max_document_bytes: usize,
    #[command(flatten)]
    access: AccessArgs,
}

/// How a cluster is reached.
#[derive(Debug, Args)]
pub struct AccessArgs {
    /// A kubeconfig file; default KUBECONFIG, ~/.kube/config, or the pod's own account
    #[arg(long, value_name = "FILE", env = "REGISTRAR_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; default its current one
    #[arg(long, value_name = "NAME", env = "REGISTRAR_CONTEXT")]
    context: Option<String>,
}

/// `registrar serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    offers: OfferArgs,
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
pub struct RenderArgs {
    #[command(flatten)]
    offers: OfferArgs,
    /// The instant to render for, RFC 3339; default now
    #[arg(long, value_name = "RFC3339", value_parser = timestamp)]
    pub at: Option<Timestamp>,
    /// Whose document: default, host:NAME, or offer:NAMESPACE/NAME
    #[arg(long, value_name = "AGENT", default_value = "default", value_parser = agent)]
    pub agent: Agent,
}

/// Whose document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// The default agent's.
    Default,
    /// A host's.
    Host(Hostname),
    /// One offer's.
    Offer(OfferId),
}

/// `registrar explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    offers: OfferArgs,
    /// The instant to judge at, RFC 3339; default now
    #[arg(long, value_name = "RFC3339", value_parser = timestamp)]
    pub at: Option<Timestamp>,
    /// Print a JSON array instead of text
    #[arg(long)]
    pub json: bool,
    /// Only this offer
    #[arg(value_name = "NAMESPACE/NAME", value_parser = offer_id)]
    pub offer: Option<OfferId>,
}

/// `registrar drain`
#[derive(Debug, Args)]
#[command(
    after_help = "The drain is announced at once: from the moment drainAt is set, documents say available: false \
    and drainEndsAt for this offer's services, and at the end they vanish."
)]
pub struct DrainArgs {
    /// The offer to stop
    #[arg(value_name = "NAMESPACE/NAME", value_parser = offer_id)]
    pub offer: OfferId,
    /// How long it goes on serving, as a Go duration; default 1h
    #[arg(long, value_name = "DURATION", value_parser = grace, conflicts_with = "force")]
    pub grace: Option<String>,
    /// No grace: the offer vanishes at once
    #[arg(long)]
    pub force: bool,
    /// Start over when the offer drains already, or has
    #[arg(long)]
    pub restart: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    access: AccessArgs,
}

/// `registrar undrain`
#[derive(Debug, Args)]
pub struct UndrainArgs {
    /// The offer to sell again
    #[arg(value_name = "NAMESPACE/NAME", value_parser = offer_id)]
    pub offer: OfferId,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    access: AccessArgs,
}

/// Where offers come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Manifests, and the public URL that they need.
    Files {
        /// A file or a folder.
        root: PathBuf,
        /// The origin of all published URLs, if it was given.
        public_url: Option<Origin>,
    },
    /// A cluster.
    Cluster {
        /// How to reach it.
        access: Access,
        /// The origin of all published URLs; the tunnel ConfigMap's when `None`.
        public_url: Option<Origin>,
    },
}

/// The settings of every verb that reads offers, checked.
#[derive(Clone, Debug)]
pub struct OfferConfig {
    /// Where offers come from.
    pub source: Source,
    /// Which of them exist for us.
    pub scope: Scope,
    /// How they become documents.
    pub rules: Rules,
}

/// The settings of `serve`, checked.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Source and rules.
    pub offers: OfferConfig,
    /// The public listener.
    pub listen: SocketAddr,
    /// The admin listener.
    pub admin_listen: SocketAddr,
    /// The longest that an answer may be kept downstream.
    pub max_age: Duration,
    /// How long readiness is off before the listeners close.
    pub shutdown_delay: Duration,
    /// The form of log lines.
    pub log_format: LogFormat,
}

impl OfferArgs {
    fn resolve(self) -> OfferConfig {
        let Self {
            offers,
            namespaces,
            selector,
            identity,
            public_url,
            profile,
            required_conditions,
            drop_unready_drains,
            service_names,
            max_document_bytes,
            access,
        } = self;
        let IdentityArg(identity) = identity;
        let agent_name = identity.as_ref().map_or("default", |identity| &*identity.name).to_owned();
        let default_conditions: &[&str] = if offers.is_some() { &[] } else { &CLUSTER_CONDITIONS };
        let default_conditions =
            || default_conditions.iter().map(|&condition| condition.to_owned()).collect();
        let source = match offers {
            Some(root) => Source::Files { root, public_url },
            None => Source::Cluster { access: access.resolve(), public_url },
        };
        OfferConfig {
            source,
            scope: Scope { namespaces: namespaces.into_iter().collect(), selector, identity },
            rules: Rules {
                required_conditions: required_conditions.map_or_else(default_conditions, names),
                drop_unready_drains,
                service_names: service_names.map(|listed| listed.into_iter().collect()),
                max_document_bytes,
                profile: profile.unwrap_or_default(),
                agent_name,
            },
        }
    }
}

impl AccessArgs {
    fn resolve(self) -> Access {
        let Self { kubeconfig, context } = self;
        Access { kubeconfig, context }
    }
}

impl ServeArgs {
    /// What the settings mean. Ends the process with usage help if they cannot work together.
    pub fn resolve(self) -> ServeConfig {
        let Self { offers, listen, admin_listen, max_age, shutdown_delay, log_format } = self;
        let offers = offers.resolve();
        require_public_url(&offers.source);
        ServeConfig { offers, listen, admin_listen, max_age, shutdown_delay, log_format }
    }
}

impl RenderArgs {
    /// What the settings mean. Ends the process with usage help if one is missing.
    pub fn resolve(self) -> (OfferConfig, Agent, Option<Timestamp>) {
        let Self { offers, at, agent } = self;
        let offers = offers.resolve();
        if matches!(offers.source, Source::Cluster { .. }) {
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
    pub fn resolve(self) -> (OfferConfig, Option<OfferId>, Option<Timestamp>, bool) {
        let Self { offers, at, json, offer } = self;
        (offers.resolve(), offer, at, json)
    }
}

impl DrainArgs {
    /// How to reach the cluster.
    pub fn access(&self) -> Access {
        Access { kubeconfig: self.access.kubeconfig.clone(), context: self.access.context.clone() }
    }
}

impl UndrainArgs {
    /// How to reach the cluster.
    pub fn access(&self) -> Access {
        Access { kubeconfig: self.access.kubeconfig.clone(), context: self.access.context.clone() }
    }
}

fn require_public_url(source: &Source) {
    if let Source::Files { public_url: None, .. } = source {
        refuse(
            ErrorKind::MissingRequiredArgument,
            "--public-url URL (REGISTRAR_PUBLIC_URL) is required with --offers: documents name it everywhere",
        );
    }
}

fn refuse(kind: ErrorKind, message: &str) -> ! {
    Cli::command().error(kind, message).exit()
}

/// A list of names; the single word `none` is the empty list.
fn names(listed: Vec<String>) -> BTreeSet<String> {
    if listed == ["none"] { BTreeSet::new() } else { listed.into_iter().collect() }
}

#[derive(Clone, Debug)]
struct IdentityArg(Option<OfferId>);

fn identity(text: &str) -> Result<IdentityArg, String> {
    if text == "none" {
        return Ok(IdentityArg(None));
    }
    let id = OfferId::parse(text)
        .ok_or("should be NAMESPACE/NAME, or none to do without AgentIdentity")?;
    Ok(IdentityArg(Some(id)))
}

fn namespace(text: &str) -> Result<String, &'static str> {
    is_dns_name(text).then(|| text.to_owned()).ok_or("is no namespace name")
}

fn offer_id(text: &str) -> Result<OfferId, &'static str> {
    OfferId::parse(text).ok_or("should be NAMESPACE/NAME")
}

fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text).map_err(|error| error.to_string())
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

fn profile(path: &str) -> Result<Profile, String> {
    let text = std::fs::read_to_string(Path::new(path)).map_err(|error| error.to_string())?;
    let documents = parse_yaml(&text).map_err(|error| error.to_string())?;
    let [document] = documents.as_slice() else {
        return Err("should hold one YAML document".to_owned());
    };
    let fields = Fields::of(Some(document), "profile").map_err(|wrong| wrong.to_string())?;
    let known = ["name", "description", "image", "supportedTrust", "metadata", "provenance"];
    let unknown =
        document.as_object().into_iter().flatten().find(|(key, _)| !known.contains(&key.as_str()));
    if let Some((key, _)) = unknown {
        return Err(format!("has the unknown field {key:?}; known are {}", known.join(", ")));
    }
    let text = |key: &str| -> Result<Option<String>, String> {
        let text = fields.text(key).map_err(|wrong| wrong.to_string())?;
        match text.map(str::trim) {
            Some("") => Err(format!("{key} is blank; leave it out to take the oldest offer's")),
            Some(_) | None => Ok(text.map(str::to_owned)),
        }
    };
    let texts = |key: &str| {
        fields.raw(key).map(|_| fields.texts(key)).transpose().map_err(|wrong| wrong.to_string())
    };
    let map = |key: &str| {
        fields.raw(key).map(|_| fields.text_map(key)).transpose().map_err(|wrong| wrong.to_string())
    };
    let image = text("image")?;
    if image.as_deref().is_some_and(|image| !is_image(image)) {
        return Err("image is no public https URL, ipfs:// or data:image/".to_owned());
    }
    Ok(Profile {
        name: text("name")?,
        description: text("description")?,
        image,
        supported_trust: texts("supportedTrust")?,
        metadata: map("metadata")?,
        provenance: map("provenance")?,
    })
}
