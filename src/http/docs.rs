//! `/docs`: openapi.yaml for people, with requests that can be tried.

mod render;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use self::render::render;
use super::{
    conditional,
    contract::{CACHE_CONTROL, OPENAPI, openapi_json},
    home::{HTML, JSON, VARY, prefers_html, protect},
};
use crate::page::Page;

/// Made from the contract at the first request for it; it changes only with a release.
static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(&render(&OPENAPI)));

/// `GET /docs`
pub(super) async fn docs(headers: HeaderMap) -> Response {
    let is_for_people = prefers_html(&headers);
    let (page, media_type) = match is_for_people {
        true => (&*PAGE, HTML),
        false => (openapi_json(), JSON),
    };
    let selected = match conditional::select(page, &headers) {
        Ok(selected) => selected,
        Err(problem) => return problem.into_response(),
    };
    let response = selected.into_response(HeaderMap::new(), media_type, CACHE_CONTROL);
    let mut response = response.map(|content| Body::from(content.to_bytes()));
    let fields = response.headers_mut();
    fields.insert(header::VARY, VARY);
    if is_for_people {
        protect(fields);
    }
    response
}
