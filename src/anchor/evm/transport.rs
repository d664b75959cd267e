//! JSON-RPC over HTTP for nodes that are not trusted: an answer must carry the request's id, its
//! size is limited, and no log line contains the URL.

use std::task::{Context, Poll};

use alloy::{
    rpc::json_rpc::{RequestPacket, ResponsePacket},
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use tower::Service;
use url::Url;

/// The largest answer that is read, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;

#[derive(Clone)]
pub(super) struct Post {
    client: reqwest::Client,
    url: Url,
}

impl Post {
    pub(super) fn new(client: reqwest::Client, url: Url) -> Self {
        Self { client, url }
    }

    async fn ask(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let asked = self.client.post(self.url).json(&request).headers(request.headers());
        let mut response = asked.send().await.map_err(TransportErrorKind::custom)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(TransportErrorKind::custom)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(TransportErrorKind::custom_str("the answer is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        let text = || String::from_utf8_lossy(&body).into_owned();
        let answer: ResponsePacket = match serde_json::from_slice(&body) {
            Ok(answer) => answer,
            Err(_) if !status.is_success() => {
                return Err(TransportErrorKind::http_error(status.as_u16(), text()));
            }
            Err(error) => return Err(TransportError::deser_err(error, text())),
        };
        // An answer with another id may answer anything.
        let own = request.as_single().is_some_and(|asked| {
            answer.as_single().is_some_and(|answered| answered.id == *asked.id())
        });
        match own {
            true if status.is_success() || answer.is_error() => Ok(answer),
            true => Err(TransportErrorKind::http_error(status.as_u16(), text())),
            false => Err(TransportErrorKind::custom_str("it answers another request")),
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
