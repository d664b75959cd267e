//! The page as HTML.

use chrono::TimeDelta;
use form_urlencoded::Serializer;
use url::form_urlencoded;

use super::{Asked, explorers::token_page};
use crate::{
    catalog::{Catalog, ListedAgent, ListedOffer},
    http::{html::Html, listings},
    lint::{LintCode, Severity},
    offer::{OfferId, Timestamp, print_seconds},
    registration::{AgentName, DocumentName, OfferState, chains::short_name, heading},
    review::Review,
};

/// How much of a name and of a description is shown, in characters.
const NAME_CHARS: usize = 80;
const DESCRIPTION_CHARS: usize = 140;
/// How many codes of findings are shown for one document.
const CODES: usize = 4;

/// Part of a list.
pub(super) struct Found<T, K> {
    pub(super) items: Vec<T>,
    /// The item after which the rest begins, if there is a rest.
    pub(super) next: Option<K>,
    /// Whether the rest was not searched.
    pub(super) was_cut_short: bool,
}

/// What a page shows.
pub(super) struct View<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) now: Timestamp,
    /// The age of the facts, if it is more than a healthy source can have.
    pub(super) stale_seconds: Option<u64>,
    pub(super) review: &'a Review,
    pub(super) asked: &'a Asked,
    pub(super) offers: Found<ListedOffer, OfferId>,
    pub(super) agents: Found<ListedAgent, AgentName>,
}

/// The beginning of every page, up to its own elements of the head.
pub(in crate::http) fn begin(html: &mut Html, title: &str) {
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    html.text(title).raw(
        "</title><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"/agent-icon.png\">\
         <link rel=\"stylesheet\" href=\"/docs/page.css\">",
    );
}

/// A time for people, with the exact one for programs.
fn time(html: &mut Html, at: Timestamp) {
    let printed = print_seconds(at);
    html.raw("<time datetime=\"").text(&printed).raw("\">").text(&shown(&printed)).raw("</time>");
}

/// A printed time as people read it.
fn shown(printed: &str) -> String {
    printed.replace('T', " ").replace('Z', " UTC")
}

fn duration(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{minutes} min"),
        _ => format!("{hours} h {} min", minutes % 60),
    }
}

impl View<'_> {
    pub(super) fn render(&self) -> Vec<u8> {
        let mut html = Html::default();
        let public_url = self.catalog.projection.public_url().to_string();
        let place = public_url.split_once("://").map_or(public_url.as_str(), |(_, place)| place);
        begin(&mut html, &format!("Agents of {place}"));
        html.raw(
            "<script src=\"/docs/page.js\" defer></script><noscript>\
             <meta http-equiv=\"refresh\" content=\"60\"></noscript></head><body><header><div><h1>",
        );
        html.text(place)
            .raw("</h1><p>Agents and services of this operator, ")
            .raw(if self.stale_seconds.is_none() { "as published now" } else { "as last known" })
            .raw(".</p></div>");
        self.search(&mut html);
        html.raw("</header><main id=\"live\" data-now=\"")
            .text(&print_seconds(self.now))
            .raw("\">");
        self.summary(&mut html);
        self.agents(&mut html);
        self.offers(&mut html);
        html.raw("<p class=\"as-of\">As of ");
        time(&mut html, self.now);
        html.raw("</p></main><footer><p><span id=\"connection\" role=\"status\"></span></p><nav aria-label=\"For programs\">\
                  For programs: <a href=\"/agents\">agents</a> <a href=\"/offers\">offers</a> \
                  <a href=\"/.well-known/agent-registration.json\">document</a> \
                  <a href=\"/docs\">API</a></nav></footer></body></html>");
        html.into_bytes()
    }

    fn search(&self, html: &mut Html) {
        html.raw(
            "<form role=\"search\"><label for=\"q\">Search by name or host</label>\
             <input id=\"q\" name=\"q\" type=\"search\" maxlength=\"100\" value=\"",
        );
        html.text(self.asked.sought.as_deref().unwrap_or_default());
        html.raw("\"><button>Search</button></form>");
    }

    fn summary(&self, html: &mut Html) {
        let projection = &self.catalog.projection;
        let count = |state| projection.count_in_state(state);
        let figure = |html: &mut Html, count: usize, name: &'static str| {
            html.raw("<div><dt>")
                .raw(name)
                .raw("</dt><dd>")
                .text(&count.to_string())
                .raw("</dd></div>");
        };
        html.raw("<dl class=\"figures\">");
        figure(html, count(OfferState::Published), "Open services");
        figure(html, count(OfferState::Draining), "Draining");
        figure(html, projection.agent_count(), "Agents");
        html.raw("<div><dt>Document changed</dt><dd>");
        time(html, self.catalog.changed_at);
        html.raw("</dd></div></dl>");
        if let Some(seconds) = self.stale_seconds {
            html.raw(
                "<p class=\"notice\" role=\"alert\"><strong>This may be out of date.</strong> \
                      The source was last confirmed ",
            );
            let age = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
            if let Some(confirmed) = age.and_then(|age| self.now.checked_sub_signed(age)) {
                html.raw("at ");
                time(html, confirmed);
                html.raw(", ");
            }
            html.text(&duration(seconds)).raw(" before this page. Drains still end on time.</p>");
        }
    }

    fn agents(&self, html: &mut Html) {
        html.raw("<section aria-labelledby=\"agents\"><h2 id=\"agents\">Agents</h2>");
        if self.agents.items.is_empty() {
            html.raw("<p class=\"empty\">No agent matches.</p>");
        } else {
            html.raw("<ul class=\"cards\">");
            self.agents.items.iter().for_each(|agent| self.agent(html, agent));
            html.raw("</ul>");
        }
        let next = self.agents.next.as_ref().map(listings::cursor);
        let is_first = self.asked.agents_after.is_none();
        self.pages(
            html,
            "Pages of agents",
            ["agents", "cursor"],
            next,
            is_first,
            self.agents.was_cut_short,
        );
        html.raw("</section>");
    }

    fn agent(&self, html: &mut Html, agent: &ListedAgent) {
        let host = match &agent.agent {
            AgentName::Default => None,
            AgentName::Host(host) => Some(host.as_str()),
        };
        let heading = heading(self.catalog.document_at(host));
        html.raw("<li><h3>");
        titled(html, heading.as_ref(), &agent.agent.to_string());
        match agent.active {
            true => html.raw("</h3><p class=\"badges\"><span class=\"badge open\">Active</span> "),
            false => {
                html.raw("</h3><p class=\"badges\"><span class=\"badge off\">Inactive</span> ")
            }
        };
        html.raw("<code>").text(&agent.agent.to_string()).raw("</code></p>");
        described(html, heading.as_ref());
        html.raw("<p class=\"links\">").link(&agent.document, "Document").raw("</p>");
        if !agent.registrations.is_empty() {
            html.raw("<ul class=\"ids\">");
            for entry in &agent.registrations {
                let (registry, id) = (entry.registry(), entry.id());
                let name = format!("#{id} on {}", short_name(registry.chain_id));
                html.raw("<li>");
                match token_page(registry, id) {
                    Some(url) => html.link(&url, &name),
                    None => html.text(&name),
                };
                html.raw("</li>");
            }
            html.raw("</ul>");
        }
        for anchor in agent.anchoring.iter().filter(|anchor| anchor.reason != "Anchored") {
            html.raw("<p class=\"note\">On chain: ").text(anchor.reason).raw("</p>");
        }
        self.findings(html, &DocumentName::Agent(agent.agent.clone()));
        html.raw("</li>");
    }

    fn offers(&self, html: &mut Html) {
        html.raw("<section aria-labelledby=\"services\"><h2 id=\"services\">Services</h2>");
        if self.offers.items.is_empty() {
            match self.asked.sought {
                Some(_) => html.raw("<p class=\"empty\">No service matches.</p>"),
                None => html.raw("<p class=\"empty\">Nothing is for sale at the moment.</p>"),
            };
        } else {
            html.raw("<ul class=\"rows\">");
            self.offers.items.iter().for_each(|offer| self.offer(html, offer));
            html.raw("</ul>");
        }
        let next = self.offers.next.as_ref().map(listings::cursor);
        let is_first = self.asked.after.is_none();
        self.pages(
            html,
            "Pages of services",
            ["cursor", "agents"],
            next,
            is_first,
            self.offers.was_cut_short,
        );
        html.raw("</section>");
    }

    fn offer(&self, html: &mut Html, offer: &ListedOffer) {
        let heading = self.catalog.projection.offer(&offer.id).and_then(heading);
        html.raw("<li><div><h3>");
        titled(html, heading.as_ref(), &offer.id.to_string());
        html.raw("</h3><p><code>").text(&offer.id.to_string()).raw("</code></p>");
        described(html, heading.as_ref());
        self.findings(html, &DocumentName::Offer(offer.id.clone()));
        html.raw("</div><div class=\"state\">");
        match &offer.drain_ends_at {
            None => html.raw("<span class=\"badge open\">Open</span>"),
            Some(ends_at) => {
                html.raw("<span class=\"badge draining\">Draining</span> <span>until <time data-ends datetime=\"");
                html.text(ends_at)
                    .raw("\">")
                    .text(&shown(ends_at))
                    .raw("</time> <b class=\"left\"></b></span>")
            }
        };
        html.raw("</div><p class=\"links\">").link(&offer.web, "Service").raw(" ");
        html.link(&offer.document, "Document");
        if let Some(host) = &offer.host {
            html.raw(" ").link(&format!("https://{host}/"), host);
        }
        html.raw("</p></li>");
    }

    /// What lint finds in a document, in short.
    fn findings(&self, html: &mut Html, document: &DocumentName) {
        let findings = self.review.of(document);
        let mut codes: Vec<LintCode> = findings.iter().map(|finding| finding.code).collect();
        codes.retain(|code| code.severity() != Severity::Info);
        codes.dedup();
        let Some(worst) = codes.first() else { return };
        html.raw(match worst.severity() {
            Severity::Error => "<p class=\"note bad\">Findings: ",
            Severity::Warning | Severity::Info => "<p class=\"note\">Findings: ",
        });
        for (number, code) in codes.iter().take(CODES).enumerate() {
            html.raw(if number == 0 { "" } else { ", " }).text(code.as_str());
        }
        html.raw(if codes.len() > CODES { ", …</p>" } else { "</p>" });
    }

    /// Links to the first page and to the next one. `names` are the cursor of this list and that of
    /// the other, which stays where it is.
    fn pages(
        &self,
        html: &mut Html,
        label: &'static str,
        names: [&'static str; 2],
        next: Option<String>,
        is_first: bool,
        was_cut_short: bool,
    ) {
        if next.is_none() && is_first {
            return;
        }
        let [own, other] = names;
        let kept = match other {
            "agents" => self.asked.agents_after.as_ref().map(listings::cursor),
            _ => self.asked.after.as_ref().map(listings::cursor),
        };
        let target = |cursor: Option<&str>| {
            let mut query = Serializer::new(String::new());
            let parts =
                [("q", self.asked.sought.as_deref()), (own, cursor), (other, kept.as_deref())];
            for (name, value) in parts {
                if let Some(value) = value {
                    query.append_pair(name, value);
                }
            }
            format!("?{}", query.finish())
        };
        html.raw("<nav class=\"pages\" aria-label=\"").raw(label).raw("\">");
        if !is_first {
            html.link(&target(None), "First page").raw(" ");
        }
        if let Some(next) = next {
            let text = if was_cut_short { "Search further" } else { "Next page" };
            html.link(&target(Some(&next)), text);
        }
        html.raw("</nav>");
    }
}

/// The name in a document, else another one.
fn titled(html: &mut Html, heading: Option<&(String, String)>, otherwise: &str) {
    match heading {
        Some((name, _)) if !name.trim().is_empty() => html.shortened(name, NAME_CHARS),
        Some(_) | None => html.shortened(otherwise, NAME_CHARS),
    };
}

fn described(html: &mut Html, heading: Option<&(String, String)>) {
    if let Some((_, description)) = heading {
        html.raw("<p>").shortened(description, DESCRIPTION_CHARS).raw("</p>");
    }
}
