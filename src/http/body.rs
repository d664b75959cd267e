//! The body of a response: finished bytes, or whatever a handler behind the router produces.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::HttpBody;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::page::Content;

/// The body of a response.
#[derive(Debug)]
pub(crate) enum Body {
    /// Bytes that were rendered before the request came; empty once they are sent.
    Finished(Bytes),
    /// The same, in pieces that are shared with the catalog.
    Pieces {
        pieces: Arc<[Bytes]>,
        /// The index of the next piece.
        next: usize,
        /// How many bytes are still to be sent.
        left: usize,
    },
    /// The body of a handler behind the router.
    Routed(axum::body::Body),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Finished(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Finished(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Pieces { pieces, next, left } => Poll::Ready(pieces.get(*next).map(|piece| {
                *next += 1;
                *left -= piece.len();
                Ok(Frame::data(piece.clone()))
            })),
            Self::Routed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Finished(bytes) => bytes.is_empty(),
            Self::Pieces { pieces, next, .. } => *next == pieces.len(),
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Finished(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Pieces { left, .. } => SizeHint::with_exact(*left as u64),
            Self::Routed(body) => body.size_hint(),
        }
    }
}

impl From<Content> for Body {
    fn from(content: Content) -> Self {
        match content {
            Content::Whole(bytes) => Self::Finished(bytes),
            Content::Pieces { pieces, len } => Self::Pieces { pieces, next: 0, left: len },
        }
    }
}

/// A response, or the panic of the code that should have made it.
pub(crate) type Response = http::Response<Body>;

/// A future that is often ready when it is made: documents are looked up without waiting.
pub(crate) enum Answering {
    Ready(Option<Response>),
    Waiting(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Answering {
    pub(super) fn ready(response: Response) -> Self {
        Self::Ready(Some(response))
    }
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(response) => {
                Poll::Ready(Ok(response.take().expect("a ready answer is polled once")))
            }
            Self::Waiting(future) => future.as_mut().poll(context).map(Ok),
        }
    }
}
