//! Everything that is served at one instant.

mod current;
mod discovery;

use std::{
    ops::Bound,
    sync::{Arc, OnceLock},
};

use serde::Serialize;

use self::discovery::Discovered;
pub(crate) use self::{
    current::{CurrentCatalog, Seen},
    discovery::{ListedResource, X402_VERSION},
};
use crate::{
    offer::{Hostname, OfferId, Timestamp, print_seconds},
    page::Page,
    registration::{
        AgentName, Availability, HostPage, LiveProjection, OfferState, OnChainFacts, PublishedRow,
        Reason, RegistrationEntry, WELL_KNOWN_PATH, entries, offer_document_url,
    },
};

/// A row of `/agents` lists at most this many offers.
const LISTED_OFFERS: usize = 100;

/// A snapshot of what is published. It is true from `valid_from` until `valid_until`.
///
/// Pages are finished. Rows are made from what the projection keeps, as many as are asked for.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) projection: LiveProjection,
    pub(crate) on_chain: Arc<OnChainFacts>,
    /// The first instant at which this is true; `None` if the clock alone never changed anything.
    pub(crate) valid_from: Option<Timestamp>,
    /// The first instant at which this is wrong; `None` if the clock alone changes nothing.
    pub(crate) valid_until: Option<Timestamp>,
    /// When the default agent's document last changed.
    pub(crate) changed_at: Timestamp,
    /// Made when it is first asked for.
    discovered: OnceLock<Discovered>,
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
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedAgent {
    pub(crate) agent: AgentName,
    /// The URL of its document.
    pub(crate) document: String,
    /// Whether at least one of its offers is published.
    pub(crate) active: bool,
    pub(crate) registrations: Vec<RegistrationEntry>,
    /// The first 100 of its published offers, as `namespace/name`.
    pub(crate) offers: Vec<String>,
    /// Where all of them are listed; absent if `offers` is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) all_offers: Option<String>,
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

impl Catalog {
    /// The snapshot of a projection at `now`. Shares everything with the projection.
    pub(crate) fn new(
        projection: &LiveProjection,
        on_chain: &Arc<OnChainFacts>,
        last: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let unchanged = last.filter(|last| last.projection.default().is_same(projection.default()));
        Self {
            valid_from: projection.valid_from(),
            valid_until: projection.next_change(),
            changed_at: unchanged.map_or(now, |last| last.changed_at),
            on_chain: Arc::clone(on_chain),
            projection: projection.clone(),
            discovered: OnceLock::new(),
        }
    }

    /// The document for a host: its own, or the default agent's if nobody claims the host.
    pub(crate) fn document_at(&self, host: Option<&str>) -> &Page {
        let own = host.and_then(|host| self.projection.hosts().get(host));
        own.map_or_else(|| self.projection.default(), |own| &own.page)
    }

    /// An offer's row; `None` if it is not published.
    pub(crate) fn listed(&self, id: &OfferId) -> Option<ListedOffer> {
        self.projection.published(id).map(|row| self.listed_offer(row))
    }

    /// The rows of `/offers` behind `after`, by id.
    pub(crate) fn listed_after<'a>(
        &'a self,
        after: Option<&OfferId>,
    ) -> impl Iterator<Item = ListedOffer> + use<'a> {
        self.projection.published_after(after).map(|row| self.listed_offer(row))
    }

    fn listed_offer(&self, row: PublishedRow) -> ListedOffer {
        let (state, drain_ends_at) = match row.availability {
            Availability::Open => (OfferState::Published, None),
            Availability::Draining { ends_at } => {
                (OfferState::Draining, Some(print_seconds(ends_at)))
            }
        };
        let public_url = self.projection.public_url();
        ListedOffer {
            state,
            reason: row.reason,
            drain_ends_at,
            document: offer_document_url(public_url, &row.id),
            web: row.web,
            host: row.host.map(|host| host.to_string()),
            id: row.id,
        }
    }

    /// The rows of `/agents` behind `after`: the default agent, then hosts in order.
    pub(crate) fn agents_after<'a>(
        &'a self,
        after: Option<&AgentName>,
    ) -> impl Iterator<Item = ListedAgent> + use<'a> {
        let default = after.is_none().then(|| self.default_agent());
        let start = match after {
            Some(AgentName::Host(host)) => Bound::Excluded(host.clone()),
            Some(AgentName::Default) | None => Bound::Unbounded,
        };
        let hosts = self.projection.hosts().range((start, Bound::Unbounded));
        default.into_iter().chain(hosts.map(|(host, page)| self.host_agent(host, page)))
    }

    fn default_agent(&self) -> ListedAgent {
        let projection = &self.projection;
        let count = projection.published_count();
        let offers = projection.published_after(None).take(LISTED_OFFERS);
        let public_url = projection.public_url();
        ListedAgent {
            document: format!("{}{WELL_KNOWN_PATH}", public_url.as_str()),
            active: count > 0,
            registrations: entries(&projection.ids().default),
            offers: offers.map(|row| row.id.to_string()).collect(),
            all_offers: (count > LISTED_OFFERS).then(|| format!("{public_url}/offers")),
            anchoring: self.anchoring(&AgentName::Default),
            agent: AgentName::Default,
        }
    }

    fn host_agent(&self, host: &Hostname, page: &HostPage) -> ListedAgent {
        let agent = AgentName::Host(host.clone());
        let holder = page.holder.iter().filter(|_| page.is_active);
        ListedAgent {
            document: format!("{}{WELL_KNOWN_PATH}", host.origin()),
            active: page.is_active,
            registrations: entries(self.projection.ids().at(host)),
            offers: holder.map(OfferId::to_string).collect(),
            all_offers: None,
            anchoring: self.anchoring(&agent),
            agent,
        }
    }

    fn anchoring(&self, agent: &AgentName) -> Vec<ListedAnchor> {
        let anchored = self.on_chain.reasons(agent).map(|(registry, reason)| ListedAnchor {
            agent_registry: registry.to_string(),
            reason,
        });
        anchored.collect()
    }

    /// Whether it is true at `now`.
    pub(crate) fn holds_at(&self, now: Timestamp) -> bool {
        self.valid_from.is_none_or(|start| start <= now)
            && self.valid_until.is_none_or(|end| now < end)
    }
}
