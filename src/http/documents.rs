//! Registration documents, looked up in the catalog. Nothing is allocated for one of an agent.

use std::{borrow::Cow, ops::Deref};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts,
    uri::Authority,
};

use super::{
    CatalogReader, Current,
    conditional::{self, Selected},
    cors,
    fields::{Fields, text},
    problem::ProblemDetails,
    with_cors,
};
use crate::{
    catalog::Catalog,
    offer::{OfferId, host_of, is_dns_name},
    page::{Content, Page, View},
    registration::WELL_KNOWN_PATH,
};

pub(super) const OFFER_DOCUMENT: &str = "/offers/{namespace}/{name}/agent-registration.json";
const OFFERS: &str = "/offers/";
const DOCUMENT: &str = "/agent-registration.json";

/// How many seconds ago the facts in a document were last confirmed. Absent while they are fresh.
pub(super) const SOURCE_AGE: HeaderName = HeaderName::from_static("registrar-source-age");

static HOST: HeaderName = header::HOST;
static MEDIA_TYPE: HeaderValue = JSON;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A document that a request asks for.
pub(super) enum Wanted<'a> {
    /// The document of the agent that this host names; `None` if it names none.
    Agent(Option<Cow<'a, str>>),
    /// One offer's document; `None` if the path does not hold valid names.
    Offer(Option<OfferId>),
}

impl<'a> Wanted<'a> {
    /// The document at the path of a request; `None` if there is another resource or none.
    pub(super) fn at(
        path: &str,
        authority: Option<&'a str>,
        fields: &'a impl Fields,
    ) -> Option<Self> {
        if path == WELL_KNOWN_PATH {
            return Some(Self::Agent(host(authority, fields)));
        }
        let id = path.strip_prefix(OFFERS)?.strip_suffix(DOCUMENT)?;
        let (namespace, name) = id.split_once('/')?;
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return None;
        }
        Some(Self::Offer(offer_id(namespace, name)))
    }

    /// Its path, in the notation of openapi.yaml.
    pub(super) fn route(&self) -> &'static str {
        match self {
            Self::Agent(_) => WELL_KNOWN_PATH,
            Self::Offer(_) => OFFER_DOCUMENT,
        }
    }
}

/// The response to a request for a document, or the problem that there is no catalog.
pub(super) fn respond<C: Deref<Target = Catalog>>(
    reader: &CatalogReader,
    current: &Result<Current<C>, ProblemDetails>,
    request: Parts,
) -> Response<Content> {
    let authority = request.uri.authority().map(Authority::as_str);
    let wanted = Wanted::at(request.uri.path(), authority, &request.headers);
    let found = match (current, wanted) {
        (Ok(current), Some(wanted)) => find(reader, current, &wanted, &request.headers),
        (Err(problem), _) => Err(problem.clone()),
        (Ok(_), None) => Err(ProblemDetails::no_such_offer()),
    };
    let mut response = match found {
        Ok(document) => {
            let mut headers = request.headers;
            headers.clear();
            document.response(headers)
        }
        Err(problem) => {
            let mut response = problem.response().map(Content::Whole);
            with_cors(response.headers_mut());
            response
        }
    };
    drop_body(&request.method, &mut response);
    response
}

/// HEAD is answered like GET, without the body.
pub(super) fn drop_body(method: &Method, response: &mut Response<Content>) {
    if *method == Method::HEAD && response.status() != StatusCode::NOT_MODIFIED {
        let length = std::mem::take(response.body_mut()).len();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// A document, as a request gets it.
pub(super) struct Document<'a> {
    selected: Selected<'a>,
    cache: Cow<'static, HeaderValue>,
    /// How many seconds ago its facts were last confirmed, once that is longer than a healthy source
    /// takes.
    age: Option<u64>,
}

/// The document that a request gets.
///
/// # Errors
///
/// There is none, or the request is for another version of it.
pub(super) fn find<'a, C: Deref<Target = Catalog>>(
    reader: &CatalogReader,
    current: &'a Current<C>,
    wanted: &Wanted<'_>,
    request: &impl Fields,
) -> Result<Document<'a>, ProblemDetails> {
    let selected = conditional::select(look_up(&current.catalog, wanted)?, request)?;
    let cache = current.cache_control(reader.max_age);
    Ok(Document { selected, cache, age: reader.stale_seconds() })
}

impl<'a> Document<'a> {
    pub(super) fn status(&self) -> StatusCode {
        self.selected.status()
    }

    /// The bytes, if they are sent.
    pub(super) fn body(&self) -> Option<View<'a>> {
        self.selected.body()
    }

    pub(super) fn etag(&self) -> &'a [u8] {
        self.selected.etag()
    }

    /// Passes on every field of the response but the entity tag.
    ///
    /// Bytes and entity tag do not tell the age: a document is not another one because its source is
    /// silent.
    pub(super) fn fields(&self, mut field: impl FnMut(HeaderName, &HeaderValue)) {
        if let Some(seconds) = self.age {
            field(SOURCE_AGE, &HeaderValue::from(seconds));
        }
        for (name, value) in cors(self.age.is_some()) {
            field(name, &value);
        }
        self.selected.fields(&MEDIA_TYPE, &self.cache, field);
    }

    /// The response. `headers` is empty; its memory is used.
    pub(super) fn response(&self, headers: HeaderMap) -> Response<Content> {
        self.selected.respond(headers, |field| self.fields(field))
    }
}

fn look_up<'a>(catalog: &'a Catalog, wanted: &Wanted<'_>) -> Result<&'a Page, ProblemDetails> {
    match wanted {
        Wanted::Agent(host) => Ok(catalog.document_at(host.as_deref())),
        Wanted::Offer(id) => {
            let page = id.as_ref().and_then(|id| catalog.projection.offer(id));
            page.ok_or_else(|| not_found(catalog, id.as_ref()))
        }
    }
}

/// Explains a missing offer without revealing disabled offers.
pub(super) fn not_found(catalog: &Catalog, id: Option<&OfferId>) -> ProblemDetails {
    match id.and_then(|id| catalog.projection.reason(id)) {
        Some((reason, true)) => ProblemDetails::unpublished(reason),
        Some((_, false)) | None => ProblemDetails::no_such_offer(),
    }
}

/// The offer that two segments of a path name; `None` if they are not valid names.
pub(super) fn offer_id(namespace: &str, name: &str) -> Option<OfferId> {
    (is_dns_name(namespace) && is_dns_name(name)).then(|| OfferId::new(namespace, name))
}

/// The host that a request is for. The authority of the request target takes precedence over the
/// `Host` header (RFC 9112, section 3.2.2).
pub(super) fn host<'a>(
    authority: Option<&'a str>,
    fields: &'a impl Fields,
) -> Option<Cow<'a, str>> {
    host_of(authority.or_else(|| text(fields.values(&HOST).next()?))?)
}
