//! Registration documents, looked up in the catalog. Only response headers are allocated here.

use axum::{
    extract::{FromRequestParts, Path, State},
    handler::Handler,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};

use super::{
    CatalogReader, conditional,
    problem::{METHODS, ProblemDetails, method_not_allowed},
};
use crate::{
    catalog::Page,
    offer::{Hostname, OfferId, is_dns_name},
    registration::WELL_KNOWN_PATH,
};

pub(super) const OFFER_DOCUMENT: &str = "/offers/{namespace}/{name}/agent-registration.json";

/// How many seconds ago the facts in a document were last confirmed. Absent while they are fresh.
const SOURCE_AGE: HeaderName = HeaderName::from_static("registrar-source-age");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The methods of a document path. Document paths have no layers, so these handlers answer
/// preflights and count responses themselves.
pub(super) fn methods<T: 'static>(
    route: &'static str,
    handler: impl Handler<T, CatalogReader>,
) -> MethodRouter<CatalogReader> {
    let refuse = async move |State(reader): State<CatalogReader>| {
        finish(&reader, route, method_not_allowed().await)
    };
    let preflight =
        async move |State(reader): State<CatalogReader>| finish(&reader, route, preflight());
    get(handler).options(preflight).fallback(refuse)
}

/// The document of the agent that the request's host names.
pub(super) async fn well_known(
    State(reader): State<CatalogReader>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let response = match reader.current().await {
        Ok(current) => {
            let page = current.catalog.document_at(host(&uri, &headers).as_ref());
            let cache = current.cache_control(reader.max_age);
            with_age(&reader, conditional::page(page, &headers, JSON, cache))
        }
        Err(problem) => problem.into_response(),
    };
    finish(&reader, WELL_KNOWN_PATH, response)
}

/// One offer's document.
pub(super) async fn offer_document(
    State(reader): State<CatalogReader>,
    OfferPath(id): OfferPath,
    headers: HeaderMap,
) -> Response {
    let found = match reader.current().await {
        Ok(current) => {
            let page = id.as_ref().and_then(|id| current.catalog.offers.get(id));
            let answer = |page: &Page| {
                let cache = current.cache_control(reader.max_age);
                with_age(&reader, conditional::page(page, &headers, JSON, cache))
            };
            page.map(answer).ok_or_else(|| not_found(&current.catalog, id.as_ref()))
        }
        Err(problem) => Err(problem),
    };
    finish(&reader, OFFER_DOCUMENT, found.unwrap_or_else(IntoResponse::into_response))
}

/// Explains a missing offer without revealing disabled offers.
pub(super) fn not_found(catalog: &crate::catalog::Catalog, id: Option<&OfferId>) -> ProblemDetails {
    let explained =
        id.and_then(|id| catalog.explanation(id)).filter(|explanation| explanation.enabled);
    explained.map_or_else(ProblemDetails::no_such_offer, |explanation| {
        ProblemDetails::unpublished(explanation.reason)
    })
}

/// The offer that a path names; `None` if the path does not hold valid names.
pub(super) struct OfferPath(pub(super) Option<OfferId>);

impl<S: Send + Sync> FromRequestParts<S> for OfferPath {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Self::Rejection> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await.ok();
        let named =
            path.filter(|Path((namespace, name))| is_dns_name(namespace) && is_dns_name(name));
        Ok(Self(named.map(|Path((namespace, name))| OfferId::new(&namespace, &name))))
    }
}

/// The host that a request is for. The authority of the request target takes precedence over the
/// `Host` header (RFC 9112, section 3.2.2).
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Hostname> {
    let field = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    Hostname::from_authority(uri.authority().map(|authority| authority.as_str()).or_else(field)?)
}

/// Marks a document whose facts are older than a healthy source's. Bytes and entity tag stay as they
/// are: a document is not another one because its source is silent.
fn with_age(reader: &CatalogReader, mut response: Response) -> Response {
    if let Some(seconds) = reader.stale_seconds() {
        response.headers_mut().insert(SOURCE_AGE, HeaderValue::from(seconds));
    }
    response
}

fn preflight() -> Response {
    let headers = [
        (header::ALLOW, METHODS),
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*")),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn finish(reader: &CatalogReader, route: &'static str, response: Response) -> Response {
    reader.metrics.answered(route, response.status().as_u16());
    with_cors(response)
}

/// Lets scripts of any origin read the response and its entity tag.
fn with_cors(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed =
        if headers.contains_key(SOURCE_AGE) { "etag, registrar-source-age" } else { "etag" };
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    response
}
