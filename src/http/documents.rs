//! Registration documents, looked up in the catalog. Nothing is allocated for one of an agent.

use http::{HeaderMap, HeaderName, HeaderValue, Response, Uri, header, request::Parts};

use super::{CatalogReader, Current, conditional, problem::ProblemDetails};
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
    /// The document at the target of a request; `None` if there is another resource or none.
    pub(super) fn at(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let path = uri.path();
        if path == WELL_KNOWN_PATH {
            return Some(Self::Agent(host(uri, headers)));
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

/// The response to a request for a document.
pub(super) fn answer(
    reader: &CatalogReader,
    current: &Current,
    wanted: &Wanted,
    request: Parts,
) -> Response<Content> {
    let selected =
        look_up(current, wanted).and_then(|page| conditional::select(page, &request.headers));
    match selected {
        Ok(selected) => {
            let mut headers = request.headers;
            headers.clear();
            let cache = current.cache_control(reader.max_age);
            let mut response = selected.into_response(headers, JSON, cache);
            mark_age(reader, response.headers_mut());
            response
        }
        Err(problem) => problem.response().map(Content::Whole),
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
pub(super) fn host(uri: &Uri, headers: &HeaderMap) -> Option<Hostname> {
    let field = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    Hostname::from_authority(uri.authority().map(|authority| authority.as_str()).or_else(field)?)
}

/// Marks a document whose facts are older than a healthy source's. Bytes and entity tag stay as they
/// are: a document is not another one because its source is silent.
fn mark_age(reader: &CatalogReader, headers: &mut HeaderMap) {
    if let Some(seconds) = reader.stale_seconds() {
        headers.insert(SOURCE_AGE, HeaderValue::from(seconds));
    }
}
