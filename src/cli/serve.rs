//! Settings of `registrar serve`.

use std::{net::SocketAddr, num::NonZero, path::PathBuf, time::Duration};

use clap::{Args, builder::BoolishValueParser};

use super::{
    AnchorArgs, AnchorConfig, LeaderArgs, Leadership, OfferArgs, OfferConfig,
    offers::require_public_url, seconds,
};
use crate::{offer::is_dns_name, telemetry::LogFormat};

/// `registrar serve`
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    offers: OfferArgs,
    #[command(flatten)]
    anchoring: AnchorArgs,
    #[command(flatten)]
    leader: LeaderArgs,
    /// The address of the public listener; port 0 picks a free port
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "REGISTRAR_LISTEN",
        default_value = "127.0.0.1:8004"
    )]
    listen: SocketAddr,
    /// The address of the admin listener; port 0 picks a free port
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "REGISTRAR_ADMIN_LISTEN",
        default_value = "127.0.0.1:9004"
    )]
    admin_listen: SocketAddr,
    /// The number of threads that serve the public listener, each with a socket of its own; default
    /// the number of cores
    #[arg(long, value_name = "N", env = "REGISTRAR_THREADS", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// How many connections the public listener keeps open; more are refused, after idle ones have
    /// been closed
    #[arg(long, value_name = "N", env = "REGISTRAR_MAX_CONNECTIONS", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
    /// The certificate chain, as PEM, with which the public listener speaks TLS; read again when it
    /// changes
    #[arg(long, value_name = "FILE", env = "REGISTRAR_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, as PEM
    #[arg(long, value_name = "FILE", env = "REGISTRAR_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A host name by which the admin listener is reached, besides IP addresses and localhost;
    /// repeatable
    #[arg(long = "admin-host", value_name = "NAME", env = "REGISTRAR_ADMIN_HOST", value_delimiter = ',', value_parser = admin_host)]
    admin_hosts: Vec<String>,
    /// The longest time that a response may be cached; shorter when a drain ends sooner
    #[arg(long, value_name = "SECONDS", env = "REGISTRAR_MAX_AGE", default_value = "5s", value_parser = seconds)]
    max_age: Duration,
    /// Lists the offers for buyers by x402 at /discovery/resources and, for each host, at
    /// /.well-known/x402
    #[arg(long, env = "REGISTRAR_X402_DISCOVERY", value_parser = BoolishValueParser::new())]
    x402_discovery: bool,
    /// How long to keep serving after SIGTERM with readiness off, so that load balancers notice;
    /// SIGINT skips the delay
    #[arg(long, value_name = "SECONDS", env = "REGISTRAR_SHUTDOWN_DELAY", default_value = "5s", value_parser = seconds)]
    shutdown_delay: Duration,
    /// The format of log lines on stderr
    #[arg(long, value_name = "FORMAT", env = "REGISTRAR_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// The checked settings of `serve`. See [`ServeArgs`] for the fields.
#[derive(Debug)]
pub(crate) struct ServeConfig {
    pub(crate) offers: OfferConfig,
    pub(crate) anchoring: AnchorConfig,
    /// `None` without `--lease`.
    pub(crate) leadership: Option<Leadership>,
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    /// At least one.
    pub(crate) threads: usize,
    pub(crate) max_connections: usize,
    /// The certificate chain and its key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    pub(crate) admin_hosts: Vec<String>,
    pub(crate) max_age: Duration,
    pub(crate) x402_discovery: bool,
    pub(crate) shutdown_delay: Duration,
    pub(crate) log_format: LogFormat,
}

impl ServeArgs {
    /// Checks the settings. Exits the process with code 2 if they contradict each other.
    pub(crate) fn resolve(self) -> ServeConfig {
        let Self {
            offers,
            anchoring,
            leader,
            listen,
            admin_listen,
            threads,
            max_connections,
            tls_cert,
            tls_key,
            admin_hosts,
            max_age,
            x402_discovery,
            shutdown_delay,
            log_format,
        } = self;
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let offers = offers.resolve();
        require_public_url(&offers.source);
        let anchoring = anchoring.resolve(&offers);
        let has_journal = !matches!(anchoring, AnchorConfig::Off);
        let leadership = leader.resolve(&offers, has_journal);
        ServeConfig {
            offers,
            anchoring,
            leadership,
            listen,
            admin_listen,
            threads: threads.map_or_else(cores, usize::from),
            max_connections: usize::try_from(max_connections).unwrap_or(usize::MAX),
            tls: tls_cert.zip(tls_key),
            admin_hosts,
            max_age,
            x402_discovery,
            shutdown_delay,
            log_format,
        }
    }
}

fn admin_host(text: &str) -> Result<String, &'static str> {
    is_dns_name(text).then(|| text.to_owned()).ok_or("must be a host name without a port")
}
