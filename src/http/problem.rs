//! Errors as RFC 9457 problem documents.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer};

use crate::registration::{Reason, encode};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What every path answers.
pub(super) const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,OPTIONS");

/// One problem, as clients read it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProblemDetails {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    code: Code,
    fix: String,
    #[serde(skip)]
    retry_after: Option<&'static str>,
}

/// What machines tell problems apart by. The list is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Nothing is there, or nothing that may be told.
    NotFound,
    /// The path knows no such method.
    MethodNotAllowed,
    /// A query parameter cannot be used.
    InvalidQuery,
    /// No complete world has been seen yet.
    Incomplete,
    /// The catalog has run out and the next one is late.
    Stale,
    /// The process is about to end.
    Stopping,
    /// The publisher does not go round any more.
    Stuck,
    /// A layer gave up on the request.
    RequestFailed,
    /// An enabled offer is not published, for this reason.
    Offer(Reason),
}

impl Code {
    /// All codes besides the reasons of offers.
    #[cfg(test)]
    pub(crate) const OWN: [Self; 8] = [
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::InvalidQuery,
        Self::Incomplete,
        Self::Stale,
        Self::Stopping,
        Self::Stuck,
        Self::RequestFailed,
    ];

    /// The code as it is printed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::InvalidQuery => "InvalidQuery",
            Self::Incomplete => "Incomplete",
            Self::Stale => "Stale",
            Self::Stopping => "Stopping",
            Self::Stuck => "Stuck",
            Self::RequestFailed => "RequestFailed",
            Self::Offer(reason) => reason.as_str(),
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl ProblemDetails {
    fn new(
        status: StatusCode,
        code: Code,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            // RFC 9457, section 4.2.1: the title is the status phrase; `code` tells problems apart.
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            fix: fix.into(),
            retry_after: None,
        }
    }

    fn later(code: Code, detail: String, fix: &str) -> Self {
        Self {
            retry_after: Some("1"),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail, fix)
        }
    }

    /// No complete world has been seen yet.
    pub(crate) fn incomplete(missing: &[String]) -> Self {
        let missing = if missing.is_empty() {
            "the first read is under way".to_owned()
        } else {
            missing.join("; ")
        };
        let fix = "Ask again; if it stays, the operator has to provide what is named.";
        Self::later(
            Code::Incomplete,
            format!("Not everything that documents are made from is known yet: {missing}."),
            fix,
        )
    }

    /// The catalog has run out and the next one is late.
    pub(crate) fn stale() -> Self {
        Self::later(
            Code::Stale,
            "What was published has just changed; the next state is not ready.".into(),
            "Ask again.",
        )
    }

    /// The process is about to end.
    pub(crate) fn stopping() -> Self {
        Self::later(
            Code::Stopping,
            "The process is shutting down.".to_owned(),
            "Ask another replica.",
        )
    }

    /// The publisher does not go round any more.
    pub(crate) fn stuck(seconds: u64) -> Self {
        let detail = format!("The publisher has not gone round for {seconds} s.");
        Self::later(Code::Stuck, detail, "Restart the process and report the last log lines.")
    }

    /// A query parameter that cannot be used.
    pub(crate) fn invalid_query(detail: String) -> Self {
        let fix = "limit is a number from 1 to 1000, cursor the next member of an earlier answer.";
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, detail, fix)
    }

    /// Nothing is there, or nothing that may be told.
    pub(crate) fn no_such_offer() -> Self {
        let fix = "GET /offers lists what is published.";
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, "No such offer is published.", fix)
    }

    /// An enabled offer that is not published. Only fixed sentences are public: what an offer says may be internal.
    pub(crate) fn unpublished(reason: Reason) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::Offer(reason), reason.meaning(), reason.fix())
    }
}

impl IntoResponse for ProblemDetails {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, encode(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}

/// The answer for a path that does not exist.
pub(super) async fn not_found() -> ProblemDetails {
    ProblemDetails::new(
        StatusCode::NOT_FOUND,
        Code::NotFound,
        "Nothing is at this path.",
        "See /openapi.yaml for what is.",
    )
}

/// The answer for a method that a path does not know.
pub(super) async fn method_not_allowed() -> Response {
    let fix = "Use GET, HEAD or OPTIONS.";
    let problem = ProblemDetails::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Code::MethodNotAllowed,
        "Everything here is read-only.",
        fix,
    );
    ([(header::ALLOW, METHODS)], problem).into_response()
}

/// Turns errors that a layer made without a body of ours into problems.
pub(super) async fn explain_bare_errors(mut response: Response) -> Response {
    let status = response.status();
    // Layers answer with nothing or with text; what our handlers say of an error is JSON.
    let explained = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|media_type| media_type.as_bytes().starts_with(b"application/"));
    if explained || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let detail = "The request could not be answered.";
    let fix = "Check the request; ask again later.";
    let problem = ProblemDetails {
        retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some("1"),
        ..ProblemDetails::new(status, Code::RequestFailed, detail, fix)
    };
    let mut explanation = problem.into_response();
    // What marks the answer as counted stays with it.
    *explanation.extensions_mut() = std::mem::take(response.extensions_mut());
    explanation
}
