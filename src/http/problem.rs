//! Errors as RFC 9457 problem documents.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::registration::{Reason, encode};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The only path that changes something.
pub(super) const RELEASE_BRAKE: &str = "/debug/release-brake";
/// The methods that every public path supports.
pub(super) const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,OPTIONS");

/// An RFC 9457 problem document.
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

/// The machine-readable code of a problem. The list is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The path does not exist, or its offer is not public.
    NotFound,
    /// The path does not support the method.
    MethodNotAllowed,
    /// A query parameter is invalid or unknown.
    InvalidQuery,
    /// The request names no host, two hosts, or something that is not one.
    InvalidHost,
    /// The request target has characters that a URI cannot have.
    InvalidTarget,
    /// The request has a body, which no path reads.
    UnexpectedBody,
    /// The current representation is not one that `If-Match` names.
    PreconditionFailed,
    /// The admin listener does not answer to the host of the request.
    WrongHost,
    /// The source has not been complete yet.
    Incomplete,
    /// The catalog has expired and the next one is late.
    Stale,
    /// The process is shutting down.
    Stopping,
    /// The publisher has stopped completing iterations.
    Stuck,
    /// A layer rejected the request or it timed out.
    RequestFailed,
    /// The code that should have answered panicked.
    Internal,
    /// An enabled offer is not published, for the given reason.
    Offer(Reason),
}

impl Code {
    /// All codes except the reasons of offers.
    #[cfg(test)]
    pub(crate) const OWN: [Self; 14] = [
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::InvalidQuery,
        Self::InvalidHost,
        Self::InvalidTarget,
        Self::UnexpectedBody,
        Self::PreconditionFailed,
        Self::WrongHost,
        Self::Incomplete,
        Self::Stale,
        Self::Stopping,
        Self::Stuck,
        Self::RequestFailed,
        Self::Internal,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::InvalidQuery => "InvalidQuery",
            Self::InvalidHost => "InvalidHost",
            Self::InvalidTarget => "InvalidTarget",
            Self::UnexpectedBody => "UnexpectedBody",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::WrongHost => "WrongHost",
            Self::Incomplete => "Incomplete",
            Self::Stale => "Stale",
            Self::Stopping => "Stopping",
            Self::Stuck => "Stuck",
            Self::RequestFailed => "RequestFailed",
            Self::Internal => "Internal",
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

    fn temporary(code: Code, detail: String, fix: &str) -> Self {
        Self {
            retry_after: Some("1"),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail, fix)
        }
    }

    pub(crate) fn incomplete(missing: &[String]) -> Self {
        let missing = if missing.is_empty() {
            "the first read is still in progress".to_owned()
        } else {
            missing.join("; ")
        };
        let fix =
            "Retry. If the problem persists, the operator must provide what is listed as missing.";
        Self::temporary(
            Code::Incomplete,
            format!("The source is not complete yet: {missing}."),
            fix,
        )
    }

    pub(crate) fn stale() -> Self {
        Self::temporary(
            Code::Stale,
            "The published catalog has expired and the next one is not ready yet.".into(),
            "Retry.",
        )
    }

    pub(crate) fn stopping() -> Self {
        Self::temporary(
            Code::Stopping,
            "The process is shutting down.".to_owned(),
            "Send the request to another replica.",
        )
    }

    /// `seconds` is the time since the publisher last completed an iteration.
    pub(crate) fn stuck(seconds: u64) -> Self {
        let detail = format!("The publisher has made no progress for {seconds} s.");
        Self::temporary(
            Code::Stuck,
            detail,
            "Restart the process, and report a bug with the last log lines.",
        )
    }

    /// `parameter` is the rejected `name=value`.
    pub(crate) fn invalid_query(parameter: &str) -> Self {
        let detail = format!("The query parameter {parameter} is invalid.");
        let fix = "Set limit to a number from 1 to 1000, and cursor to the next member of an earlier \
                   response.";
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, detail, fix)
    }

    /// `parameter` is the rejected `name=value` of a filter.
    pub(crate) fn invalid_filter(parameter: &str) -> Self {
        let detail = format!("The query parameter {parameter} is invalid.");
        let fix = "Set agent to default or host:NAME, and offer to NAMESPACE/NAME.";
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, detail, fix)
    }

    /// `refused` are names of parameters that are unknown or given twice; `known` are those that the path takes.
    pub(crate) fn unknown_query(refused: &[Cow<'_, str>], known: &[&str]) -> Self {
        let detail = format!(
            "These query parameters are unknown or given more than once: {}.",
            refused.join(", ")
        );
        let fix = match known {
            [] => "Remove the query; this path takes none.".to_owned(),
            known => format!("Use only {}, each at most once.", known.join(" and ")),
        };
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, detail, fix)
    }

    /// `detail` tells what is wrong with the host of the request.
    pub(crate) fn bad_host(detail: &'static str) -> Self {
        let fix =
            "Send exactly one Host field with a host name or an address, and optionally a port.";
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidHost, detail, fix)
    }

    pub(crate) fn invalid_target() -> Self {
        let detail = "The request target has characters that must be percent-encoded.";
        let fix = "Percent-encode every byte outside of ASCII.";
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidTarget, detail, fix)
    }

    pub(crate) fn unexpected_body() -> Self {
        let detail = "The request has a body, which was not read.";
        let fix = "Send the request without a body.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::UnexpectedBody, detail, fix)
    }

    pub(crate) fn precondition_failed() -> Self {
        let detail = "The current representation is not one that If-Match names.";
        let fix = "Send the request without If-Match to read the current representation.";
        Self::new(StatusCode::PRECONDITION_FAILED, Code::PreconditionFailed, detail, fix)
    }

    /// After a panic. It was logged with its message, which is not public.
    pub(crate) fn internal() -> Self {
        let detail = "The server failed to answer this request because of a bug.";
        let fix = "Report it to the operator; the log has the details.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, detail, fix)
    }

    pub(crate) fn wrong_host() -> Self {
        let fix = "Use an IP address or localhost, or have the operator add the name with \
                   --admin-host.";
        let detail = "The admin listener does not answer to this host.";
        Self::new(StatusCode::MISDIRECTED_REQUEST, Code::WrongHost, detail, fix)
    }

    /// Also used for disabled offers, whose existence is not public.
    pub(crate) fn no_such_offer() -> Self {
        let fix = "List the published offers with GET /offers.";
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, "There is no such published offer.", fix)
    }

    /// An enabled offer that is not published. Only fixed sentences are public, because the content
    /// of an offer may be confidential.
    pub(crate) fn unpublished(reason: Reason) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::Offer(reason), reason.meaning(), reason.fix())
    }
}

impl ProblemDetails {
    /// Whether the same request may succeed later.
    pub(super) fn is_temporary(&self) -> bool {
        self.retry_after.is_some()
    }

    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn fix(&self) -> &str {
        &self.fix
    }

    /// The response, with its bytes.
    pub(super) fn response(&self) -> http::Response<Bytes> {
        let mut response = http::Response::new(Bytes::from(encode(self)));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}

impl IntoResponse for ProblemDetails {
    fn into_response(self) -> Response {
        self.response().map(Body::from)
    }
}

pub(super) async fn not_found() -> ProblemDetails {
    ProblemDetails::new(
        StatusCode::NOT_FOUND,
        Code::NotFound,
        "This path does not exist.",
        "See /openapi.yaml for the paths that exist.",
    )
}

pub(super) async fn method_not_allowed() -> Response {
    let fix = "Use GET, HEAD or OPTIONS.";
    let problem = ProblemDetails::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Code::MethodNotAllowed,
        "This path is read-only.",
        fix,
    );
    ([(header::ALLOW, METHODS)], problem).into_response()
}

/// Admin paths have one method each and answer no preflights, so that no web page can use them.
pub(super) async fn admin_method_not_allowed(uri: Uri) -> Response {
    let is_action = uri.path() == RELEASE_BRAKE;
    let (allowed, detail, fix) = match is_action {
        true => ("POST", "This path is an action.", "Use POST."),
        false => ("GET,HEAD", "This path is read-only.", "Use GET or HEAD."),
    };
    let problem =
        ProblemDetails::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, detail, fix);
    ([(header::ALLOW, HeaderValue::from_static(allowed))], problem).into_response()
}

/// Replaces the bodies of errors that layers produced by problem documents.
pub(super) async fn explain_bare_errors(mut response: Response) -> Response {
    let status = response.status();
    // Layers send no body or plain text; errors of our handlers are JSON, or a page for people.
    let is_ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|media_type| {
        let media_type = media_type.as_bytes();
        media_type.starts_with(b"application/") || media_type.starts_with(b"text/html")
    });
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let detail = "The request was rejected or timed out.";
    let fix = "Check the request, then retry.";
    let problem = ProblemDetails {
        retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some("1"),
        ..ProblemDetails::new(status, Code::RequestFailed, detail, fix)
    };
    let mut explained = problem.into_response();
    // The extensions include the mark of a counted response.
    *explained.extensions_mut() = std::mem::take(response.extensions_mut());
    explained
}
