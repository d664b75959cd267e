//! Query parameters: which path takes which, and the refusal of all others.

use std::collections::BTreeSet;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::Method;
use url::form_urlencoded;

use super::{discovery, problem::ProblemDetails};

/// The parameters that a path takes.
pub(super) fn parameters(path: &str) -> &'static [&'static str] {
    match path {
        "/offers" | "/agents" => &["limit", "cursor"],
        "/" => &["q", "cursor", "agents"],
        "/events" => &["agent", "offer"],
        discovery::RESOURCES => discovery::PARAMETERS,
        _ => &[],
    }
}

/// Refuses a request that has a parameter which its path does not take, or one of them twice: what
/// is ignored would be a surprise later.
pub(super) async fn refuse_unknown(
    State(known): State<&'static [&'static str]>,
    request: Request,
    next: Next,
) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if query.is_empty() || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    match check(query, known) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(query: &str, known: &'static [&'static str]) -> Result<(), ProblemDetails> {
    let mut seen = BTreeSet::new();
    let mut refused = Vec::new();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        if !known.contains(&name.as_ref()) || !seen.insert(name.clone()) {
            refused.push(name);
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(ProblemDetails::unknown_query(&refused, known)) }
}
