//! One HTTP request: its calls delivered and answered as their faults will have it.

use std::{convert::Infallible, iter::repeat_n, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, future::ready, stream};
use serde_json::Value;

use super::{
    Call, Shared,
    door::Line,
    fault::{Plan, Whole},
};

const MIB: usize = 1_024 * 1_024;

/// Answers a request, or cuts the line it came on.
pub async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    body: Bytes,
) -> Response {
    let (requests, is_batch) = match serde_json::from_slice(&body) {
        Ok(Value::Array(requests)) if !requests.is_empty() => (requests, true),
        Ok(request @ Value::Object(_)) => (vec![request], false),
        Ok(_) | Err(_) => return (StatusCode::BAD_REQUEST, "not JSON-RPC").into_response(),
    };
    let (calls, released) = shared.arrive(requests);
    // A call that has come in takes its course, whether or not the client waits for the answer.
    #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
    let exchange = tokio::spawn(exchange(shared, calls, is_batch, released));
    match exchange.await.unwrap() {
        Some(response) => response,
        None => {
            line.cut();
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

/// Delivers and answers. `None` closes the connection.
async fn exchange(
    shared: Arc<Shared>,
    mut calls: Vec<Call>,
    is_batch: bool,
    released: u64,
) -> Option<Response> {
    let any = |wanted: fn(&Plan) -> bool| calls.iter().any(|call| wanted(&call.plan));
    let is_delayed = any(|plan| plan.is_delayed);
    if any(|plan| plan.is_stalled) {
        shared.is_released_after(released).await;
    }
    let first = calls.iter().position(|call| call.plan.whole.is_some());
    let is_delivered = first.is_none_or(|first| calls[first].plan.deliveries > 0);
    let mut whole = first.and_then(|first| calls[first].plan.whole.take());
    let mut answers = Vec::new();
    if is_delivered {
        for call in &calls {
            match shared.delivered(call).await {
                Ok(answer) => answers.push(answer),
                // What a gateway would say, unless a fault has another answer.
                Err(error) => {
                    let _ = whole.get_or_insert(Whole::Status(502, error, Vec::new()));
                    break;
                }
            }
        }
    }
    if is_delayed {
        shared.is_released_after(released).await;
    }
    let Some(whole) = whole else {
        shared.note_answers(&calls, &answers);
        return Some(reply(Body::from(written(answers, is_batch))));
    };
    match whole {
        Whole::Nothing => None,
        Whole::Status(code, body, headers) => {
            let mut response = Response::builder().status(code);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Some(response.body(body.into()).unwrap())
        }
        Whole::FirstHalf => {
            let text = written(answers, is_batch);
            Some(reply(Body::from(text.slice(..text.len() / 2))))
        }
        Whole::HalfByHalf => {
            shared.note_answers(&calls, &answers);
            let mut start = written(answers, is_batch);
            let end = start.split_off(start.len() / 2);
            let later = async move {
                shared.is_released_after(released).await;
                end
            };
            let halves = stream::once(ready(start)).chain(stream::once(later));
            Some(reply(Body::from_stream(halves.map(Ok::<_, Infallible>))))
        }
        Whole::Flood(mib) => {
            let id = &calls[0].request["id"];
            let start = Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\""));
            let flood = repeat_n(Bytes::from(vec![b'0'; MIB]), mib);
            let parts = std::iter::once(start).chain(flood).chain([Bytes::from_static(b"\"}")]);
            Some(reply(Body::from_stream(stream::iter(parts.map(Ok::<_, Infallible>)))))
        }
    }
}

impl Shared {
    /// Delivers a call as often as planned and gives the answer that its client should get.
    async fn delivered(&self, call: &Call) -> Result<Value, String> {
        let mut last = None;
        for _ in 0..call.plan.deliveries {
            let node = self.asked(&self.upstreams[call.plan.upstream], &call.request).await?;
            let exchange = &mut self.ledger().seen[call.index];
            exchange.delivered += 1;
            exchange.node = Some(node.clone());
            last = Some(node);
        }
        Ok(call.plan.edit.apply(&call.request, last.as_ref()))
    }

    /// Asks a node.
    async fn asked(&self, upstream: &str, request: &Value) -> Result<Value, String> {
        let asking = self.http.post(upstream).header(CONTENT_TYPE, "application/json");
        let response = asking.body(request.to_string()).send().await.map_err(described)?;
        let body = response.bytes().await.map_err(described)?;
        serde_json::from_slice(&body)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| format!("{upstream} said {}", String::from_utf8_lossy(&body)))
    }

    fn note_answers(&self, calls: &[Call], answers: &[Value]) {
        let mut ledger = self.ledger();
        for (call, answer) in calls.iter().zip(answers) {
            ledger.seen[call.index].answer = Some(answer.clone());
        }
    }
}

fn described(error: reqwest::Error) -> String {
    format!("{error:?}")
}

fn written(mut answers: Vec<Value>, is_batch: bool) -> Bytes {
    let body = if is_batch { Value::Array(answers) } else { answers.pop().unwrap_or_default() };
    Bytes::from(body.to_string())
}

fn reply(body: Body) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
