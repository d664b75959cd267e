//! A faulty HTTP proxy for JSON-RPC, between the registrar and its EVM nodes.
//!
//! A test scripts it with rules; the first rule that applies to a call decides what happens to it.
//! Every call is recorded, including those that are never forwarded. Nothing depends on time: a
//! held call is held until [`Proxy::release`].

#![allow(dead_code, reason = "the anchoring tests use it")]

pub mod door;
mod exchange;
mod fault;
mod rules;
mod tests;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{Router, extract::DefaultBodyLimit};
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};

use self::{door::Door, fault::Plan, rules::Rules};
pub use self::{fault::Fault, rules::Rule};

/// One JSON-RPC call that reached the proxy. It is kept from its arrival on and completed as the
/// answers come.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Counts the calls of this proxy, from 1.
    pub number: usize,
    pub method: String,
    pub params: Value,
    /// The name of the fault that was applied; `ForwardAll` if none was.
    pub fault: &'static str,
    /// How often a node answered it.
    pub delivered: u32,
    /// What the node said, the last time.
    pub node: Option<Value>,
    /// The JSON-RPC answer that the client was given, if it still waited. `None` if it got nothing,
    /// or something else.
    pub answer: Option<Value>,
}

/// A running proxy. Dropping it closes its port and all its connections.
pub struct Proxy {
    address: SocketAddr,
    door: Door,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// What the calls and the test share.
struct Shared {
    upstreams: Vec<String>,
    http: reqwest::Client,
    ledger: Mutex<Ledger>,
    /// How often [`Proxy::release`] was called.
    released: watch::Sender<u64>,
}

#[derive(Default)]
struct Ledger {
    rules: Rules,
    seen: Vec<Exchange>,
}

/// A call that has come in, and what is to become of it.
struct Call {
    /// Where it is in the ledger.
    index: usize,
    request: Value,
    plan: Plan,
}

impl Proxy {
    /// Starts a proxy on a free port of 127.0.0.1. Calls go to the first upstream unless a rule
    /// says otherwise.
    pub async fn start(upstreams: Vec<String>) -> Self {
        assert!(!upstreams.is_empty(), "a proxy needs a node");
        let door = Door::open();
        let shared = Arc::new(Shared {
            upstreams,
            http: crate::support::process::http_builder().no_proxy().build().unwrap(),
            ledger: Mutex::default(),
            released: watch::Sender::new(0),
        });
        let router = Router::new()
            .fallback(exchange::answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let service = router.into_make_service_with_connect_info::<door::Line>();
        let served = axum::serve(door.clone(), service);
        #[expect(clippy::disallowed_methods, reason = "aborted when the proxy is dropped")]
        let serving = tokio::spawn(async { served.await.unwrap() });
        Self { address: door.address(), door, shared, serving }
    }

    /// Where the client under test should believe the node to be.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins a rule for one method. Rules are asked in the order in which they were made.
    pub fn on(&self, method: &str) -> Rule<'_> {
        Rule::new(self, Some(method))
    }

    /// Begins a rule for every method.
    pub fn on_any(&self) -> Rule<'_> {
        Rule::new(self, None)
    }

    /// Forgets all rules. What is held stays held.
    pub fn clear(&self) {
        self.shared.ledger().rules = Rules::default();
    }

    /// Lets everything go that is held at this moment. What comes later is held again.
    pub fn release(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }

    /// Ends all faults: forgets the rules, comes up, lets go what is held.
    pub fn lift(&self) {
        self.clear();
        self.set_down(false);
        self.release();
    }

    /// Down, connections are refused by the operating system and open ones are closed; the port
    /// stays ours.
    ///
    /// It has happened when this returns; a client may learn of it by its next call on a connection
    /// that it kept. Calls that came in before still reach the node, as they may in life.
    pub fn set_down(&self, is_down: bool) {
        self.door.set_down(is_down);
    }

    /// All calls so far, in the order of their arrival.
    pub fn seen(&self) -> Vec<Exchange> {
        self.shared.ledger().seen.clone()
    }

    /// How many calls came in.
    pub fn calls(&self) -> usize {
        self.shared.ledger().seen.len()
    }

    /// Whether some call after the first so many is such.
    pub fn has_since(&self, before: usize, wanted: impl Fn(&Exchange) -> bool) -> bool {
        self.shared.ledger().seen.iter().skip(before).any(wanted)
    }

    /// How many calls of a method came in.
    pub fn count(&self, method: &str) -> usize {
        self.shared.ledger().seen.iter().filter(|call| call.method == method).count()
    }

    /// Every raw transaction that was to be broadcast, delivered or not, repeats included.
    pub fn raw_transactions(&self) -> Vec<String> {
        let ledger = self.shared.ledger();
        let sent =
            ledger.seen.iter().filter(|call| call.method.starts_with("eth_sendRawTransaction"));
        sent.filter_map(|call| call.params[0].as_str().map(str::to_owned)).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
        self.door.set_down(true);
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Notes the calls of one HTTP request and decides about each. Also says how often was released
    /// before.
    fn arrive(&self, requests: Vec<Value>) -> (Vec<Call>, u64) {
        let mut ledger = self.ledger();
        let calls = requests.into_iter().map(|request| ledger.note(request)).collect();
        (calls, *self.released.borrow())
    }

    /// Waits until there was one more release than before.
    async fn is_released_after(&self, before: u64) {
        let _ = self.released.subscribe().wait_for(|count| *count > before).await;
    }
}

impl Ledger {
    fn note(&mut self, request: Value) -> Call {
        let method = request["method"].as_str().unwrap_or_default().to_owned();
        let params = request["params"].clone();
        let fault = self.rules.pick(&method, &params);
        let index = self.seen.len();
        self.seen.push(Exchange {
            number: index + 1,
            method,
            params,
            fault: fault.name(),
            delivered: 0,
            node: None,
            answer: None,
        });
        Call { index, request, plan: fault.plan() }
    }
}
