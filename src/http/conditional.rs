//! Content negotiation and conditional requests (RFC 9110, sections 12.5.3 and 13).

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::{
    fields::{Fields, text},
    problem::ProblemDetails,
};
use crate::page::{Content, Page, Representation};

/// The representation that a request selects, and whether it is sent.
pub(super) struct Selected {
    representation: Representation,
    /// Whether it was chosen by `Accept-Encoding`, and if so, whether it is the gzip form.
    gzip: Option<bool>,
    is_modified: bool,
}

/// Selects gzip if the client accepts it and does not prefer identity.
///
/// # Errors
///
/// 412 if `If-Match` names other representations only.
pub(super) fn select(page: &Page, request: &impl Fields) -> Result<Selected, ProblemDetails> {
    let gzip = accepts_gzip(request);
    let representation = if gzip { page.gzip() } else { page.identity() };
    Ok(Selected { gzip: Some(gzip), ..select_only(representation, request)? })
}

/// Selects the only representation.
///
/// # Errors
///
/// 412 if `If-Match` names other representations only.
pub(super) fn select_only(
    representation: Representation,
    request: &impl Fields,
) -> Result<Selected, ProblemDetails> {
    match evaluate(request, &representation.etag) {
        Precondition::Holds => Ok(Selected { representation, gzip: None, is_modified: true }),
        Precondition::NotModified => {
            Ok(Selected { representation, gzip: None, is_modified: false })
        }
        Precondition::Failed => Err(ProblemDetails::precondition_failed()),
    }
}

impl Selected {
    /// 200, or 304.
    pub(super) fn status(&self) -> StatusCode {
        if self.is_modified { StatusCode::OK } else { StatusCode::NOT_MODIFIED }
    }

    /// Passes on every field of the response, and returns its bytes.
    pub(super) fn into_fields(
        self,
        media_type: HeaderValue,
        cache: HeaderValue,
        mut field: impl FnMut(HeaderName, HeaderValue),
    ) -> Content {
        if self.is_modified {
            field(header::CONTENT_TYPE, media_type);
            if self.gzip == Some(true) {
                field(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        let etag = HeaderValue::from_maybe_shared(self.representation.etag);
        field(header::ETAG, etag.expect("a quoted hex string is an entity tag"));
        field(header::CACHE_CONTROL, cache);
        if self.gzip.is_some() {
            field(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        if self.is_modified { self.representation.body } else { Content::default() }
    }

    pub(super) fn into_response(
        self,
        media_type: HeaderValue,
        cache: HeaderValue,
    ) -> Response<Content> {
        let mut response = Response::new(Content::default());
        *response.status_mut() = self.status();
        let mut headers = HeaderMap::new();
        *response.body_mut() = self.into_fields(media_type, cache, |name, value| {
            headers.insert(name, value);
        });
        *response.headers_mut() = headers;
        response
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Precondition {
    /// The request is carried out.
    Holds,
    /// The client has this representation.
    NotModified,
    /// The client wants another representation only.
    Failed,
}

/// Evaluates preconditions in the order of RFC 9110, section 13.2.2. Those that compare dates are
/// ignored, because documents have no modification date (sections 13.1.3 and 13.1.4).
fn evaluate(request: &impl Fields, etag: &[u8]) -> Precondition {
    let is_given = request.values(&header::IF_MATCH).next().is_some();
    if is_given && !names(request, &header::IF_MATCH, |tag| tag == etag) {
        return Precondition::Failed;
    }
    // Only this comparison is weak (section 13.1.2).
    let is_same = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == etag;
    match names(request, &header::IF_NONE_MATCH, is_same) {
        true => Precondition::NotModified,
        false => Precondition::Holds,
    }
}

/// Whether a field is `*` or lists a tag that is the one sought.
fn names(request: &impl Fields, field: &HeaderName, is_same: impl Fn(&[u8]) -> bool) -> bool {
    request.values(field).any(|line| {
        // Our tags contain no comma, so a list can be split at every comma.
        line.trim_ascii() == b"*"
            || line.split(|byte| *byte == b',').any(|listed| is_same(listed.trim_ascii()))
    })
}

/// Whether `Accept-Encoding` allows gzip and does not rank identity above it.
fn accepts_gzip(request: &impl Fields) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for line in request.values(&header::ACCEPT_ENCODING) {
        for item in text(line).unwrap_or_default().split(',') {
            let (coding, weight) = match item.split_once(';') {
                Some((coding, parameter)) => (coding, weight(parameter)),
                None => (item, Some(1.0)),
            };
            let Some(weight) = weight else { continue };
            let is = |name: &str| coding.trim().eq_ignore_ascii_case(name);
            match () {
                () if is("gzip") || is("x-gzip") => gzip = Some(weight),
                () if is("*") => any = Some(weight),
                () if is("identity") => identity = Some(weight),
                () => {}
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
