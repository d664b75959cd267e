//! Settings of `registrar lint`.

use clap::{Args, error::ErrorKind};
use url::Url;

use super::refuse;
use crate::lint::agent_uri::AgentUri;

/// `registrar lint`
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 unless the document is invalid, 1 if it is invalid or cannot be read, \
    2 bad usage. A URL is fetched once, with limits: 64 KiB, 5 seconds, 5 redirects, none of them to a \
    private address. Proxies are not used."
)]
pub(crate) struct LintArgs {
    /// The document: a file, - for standard input, or an agentURI (https, http, data or ipfs). A file
    /// may also contain a data: URI
    #[arg(value_name = "FILE|URL|-")]
    input: String,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// The gateway that resolves ipfs:// URLs, such as https://ipfs.example
    #[arg(long, value_name = "URL", env = "REGISTRAR_IPFS_GATEWAY", value_parser = gateway)]
    ipfs_gateway: Option<Url>,
}

/// The document to check.
#[derive(Debug)]
pub(crate) enum LintInput {
    /// The path of a file, or `-`.
    File(String),
    Uri(AgentUri),
    /// An `ipfs://` URL as its gateway serves it.
    Gateway(Url),
}

impl LintArgs {
    /// Checks the settings. The flag is whether to print JSON. Exits the process with code 2 if an
    /// ipfs URL has no gateway.
    pub(crate) fn resolve(self) -> (LintInput, bool) {
        let Self { input, json, ipfs_gateway } = self;
        let input = match AgentUri::parse(&input) {
            None => LintInput::File(input),
            Some(AgentUri::Ipfs(place)) => LintInput::Gateway(through(ipfs_gateway, &place)),
            Some(uri) => LintInput::Uri(uri),
        };
        (input, json)
    }
}

fn through(gateway: Option<Url>, place: &str) -> Url {
    let Some(mut url) = gateway else {
        refuse(
            ErrorKind::MissingRequiredArgument,
            "--ipfs-gateway URL (REGISTRAR_IPFS_GATEWAY) is required to read an ipfs:// URL",
        );
    };
    let base = url.path().trim_end_matches('/').trim_end_matches("/ipfs").to_owned();
    url.set_path(&format!("{base}/ipfs/{place}"));
    url
}

fn gateway(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.query().is_none()
        && url.fragment().is_none();
    is_plain.then_some(url).ok_or_else(|| "must be an http or https URL without query".to_owned())
}
