//! The faults, and what each means for the delivery of a call and for its reply.

use std::{fmt, sync::Arc};

use serde_json::{Value, json};

/// Changes a result.
pub type Rewriting = Arc<dyn Fn(Value) -> Value + Send + Sync>;

/// What happens to a call.
///
/// In a batch, the calls are delivered one by one, each by its own fault. Faults of the whole HTTP
/// request or reply (marked *whole*) are those of the whole batch, the first one found; no call of
/// the batch is delivered if that one is not.
#[derive(Clone)]
pub enum Fault {
    /// None: delivered and answered.
    ForwardAll,
    /// Delivered; the connection closes without a reply. *Whole*.
    LoseReply,
    /// Not delivered; the connection closes without a reply. *Whole*.
    Refuse,
    /// Delivered twice, one after the other; the second reply is the answer.
    DeliverTwice,
    /// Not delivered; an HTTP answer with code, body and headers. *Whole*.
    Status(u16, String, Vec<(&'static str, String)>),
    /// Delivered; the second half of the reply is missing. *Whole*.
    CutJson,
    /// Delivered; answered under another id.
    WrongId,
    /// Delivered; the result is null.
    NullResult,
    /// Not delivered; a JSON-RPC error with code and message.
    JsonRpcError(i64, String),
    /// Delivered to another upstream, by index.
    Reroute(usize),
    /// Delivered; the result, if there is one, is changed.
    Rewrite(Rewriting),
    /// Nothing happens until released: then delivered, even if the client has gone, and answered.
    /// *Whole*.
    Stall,
    /// Delivered at once; the reply is held until released. *Whole*.
    Delay,
    /// Delivered; the head and half of the body are sent, the rest when released. *Whole*.
    Drip,
    /// Not delivered; a well-formed answer with a result of so many MiB. *Whole*.
    Flood(usize),
    /// Delivered; then as the other fault, which by itself would not deliver.
    Delivered(Box<Fault>),
}

/// A fault, broken down into the steps of an exchange.
pub struct Plan {
    pub deliveries: u32,
    pub upstream: usize,
    pub is_stalled: bool,
    pub is_delayed: bool,
    pub edit: Edit,
    pub whole: Option<Whole>,
}

/// What happens to the JSON-RPC reply of one call.
pub enum Edit {
    Keep,
    WrongId,
    NullResult,
    Error(i64, String),
    Rewrite(Rewriting),
}

/// What the client gets in place of the HTTP reply.
pub enum Whole {
    Nothing,
    Status(u16, String, Vec<(&'static str, String)>),
    FirstHalf,
    HalfByHalf,
    Flood(usize),
}

impl Fault {
    /// Changes results.
    pub fn rewrite(change: impl Fn(Value) -> Value + Send + Sync + 'static) -> Self {
        Self::Rewrite(Arc::new(change))
    }

    /// A load balancer's HTML page, code 502.
    pub fn bad_gateway() -> Self {
        let page = "<html><body><h1>502 Bad Gateway</h1></body></html>";
        Self::Status(502, page.to_owned(), vec![("content-type", "text/html".to_owned())])
    }

    /// A provider's limit, code 429, with `Retry-After`.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        let headers = vec![("retry-after", retry_after_seconds.to_string())];
        Self::Status(429, "Too Many Requests".to_owned(), headers)
    }

    /// The same after delivery: the node has the call, and the answer does not say so.
    pub fn delivered(self) -> Self {
        Self::Delivered(Box::new(self))
    }

    /// As the ledger calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ForwardAll => "ForwardAll",
            Self::LoseReply => "LoseReply",
            Self::Refuse => "Refuse",
            Self::DeliverTwice => "DeliverTwice",
            Self::Status(..) => "Status",
            Self::CutJson => "CutJson",
            Self::WrongId => "WrongId",
            Self::NullResult => "NullResult",
            Self::JsonRpcError(..) => "JsonRpcError",
            Self::Reroute(_) => "Reroute",
            Self::Rewrite(_) => "Rewrite",
            Self::Stall => "Stall",
            Self::Delay => "Delay",
            Self::Drip => "Drip",
            Self::Flood(_) => "Flood",
            Self::Delivered(fault) => fault.name(),
        }
    }

    /// Takes the fault apart.
    pub fn plan(&self) -> Plan {
        let instead =
            |deliveries, whole| Plan { deliveries, whole: Some(whole), ..Plan::default() };
        let edited = |edit| Plan { edit, ..Plan::default() };
        match self {
            Self::ForwardAll => Plan::default(),
            Self::LoseReply => instead(1, Whole::Nothing),
            Self::Refuse => instead(0, Whole::Nothing),
            Self::DeliverTwice => Plan { deliveries: 2, ..Plan::default() },
            Self::Status(code, body, headers) => {
                instead(0, Whole::Status(*code, body.clone(), headers.clone()))
            }
            Self::CutJson => instead(1, Whole::FirstHalf),
            Self::WrongId => edited(Edit::WrongId),
            Self::NullResult => edited(Edit::NullResult),
            Self::JsonRpcError(code, message) => {
                Plan { deliveries: 0, ..edited(Edit::Error(*code, message.clone())) }
            }
            Self::Reroute(upstream) => Plan { upstream: *upstream, ..Plan::default() },
            Self::Rewrite(change) => edited(Edit::Rewrite(Arc::clone(change))),
            Self::Stall => Plan { is_stalled: true, ..Plan::default() },
            Self::Delay => Plan { is_delayed: true, ..Plan::default() },
            Self::Drip => instead(1, Whole::HalfByHalf),
            Self::Flood(mib) => instead(0, Whole::Flood(*mib)),
            Self::Delivered(fault) => {
                let plan = fault.plan();
                Plan { deliveries: plan.deliveries.max(1), ..plan }
            }
        }
    }
}

impl Default for Plan {
    /// Without a fault.
    fn default() -> Self {
        Self {
            deliveries: 1,
            upstream: 0,
            is_stalled: false,
            is_delayed: false,
            edit: Edit::Keep,
            whole: None,
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Edit {
    /// The answer to a request, from what the node said; a call that was not delivered has an
    /// answer of its own.
    pub fn apply(&self, request: &Value, node: Option<&Value>) -> Value {
        let ours = || json!({ "jsonrpc": "2.0", "id": request["id"] });
        let mut reply = node.cloned().unwrap_or_else(ours);
        let members = reply.as_object_mut().expect("checked on receipt");
        match self {
            Self::Keep => {}
            Self::WrongId => {
                let id = request["id"].as_u64().map_or(json!("wrong"), |id| json!(id + 1_000));
                members.insert("id".to_owned(), id);
            }
            Self::NullResult => {
                members.remove("error");
                members.insert("result".to_owned(), Value::Null);
            }
            Self::Error(code, message) => {
                members.remove("result");
                let error = json!({ "code": code, "message": message });
                members.insert("error".to_owned(), error);
            }
            Self::Rewrite(change) => {
                if let Some(result) = members.get_mut("result") {
                    *result = change(result.take());
                }
            }
        }
        reply
    }
}
