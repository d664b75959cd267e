//! The reference of problem codes in docs/http.md, generated from what the handlers answer.

use std::collections::BTreeSet;

use axum::{
    body::to_bytes,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::{
    http::problem::{
        Code, ProblemDetails, RELEASE_BRAKE, admin_method_not_allowed, explain_bare_errors,
        method_not_allowed, not_found,
    },
    tests::docs::{check, code, plain, table},
};

/// A problem as a client reads it: code, status, detail, fix.
async fn read(response: Response) -> [String; 4] {
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let member = |name: &str| body[name].as_str().unwrap().to_owned();
    [member("code"), body["status"].to_string(), member("detail"), member("fix")]
}

#[tokio::test]
async fn generated_problem_codes_are_what_handlers_answer() {
    let timeout = explain_bare_errors(StatusCode::SERVICE_UNAVAILABLE.into_response());
    let answers = [
        not_found().await.into_response(),
        ProblemDetails::no_such_offer().into_response(),
        method_not_allowed().await,
        admin_method_not_allowed(Uri::from_static("/metrics")).await,
        admin_method_not_allowed(Uri::from_static(RELEASE_BRAKE)).await,
        // The detail depends on the request.
        ProblemDetails::invalid_query("…").into_response(),
        ProblemDetails::invalid_filter("…").into_response(),
        ProblemDetails::unknown_query(&["…".into()], &[]).into_response(),
        ProblemDetails::unknown_query(&["…".into()], &["limit", "cursor"]).into_response(),
        ProblemDetails::bad_host("The request does not name its host.").into_response(),
        ProblemDetails::invalid_target().into_response(),
        ProblemDetails::unexpected_body().into_response(),
        ProblemDetails::precondition_failed().into_response(),
        ProblemDetails::wrong_host().into_response(),
        ProblemDetails::incomplete(&[]).into_response(),
        ProblemDetails::stale().into_response(),
        ProblemDetails::stopping().into_response(),
        ProblemDetails::stuck(31).into_response(),
        timeout.await,
        ProblemDetails::internal().into_response(),
    ];
    let (mut codes, mut rows) = (BTreeSet::new(), Vec::new());
    for answer in answers {
        let [word, status, detail, fix] = read(answer).await;
        rows.push(vec![code(&word), status, plain(&detail), plain(&fix)]);
        codes.insert(word);
    }
    assert_eq!(codes, Code::OWN.iter().map(|own| own.as_str().to_owned()).collect());
    check("docs/http.md", "problem-codes", &table(&["code", "status", "detail", "fix"], rows));
}
