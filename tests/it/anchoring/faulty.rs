//! A stage behind faulty proxies: every decision is held to the nonce rule as seen from the node.

use std::{collections::BTreeSet, ops::Deref};

use alloy::{
    consensus::{TxEip1559, TxEnvelope},
    eips::eip2718::Decodable2718,
    hex,
    primitives::Address,
};
use serde_json::{Value, json};

pub use crate::support::chain::topics::{METADATA_SET, REGISTERED, TRANSFER};
use crate::support::stage::{RPC_SECRETS, Stage, tells_nothing};
use crate::{
    support::process::{Printed, Server, eventually},
    support::proxy::{Exchange, Fault, Proxy},
};

/// A stage whose binary sees the node through a proxy, at a URL that holds secrets.
pub struct Faulty {
    stage: Stage,
    pub proxy: Proxy,
}

impl Deref for Faulty {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl Faulty {
    /// A node that mines by itself.
    pub async fn new() -> Self {
        Self::before(Stage::new().await).await
    }

    /// A node that mines only when told.
    pub async fn still() -> Self {
        Self::before(Stage::still().await).await
    }

    async fn before(mut stage: Stage) -> Self {
        let proxy = Proxy::start(vec![stage.node.url().to_owned()]).await;
        stage.rpc = vec![secretive(&proxy.url())];
        Self { stage, proxy }
    }

    /// The same node behind further proxies of its own: a quorum.
    pub async fn joined_by(&mut self, more: usize) -> Vec<Proxy> {
        let mut proxies = Vec::new();
        for _ in 0..more {
            proxies.push(Proxy::start(vec![self.node.url().to_owned()]).await);
        }
        self.stage.rpc.extend(proxies.iter().map(|proxy| secretive(&proxy.url())));
        proxies
    }

    /// Asks another node too.
    pub fn asks_too(&mut self, proxy: &Proxy) {
        self.stage.rpc.push(secretive(&proxy.url()));
    }

    /// Asks this proxy and no other.
    pub fn asks_only(&mut self, proxy: &Proxy) {
        self.stage.rpc = vec![secretive(&proxy.url())];
    }

    /// Decides once, and checks that only a settled nonce lets go of what was signed at it.
    pub async fn step(&self, more: &[&str]) -> Printed {
        let before = self.nonce();
        let printed = self.once(more);
        let settled = self.node.transaction_count(self.account, "finalized").await;
        let after = self.nonce();
        if let Some(nonce) = before {
            assert!(after == before || settled > nonce, "{nonce} was let go: {}", printed.stderr);
        }
        assert!(after.is_none_or(|nonce| nonce <= settled), "signed past the settled count");
        printed
    }

    /// Decides, with blocks between, until the default agent stands as wanted and nothing is open.
    pub async fn anchored(&self, more: &[&str]) {
        for _ in 0..16 {
            self.step(more).await;
            if self.reason("default") == "Anchored" && self.nonce().is_none() {
                return;
            }
            self.node.mine(3).await;
        }
        panic!("it is never anchored: {}", self.status());
    }

    /// The open slot's nonce.
    pub fn nonce(&self) -> Option<u64> {
        self.status()["openSlot"]["nonce"].as_u64()
    }

    /// How many signatures the open slot has.
    pub fn attempts(&self) -> usize {
        self.status()["openSlot"]["hashes"].as_array().map_or(0, Vec::len)
    }

    /// Every transaction that was to be broadcast, in order, repeats left out.
    pub fn signed(&self) -> Vec<TxEip1559> {
        let mut seen = BTreeSet::new();
        let raw = self.proxy.raw_transactions();
        raw.iter().filter(|raw| seen.insert((*raw).clone())).map(|raw| decoded(raw)).collect()
    }

    /// How many calls were sent towards the node, repeats included.
    pub fn sent(&self) -> usize {
        self.proxy.raw_transactions().len()
    }

    /// How many agents the account ever minted.
    pub async fn mints(&self) -> usize {
        let owner = self.account.into_word();
        let logs = self.node.logs(self.registry).await;
        let registered = logs.iter().filter(|logged| {
            let topics = logged.log.topics();
            topics[0] == REGISTERED && topics[2] == owner
        });
        registered.count()
    }

    /// A point to come back to.
    pub async fn snapshot(&self) -> Value {
        self.node.call("evm_snapshot", json!([])).await
    }

    /// Goes back to it, with the journal gone; the point is used up.
    pub async fn revert(&self, snapshot: Value) {
        assert_eq!(self.node.call("evm_revert", json!([snapshot])).await, json!(true));
        let _gone = std::fs::remove_file(self.path("journal"));
    }

    /// Changes the journal's only lane, and its checksum with it.
    pub fn edit_journal(&self, change: impl FnOnce(&mut Value)) {
        let text = std::fs::read_to_string(self.path("journal")).unwrap();
        let mut journal: Value = serde_json::from_str(&text).unwrap();
        let lanes = journal["content"]["lanes"].as_object_mut().unwrap();
        change(lanes.values_mut().next().unwrap());
        let sum = blake3::hash(journal["content"].to_string().as_bytes()).to_hex().to_string();
        journal["checksum"] = json!(sum);
        std::fs::write(self.path("journal"), journal.to_string()).unwrap();
    }

    /// Replaces the node's words for every transaction that is to be broadcast.
    pub fn refuse_all(&self, message: &str) {
        let error = Fault::JsonRpcError(-32_000, message.to_owned());
        self.proxy.clear();
        self.proxy.on("eth_sendRawTransaction").then(error);
    }
}

/// Has an endpoint leave out every log that mentions one of the accounts, and count no token of
/// theirs.
pub fn lies(proxy: &Proxy, accounts: &[Address]) {
    let words: Vec<String> =
        accounts.iter().map(|account| account.into_word().to_string()).collect();
    let is_shown = move |log: &Value| {
        let topics = log["topics"].to_string();
        !words.iter().any(|word| topics.contains(word))
    };
    proxy.on("eth_getLogs").then(leaves_out(is_shown));
    let is_balance_of = |params: &Value| {
        let input = params[0]["input"].as_str().or(params[0]["data"].as_str());
        input.is_some_and(|input| input.starts_with("0x70a08231"))
    };
    let none = Fault::rewrite(|_| json!(format!("0x{}", "0".repeat(64))));
    proxy.on("eth_call").when(is_balance_of).then(none);
}

/// Has an endpoint answer without the logs before a block, as nodes do that prune them silently.
pub fn drops_logs_before(proxy: &Proxy, first: u64) {
    let is_kept = move |log: &Value| crate::support::chain::quantity(&log["blockNumber"]) >= first;
    proxy.on("eth_getLogs").then(leaves_out(is_kept));
}

fn leaves_out(is_shown: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Fault {
    Fault::rewrite(move |mut logs| {
        if let Some(logs) = logs.as_array_mut() {
            logs.retain(&is_shown);
        }
        logs
    })
}

/// A URL with a secret in every place that can hold one.
pub fn secretive(url: &str) -> String {
    let [user, password, path, query] = RPC_SECRETS;
    let address = url.strip_prefix("http://").unwrap();
    format!("http://{user}:{password}@{address}/v2/{path}?apikey={query}")
}

pub fn decoded(raw: &str) -> TxEip1559 {
    let bytes = hex::decode(raw).unwrap();
    let envelope = TxEnvelope::decode_2718(&mut bytes.as_slice()).unwrap();
    envelope.as_eip1559().unwrap().tx().clone()
}

/// The blocks that reads of the registry and the account were pinned to.
pub fn pins(calls: &[Exchange]) -> BTreeSet<String> {
    let pinned = ["eth_call", "eth_getCode", "eth_getStorageAt"];
    let reads = calls.iter().filter(|call| pinned.contains(&call.method.as_str()));
    let block = |call: &Exchange| {
        let last = call.params.as_array().unwrap().last().unwrap();
        let hash = last["blockHash"].as_str().or(last.as_str()).unwrap_or_default();
        assert_eq!(hash.len(), 66, "not pinned: {call:?}");
        hash.to_owned()
    };
    reads.map(block).collect()
}

/// Nothing that a server says holds a secret.
pub async fn server_tells_nothing(server: &Server) {
    for path in ["/metrics", "/readyz?verbose", "/debug/offers"] {
        tells_nothing(&server.admin(path).await.text().await.unwrap());
    }
    for path in ["/agents", "/offers", "/.well-known/agent-registration.json"] {
        tells_nothing(&server.get(path).await.text().await.unwrap());
    }
    tells_nothing(&server.log());
}

/// Waits until the default agent stands so, as `/agents` tells it.
pub async fn stands(server: &Server, node: &crate::support::chain::Rpc, reason: &str) {
    eventually(&format!("it is {reason}"), async || {
        node.mine(1).await;
        crate::support::stage::agent(server).await["anchoring"][0]["reason"] == reason
    })
    .await;
}
