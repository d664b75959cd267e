//! The documents of hosts.

use std::sync::Arc;

use super::{LiveProjection, aggregate::selling, claims::ClaimKey};
use crate::{
    offer::{Hostname, OfferId},
    page::Page,
    registration::{
        Availability, OfferState, Selling,
        agent::AgentName,
        offer_documents::{at_host, inactive_host},
    },
};

/// A document of a host is larger than some readers accept if it has more bytes than this.
const SOFT_LIMIT_BYTES: usize = 65_536;

/// The document of one host.
#[derive(Clone, Debug)]
pub(crate) struct HostPage {
    /// The offer that holds the host; `None` for an anchored host that no offer claims.
    pub(crate) holder: Option<OfferId>,
    /// Whether its holder is published.
    pub(crate) is_active: bool,
    pub(crate) page: Page,
}

/// Compared by identity, as entries are.
impl PartialEq for HostPage {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl LiveProjection {
    /// Renders the document of a host again; removes it if nobody holds or anchored the host.
    pub(super) fn refresh_host(&mut self, host: &Hostname) {
        let agent = AgentName::Host(host.clone());
        let holder = self.claims.holder(&ClaimKey::Host(host.clone())).cloned();
        let is_anchored = self.ids.hosts.contains_key(host) && !self.public_url.is_at(host);
        if holder.is_none() && !is_anchored {
            self.hosts.remove(host);
            self.set_selling(agent.clone(), Selling::Nothing);
            return self.set_large(agent, None);
        }
        let entry = holder.and_then(|age| self.entries.get(&age.id)).cloned();
        let listed = entry.as_ref().and_then(|entry| entry.published());
        let Self { ids, public_url, rules, .. } = &*self;
        let document = match (&entry, listed) {
            (Some(entry), Some((listed, offer))) => {
                at_host(&entry.id, offer, host, listed.availability, ids, public_url, rules)
            }
            _ => inactive_host(host, ids, public_url),
        };
        let bytes = document.render();
        let last = self.hosts.get(host).map(|last| last.page.clone());
        let page = last
            .filter(|last| last.identity().body.to_bytes() == bytes)
            .unwrap_or_else(|| Page::new(&bytes));
        let is_open = listed.map(|(listed, _)| listed.availability == Availability::Open);
        let draining = u32::from(is_open == Some(false));
        self.set_selling(agent.clone(), selling(u32::from(listed.is_some()), draining));
        self.set_large(agent, Some(page.len()));
        let holder = entry.as_ref().map(|entry| entry.id.clone());
        let document = HostPage { holder, is_active: listed.is_some(), page };
        self.hosts.insert(host.clone(), Arc::new(document));
    }

    /// Keeps the size of an agent's document if it is too large for some readers.
    pub(super) fn set_large(&mut self, agent: AgentName, bytes: Option<usize>) {
        match bytes.filter(|bytes| *bytes > SOFT_LIMIT_BYTES) {
            Some(bytes) => drop(self.large.insert(agent, bytes)),
            None => drop(self.large.remove(&agent)),
        }
    }

    /// How many offers are in a state.
    pub(crate) fn count_in_state(&self, state: OfferState) -> usize {
        self.states[state as usize]
    }
}
