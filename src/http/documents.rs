//! Registration documents, looked up in the catalog. Nothing is allocated for one of an agent.

use std::{borrow::Cow, ops::Deref};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::{
    CatalogReader, Current,
    conditional::{self, Selected},
    cors,
    fields::{Fields, text},
    problem::ProblemDetails,
};
use crate::{
    catalog::Catalog,
    offer::{OfferId, host_of, is_dns_name},
    page::{Content, View},
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
pub(super) enum Wanted {
    /// The document of the agent that the host of the request names.
    Agent,
    /// One offer's document; `None` if the path does not hold valid names.
    Offer(Option<OfferId>),
}

impl Wanted {
    /// The document at a path; `None` if there is another resource or none.
    pub(super) fn at(path: &str) -> Option<Self> {
        if path == WELL_KNOWN_PATH {
            return Some(Self::Agent);
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
            Self::Agent => WELL_KNOWN_PATH,
            Self::Offer(_) => OFFER_DOCUMENT,
        }
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

/// The document that a request with this authority in its target gets.
///
/// # Errors
///
/// There is none, or the request is for another version of it.
pub(super) fn find<'a, C: Deref<Target = Catalog>>(
    reader: &CatalogReader,
    current: &'a Current<C>,
    wanted: &Wanted,
    authority: Option<&str>,
    request: &impl Fields,
) -> Result<Document<'a>, ProblemDetails> {
    let catalog = &*current.catalog;
    let page = match wanted {
        Wanted::Agent => catalog.document_at(host(authority, request).as_deref()),
        Wanted::Offer(id) => {
            let page = id.as_ref().and_then(|id| catalog.projection.offer(id));
            page.ok_or_else(|| not_found(catalog, id.as_ref()))?
        }
    };
    let selected = conditional::select(page, request)?;
    let cache = current.cache_control(reader.max_age);
    Ok(Document { selected, cache, age: reader.stale_seconds(current.at) })
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
    authority.or_else(|| text(fields.values(&HOST).next()?)).map(host_of)
}
