//! What stands in front of a router: checks that hold for every request, and the documents, which
//! are answered without the router because its stack costs a third of their speed.

use std::{
    any::Any,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
};

use axum::{
    Router,
    body::{Body as AxumBody, HttpBody},
};
use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use hyper::body::Incoming;
use tokio::time::Instant;
use tower::ServiceExt;

use super::{
    CatalogReader, Current,
    body::{Answering, Body, Response},
    documents::{self, Wanted},
    problem::{METHODS, ProblemDetails},
    target, with_cors,
};
use crate::{
    page::Content,
    telemetry::{Latency, Metrics},
};

/// Everything that one listener answers.
#[derive(Clone)]
pub(crate) struct Front {
    router: Router,
    /// Where documents are; `None` on the admin listener, which has no documents and sends no CORS
    /// headers.
    documents: Option<CatalogReader>,
    metrics: Metrics,
    latency: Latency,
}

impl Front {
    pub(super) fn public(router: Router, reader: CatalogReader) -> Self {
        let metrics = reader.metrics.clone();
        let latency = metrics.latency("public");
        Self { router, documents: Some(reader), metrics, latency }
    }

    pub(super) fn admin(router: Router, metrics: Metrics) -> Self {
        let latency = metrics.latency("admin");
        Self { router, documents: None, metrics, latency }
    }

    /// Answers a request. A panic becomes a 500 and is counted.
    pub(crate) fn answer<B>(&self, request: Request<B>) -> Answering
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let began = Instant::now();
        let answered = catch_unwind(AssertUnwindSafe(|| self.begin(request)));
        match answered.unwrap_or_else(|panic| Answering::ready(self.panicked(&*panic))) {
            Answering::Ready(response) => {
                self.latency.observe(began.elapsed());
                Answering::Ready(response)
            }
            Answering::Waiting(future) => {
                let front = self.clone();
                let future = AssertUnwindSafe(future).catch_unwind().map(move |answer| {
                    let answer = answer.unwrap_or_else(|panic| front.panicked(&*panic));
                    front.latency.observe(began.elapsed());
                    answer
                });
                Answering::Waiting(Box::pin(future))
            }
        }
    }

    fn begin<B>(&self, request: Request<B>) -> Answering
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let has_body = has_body(&request);
        let closes = has_body && request.version() != Version::HTTP_2;
        let (mut parts, body) = request.into_parts();
        parts.uri = target::decoded(parts.uri);
        let checked = target::check_host(parts.version, &parts.uri, &parts.headers)
            .map_err(ProblemDetails::bad_host);
        let is_read = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        // RFC 3986 knows ASCII only, and log lines must not hold what a terminal takes for a command.
        let is_ascii = parts.uri.path_and_query().is_none_or(|target| target.as_str().is_ascii());
        let checked = checked.and_then(|()| match is_ascii {
            true => Ok(()),
            false => Err(ProblemDetails::invalid_target()),
        });
        let checked = checked.and_then(|()| match has_body && is_read {
            true => Err(ProblemDetails::unexpected_body()),
            false => Ok(()),
        });
        if let Err(problem) = checked {
            return Answering::ready(self.refuse(problem, &parts.method, closes));
        }
        if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
            return Answering::ready(self.options());
        }
        if let Some(reader) = self.documents.as_ref().filter(|_| is_fetch(&parts))
            && let Some(wanted) = Wanted::at(&parts.uri, &parts.headers)
        {
            let reader = reader.clone();
            return match reader.current_now() {
                Some(current) => {
                    Answering::ready(self.document(&reader, &Ok(current), &wanted, parts))
                }
                None => {
                    let front = self.clone();
                    Answering::Waiting(Box::pin(async move {
                        let current = reader.current().await;
                        front.document(&reader, &current, &wanted, parts)
                    }))
                }
            };
        }
        let request = Request::from_parts(parts, AxumBody::new(body));
        let answer = self.router.clone().oneshot(request);
        Answering::Waiting(Box::pin(answer.map(move |answer| {
            let Ok(answer) = answer;
            let mut response = answer.map(Body::Routed);
            if matches!(response.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT) {
                // RFC 9110, section 8.6: a 204 has no length, a 304 that of the 200 or none. The
                // router adds a length of 0.
                response.headers_mut().remove(header::CONTENT_LENGTH);
            }
            close_if(closes, response.headers_mut());
            response
        })))
    }

    fn document(
        &self,
        reader: &CatalogReader,
        current: &Result<Current, ProblemDetails>,
        wanted: &Wanted,
        request: http::request::Parts,
    ) -> Response {
        let method = request.method.clone();
        let mut response = match current {
            Ok(current) => documents::answer(reader, current, wanted, request),
            Err(problem) => problem.response().map(Content::Whole),
        };
        with_cors(response.headers_mut());
        drop_body(&method, &mut response);
        self.metrics.answered(wanted.route(), response.status().as_u16());
        response.map(Body::from)
    }

    /// The answer to `OPTIONS *`, which asks about the server as a whole.
    fn options(&self) -> Response {
        let mut response = Response::new(Body::Finished(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::ALLOW, METHODS);
        self.count_and_mark(&mut response);
        response
    }

    fn refuse(&self, problem: ProblemDetails, method: &Method, closes: bool) -> Response {
        let mut response = problem.response().map(Content::Whole);
        drop_body(method, &mut response);
        let mut response = response.map(Body::from);
        self.count_and_mark(&mut response);
        close_if(closes, response.headers_mut());
        response
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> Response {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(panic = text.unwrap_or("no message"), "A request handler panicked");
        self.metrics.panicked();
        self.refuse(ProblemDetails::internal(), &Method::GET, false)
    }

    fn count_and_mark(&self, response: &mut Response) {
        self.metrics.answered("none", response.status().as_u16());
        if self.documents.is_some() {
            with_cors(response.headers_mut());
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        self.answer(request)
    }
}

/// Whether a request wants a document and nothing more. A query is left to the router's refusal.
fn is_fetch(parts: &http::request::Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD)
        && parts.uri.query().is_none_or(str::is_empty)
}

/// Whether a request has a body. No path reads one.
fn has_body<B: HttpBody>(request: &Request<B>) -> bool {
    match request.version() {
        // An HTTP/2 client may end a request without a body by an empty frame.
        Version::HTTP_2 => {
            let length = request.headers().get(header::CONTENT_LENGTH);
            length.is_some_and(|length| length.as_bytes() != b"0")
        }
        _ => !request.body().is_end_stream(),
    }
}

/// HEAD is answered like GET, without the body.
fn drop_body(method: &Method, response: &mut http::Response<Content>) {
    if *method == Method::HEAD && response.status() != StatusCode::NOT_MODIFIED {
        let length = std::mem::take(response.body_mut()).len();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// What follows an unread body on the connection cannot be told from it.
fn close_if(closes: bool, headers: &mut HeaderMap) {
    if closes {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
