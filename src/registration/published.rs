//! What anchoring needs to know about what is published, and nothing else of it.

use imbl::OrdMap;

use super::{
    Availability, Projection,
    agent::{AgentName, Registrations},
    identity::Identity,
};
use crate::offer::Origin;

/// The agents that documents describe at one instant. Anchoring decides from it whether an agent
/// may be minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedAgents {
    /// The origin of the default agent's document.
    pub(crate) public_url: Origin,
    /// The ids that an AgentIdentity names for the default agent.
    pub(crate) identity: Registrations,
    /// What cannot be read in that AgentIdentity: it may name further ids.
    pub(crate) unclear_identity: Option<String>,
    /// Agents with at least one published offer.
    agents: OrdMap<AgentName, Selling>,
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
        Self::of(public_url.clone(), identity, agents)
    }

    /// `agents` are those with at least one published offer.
    pub(super) fn of(
        public_url: Origin,
        identity: &Identity,
        agents: OrdMap<AgentName, Selling>,
    ) -> Self {
        let unclear_identity = identity.unclear();
        let identity = identity.registrations.clone();
        Self { public_url, identity, unclear_identity, agents }
    }

    pub(crate) fn selling(&self, agent: &AgentName) -> Selling {
        self.agents.get(agent).copied().unwrap_or(Selling::Nothing)
    }
}
