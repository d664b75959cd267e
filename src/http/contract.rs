//! The contract, self-hosted: openapi.yaml, the JSON Schemas, and the default image.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, rejection::PathRejection},
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};

use super::{Reader, Route, conditional, problem::not_found};
use crate::{catalog::Page, registration::encode, source::parse_yaml};

/// The HTTP contract.
pub const OPENAPI_YAML: &str = include_str!("../../openapi.yaml");
/// Every file of schema/, by name.
pub const SCHEMAS: [(&str, &str); 5] = [
    ("agent.schema.json", include_str!("../../schema/agent.schema.json")),
    ("agent-registration.schema.json", include_str!("../../schema/agent-registration.schema.json")),
    ("explanation.schema.json", include_str!("../../schema/explanation.schema.json")),
    ("offer.schema.json", include_str!("../../schema/offer.schema.json")),
    ("problem.schema.json", include_str!("../../schema/problem.schema.json")),
];
const AGENT_ICON: &[u8] = include_bytes!("../../assets/agent-icon.png");

/// These change with a release only.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The routes of everything that is built in.
pub(super) fn routes() -> Vec<Route<Reader>> {
    let openapi = parse_yaml(OPENAPI_YAML).expect("openapi.yaml is YAML: a test reads it");
    let openapi_json =
        encode(openapi.first().expect("openapi.yaml holds a document: a test reads it"));
    vec![
        ("/openapi.yaml", built_in("application/yaml", OPENAPI_YAML.into())),
        ("/openapi.json", built_in("application/json", openapi_json)),
        ("/schema/{file}", schemas()),
        ("/agent-icon.png", built_in("image/png", AGENT_ICON.into())),
    ]
}

fn built_in(media_type: &'static str, body: Vec<u8>) -> MethodRouter<Reader> {
    let page = Page::new(body);
    let media_type = HeaderValue::from_static(media_type);
    get(async move |headers: HeaderMap| {
        conditional::page(&page, &headers, media_type, CACHE_CONTROL)
    })
}

fn schemas() -> MethodRouter<Reader> {
    let pages = SCHEMAS.map(|(file, text)| (file, Page::new(text.into())));
    let pages = Arc::new(BTreeMap::from(pages));
    get(async move |file: Result<Path<String>, PathRejection>, headers: HeaderMap| -> Response {
        let media_type = HeaderValue::from_static("application/schema+json");
        match file.ok().and_then(|Path(file)| pages.get(file.as_str())) {
            Some(page) => conditional::page(page, &headers, media_type, CACHE_CONTROL),
            None => not_found().await.into_response(),
        }
    })
}
