//! `/docs`: openapi.yaml for people, with requests that can be tried.

mod render;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, header},
    response::Response,
};

use self::render::render;
use super::{
    contract::{OPENAPI, built_in, openapi_json},
    documents::JSON,
    home::{HTML, VARY, prefers_html, protect},
    problem::ProblemDetails,
};
use crate::page::Page;

/// Made from the contract at the first request for it; it changes only with a release.
static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(&render(&OPENAPI)));

/// `GET /docs`
pub(super) async fn docs(headers: HeaderMap) -> Result<Response, ProblemDetails> {
    let is_for_people = prefers_html(&headers);
    let (page, media_type) = match is_for_people {
        true => (&*PAGE, HTML),
        false => (openapi_json(), JSON),
    };
    let mut response = built_in(page, media_type, &headers)?;
    let fields = response.headers_mut();
    fields.insert(header::VARY, VARY);
    if is_for_people {
        protect(fields);
    }
    Ok(response)
}
