//! One JSON-RPC endpoint, with deadlines and with errors that never show its URL.

use std::{fmt, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    network::Ethereum,
    primitives::B256,
    providers::{Provider, ProviderBuilder, RootProvider},
    rpc::{client::RpcClient, types::Header},
    transports::TransportError,
};
use url::Url;

use super::transport::Post;
use crate::error_chain::with_causes;

/// The longest that a single answer may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// A node behind a JSON-RPC URL, and its name for people: the URL itself may contain an API key.
#[derive(Clone)]
pub(crate) struct Endpoint {
    name: String,
    /// The parts of the URL that may be secret: they are removed from every message.
    secrets: Vec<String>,
    provider: RootProvider<Ethereum>,
}

/// Why a node gave no usable answer. It never means that something did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcError {
    /// The node answered with a JSON-RPC error.
    #[error("{endpoint} refused {what}: {message}")]
    Refused {
        endpoint: String,
        what: &'static str,
        message: String,
        /// Whether a contract reverted.
        reverted: bool,
    },
    /// There was no answer, or it could not be read.
    #[error("{endpoint} did not answer {what}: {message}")]
    Unreadable { endpoint: String, what: &'static str, message: String },
}

impl Endpoint {
    /// `number` counts a chain's endpoints from 1, for messages.
    pub(crate) fn new(url: &Url, number: usize) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(REQUEST_LIMIT)
            .connect_timeout(REQUEST_LIMIT / 2)
            .build()?;
        let rpc = RpcClient::new(Post::new(client, url.clone()), false);
        // Without the library's fillers: nonce, fees and signature are decided here.
        let provider = ProviderBuilder::new().disable_recommended_fillers().connect_client(rpc);
        let host = url.host_str().unwrap_or("endpoint");
        let name = format!("{host} (endpoint {number})");
        Ok(Self { name, secrets: secrets(url), provider: provider.root().clone() })
    }

    pub(super) fn provider(&self) -> &RootProvider<Ethereum> {
        &self.provider
    }

    /// Sends a request that has no method of its own here. `method` names it in the error.
    pub(crate) async fn call(
        &self,
        method: &'static str,
        params: serde_json::Value,
    ) -> Result<serde_json::Value, RpcError> {
        self.request(method, self.provider.raw_request(method.into(), params)).await
    }

    /// Awaits one request. `what` names it in the error, which never shows the URL.
    pub(super) async fn request<T>(
        &self,
        what: &'static str,
        request: impl IntoFuture<Output = Result<T, TransportError>>,
    ) -> Result<T, RpcError> {
        request.await.map_err(|error| self.describe(what, &error))
    }

    /// The header of a block; a block that is missing is an error.
    pub(super) async fn header(
        &self,
        what: &'static str,
        tag: BlockNumberOrTag,
    ) -> Result<Header, RpcError> {
        let block = self.request(what, self.provider.get_block_by_number(tag)).await?;
        Ok(block.ok_or_else(|| self.missing(what))?.header)
    }

    pub(super) async fn block_hash(&self, number: u64) -> Result<B256, RpcError> {
        Ok(self.header("a block", BlockNumberOrTag::Number(number)).await?.hash)
    }

    fn describe(&self, what: &'static str, error: &TransportError) -> RpcError {
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

    /// An answer that must not be missing is.
    pub(super) fn missing(&self, what: &'static str) -> RpcError {
        self.invalid(what, "the answer is empty")
    }

    /// An answer that cannot be true.
    pub(super) fn invalid(&self, what: &'static str, message: impl Into<String>) -> RpcError {
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

/// The parts of a URL that may be a key. Short ones, such as `v2` or `rpc`, are not, and removing
/// them would garble every message.
fn secrets(url: &Url) -> Vec<String> {
    const SHORTEST: usize = 6;
    let credentials = [url.username(), url.password().unwrap_or_default()].map(str::to_owned);
    let path = url.path().split('/').map(str::to_owned);
    let query = url.query_pairs().flat_map(|(name, value)| [name.into_owned(), value.into_owned()]);
    let parts = credentials.into_iter().chain(path).chain(query);
    parts.filter(|part| part.len() >= SHORTEST).collect()
}

/// Removes every URL and secret from a text, and cuts it to the length of a log line.
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
