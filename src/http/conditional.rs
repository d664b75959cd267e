//! Content negotiation and conditional requests (RFC 9110, sections 12.5.3 and 13.1.2).

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};

use crate::catalog::{Page, Representation};

/// Responds with gzip if the client accepts it and does not prefer identity, and with 304 if the
/// client has that representation already.
pub(super) fn page(
    page: &Page,
    request: &HeaderMap,
    media_type: HeaderValue,
    cache: HeaderValue,
) -> Response {
    let gzip = accepts_gzip(request);
    let chosen = if gzip { &page.gzip } else { &page.identity };
    let mut response = representation(chosen, request, media_type, cache);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if gzip && response_has_body(&response) {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Responds with one representation, or with 304 if the client has it already.
pub(super) fn representation(
    chosen: &Representation,
    request: &HeaderMap,
    media_type: HeaderValue,
    cache: HeaderValue,
) -> Response {
    let mut response = if matches(request, &chosen.etag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Body::from(chosen.body.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, chosen.etag.clone());
    headers.insert(header::CACHE_CONTROL, cache);
    response
}

fn response_has_body(response: &Response) -> bool {
    response.status() == StatusCode::OK
}

/// Whether `If-None-Match` names the tag. The RFC requires the weak comparison for this header.
fn matches(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let tag = etag.as_bytes();
    request.get_all(header::IF_NONE_MATCH).iter().any(|line| {
        let line = line.as_bytes();
        // Our tags contain no comma, so a list can be split at every comma.
        line.trim_ascii() == b"*"
            || line.split(|byte| *byte == b',').any(|listed| {
                let listed = listed.trim_ascii();
                listed.strip_prefix(b"W/").unwrap_or(listed) == tag
            })
    })
}

/// Whether `Accept-Encoding` allows gzip and does not rank identity above it.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for line in request.get_all(header::ACCEPT_ENCODING) {
        for item in line.to_str().unwrap_or_default().split(',') {
            let (coding, weight) = match item.split_once(';') {
                Some((coding, parameter)) => (coding, weight(parameter)),
                None => (item, Some(1.0)),
            };
            let Some(weight) = weight else { continue };
            match coding.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = Some(weight),
                "*" => any = Some(weight),
                "identity" => identity = Some(weight),
                _ => {}
            }
        }
    }
    let gzip: f32 = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && identity.is_none_or(|identity: f32| gzip >= identity)
}

fn weight(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let weight: f32 = value.trim().parse().ok()?;
    (name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&weight)).then_some(weight)
}
