//! `/offers` and `/agents`: lists of what is published, paginated with an opaque cursor.

use std::fmt::Display;

use alloy::primitives::hex;
use axum::{
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, HeaderValue},
    response::Response,
};
use serde::Serialize;
use url::form_urlencoded;

use super::{
    CatalogReader, Current, conditional,
    documents::{not_found, offer_id},
    problem::ProblemDetails,
};
use crate::{
    offer::OfferId,
    page::Representation,
    registration::{AgentName, encode},
};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

#[derive(Serialize)]
struct List<T> {
    items: Vec<T>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

/// `GET /offers`
pub(super) async fn offers(
    State(reader): State<CatalogReader>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ProblemDetails> {
    let slice = Slice::parse(query.as_deref(), OfferId::parse)?;
    let current = reader.current().await?;
    let body = slice.of(current.catalog.listed_after(slice.after()), |listed| listed.id.clone());
    json(&reader, &current, &headers, body)
}

/// `GET /offers/{namespace}/{name}`
pub(super) async fn offer(
    State(reader): State<CatalogReader>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ProblemDetails> {
    let id = path.ok().and_then(|Path((namespace, name))| offer_id(&namespace, &name));
    let current = reader.current().await?;
    let listed = id.as_ref().and_then(|id| current.catalog.listed(id));
    let listed = listed.ok_or_else(|| not_found(&current.catalog, id.as_ref()))?;
    json(&reader, &current, &headers, encode(&listed))
}

/// `GET /agents`
pub(super) async fn agents(
    State(reader): State<CatalogReader>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ProblemDetails> {
    let slice = Slice::parse(query.as_deref(), AgentName::parse)?;
    let current = reader.current().await?;
    let body = slice.of(current.catalog.agents_after(slice.after()), |agent| agent.agent.clone());
    json(&reader, &current, &headers, body)
}

pub(super) fn json(
    reader: &CatalogReader,
    current: &Current,
    headers: &HeaderMap,
    body: Vec<u8>,
) -> Result<Response, ProblemDetails> {
    let media_type = HeaderValue::from_static("application/json");
    let cache_control = current.cache_control(reader.max_age);
    let representation = Representation::new(body);
    let selected = conditional::select_only(representation.view(), headers)?;
    let response = selected.response(&media_type, &cache_control);
    Ok(response.map(|content| Body::from(content.to_bytes())))
}

/// The cursor of the page behind an item.
pub(super) fn cursor(key: &impl Display) -> String {
    hex::encode(key.to_string())
}

/// The item that a cursor names, in the parameter of this name.
pub(super) fn read_cursor<K>(
    name: &str,
    value: &str,
    read: impl Fn(&str) -> Option<K>,
) -> Result<K, ProblemDetails> {
    let bytes = hex::decode(value.as_bytes()).ok();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).and_then(|key| read(&key));
    key.ok_or_else(|| ProblemDetails::invalid_query(&format!("{name}={value}")))
}

/// The part of a list that a request asks for.
pub(super) struct Slice<K> {
    limit: usize,
    /// The key of the last item of the previous page.
    after: Option<K>,
}

impl<K: Ord + Display> Slice<K> {
    pub(super) fn parse(
        query: Option<&str>,
        read: impl Fn(&str) -> Option<K>,
    ) -> Result<Self, ProblemDetails> {
        let mut slice = Self { limit: DEFAULT_LIMIT, after: None };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    slice.limit = limit
                        .ok_or_else(|| ProblemDetails::invalid_query(&format!("limit={value}")))?;
                }
                "cursor" => {
                    slice.after = Some(read_cursor("cursor", &value, &read)?);
                }
                _ => {}
            }
        }
        Ok(slice)
    }

    pub(super) fn after(&self) -> Option<&K> {
        self.after.as_ref()
    }

    /// The page as JSON. `rest` are the items behind the cursor, sorted by key, so that a cursor
    /// remains valid after its item has been removed.
    fn of<T: Serialize>(&self, rest: impl Iterator<Item = T>, key: impl Fn(&T) -> K) -> Vec<u8> {
        let (items, next) = self.page(rest, key);
        encode(&List { items, next })
    }

    /// The items of the page, and the cursor of the next one.
    pub(super) fn page<T>(
        &self,
        mut rest: impl Iterator<Item = T>,
        key: impl Fn(&T) -> K,
    ) -> (Vec<T>, Option<String>) {
        let items: Vec<T> = rest.by_ref().take(self.limit).collect();
        let more = rest.next().is_some();
        let next = items.last().filter(|_| more).map(|last| cursor(&key(last)));
        (items, next)
    }
}
