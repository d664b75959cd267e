//! What can be paid by x402, listed for buyers. Served with `--x402-discovery` only.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, Uri, uri::Authority},
    response::Response,
};
use serde::Serialize;
use url::form_urlencoded;

use super::{CatalogReader, documents::host, listings::json, problem::ProblemDetails};
use crate::{
    catalog::{ListedResource, X402_VERSION},
    registration::encode,
};

pub(super) const RESOURCES: &str = "/discovery/resources";
pub(super) const X402: &str = "/.well-known/x402";
pub(super) const PARAMETERS: &[&str] = &["type", "limit", "offset"];

/// As in x402 v2, section 8.1.
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// The list of x402 v2, section 8.1.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resources {
    x402_version: u8,
    items: Vec<ListedResource>,
    pagination: Pagination,
}

#[derive(Serialize)]
struct Pagination {
    limit: usize,
    offset: usize,
    total: usize,
}

/// What one host sells. No specification has settled its members; docs/x402.md lists the drafts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    x402_version: u8,
    kind: &'static str,
    resources: Vec<HostResource>,
    /// How many there are; the first 100 are in `resources`.
    total: usize,
    /// Where all of them are listed; absent if `resources` is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    all_resources: Option<String>,
}

#[derive(Serialize)]
struct HostResource {
    /// The same as `resource`, by the name that another draft gives it.
    url: String,
    #[serde(flatten)]
    listed: ListedResource,
}

/// `GET /discovery/resources`
pub(super) async fn resources(
    State(reader): State<CatalogReader>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ProblemDetails> {
    let Asked { is_http, limit, offset } = Asked::parse(query.as_deref().unwrap_or_default())?;
    let current = reader.current().await?;
    let catalog = &current.catalog;
    // Every offer is a service over HTTP, so a list of another type is empty.
    let total = if is_http { catalog.discovered().total } else { 0 };
    let items = match is_http {
        true => catalog.resources_from(offset).take(limit).collect(),
        false => Vec::new(),
    };
    let pagination = Pagination { limit, offset, total };
    let body = encode(&Resources { x402_version: X402_VERSION, items, pagination });
    json(&reader, &current, &headers, body)
}

/// `GET /.well-known/x402`
pub(super) async fn manifest(
    State(reader): State<CatalogReader>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ProblemDetails> {
    let current = reader.current().await?;
    let catalog = &current.catalog;
    let own = host(uri.authority().map(Authority::as_str), &headers)
        .and_then(|host| catalog.resources_at(&host));
    let (resources, total) = match own {
        Some(resources) => {
            let total = resources.len();
            (resources, total)
        }
        None => {
            let first = catalog.resources_from(0).take(MAX_LIMIT);
            (first.collect(), catalog.discovered().total)
        }
    };
    let public_url = catalog.projection.public_url();
    let body = encode(&Manifest {
        x402_version: X402_VERSION,
        kind: "resource-server",
        total,
        all_resources: (total > resources.len()).then(|| format!("{public_url}{RESOURCES}")),
        resources: resources.into_iter().map(HostResource::of).collect(),
    });
    json(&reader, &current, &headers, body)
}

impl HostResource {
    fn of(listed: ListedResource) -> Self {
        Self { url: listed.resource.clone(), listed }
    }
}

/// What a request for the list asks for.
struct Asked {
    is_http: bool,
    limit: usize,
    offset: usize,
}

impl Asked {
    fn parse(query: &str) -> Result<Self, ProblemDetails> {
        let mut asked = Self { is_http: true, limit: DEFAULT_LIMIT, offset: 0 };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let bad = || ProblemDetails::invalid_query(&format!("{name}={value}"));
            match name.as_ref() {
                "type" => asked.is_http = value == "http",
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    asked.limit = limit.ok_or_else(bad)?;
                }
                "offset" => asked.offset = value.parse().map_err(|_| bad())?,
                _ => {}
            }
        }
        Ok(asked)
    }
}
