//! `/`: what is published, as a page for people and as an index for programs.
//!
//! The page is made when it is asked for, from the snapshot that documents are served from. It lists
//! a bounded number of agents and offers, so that it costs the same however many there are.

mod explorers;
mod view;

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use url::form_urlencoded;

pub(super) use self::view::begin;
use self::view::{Found, View};
use super::{
    CatalogReader, Current, conditional, documents::JSON, html::Html, listings,
    problem::ProblemDetails,
};
use crate::{
    catalog::Catalog,
    offer::OfferId,
    page::Page,
    registration::{AgentName, OfferState, WELL_KNOWN_PATH, encode},
};

/// How many offers and agents one page lists.
const OFFERS: usize = 25;
const AGENTS: usize = 8;
/// How many offers, and how many agents, one request looks at in search of a word.
const SEARCHED: usize = 2_000;
/// How much of a word is searched for, in characters.
const MAX_SOUGHT: usize = 100;

pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(super) const VARY: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding");
/// What a page may load: files of this origin, and nothing that is written into the page itself.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// What a request asks to see.
#[derive(Debug, Default)]
struct Asked {
    /// A word that names must contain, in lower case.
    sought: Option<String>,
    /// The last offer of the page before.
    after: Option<OfferId>,
    /// The last agent of the page before.
    agents_after: Option<AgentName>,
}

/// The index for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    public_url: String,
    /// The URL of the default agent's document.
    document: String,
    published: usize,
    draining: usize,
    agents: &'static str,
    offers: &'static str,
    events: &'static str,
    openapi: &'static str,
}

/// `GET /`
pub(super) async fn home(
    State(reader): State<CatalogReader>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let is_for_people = prefers_html(&headers);
    let answered = answer(&reader, query.as_deref(), &headers, is_for_people).await;
    let mut response = match answered {
        Ok(response) => response,
        Err(problem) if is_for_people && problem.is_temporary() => for_people(&problem),
        Err(problem) => return problem.into_response(),
    };
    let fields = response.headers_mut();
    fields.insert(header::VARY, VARY);
    if is_for_people {
        protect(fields);
    }
    response
}

async fn answer(
    reader: &CatalogReader,
    query: Option<&str>,
    headers: &HeaderMap,
    is_for_people: bool,
) -> Result<Response, ProblemDetails> {
    let asked = Asked::parse(query.unwrap_or_default())?;
    let current = reader.current().await?;
    let (body, media_type) = match is_for_people {
        true => (page(reader, &current, asked), HTML),
        false => (encode(&Index::of(&current.catalog)), JSON),
    };
    let cache_control = current.cache_control(reader.max_age);
    let page = Page::new(&body);
    let response = conditional::select(&page, headers)?.response(&media_type, &cache_control);
    Ok(response.map(|content| Body::from(content.to_bytes())))
}

/// Forbids a page everything that it does not need.
pub(super) fn protect(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Whether `Accept` names HTML and does not rank JSON above it. Browsers do; a program that takes
/// anything gets JSON.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0.0_f32, 0.0_f32);
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    for range in lines.flat_map(|line| line.split(',')) {
        let mut parameters = range.split(';').map(str::trim);
        let media_type = parameters.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parameters.find_map(|parameter| parameter.strip_prefix("q="));
        let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        match media_type.as_str() {
            "text/html" | "application/xhtml+xml" => html = html.max(weight),
            "application/json" => json = json.max(weight),
            _ => {}
        }
    }
    html > 0.0 && html >= json
}

impl Asked {
    fn parse(query: &str) -> Result<Self, ProblemDetails> {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "q" => {
                    let sought: String =
                        value.trim().to_lowercase().chars().take(MAX_SOUGHT).collect();
                    asked.sought = Some(sought).filter(|sought| !sought.is_empty());
                }
                "cursor" => {
                    asked.after = Some(listings::read_cursor("cursor", &value, OfferId::parse)?);
                }
                "agents" => {
                    let after = listings::read_cursor("agents", &value, AgentName::parse)?;
                    asked.agents_after = Some(after);
                }
                // Refused before.
                _ => {}
            }
        }
        Ok(asked)
    }

    fn seeks(&self, mut names: impl Iterator<Item = String>) -> bool {
        let Some(sought) = &self.sought else { return true };
        names.any(|name| name.to_lowercase().contains(sought))
    }
}

/// The first items that are sought, from at most so many, and where the rest begins.
fn found<T, K>(
    items: impl Iterator<Item = T>,
    limit: usize,
    key: impl Fn(&T) -> K,
    is_sought: impl Fn(&T) -> bool,
) -> Found<T, K> {
    let mut found = Found { items: Vec::new(), next: None, was_cut_short: false };
    let mut last = None;
    for (number, item) in items.enumerate() {
        if found.items.len() == limit || number == SEARCHED {
            found.was_cut_short = number == SEARCHED;
            found.next = last;
            return found;
        }
        last = Some(key(&item));
        if is_sought(&item) {
            found.items.push(item);
        }
    }
    found
}

fn page(reader: &CatalogReader, current: &Current, asked: Asked) -> Vec<u8> {
    let catalog = &*current.catalog;
    let offers = found(
        catalog.listed_after(asked.after.as_ref()),
        OFFERS,
        |offer| offer.id.clone(),
        |offer| {
            let names = [Some(offer.id.to_string()), offer.host.clone()];
            asked.seeks(names.into_iter().flatten())
        },
    );
    let agents = found(
        catalog.agents_after(asked.agents_after.as_ref()),
        AGENTS,
        |agent| agent.agent.clone(),
        |agent| {
            // The default agent lists every offer, so that it would be found by any name.
            let holder = agent.offers.first().filter(|_| agent.agent != AgentName::Default);
            let names = [Some(agent.agent.to_string()), holder.cloned()];
            asked.seeks(names.into_iter().flatten())
        },
    );
    let view = View {
        catalog,
        now: current.now,
        stale_seconds: reader.stale_seconds(current.at),
        review: &reader.review.load(),
        asked: &asked,
        offers,
        agents,
    };
    view.render()
}

/// A temporary problem as a page, which tries again by itself.
fn for_people(problem: &ProblemDetails) -> Response {
    let response = problem.response();
    let mut html = Html::default();
    view::begin(&mut html, problem.title());
    html.raw("<meta http-equiv=\"refresh\" content=\"5\"></head><body><main><h1>")
        .text(problem.title())
        .raw("</h1><p>");
    html.text(problem.detail()).raw("</p><p>").text(problem.fix()).raw("</p></main></body></html>");
    let mut response = response.map(|_| Body::from(html.into_bytes()));
    response.headers_mut().insert(header::CONTENT_TYPE, HTML);
    response
}

impl Index {
    fn of(catalog: &Catalog) -> Self {
        let projection = &catalog.projection;
        let public_url = projection.public_url();
        Self {
            document: format!("{public_url}{WELL_KNOWN_PATH}"),
            public_url: public_url.to_string(),
            published: projection.count_in_state(OfferState::Published),
            draining: projection.count_in_state(OfferState::Draining),
            agents: "/agents",
            offers: "/offers",
            events: "/events",
            openapi: "/openapi.json",
        }
    }
}
