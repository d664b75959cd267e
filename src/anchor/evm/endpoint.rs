//! One JSON-RPC endpoint: deadlines, and errors that never show its URL.

use std::{fmt, time::Duration};

use alloy::{
    network::Ethereum,
    providers::{Provider, ProviderBuilder, RootProvider},
    rpc::client::RpcClient,
    transports::TransportError,
};
use url::Url;

use super::transport::Post;
use crate::error_chain::with_causes;

/// No single answer takes longer.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// A node that is asked, and its name for people: the URL itself may hold an API key.
#[derive(Clone)]
pub(crate) struct Endpoint {
    name: String,
    /// The parts of its URL that may be a secret: no text from it repeats them.
    secrets: Vec<String>,
    provider: RootProvider<Ethereum>,
}

/// Why a node gave no usable answer. It never means that something did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcError {
    /// The node said no.
    #[error("{endpoint} refuses {what}: {message}")]
    Refused {
        /// Which endpoint.
        endpoint: String,
        /// What was asked.
        what: &'static str,
        /// The JSON-RPC error's words.
        message: String,
        /// Whether it is a contract's revert.
        reverted: bool,
    },
    /// No answer, or none that can be read.
    #[error("{endpoint} does not answer {what}: {message}")]
    Unreadable {
        /// Which endpoint.
        endpoint: String,
        /// What was asked.
        what: &'static str,
        /// What went wrong.
        message: String,
    },
}

impl Endpoint {
    /// An endpoint by its URL.
    pub(crate) fn new(url: &Url, number: usize) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(REQUEST_LIMIT)
            .connect_timeout(REQUEST_LIMIT / 2)
            .build()?;
        let rpc = RpcClient::new(Post::new(client, url.clone()), false);
        // None of the library's fillers: nonce, fees and signature are decided here.
        let provider = ProviderBuilder::new().disable_recommended_fillers().connect_client(rpc);
        let host = url.host_str().unwrap_or("endpoint");
        let name = format!("{host} (endpoint {number})");
        Ok(Self { name, secrets: secrets(url), provider: provider.root().clone() })
    }

    /// The library's side of it.
    pub(super) fn provider(&self) -> &RootProvider<Ethereum> {
        &self.provider
    }

    /// Turns a failed request into words without its URL.
    pub(super) fn unanswered(&self, what: &'static str, error: &TransportError) -> RpcError {
        let endpoint = self.name.clone();
        match error.as_error_resp() {
            Some(payload) => {
                let reverted = payload.code == 3 || payload.message.contains("revert");
                let message = redact(&payload.message, &self.secrets);
                RpcError::Refused { endpoint, what, message, reverted }
            }
            None => {
                let message = redact(&with_causes(error), &self.secrets);
                RpcError::Unreadable { endpoint, what, message }
            }
        }
    }

    /// An answer that should not be missing.
    pub(super) fn missing(&self, what: &'static str) -> RpcError {
        RpcError::Unreadable {
            endpoint: self.name.clone(),
            what,
            message: "the answer is empty".to_owned(),
        }
    }

    /// An answer that cannot be true.
    pub(super) fn wrong(&self, what: &'static str, message: impl Into<String>) -> RpcError {
        RpcError::Unreadable { endpoint: self.name.clone(), what, message: message.into() }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What of a URL may be a key. Short parts, such as `v2` or `rpc`, are none and would only garble every text.
fn secrets(url: &Url) -> Vec<String> {
    const SHORTEST: usize = 6;
    let credentials = [url.username(), url.password().unwrap_or_default()].map(str::to_owned);
    let path = url.path().split('/').map(str::to_owned);
    let query = url.query_pairs().flat_map(|(name, value)| [name.into_owned(), value.into_owned()]);
    let parts = credentials.into_iter().chain(path).chain(query);
    parts.filter(|part| part.len() >= SHORTEST).collect()
}

/// Cuts every URL and secret out of a text, and texts to a length that a log line can bear.
fn redact(text: &str, secrets: &[String]) -> String {
    let mut clean = String::new();
    let mut rest = text;
    while let Some(at) = ["http://", "https://"].iter().filter_map(|scheme| rest.find(scheme)).min()
    {
        clean.push_str(&rest[..at]);
        clean.push_str("<endpoint>");
        let url = &rest[at..];
        rest = &url[url
            .find(|c: char| c.is_whitespace() || matches!(c, ')' | '"' | '\'' | ','))
            .unwrap_or(url.len())..];
    }
    clean.push_str(rest);
    for secret in secrets {
        clean = clean.replace(secret.as_str(), "<secret>");
    }
    clean.chars().take(300).collect()
}
