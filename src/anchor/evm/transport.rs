//! JSON-RPC over HTTP for nodes that are not trusted: an answer must carry the request's id, its
//! size is limited, no log line contains the URL, and rate limits are waited for.

use std::{
    borrow::Cow,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use alloy::{
    rpc::json_rpc::{ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload},
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;
use tower::Service;
use url::Url;

use super::{pace::Pace, refusal::Refusal};

/// The largest answer that is read, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;

#[derive(Clone)]
pub(super) struct Post {
    client: reqwest::Client,
    url: Url,
    pace: Arc<Pace>,
}

/// An error whose sender did not see the id of the request, such as a gateway's.
#[derive(Deserialize)]
struct Anonymous {
    #[serde(default)]
    id: Option<serde_json::Value>,
    error: AnonymousError,
}

#[derive(Deserialize)]
struct AnonymousError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl Post {
    pub(super) fn new(client: reqwest::Client, url: Url) -> Self {
        Self { client, url, pace: Arc::default() }
    }

    /// Asks until there is an answer other than a rate limit, or patience ends.
    async fn ask(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        // A refused transaction is sent again by the next decision anyway.
        let method = request.as_single().map(|request| request.method().to_owned());
        let is_sent = method.as_deref().is_some_and(|method| method.starts_with("eth_send"));
        let is_logs = method.as_deref() == Some("eth_getLogs");
        let mut repeats = 0;
        loop {
            self.pace.turn().await;
            let answer = self.once(&request).await;
            let Some(asked_for) = rate_limit(&answer, is_logs) else {
                self.pace.answered();
                return answer;
            };
            if is_sent || !self.pace.limited(repeats, asked_for).await {
                return answer;
            }
            repeats += 1;
        }
    }

    async fn once(&self, request: &RequestPacket) -> Result<ResponsePacket, TransportError> {
        let asked = self.client.post(self.url.clone()).json(request).headers(request.headers());
        let mut response = asked.send().await.map_err(TransportErrorKind::custom)?;
        let status = response.status();
        // Seconds only: a date would need a clock that agrees with the endpoint's.
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(TransportErrorKind::custom)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(TransportErrorKind::custom_str("the answer is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        let text = || String::from_utf8_lossy(&body).into_owned();
        let refused = || {
            TransportErrorKind::http_error_with_retry_after(status.as_u16(), text(), retry_after)
        };
        if status.as_u16() == 429 {
            return Err(refused());
        }
        let is_own = |answer: &ResponsePacket| {
            let asked = request.as_single().map(|asked| asked.id());
            answer.as_single().is_some_and(|answered| Some(&answered.id) == asked)
        };
        match serde_json::from_slice::<ResponsePacket>(&body) {
            Ok(answer) if is_own(&answer) && (status.is_success() || answer.is_error()) => {
                Ok(answer)
            }
            Ok(answer) if is_own(&answer) => Err(refused()),
            other => match (anonymous_refusal(&body, request), other) {
                (Some(refusal), _) => Ok(refusal),
                // An answer with another id may answer anything.
                (None, Ok(_)) => Err(TransportErrorKind::custom_str("it answers another request")),
                (None, Err(_)) if !status.is_success() => Err(refused()),
                (None, Err(error)) => Err(TransportError::deser_err(error, text())),
            },
        }
    }
}

/// A refusal without an id, as this request's answer. It comes on the request's own connection, and
/// a refusal never means that something did not happen.
fn anonymous_refusal(body: &[u8], request: &RequestPacket) -> Option<ResponsePacket> {
    let refusal: Anonymous = serde_json::from_slice(body).ok()?;
    let id = request.as_single()?.id().clone();
    let AnonymousError { code, message } = refusal.error;
    let error = ErrorPayload { code, message: Cow::Owned(message), data: None };
    let answer = Response { id, payload: ResponsePayload::Failure(error) };
    refusal.id.is_none_or(|id| id.is_null()).then_some(ResponsePacket::Single(answer))
}

/// Whether an answer is a rate limit, and how long to wait if the endpoint says so.
fn rate_limit(
    answer: &Result<ResponsePacket, TransportError>,
    is_logs: bool,
) -> Option<Option<Duration>> {
    // How many blocks are asked for does not matter here: a range limit is not a rate limit.
    let asked = is_logs.then_some(u64::MAX);
    let is_rate =
        |code, message: &str| matches!(Refusal::read(code, message, asked), Refusal::RateLimited);
    match answer {
        Ok(packet) => {
            let code = packet.first_error_code()?;
            is_rate(code, packet.first_error_message().unwrap_or_default()).then_some(None)
        }
        Err(error) => {
            let kind = error.as_transport_err()?;
            let http = kind.as_http_error()?;
            is_rate(http.status.into(), &http.body).then(|| kind.retry_after())
        }
    }
}

impl Service<RequestPacket> for Post {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}
