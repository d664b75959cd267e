//! What anchoring needs to know about what is published, and nothing else of it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use imbl::OrdMap;

use super::{
    Availability, HostPage, Projection,
    agent::{AgentName, Registrations},
    identity::Identity,
};
use crate::{
    offer::{Hostname, Origin},
    page::Content,
};

/// The agents that documents describe at one instant. Anchoring decides from it whether an agent
/// may be minted.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct PublishedAgents {
    /// The origin of the default agent's document.
    pub(crate) public_url: Origin,
    /// The ids that an AgentIdentity names for the default agent.
    pub(crate) identity: Registrations,
    /// What cannot be read in that AgentIdentity: it may name further ids.
    pub(crate) unclear_identity: Option<String>,
    /// Agents with at least one published offer.
    agents: OrdMap<AgentName, Selling>,
    documents: AgentDocuments,
}

/// The documents of all agents. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct AgentDocuments {
    pub(super) default: Content,
    pub(super) hosts: HostDocuments,
}

#[derive(Clone, Debug)]
pub(super) enum HostDocuments {
    /// Those of a projection that goes on.
    Live(OrdMap<Hostname, Arc<HostPage>>),
    Once(BTreeMap<Hostname, Bytes>),
}

/// Whether an agent sells anything. An agent that is on chain stays there whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selling {
    /// At least one of its offers is published and does not drain.
    Open,
    /// All of its published offers drain.
    Draining,
    /// None of its offers is published: its document is a tombstone.
    Nothing,
}

impl PublishedAgents {
    pub(crate) fn new(projection: &Projection, public_url: &Origin, identity: &Identity) -> Self {
        let mut agents = OrdMap::new();
        for offer in &projection.published {
            let is_open = offer.availability == Availability::Open;
            let host = offer.host.iter().cloned().map(AgentName::Host);
            for agent in std::iter::once(AgentName::Default).chain(host) {
                let selling = agents.entry(agent).or_insert(Selling::Draining);
                if is_open {
                    *selling = Selling::Open;
                }
            }
        }
        let hosts = projection.hosts.iter();
        let hosts = hosts.map(|(host, of)| (host.clone(), of.document.render().into()));
        let documents = AgentDocuments {
            default: Content::from(projection.default.render()),
            hosts: HostDocuments::Once(hosts.collect()),
        };
        Self::of(public_url.clone(), identity, agents, documents)
    }

    /// `agents` are those with at least one published offer.
    pub(super) fn of(
        public_url: Origin,
        identity: &Identity,
        agents: OrdMap<AgentName, Selling>,
        documents: AgentDocuments,
    ) -> Self {
        let unclear_identity = identity.unclear();
        let identity = identity.registrations.clone();
        Self { public_url, identity, unclear_identity, agents, documents }
    }

    pub(crate) fn selling(&self, agent: &AgentName) -> Selling {
        self.agents.get(agent).copied().unwrap_or(Selling::Nothing)
    }

    /// The document of an agent as it is served; `None` for a host without one.
    pub(crate) fn document(&self, agent: &AgentName) -> Option<Bytes> {
        match agent {
            AgentName::Default => Some(self.documents.default.to_bytes()),
            AgentName::Host(host) => self.documents.hosts.at(host),
        }
    }

    /// Whether nothing has changed, at a cost that does not grow with the number of hosts.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let Self { public_url, identity, unclear_identity, agents, documents } = self;
        (public_url, identity, unclear_identity)
            == (&other.public_url, &other.identity, &other.unclear_identity)
            && agents == &other.agents
            && documents.default.is_shared(&other.documents.default)
            && documents.hosts.is_shared(&other.documents.hosts)
    }
}

impl HostDocuments {
    fn at(&self, host: &Hostname) -> Option<Bytes> {
        match self {
            Self::Live(pages) => Some(pages.get(host)?.page.identity().body.to_bytes()),
            Self::Once(documents) => documents.get(host).cloned(),
        }
    }

    fn is_shared(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Live(own), Self::Live(others)) => own.ptr_eq(others),
            (Self::Live(_) | Self::Once(_), _) => false,
        }
    }

    #[cfg(test)]
    fn hosts(&self) -> Vec<Hostname> {
        match self {
            Self::Live(pages) => pages.keys().cloned().collect(),
            Self::Once(documents) => documents.keys().cloned().collect(),
        }
    }
}

/// Tests compare contents, whoever holds them.
#[cfg(test)]
impl PartialEq for AgentDocuments {
    fn eq(&self, other: &Self) -> bool {
        let hosts = self.hosts.hosts();
        self.default.to_bytes() == other.default.to_bytes()
            && hosts == other.hosts.hosts()
            && hosts.iter().all(|host| self.hosts.at(host) == other.hosts.at(host))
    }
}
