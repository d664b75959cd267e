//! `/events`: what becomes of offers, as server-sent events.
//!
//! One task writes each event once; every subscriber sends the same bytes.

mod feed;
mod stream;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use tokio::sync::broadcast;
use url::form_urlencoded;

pub(crate) use self::feed::EventFeed;
use self::{feed::Filter, stream::stream};
use super::{CatalogReader, problem::ProblemDetails};
use crate::{offer::OfferId, publish::Step, registration::AgentName};

/// How often a subscriber hears something, so that both sides notice a broken connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Fills the feed from the publisher's steps. Returns when the publisher is gone.
pub(crate) async fn follow(mut steps: broadcast::Receiver<Arc<Step>>, feed: EventFeed) {
    loop {
        match steps.recv().await {
            Ok(step) => feed.publish(&step),
            // What was missed cannot be told any more, so subscribers start over.
            Err(broadcast::error::RecvError::Lagged(_)) => feed.reset(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// `GET /events`
pub(super) async fn events(
    State(reader): State<CatalogReader>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ProblemDetails> {
    let filter = filter(query.as_deref().unwrap_or_default())?;
    // A subscriber that reads documents next must find some.
    reader.current().await?;
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let stream = stream(reader.events.subscribe(last), filter, HEARTBEAT);
    let mut response = Response::new(Body::from_stream(stream));
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect answers would hold events back.
    fields.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn filter(query: &str) -> Result<Filter, ProblemDetails> {
    let mut filter = Filter::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let is_valid = match name.as_ref() {
            "agent" => {
                filter.agent = AgentName::parse(&value);
                filter.agent.is_some()
            }
            "offer" => {
                filter.offer = OfferId::parse(&value);
                filter.offer.is_some()
            }
            // Refused before.
            _ => true,
        };
        if !is_valid {
            return Err(ProblemDetails::invalid_filter(&format!("{name}={value}")));
        }
    }
    Ok(filter)
}
