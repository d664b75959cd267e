//! Content negotiation and conditional requests (RFC 9110, sections 12.5.3 and 13).

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::{
    fields::{Fields, text},
    problem::ProblemDetails,
};
use crate::page::{Coding, Content, Page, Representation, View};

static GZIP: HeaderValue = HeaderValue::from_static("gzip");
static ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");

/// The representation that a request selects, and whether it is sent.
pub(super) struct Selected<'a> {
    view: View<'a>,
    /// The coding, if it was chosen by `Accept-Encoding`.
    coding: Option<Coding>,
    is_modified: bool,
}

/// Selects gzip if the client accepts it and does not prefer identity.
///
/// # Errors
///
/// 412 if `If-Match` names other representations only.
pub(super) fn select<'a>(
    page: &'a Page,
    request: &impl Fields,
) -> Result<Selected<'a>, ProblemDetails> {
    let coding = if accepts_gzip(request) { Coding::Gzip } else { Coding::Identity };
    Ok(Selected { coding: Some(coding), ..select_only(page.view(coding), request)? })
}

/// Selects the only representation.
///
/// # Errors
///
/// 412 if `If-Match` names other representations only.
pub(super) fn select_only<'a>(
    view: View<'a>,
    request: &impl Fields,
) -> Result<Selected<'a>, ProblemDetails> {
    match evaluate(request, view.etag()) {
        Precondition::Holds => Ok(Selected { view, coding: None, is_modified: true }),
        Precondition::NotModified => Ok(Selected { view, coding: None, is_modified: false }),
        Precondition::Failed => Err(ProblemDetails::precondition_failed()),
    }
}

impl<'a> Selected<'a> {
    /// 200, or 304.
    pub(super) fn status(&self) -> StatusCode {
        if self.is_modified { StatusCode::OK } else { StatusCode::NOT_MODIFIED }
    }

    /// The bytes, if they are sent.
    pub(super) fn body(&self) -> Option<View<'a>> {
        self.is_modified.then_some(self.view)
    }

    pub(super) fn etag(&self) -> &'a [u8] {
        self.view.etag()
    }

    /// Passes on every field of the response but the entity tag.
    pub(super) fn fields(
        &self,
        media_type: &HeaderValue,
        cache: &HeaderValue,
        mut field: impl FnMut(HeaderName, &HeaderValue),
    ) {
        if self.is_modified {
            field(header::CONTENT_TYPE, media_type);
            if self.coding == Some(Coding::Gzip) {
                field(header::CONTENT_ENCODING, &GZIP);
            }
        }
        field(header::CACHE_CONTROL, cache);
        if self.coding.is_some() {
            field(header::VARY, &ACCEPT_ENCODING);
        }
    }

    pub(super) fn response(
        &self,
        media_type: &HeaderValue,
        cache: &HeaderValue,
    ) -> Response<Content> {
        self.respond(HeaderMap::new(), |field| self.fields(media_type, cache, field))
    }

    /// The response with these fields and the entity tag. `headers` is empty; its memory is used.
    pub(super) fn respond(
        &self,
        mut headers: HeaderMap,
        fields: impl FnOnce(&mut dyn FnMut(HeaderName, &HeaderValue)),
    ) -> Response<Content> {
        let Representation { body, etag } = self.view.to_representation();
        let etag = HeaderValue::from_maybe_shared(etag);
        headers.insert(header::ETAG, etag.expect("a quoted hex string is an entity tag"));
        fields(&mut |name, value| {
            headers.insert(name, value.clone());
        });
        let body = if self.is_modified { body } else { Content::default() };
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
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
