//! All pages of one instant, rendered once.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::HeaderValue;
use serde::Serialize;

use crate::{
    offer::{Hostname, OfferId, Origin, Timestamp, print_seconds},
    registration::{
        AgentName, Availability, Document, Explanation, OfferState, OnChainFacts, Projection,
        PublishedOffer, Reason, RegistrationEntry, WELL_KNOWN_PATH, entries,
    },
};

/// A larger document gets a warning: one reader accepts at most 64 KiB.
const SOFT_LIMIT_BYTES: usize = 65_536;

/// Everything that is served at one instant, valid until `valid_until`.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) default: Page,
    /// The documents of claimed and anchored hosts.
    pub(crate) hosts: BTreeMap<Hostname, Page>,
    /// The documents of published offers.
    pub(crate) offers: BTreeMap<OfferId, Page>,
    /// The rows of `/offers`, by id.
    pub(crate) listed: Vec<ListedOffer>,
    /// The rows of `/agents`: the default agent, then hosts in order.
    pub(crate) agents: Vec<ListedAgent>,
    /// Every offer of the source, by id.
    pub(crate) explanations: Vec<Explanation>,
    /// The first instant at which this is wrong; `None` if the clock alone changes nothing.
    pub(crate) valid_until: Option<Timestamp>,
    /// When the default agent's document last changed.
    pub(crate) changed_at: Timestamp,
}

/// One document in each content coding.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) identity: Representation,
    pub(crate) gzip: Representation,
}

/// Bytes and their strong entity tag (RFC 9110, section 8.8.3).
#[derive(Clone, Debug)]
pub(crate) struct Representation {
    pub(crate) body: Bytes,
    /// Includes the quotes.
    pub(crate) etag: HeaderValue,
}

/// One row of `/offers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedOffer {
    #[serde(flatten)]
    pub(crate) id: OfferId,
    /// Published or draining.
    pub(crate) state: OfferState,
    pub(crate) reason: Reason,
    /// When its drain ends; absent if it does not drain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) drain_ends_at: Option<String>,
    /// The URL of the per-offer document.
    pub(crate) document: String,
    /// The URL of the service.
    pub(crate) web: String,
    /// Its own host, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
}

/// One row of `/agents`.
#[derive(Clone, Serialize)]
pub(crate) struct ListedAgent {
    pub(crate) agent: AgentName,
    /// The URL of its document.
    pub(crate) document: String,
    /// Whether at least one of its offers is published.
    pub(crate) active: bool,
    pub(crate) registrations: Vec<RegistrationEntry>,
    /// Its published offers, as `namespace/name`.
    pub(crate) offers: Vec<String>,
    /// Its reason in each registry that it is anchored in; absent if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) anchoring: Vec<ListedAnchor>,
}

/// An agent's anchoring reason in one registry.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedAnchor {
    pub(crate) agent_registry: String,
    /// A code from the closed list of anchoring reasons.
    pub(crate) reason: &'static str,
}

impl std::fmt::Debug for ListedAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListedAgent").field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl Page {
    pub(crate) fn new(body: Vec<u8>) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let gzip = encoder
            .write_all(&body)
            .and_then(|()| encoder.finish())
            .expect("a Vec takes every write");
        Self { identity: Representation::new(body), gzip: Representation::new(gzip) }
    }
}

impl Representation {
    /// The tag is made from these bytes and nothing else.
    pub(crate) fn new(body: Vec<u8>) -> Self {
        let etag = format!("\"{}\"", &blake3::hash(&body).to_hex()[..32]);
        let etag = HeaderValue::try_from(etag).expect("a quoted hex string is an entity tag");
        Self { body: body.into(), etag }
    }
}

impl Catalog {
    /// Renders a projection. Pages whose bytes did not change are kept from the `last` catalog.
    pub(crate) fn new(
        projection: Projection,
        public_url: &Origin,
        on_chain: &OnChainFacts,
        last: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let agents = agents(&projection, public_url, on_chain);
        let Projection { default, hosts, published, explanations, next_change } = projection;
        let page = |document: &Document, last: Option<&Page>| {
            let body = document.render();
            match last {
                Some(last) if last.identity.body == body => last.clone(),
                Some(_) | None => Page::new(body),
            }
        };
        let default = page(&default, last.map(|last| &last.default));
        let unchanged = last.filter(|last| last.default.identity.body == default.identity.body);
        let hosts = hosts.into_iter().map(|(host, agent)| {
            let page = page(&agent.document, last.and_then(|last| last.hosts.get(&host)));
            (host, page)
        });
        let offers = published.iter().map(|offer| {
            let page = page(&offer.document, last.and_then(|last| last.offers.get(&offer.id)));
            (offer.id.clone(), page)
        });
        let mut listed: Vec<_> =
            published.iter().map(|offer| ListedOffer::new(offer, public_url)).collect();
        listed.sort_by(|a, b| a.id.cmp(&b.id));
        Self {
            hosts: hosts.collect(),
            offers: offers.collect(),
            listed,
            agents,
            explanations,
            valid_until: next_change,
            changed_at: unchanged.map_or(now, |last| last.changed_at),
            default,
        }
    }

    /// The document for a host: its own, or the default agent's if nobody claims the host.
    pub(crate) fn document_at(&self, host: Option<&Hostname>) -> &Page {
        host.and_then(|host| self.hosts.get(host)).unwrap_or(&self.default)
    }

    /// An offer's explanation; `None` if the source has no such offer.
    pub(crate) fn explanation(&self, id: &OfferId) -> Option<&Explanation> {
        let at = self.explanations.binary_search_by(|explanation| explanation.id.cmp(id)).ok()?;
        self.explanations.get(at)
    }

    /// An offer's row; `None` if it is not published.
    pub(crate) fn listed(&self, id: &OfferId) -> Option<&ListedOffer> {
        let at = self.listed.binary_search_by(|listed| listed.id.cmp(id)).ok()?;
        self.listed.get(at)
    }

    /// Agents whose documents are larger than the strictest reader accepts, with sizes in bytes.
    pub(crate) fn large_documents(&self) -> Vec<(AgentName, usize)> {
        let hosts = self.hosts.iter().map(|(host, page)| (AgentName::Host(host.clone()), page));
        let all = std::iter::once((AgentName::Default, &self.default)).chain(hosts);
        let sized = all.map(|(agent, page)| (agent, page.identity.body.len()));
        sized.filter(|(_, bytes)| *bytes > SOFT_LIMIT_BYTES).collect()
    }

    /// Whether it is still valid at `now`.
    pub(crate) fn holds_at(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|end| now < end)
    }
}

impl ListedOffer {
    fn new(offer: &PublishedOffer, public_url: &Origin) -> Self {
        let (state, drain_ends_at) = match offer.availability {
            Availability::Open => (OfferState::Published, None),
            Availability::Draining { ends_at } => {
                (OfferState::Draining, Some(print_seconds(ends_at)))
            }
        };
        Self {
            id: offer.id.clone(),
            state,
            reason: offer.reason,
            drain_ends_at,
            document: format!("{public_url}/offers/{}/agent-registration.json", offer.id),
            web: offer.web.clone(),
            host: offer.host.as_ref().map(Hostname::to_string),
        }
    }
}

fn agents(
    projection: &Projection,
    public_url: &Origin,
    on_chain: &OnChainFacts,
) -> Vec<ListedAgent> {
    let agent = |agent: AgentName, origin: &str, document: &Document, offers: Vec<String>| {
        let anchored = on_chain.reasons(&agent).map(|(registry, reason)| {
            let agent_registry = registry.to_string();
            ListedAnchor { agent_registry, reason }
        });
        ListedAgent {
            anchoring: anchored.collect(),
            document: format!("{origin}{WELL_KNOWN_PATH}"),
            active: document.active,
            registrations: entries(&document.registrations),
            offers,
            agent,
        }
    };
    let mut all: Vec<&OfferId> = projection.published.iter().map(|offer| &offer.id).collect();
    all.sort();
    let all = all.into_iter().map(OfferId::to_string).collect();
    let mut agents = vec![agent(AgentName::Default, public_url.as_str(), &projection.default, all)];
    for (host, hosted) in &projection.hosts {
        let holder = hosted.holder.iter().filter(|_| hosted.document.active);
        let offers = holder.map(OfferId::to_string).collect();
        agents.push(agent(AgentName::Host(host.clone()), &host.origin(), &hosted.document, offers));
    }
    agents
}

/// The current catalog; `None` before the first complete world.
pub(crate) type Shared = Option<Arc<Catalog>>;
