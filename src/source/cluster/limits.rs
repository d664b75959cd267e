//! Bounds of what an API server may send, so that an answer without an end costs no memory.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use http::{Request, Response, Uri};
use http_body::{Body, Frame};
use tower::{BoxError, Layer, Service};

/// The most bytes of one event of a watch. etcd stores objects of up to 1.5 MiB.
const MAX_EVENT: usize = 16 << 20;
/// The most bytes of any other answer, such as a page of a list.
const MAX_ANSWER: usize = 64 << 20;

/// An answer or an event that is not read to its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API server sent more than {} MiB {}", self.limit >> 20, if self.is_watch { "in one event" } else { "in one answer" })]
pub(super) struct TooLargeError {
    limit: usize,
    is_watch: bool,
}

/// Whether a request failed because its answer is too large.
pub(super) fn is_too_large(error: &kube::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<TooLargeError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Bounds the answers of a client's service.
#[derive(Clone, Copy, Debug)]
pub(super) struct LimitAnswers;

#[derive(Clone, Debug)]
pub(super) struct LimitedService<S>(S);

/// A body that fails when it becomes too large. A watch may go on for ever, its events may not.
#[derive(Debug)]
pub(super) struct LimitedBody<B> {
    body: B,
    is_watch: bool,
    /// How many bytes were read, of a watch since the last line feed.
    length: usize,
}

impl<S> Layer<S> for LimitAnswers {
    type Service = LimitedService<S>;

    fn layer(&self, service: S) -> LimitedService<S> {
        LimitedService(service)
    }
}

impl<S, Q, B> Service<Request<Q>> for LimitedService<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<LimitedBody<B>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let is_watch = is_watch(request.uri());
        let limited = move |body| LimitedBody { body, is_watch, length: 0 };
        self.0.call(request).map_ok(move |response| response.map(limited)).boxed()
    }
}

impl<B> Body for LimitedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(frame) = frame.transpose().map_err(Into::into)? else {
            return Poll::Ready(None);
        };
        if let Some(data) = frame.data_ref() {
            self.add(data)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl<B> LimitedBody<B> {
    fn add(&mut self, data: &[u8]) -> Result<(), TooLargeError> {
        let limit = if self.is_watch { MAX_EVENT } else { MAX_ANSWER };
        let is_end = |byte: &u8| self.is_watch && *byte == b'\n';
        // A frame is much smaller than the limit, so the lines inside of one are too.
        let first = data.iter().position(is_end).unwrap_or(data.len());
        let length = self.length.saturating_add(first);
        let rest = data.iter().rev().position(is_end);
        self.length = rest.unwrap_or(length);
        let is_watch = self.is_watch;
        if length > limit { Err(TooLargeError { limit, is_watch }) } else { Ok(()) }
    }
}

fn is_watch(uri: &Uri) -> bool {
    let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.any(|(name, value)| name == "watch" && value == "true")
}

#[cfg(test)]
mod tests;
