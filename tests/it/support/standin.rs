//! A stand-in for a provider's endpoint: a chain with the block numbers of a real one and hardly any
//! events, behind limits that a real node does not have.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, U256, address, hex, keccak256},
    sol_types::{SolCall, SolValue},
};
use axum::{Router, body::Bytes, extract::State, http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::chain::{
    IdentityRegistry::{balanceOfCall, getVersionCall, ownerOfCall},
    topics::TRANSFER,
};

/// Base, as the built-in table knows it.
pub const CHAIN_ID: u64 = 8453;
pub const REGISTRY: Address = address!("0x8004A169FB4a3325136EB29fA0ceB6D2e539a432");
/// The registry's first block, and a final block of November 2026.
pub const FIRST: u64 = 41_663_783;
pub const FINAL: u64 = 54_400_000;
const STRANGER: Address = Address::repeat_byte(0xee);

/// What the provider allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many blocks one eth_getLogs may cover.
    pub range: u64,
    /// How many requests are answered in each window; the others get code 429.
    pub requests: u32,
    pub window: Duration,
}

/// A running stand-in. Dropping it closes its port.
pub struct StandIn {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    limits: Limits,
    /// How many transactions the account has sent.
    count: u64,
    ledger: Mutex<Ledger>,
}

struct Ledger {
    began: Instant,
    in_window: u32,
    requests: usize,
    limited: usize,
    /// The ranges of logs that were answered, in order.
    ranges: Vec<(u64, u64)>,
    sent: usize,
}

impl StandIn {
    /// Starts one for an account that has sent so many transactions, none of them to the registry.
    pub async fn start(count: u64, limits: Limits) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ledger = Ledger {
            began: Instant::now(),
            in_window: 0,
            requests: 0,
            limited: 0,
            ranges: Vec::new(),
            sent: 0,
        };
        let shared = Arc::new(Shared { limits, count, ledger: Mutex::new(ledger) });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        #[expect(clippy::disallowed_methods, reason = "aborted when it is dropped")]
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, serving }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many requests came in, those included that were refused.
    pub fn requests(&self) -> usize {
        self.shared.ledger().requests
    }

    /// How many of them were over the limit.
    pub fn limited(&self) -> usize {
        self.shared.ledger().limited
    }

    /// The ranges of logs that were answered, in order.
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        self.shared.ledger().ranges.clone()
    }

    /// How many transactions were broadcast.
    pub fn sent(&self) -> usize {
        self.shared.ledger().sent
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Counts a request; returns whether it is within the limit.
    fn admits(&self) -> bool {
        let mut ledger = self.ledger();
        ledger.requests += 1;
        if ledger.began.elapsed() >= self.limits.window {
            (ledger.began, ledger.in_window) = (Instant::now(), 0);
        }
        ledger.in_window += 1;
        let is_admitted = ledger.in_window <= self.limits.requests;
        ledger.limited += usize::from(!is_admitted);
        is_admitted
    }

    fn result(&self, method: &str, params: &Value) -> Result<Value, (i64, String)> {
        Ok(match method {
            "eth_chainId" => quantity(CHAIN_ID),
            "eth_blockNumber" => quantity(FINAL + 450),
            "eth_getBlockByNumber" => match params[0].as_str().unwrap() {
                "finalized" => block(FINAL),
                "latest" => block(FINAL + 450),
                number => block(number_of(number)),
            },
            "eth_getBlockByHash" => json!({ "hash": params[0] }),
            "eth_getCode" => {
                let is_registry =
                    params[0].as_str().unwrap().eq_ignore_ascii_case(&REGISTRY.to_string());
                json!(if is_registry { "0x60006000" } else { "0x" })
            }
            "eth_getStorageAt" => json!(B256::ZERO),
            "eth_getTransactionCount" => quantity(self.count),
            "eth_getBalance" => json!("0xde0b6b3a7640000"),
            "eth_maxPriorityFeePerGas" | "eth_gasPrice" => quantity(1_000_000),
            "eth_estimateGas" => quantity(240_000),
            "eth_getTransactionByHash" | "eth_getTransactionReceipt" => Value::Null,
            "eth_sendRawTransaction" => {
                self.ledger().sent += 1;
                json!(B256::ZERO)
            }
            "eth_call" => called(params)?,
            "eth_getLogs" => self.logs(&params[0])?,
            other => return Err((-32_601, format!("the method {other} does not exist"))),
        })
    }

    /// The mint of the registry's first token; there are no other events.
    fn logs(&self, filter: &Value) -> Result<Value, (i64, String)> {
        let number = |name: &str| number_of(filter[name].as_str().unwrap());
        let (from, to) = (number("fromBlock"), number("toBlock"));
        if to - from + 1 > self.limits.range {
            let allowed = self.limits.range;
            return Err((-32_600, format!("eth_getLogs is limited to a {allowed} block range")));
        }
        self.ledger().ranges.push((from, to));
        let first = FIRST + 100;
        let topics = filter["topics"].to_string();
        let zero = B256::ZERO.to_string();
        if !(from..=to).contains(&first) || !topics.contains(&zero) {
            return Ok(json!([]));
        }
        let owner = STRANGER.into_word();
        Ok(json!([{
            "address": REGISTRY, "topics": [TRANSFER, B256::ZERO, owner, B256::ZERO], "data": "0x",
            "blockNumber": hex_of(first), "blockHash": hash_of(first),
            "transactionHash": keccak256("first"), "logIndex": "0x0", "removed": false,
        }]))
    }
}

async fn answer(State(shared): State<Arc<Shared>>, body: Bytes) -> impl IntoResponse {
    let request: Value = serde_json::from_slice(&body).unwrap();
    if !shared.admits() {
        return (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests".to_owned());
    }
    let result = shared.result(request["method"].as_str().unwrap(), &request["params"]);
    let answer = match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }),
        Err((code, message)) => {
            let error = json!({ "code": code, "message": message });
            json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })
        }
    };
    (StatusCode::OK, answer.to_string())
}

fn called(params: &Value) -> Result<Value, (i64, String)> {
    let input = hex::decode(params[0]["input"].as_str().unwrap()).unwrap();
    let answer = if input.starts_with(&getVersionCall::SELECTOR) {
        "2.0.0".to_owned().abi_encode()
    } else if input.starts_with(&balanceOfCall::SELECTOR) {
        U256::ZERO.abi_encode()
    } else if input.starts_with(&ownerOfCall::SELECTOR) && input.ends_with(&[0; 32]) {
        STRANGER.abi_encode()
    } else {
        return Err((3, "execution reverted".to_owned()));
    };
    Ok(json!(hex::encode_prefixed(answer)))
}

fn block(number: u64) -> Value {
    json!({ "number": hex_of(number), "hash": hash_of(number), "baseFeePerGas": "0xf4240" })
}

fn hash_of(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

fn hex_of(number: u64) -> String {
    format!("{number:#x}")
}

fn quantity(number: u64) -> Value {
    json!(hex_of(number))
}

fn number_of(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}
