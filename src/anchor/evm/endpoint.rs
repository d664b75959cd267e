//! One JSON-RPC endpoint, with deadlines and with errors that never show its URL.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy::{
    network::Ethereum,
    primitives::{B256, U64, U256},
    providers::{Provider, ProviderBuilder, RootProvider},
    rpc::client::RpcClient,
    transports::TransportError,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use super::{range::RangeWidth, refusal::Refusal, transport::Post};
use crate::{anchor::evidence::Block, error_chain::with_causes};

/// The longest that a single answer may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How clients say that an account cannot pay: go-ethereum and most others, Nethermind, Besu, Reth.
const LACK_OF_FUNDS: [&str; 4] = [
    "insufficient funds",
    "insufficientfunds",
    "upfront cost exceeds account balance",
    "lack of funds",
];
/// What is said of an answer that is null.
const EMPTY: &str = "the answer is empty";
/// For how many decisions an endpoint that failed is asked after the others.
const RETRY_AFTER_DECISIONS: u32 = 10;

/// A node behind a JSON-RPC URL, and its name for people: the URL itself may contain an API key.
/// Clones share their health.
#[derive(Clone)]
pub(crate) struct Endpoint {
    name: String,
    /// The parts of the URL that may be secret: they are removed from every message.
    secrets: Arc<[String]>,
    provider: RootProvider<Ethereum>,
    health: Arc<Mutex<Health>>,
}

/// What an endpoint is asked for. One that serves blocks may refuse logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// The finalized block.
    Blocks,
    /// State and logs.
    State,
}

/// How an endpoint has answered so far.
#[derive(Debug, Default)]
struct Health {
    /// For how many decisions to ask the others first.
    avoided: u32,
    /// The last failure, by [`Service`]; `None` after a success.
    failures: [Option<String>; 2],
    /// How many blocks it serves in one eth_getLogs.
    width: RangeWidth,
    /// The block that was last final by its depth.
    deepest: Option<Block>,
}

/// Why a node gave no usable answer. It never means that something did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcError {
    /// The node answered with an error.
    #[error("{endpoint} refused {what}: {message}")]
    Refused { endpoint: String, what: &'static str, message: String, kind: Refusal },
    /// There was no answer, or it could not be read.
    #[error("{endpoint} did not answer {what}: {message}")]
    Unreadable { endpoint: String, what: &'static str, message: String },
}

impl RpcError {
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { kind, .. } => Some(*kind),
            Self::Unreadable { .. } => None,
        }
    }

    /// Whether the node says that the account cannot pay for a transaction.
    pub(crate) fn is_lack_of_funds(&self) -> bool {
        let Self::Refused { message, .. } = self else { return false };
        let words = message.to_lowercase();
        LACK_OF_FUNDS.iter().any(|lack| words.contains(lack))
    }

    /// The same with what may be done about it, unless it is a rate limit.
    pub(super) fn with_hint(self, hint: &str) -> Self {
        match self {
            Self::Refused { endpoint, what, message, kind } if kind != Refusal::RateLimited => {
                Self::Refused { endpoint, what, message: format!("{message}; {hint}"), kind }
            }
            Self::Unreadable { endpoint, what, message } if message == EMPTY => {
                Self::Unreadable { endpoint, what, message: format!("{message}; {hint}") }
            }
            error @ (Self::Refused { .. } | Self::Unreadable { .. }) => error,
        }
    }
}

/// The part of a block's header that is used.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    number: U64,
    pub(super) hash: B256,
    /// Absent on chains without EIP-1559.
    pub(super) base_fee_per_gas: Option<U256>,
}

impl Header {
    pub(super) fn number(&self) -> u64 {
        self.number.to()
    }
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
        Ok(Self {
            name: format!("{host} (endpoint {number})"),
            secrets: secrets(url).into(),
            provider: provider.root().clone(),
            health: Arc::default(),
        })
    }

    /// Whether this is the same endpoint.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.health, &other.health)
    }

    /// Asks for something. Only what the caller names is read of the answer, so that fields that
    /// the library does not know do no harm.
    pub(crate) async fn ask<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<R, RpcError> {
        let asked = range_of(method, &params);
        let answer = self.provider.raw_request::<Value, Value>(Cow::Borrowed(method), params).await;
        let answer = answer.map_err(|error| self.describe(method, asked, &error))?;
        serde_json::from_value(answer).map_err(|error| self.invalid(method, error.to_string()))
    }

    /// The header of a block by tag or number; a block that is missing is an error.
    pub(super) async fn header(&self, what: &'static str, block: &str) -> Result<Header, RpcError> {
        let header: Result<Option<Header>, RpcError> =
            self.ask("eth_getBlockByNumber", json!([block, false])).await;
        let named = |error| match error {
            RpcError::Refused { endpoint, message, kind, .. } => {
                RpcError::Refused { endpoint, what, message, kind }
            }
            RpcError::Unreadable { endpoint, message, .. } => {
                RpcError::Unreadable { endpoint, what, message }
            }
        };
        header.map_err(named)?.ok_or_else(|| self.missing(what))
    }

    /// The block that is final at a height. It is asked for once, since it does not change; if it
    /// does nevertheless, reads at its hash fail.
    pub(super) async fn final_block(&self, number: u64) -> Result<Block, RpcError> {
        let known = self.health().deepest.filter(|known| known.number == number);
        if let Some(known) = known {
            return Ok(known);
        }
        let header = self.header("the finalized block", &hex(number)).await?;
        let block = Block { number: header.number(), hash: header.hash };
        self.health().deepest = Some(block);
        Ok(block)
    }

    pub(super) async fn block_hash(&self, number: u64) -> Result<B256, RpcError> {
        Ok(self.header("a block", &hex(number)).await?.hash)
    }

    /// Records how an endpoint answered: with a failure, or well.
    pub(super) fn note(&self, service: Service, failure: Option<String>) {
        let mut health = self.health();
        if failure.is_some() {
            health.avoided = RETRY_AFTER_DECISIONS;
        }
        health.failures[service.place()] = failure;
    }

    /// For how many more decisions the others are asked first.
    pub(super) fn avoided(&self) -> u32 {
        self.health().avoided
    }

    /// Records why no decision is made by what the endpoint serves of state and logs: the others
    /// are asked first for a while. `None` after it served a decision.
    pub(crate) fn pass_over(&self, why: Option<String>) {
        self.note(Service::State, why);
    }

    /// Begins a decision: an endpoint that failed long enough ago gets another chance.
    pub(super) fn begin_decision(&self) {
        let mut health = self.health();
        health.avoided = health.avoided.saturating_sub(1);
    }

    /// The last failure that was not followed by a success.
    pub(crate) fn failure(&self) -> Option<String> {
        self.health().failures.iter().flatten().next().cloned()
    }

    /// How many blocks one eth_getLogs covers here.
    pub(super) fn width(&self) -> RangeWidth {
        self.health().width
    }

    /// Learns from what came of a request for the logs of so many blocks. `None` if fewer are to be
    /// asked for now.
    pub(super) fn learn<T>(
        &self,
        width: RangeWidth,
        asked: u64,
        read: Result<T, RpcError>,
    ) -> Result<Option<T>, RpcError> {
        match read {
            Ok(read) => {
                self.set_width(width.after_answer(asked));
                Ok(Some(read))
            }
            Err(error) => match width.after_failure(asked, error.refusal()) {
                Some(narrower) => {
                    self.set_width(narrower);
                    Ok(None)
                }
                None => Err(error),
            },
        }
    }

    pub(super) fn set_width(&self, width: RangeWidth) {
        self.health().width = width;
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, what: &'static str, asked: Option<u64>, error: &TransportError) -> RpcError {
        let endpoint = self.name.clone();
        let http = error.as_transport_err().and_then(|kind| kind.as_http_error());
        match (error.as_error_resp(), http) {
            (Some(payload), _) => {
                let kind = Refusal::read(payload.code, &payload.message, asked);
                let message = redact(&payload.message, &self.secrets);
                RpcError::Refused { endpoint, what, message, kind }
            }
            (None, Some(http)) => {
                let kind = Refusal::read(http.status.into(), &http.body, asked);
                let message = redact(&with_causes(error), &self.secrets);
                match kind {
                    Refusal::RateLimited | Refusal::TooWide { .. } => {
                        RpcError::Refused { endpoint, what, message, kind }
                    }
                    // A page says nothing about a contract or a block.
                    Refusal::Reverted | Refusal::UnknownBlock | Refusal::Other => {
                        RpcError::Unreadable { endpoint, what, message }
                    }
                }
            }
            (None, None) => {
                let message = redact(&with_causes(error), &self.secrets);
                RpcError::Unreadable { endpoint, what, message }
            }
        }
    }

    /// An answer that must not be missing is.
    pub(super) fn missing(&self, what: &'static str) -> RpcError {
        self.invalid(what, EMPTY)
    }

    /// An answer that cannot be true.
    pub(super) fn invalid(&self, what: &'static str, message: impl Into<String>) -> RpcError {
        let message = redact(&message.into(), &self.secrets);
        RpcError::Unreadable { endpoint: self.name.clone(), what, message }
    }
}

impl Service {
    fn place(self) -> usize {
        match self {
            Self::Blocks => 0,
            Self::State => 1,
        }
    }
}

/// A number as JSON-RPC writes it.
pub(super) fn hex(number: u64) -> String {
    format!("{number:#x}")
}

/// How many blocks a request for logs covers.
fn range_of(method: &str, params: &Value) -> Option<u64> {
    let number = |name: &str| {
        u64::from_str_radix(params[0][name].as_str()?.trim_start_matches("0x"), 16).ok()
    };
    if method != "eth_getLogs" {
        return None;
    }
    Some(number("toBlock")?.saturating_sub(number("fromBlock")?).saturating_add(1))
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
