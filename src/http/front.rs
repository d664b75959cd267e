//! What stands in front of a router: checks that hold for every request, and the documents, which
//! are answered without the router because its stack costs a third of their speed.

use std::{
    any::Any,
    convert::Infallible,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
};

use axum::{
    Router,
    body::{Body as AxumBody, HttpBody},
};
use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header, uri::Authority};
use hyper::body::Incoming;
use tokio::time::Instant;
use tower::ServiceExt;

use super::{
    CatalogReader, Current, Routed,
    body::{Answering, Body, Response},
    documents::{self, Wanted},
    problem::{METHODS, ProblemDetails},
    slow::SlowLog,
    target, with_cors,
};
use crate::{
    catalog::Catalog,
    head::{AnswerHead, SimpleRequest},
    page::Content,
    telemetry::{AnswerCounter, Metrics},
};

/// Everything that one listener answers.
#[derive(Clone)]
pub(crate) struct Front {
    router: Router,
    /// Where documents are; `None` on the admin listener, which has no documents and sends no CORS
    /// headers.
    documents: Option<CatalogReader>,
    metrics: Metrics,
    listener: &'static str,
    answers: AnswerCounter,
    slow: SlowLog,
}

impl Front {
    pub(super) fn public(router: Router, reader: CatalogReader) -> Self {
        let metrics = reader.metrics.clone();
        Self::new(router, Some(reader), metrics, "public")
    }

    pub(super) fn admin(router: Router, metrics: Metrics) -> Self {
        Self::new(router, None, metrics, "admin")
    }

    fn new(
        router: Router,
        documents: Option<CatalogReader>,
        metrics: Metrics,
        listener: &'static str,
    ) -> Self {
        let answers = metrics.answers(listener);
        Self { router, documents, metrics, listener, answers, slow: SlowLog::default() }
    }

    /// The same for one more thread, which counts its answers apart.
    pub(crate) fn for_thread(&self) -> Self {
        Self { answers: self.metrics.answers(self.listener), ..self.clone() }
    }

    /// Answers a request. A panic becomes a 500 and is counted.
    pub(crate) fn answer<B>(&self, request: Request<B>) -> Answering
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let began = Instant::now();
        let begun = catch_unwind(AssertUnwindSafe(|| self.begin(request)));
        let (route, answering) =
            begun.unwrap_or_else(|panic| (None, Answering::ready(self.panicked(&*panic))));
        match answering {
            Answering::Ready(response) => {
                response.iter().for_each(|response| self.count_response(route, response, began));
                Answering::Ready(response)
            }
            Answering::Waiting(future) => {
                let front = self.clone();
                let future = AssertUnwindSafe(future).catch_unwind().map(move |answer| {
                    let answer = answer.unwrap_or_else(|panic| front.panicked(&*panic));
                    front.count_response(route, &answer, began);
                    answer
                });
                Answering::Waiting(Box::pin(future))
            }
        }
    }

    /// Answers a simple request for a document that there is. Writes the head and returns the body.
    pub(crate) fn at_once(
        &self,
        request: &SimpleRequest<'_>,
        head: &mut AnswerHead<'_>,
    ) -> Option<Body> {
        // After a panic the request is answered as any other, with a 500 if that panics too.
        catch_unwind(AssertUnwindSafe(|| self.answer_simple(request, head))).ok()?
    }

    fn answer_simple(
        &self,
        request: &SimpleRequest<'_>,
        head: &mut AnswerHead<'_>,
    ) -> Option<Body> {
        let reader = self.documents.as_ref()?;
        target::check_host(Version::HTTP_11, None, request).ok()?;
        let wanted = Wanted::at(request.path)?;
        let current = reader.current_now()?;
        let document = documents::find(reader, &current, &wanted, None, request).ok()?;
        let status = document.status();
        head.status(status);
        head.etag(document.etag());
        document.fields(|name, value| head.field(&name, value));
        let body = document.body();
        head.end(body.map(|body| body.len()));
        let (size, content) = match body.filter(|_| !request.is_head) {
            None => (0, Content::default()),
            Some(body) if body.whole().is_some_and(|bytes| head.small_body(bytes)) => {
                (body.len(), Content::default())
            }
            Some(body) => (body.len(), body.to_content()),
        };
        self.count(wanted.route(), status, Some(size as u64), current.at);
        Some(content.into())
    }

    /// Counts an answer whose head is complete. The router tells the route of what it answers.
    fn count_response(&self, route: Option<&'static str>, response: &Response, began: Instant) {
        let routed = || response.extensions().get::<Routed>().map(|routed| routed.0);
        let route = route.or_else(routed).unwrap_or("none");
        self.count(route, response.status(), response.body().size_hint().exact(), began);
    }

    fn count(&self, route: &'static str, status: StatusCode, size: Option<u64>, began: Instant) {
        let now = Instant::now();
        let took = now.duration_since(began);
        let status = status.as_u16();
        self.answers.answered(route, status, took, size);
        if self.slow.admits(took, now) {
            tracing::warn!(
                http.route = route,
                http.status = status,
                took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "A request on the {} listener was answered late",
                self.listener,
            );
        }
    }

    /// The answer to a request, and its route if it is for a document.
    fn begin<B>(&self, request: Request<B>) -> (Option<&'static str>, Answering)
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let has_body = has_body(&request);
        let closes = has_body && request.version() != Version::HTTP_2;
        let (mut parts, body) = request.into_parts();
        parts.uri = target::decoded(parts.uri);
        let authority = parts.uri.authority().map(Authority::as_str);
        let checked = target::check_host(parts.version, authority, &parts.headers)
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
            return (None, Answering::ready(self.refuse(problem, &parts.method, closes)));
        }
        if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
            return (None, Answering::ready(self.options()));
        }
        if let Some(reader) = self.documents.as_ref().filter(|_| is_fetch(&parts))
            && let Some(wanted) = Wanted::at(parts.uri.path())
        {
            let route = Some(wanted.route());
            if let Some(current) = reader.current_now() {
                let response = self.document(reader, &current, &wanted, parts);
                return (route, Answering::ready(response));
            }
            let (front, reader) = (self.clone(), reader.clone());
            let answer = async move {
                match reader.current().await {
                    Ok(current) => front.document(&reader, &current, &wanted, parts),
                    Err(problem) => front.refuse(problem, &parts.method, false),
                }
            };
            return (route, Answering::Waiting(Box::pin(answer)));
        }
        let request = Request::from_parts(parts, AxumBody::new(body));
        let answer = self.router.clone().oneshot(request);
        let answer = answer.map(move |answer| {
            let Ok(answer) = answer;
            let mut response = answer.map(Body::Routed);
            if matches!(response.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT) {
                // RFC 9110, section 8.6: a 204 has no length, a 304 that of the 200 or none. The
                // router adds a length of 0.
                response.headers_mut().remove(header::CONTENT_LENGTH);
            }
            close_if(closes, response.headers_mut());
            response
        });
        (None, Answering::Waiting(Box::pin(answer)))
    }

    fn document<C: Deref<Target = Catalog>>(
        &self,
        reader: &CatalogReader,
        current: &Current<C>,
        wanted: &Wanted,
        request: http::request::Parts,
    ) -> Response {
        let authority = request.uri.authority().map(Authority::as_str);
        match documents::find(reader, current, wanted, authority, &request.headers) {
            Ok(document) => {
                let mut headers = request.headers;
                headers.clear();
                let mut response = document.response(headers);
                drop_body(&request.method, &mut response);
                response.map(Body::from)
            }
            Err(problem) => self.refuse(problem, &request.method, false),
        }
    }

    /// The answer to `OPTIONS *`, which asks about the server as a whole.
    fn options(&self) -> Response {
        let mut response = Response::new(Body::Finished(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::ALLOW, METHODS);
        self.mark_public(&mut response);
        response
    }

    fn refuse(&self, problem: ProblemDetails, method: &Method, closes: bool) -> Response {
        let mut response = problem.response().map(Content::Whole);
        drop_body(method, &mut response);
        let mut response = response.map(Body::from);
        self.mark_public(&mut response);
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

    fn mark_public(&self, response: &mut Response) {
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
