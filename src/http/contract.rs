//! Built-in files: openapi.yaml, the JSON Schemas, and the default image.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    body::Body,
    extract::{Path, rejection::PathRejection},
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
    routing::get,
};

use serde_json::Value;

use super::{
    CatalogReader, Route, conditional,
    problem::{ProblemDetails, not_found},
};
use crate::{page::Page, registration::encode, source::parse_yaml};

pub(crate) const OPENAPI_YAML: &str = include_str!("../../openapi.yaml");
/// Every file of schema/: its name and its text.
pub(crate) const SCHEMAS: [(&str, &str); 5] = [
    ("agent.schema.json", include_str!("../../schema/agent.schema.json")),
    ("agent-registration.schema.json", include_str!("../../schema/agent-registration.schema.json")),
    ("explanation.schema.json", include_str!("../../schema/explanation.schema.json")),
    ("offer.schema.json", include_str!("../../schema/offer.schema.json")),
    ("problem.schema.json", include_str!("../../schema/problem.schema.json")),
];
const AGENT_ICON: &[u8] = include_bytes!("../../assets/agent-icon.png");

/// Built-in files change only with a release, so they may be cached longer than documents.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The contract, parsed.
pub(super) static OPENAPI: LazyLock<Value> = LazyLock::new(|| {
    let documents = parse_yaml(OPENAPI_YAML).expect("openapi.yaml is valid YAML; a test parses it");
    documents.into_iter().next().expect("openapi.yaml has one document; a test parses it")
});
static OPENAPI_JSON: LazyLock<Page> = LazyLock::new(|| Page::new(&encode(&*OPENAPI)));

/// Path, media type and content of every built-in file that is not a schema.
static BUILT_IN: LazyLock<[(&str, &str, Page); 3]> = LazyLock::new(|| {
    [
        ("/openapi.yaml", "application/yaml", Page::new(OPENAPI_YAML.as_bytes())),
        ("/openapi.json", "application/json", OPENAPI_JSON.clone()),
        ("/agent-icon.png", "image/png", Page::new(AGENT_ICON)),
    ]
});
static SCHEMA_PAGES: LazyLock<BTreeMap<&str, Page>> =
    LazyLock::new(|| SCHEMAS.map(|(file, text)| (file, Page::new(text.as_bytes()))).into());

/// Style and script of the pages for people, below a path that no offer can claim.
static ASSETS: LazyLock<BTreeMap<&str, (&str, Page)>> = LazyLock::new(|| {
    let asset = |text: &str| Page::new(text.as_bytes());
    BTreeMap::from([
        ("docs.css", ("text/css", asset(include_str!("../../assets/docs.css")))),
        ("docs.js", ("text/javascript", asset(include_str!("../../assets/docs.js")))),
        ("page.css", ("text/css", asset(include_str!("../../assets/page.css")))),
        ("page.js", ("text/javascript", asset(include_str!("../../assets/page.js")))),
    ])
});

/// The contract as JSON.
pub(super) fn openapi_json() -> &'static Page {
    &OPENAPI_JSON
}

pub(super) fn routes() -> Vec<Route<CatalogReader>> {
    let built_in = BUILT_IN.iter().map(|(path, media_type, page)| {
        let media_type = HeaderValue::from_static(media_type);
        let answer = async move |headers: HeaderMap| built_in(page, media_type, &headers);
        (*path, get(answer))
    });
    built_in.chain([("/schema/{file}", get(schema)), ("/docs/{file}", get(asset))]).collect()
}

/// `GET /schema/{file}`
async fn schema(file: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Response {
    match file.ok().and_then(|Path(file)| SCHEMA_PAGES.get(file.as_str())) {
        Some(page) => {
            let media_type = HeaderValue::from_static("application/schema+json");
            built_in(page, media_type, &headers).into_response()
        }
        None => not_found().await.into_response(),
    }
}

/// `GET /docs/{file}`
async fn asset(file: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Response {
    match file.ok().and_then(|Path(file)| ASSETS.get(file.as_str())) {
        Some((media_type, page)) => {
            built_in(page, HeaderValue::from_static(media_type), &headers).into_response()
        }
        None => not_found().await.into_response(),
    }
}

/// The answer with a built-in file.
pub(super) fn built_in(
    page: &Page,
    media_type: HeaderValue,
    headers: &HeaderMap,
) -> Result<Response, ProblemDetails> {
    let selected = conditional::select(page, headers)?;
    let response = selected.response(&media_type, &CACHE_CONTROL);
    Ok(response.map(|content| Body::from(content.to_bytes())))
}
