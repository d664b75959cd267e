//! All pages of one instant, their bytes decided once.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::HeaderValue;
use serde::Serialize;

use crate::{
    offer::{Hostname, OfferId, Origin, Timestamp, print_seconds},
    registration::{
        Availability, Document, Explanation, OfferState, OnChainFacts, Projection, PublishedOffer,
        Reason, RegistrationEntry, Registrations, WELL_KNOWN_PATH, entries,
    },
};

/// Above this an agent's document is worth a warning: one reader takes no more than 64 KiB.
const SOFT_LIMIT_BYTES: usize = 65_536;

/// Everything that is served, true until `valid_until`.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// The default agent's document.
    pub(crate) default: Page,
    /// The document of every claimed host.
    pub(crate) hosts: BTreeMap<Hostname, Page>,
    /// The document of every published offer.
    pub(crate) offers: BTreeMap<OfferId, Page>,
    /// What is published, by id.
    pub(crate) listed: Vec<ListedOffer>,
    /// Every agent: the default one, then hosts in order.
    pub(crate) agents: Vec<ListedAgent>,
    /// Every offer seen, by id.
    pub(crate) explanations: Vec<Explanation>,
    /// The first instant at which this is no longer true.
    pub(crate) valid_until: Option<Timestamp>,
    /// When the default agent's document last changed.
    pub(crate) changed_at: Timestamp,
    /// The origin of all published URLs.
    pub(crate) public_url: Origin,
    /// The ids that an AgentIdentity names.
    pub(crate) identity: Registrations,
    /// Whom each published offer is paid to, where it says so.
    pub(crate) payees: BTreeMap<OfferId, String>,
}

/// One document's bytes, in each encoding, with their entity tags.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The bytes that every replica serves.
    pub(crate) identity: Representation,
    /// The same, gzipped.
    pub(crate) gzip: Representation,
}

/// Bytes and their strong entity tag (RFC 9110, section 8.8.3).
#[derive(Clone, Debug)]
pub(crate) struct Representation {
    /// The body.
    pub(crate) body: Bytes,
    /// The quoted tag.
    pub(crate) etag: HeaderValue,
}

/// One row of `/offers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedOffer {
    /// The offer.
    #[serde(flatten)]
    pub(crate) id: OfferId,
    /// Published or draining.
    pub(crate) state: OfferState,
    /// Why.
    pub(crate) reason: Reason,
    /// When it ends, if it drains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) drain_ends_at: Option<String>,
    /// The URL of its own document.
    pub(crate) document: String,
    /// Where it is sold.
    pub(crate) web: String,
    /// The host it is sold at besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
}

/// One row of `/agents`.
#[derive(Clone, Serialize)]
pub(crate) struct ListedAgent {
    /// `default` or `host:NAME`.
    pub(crate) agent: String,
    /// The URL of its document.
    pub(crate) document: String,
    /// Whether anything of it is published.
    pub(crate) active: bool,
    /// Its ids, as in the document.
    pub(crate) registrations: Vec<RegistrationEntry>,
    /// The published offers that it stands for, as `namespace/name`.
    pub(crate) offers: Vec<String>,
    /// How it stands in each registry that it is anchored in; absent when it is in none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) anchoring: Vec<ListedAnchor>,
}

/// How an agent stands in one registry.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedAnchor {
    /// The registry.
    pub(crate) agent_registry: String,
    /// Why it is where it is, from the closed list of anchoring's reasons.
    pub(crate) reason: &'static str,
}

impl std::fmt::Debug for ListedAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListedAgent").field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl Page {
    /// Renders a document's bytes into a page.
    pub(crate) fn new(body: Vec<u8>) -> Self {
        let digest = blake3::hash(&body);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let gzip = encoder
            .write_all(&body)
            .and_then(|()| encoder.finish())
            .expect("a Vec takes every write");
        let identity = Representation::tagged(body, digest, "");
        Self { identity, gzip: Representation::tagged(gzip, digest, "-gzip") }
    }
}

impl Representation {
    /// Bytes that are sent as they are.
    pub(crate) fn new(body: Vec<u8>) -> Self {
        let digest = blake3::hash(&body);
        Self::tagged(body, digest, "")
    }

    fn tagged(body: Vec<u8>, digest: blake3::Hash, suffix: &str) -> Self {
        let etag = format!("\"{}{suffix}\"", &digest.to_hex()[..32]);
        let etag = HeaderValue::try_from(etag).expect("a quoted hex string is an entity tag");
        Self { body: body.into(), etag }
    }
}

impl Catalog {
    /// Renders a projection. Pages whose bytes did not move are taken over from the `last` catalog.
    pub(crate) fn new(
        projection: Projection,
        public_url: &Origin,
        identity: &Registrations,
        learned: &OnChainFacts,
        last: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let agents = agents(&projection, public_url, learned);
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
            public_url: public_url.clone(),
            identity: identity.clone(),
            payees: published
                .iter()
                .filter_map(|offer| Some((offer.id.clone(), offer.pay_to.clone()?)))
                .collect(),
            changed_at: unchanged.map_or(now, |last| last.changed_at),
            default,
        }
    }

    /// The document for a host: its own, or the default agent's for a host that nobody claims.
    pub(crate) fn document_at(&self, host: Option<&Hostname>) -> &Page {
        host.and_then(|host| self.hosts.get(host)).unwrap_or(&self.default)
    }

    /// Why an offer stands as it does; `None` when no such offer was seen.
    pub(crate) fn explanation(&self, id: &OfferId) -> Option<&Explanation> {
        let at = self.explanations.binary_search_by(|explanation| explanation.id.cmp(id)).ok()?;
        self.explanations.get(at)
    }

    /// The row of a published offer.
    pub(crate) fn listed(&self, id: &OfferId) -> Option<&ListedOffer> {
        let at = self.listed.binary_search_by(|listed| listed.id.cmp(id)).ok()?;
        self.listed.get(at)
    }

    /// The agents whose documents are larger than the strictest reader takes, with their sizes.
    pub(crate) fn large_documents(&self) -> Vec<(String, usize)> {
        let hosts = self.hosts.iter().map(|(host, page)| (format!("host:{host}"), page));
        let all = std::iter::once(("default".to_owned(), &self.default)).chain(hosts);
        let sized = all.map(|(agent, page)| (agent, page.identity.body.len()));
        sized.filter(|(_, bytes)| *bytes > SOFT_LIMIT_BYTES).collect()
    }

    /// Whether it is still true at `now`.
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
    learned: &OnChainFacts,
) -> Vec<ListedAgent> {
    let agent = |agent: String, origin: &str, document: &Document, offers: Vec<String>| {
        let anchored = learned.of(&agent).map(|(registry, reason)| {
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
    let mut agents =
        vec![agent("default".to_owned(), public_url.as_str(), &projection.default, all)];
    for (host, hosted) in &projection.hosts {
        let holder = hosted.holder.iter().filter(|_| hosted.document.active);
        let offers = holder.map(OfferId::to_string).collect();
        agents.push(agent(format!("host:{host}"), &host.origin(), &hosted.document, offers));
    }
    agents
}

/// A catalog shared with those who serve it; `None` before the first complete world.
pub(crate) type Shared = Option<Arc<Catalog>>;
