//! Registration documents, looked up in the catalog. Nothing is allocated for one of an agent.

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
    offer::{Hostname, OfferId, is_dns_name},
    page::{Content, Page},
    registration::WELL_KNOWN_PATH,
};

pub(super) const OFFER_DOCUMENT: &str = "/offers/{namespace}/{name}/agent-registration.json";
const OFFERS: &str = "/offers/";
const DOCUMENT: &str = "/agent-registration.json";

/// How many seconds ago the facts in a document were last confirmed. Absent while they are fresh.
pub(super) const SOURCE_AGE: HeaderName = HeaderName::from_static("registrar-source-age");

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A document that a request asks for.
pub(super) enum Wanted {
    /// The document of the agent that this host names; `None` if it names none.
    Agent(Option<Hostname>),
    /// One offer's document; `None` if the path does not hold valid names.
    Offer(Option<OfferId>),
}

impl Wanted {
    /// The document at the path of a request; `None` if there is another resource or none.
    pub(super) fn at(path: &str, authority: Option<&str>, fields: &impl Fields) -> Option<Self> {
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

/// A document, as a request gets it.
pub(super) struct Document {
    selected: Selected,
    cache: HeaderValue,
    /// How many seconds ago its facts were last confirmed, once that is longer than a healthy source
    /// takes.
    age: Option<u64>,
}

/// The document that a request gets.
///
/// # Errors
///
/// There is none, or the request is for another version of it.
pub(super) fn find(
    reader: &CatalogReader,
    current: &Current,
    wanted: &Wanted,
    request: &impl Fields,
) -> Result<Document, ProblemDetails> {
    let selected = conditional::select(look_up(current, wanted)?, request)?;
    let cache = current.cache_control(reader.max_age);
    Ok(Document { selected, cache, age: reader.stale_seconds() })
}

impl Document {
    pub(super) fn status(&self) -> StatusCode {
        self.selected.status()
    }

    /// Passes on every field of the response, and returns its bytes.
    ///
    /// Bytes and entity tag do not tell the age: a document is not another one because its source is
    /// silent.
    pub(super) fn into_fields(self, mut field: impl FnMut(HeaderName, HeaderValue)) -> Content {
        if let Some(seconds) = self.age {
            field(SOURCE_AGE, HeaderValue::from(seconds));
        }
        for (name, value) in cors(self.age.is_some()) {
            field(name, value);
        }
        self.selected.into_fields(JSON, self.cache, field)
    }

    /// The response. `headers` is empty; its memory is used again.
    pub(super) fn into_response(self, mut headers: HeaderMap) -> Response<Content> {
        let mut response = Response::new(Content::default());
        *response.status_mut() = self.status();
        *response.body_mut() = self.into_fields(|name, value| {
            headers.insert(name, value);
        });
        *response.headers_mut() = headers;
        response
    }
}

fn look_up<'a>(current: &'a Current, wanted: &Wanted) -> Result<&'a Page, ProblemDetails> {
    let catalog = &*current.catalog;
    match wanted {
        Wanted::Agent(host) => Ok(catalog.document_at(host.as_ref())),
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
pub(super) fn host(authority: Option<&str>, fields: &impl Fields) -> Option<Hostname> {
    Hostname::from_authority(authority.or_else(|| text(fields.values(&header::HOST).next()?))?)
}
