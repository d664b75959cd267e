//! The contract, self-hosted: openapi.yaml, the JSON Schemas, and the default image.

use axum::{
    Router,
    http::{HeaderMap, HeaderValue},
    routing::get,
};

use super::{Reader, conditional, counted};
use crate::{catalog::Page, registration::encode, source::parse_yaml, telemetry::Metrics};

/// The HTTP contract.
pub const OPENAPI_YAML: &str = include_str!("../../openapi.yaml");
const AGENT_REGISTRATION_SCHEMA: &str = include_str!("../../schema/agent-registration.schema.json");
const AGENT_ICON: &[u8] = include_bytes!("../../assets/agent-icon.png");

/// These change with a release only.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The routes of everything that is built in.
pub(super) fn routes(metrics: &Metrics) -> Router<Reader> {
    let openapi = parse_yaml(OPENAPI_YAML).expect("openapi.yaml is YAML: a test reads it");
    let openapi_json =
        encode(openapi.first().expect("openapi.yaml holds a document: a test reads it"));
    let built_in: [(&'static str, &'static str, Vec<u8>); 4] = [
        ("/openapi.yaml", "application/yaml", OPENAPI_YAML.into()),
        ("/openapi.json", "application/json", openapi_json),
        (
            "/schema/agent-registration.schema.json",
            "application/schema+json",
            AGENT_REGISTRATION_SCHEMA.into(),
        ),
        ("/agent-icon.png", "image/png", AGENT_ICON.into()),
    ];
    built_in.into_iter().fold(Router::new(), |router, (path, media_type, body)| {
        let page = Page::new(body);
        let media_type = HeaderValue::from_static(media_type);
        let answer = move |headers: HeaderMap| {
            let response = conditional::page(&page, &headers, media_type, CACHE_CONTROL);
            async move { response }
        };
        router.route(path, counted(metrics, path, get(answer)))
    })
}
