//! What anchoring found on chain, and which agentIds documents print because of it.

use std::collections::BTreeMap;

use super::agent::{AgentId, AgentName, AgentRegistry, Registrations};
use crate::offer::Hostname;

/// What anchoring knows, by agent and registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OnChainFacts(pub(crate) BTreeMap<(AgentName, AgentRegistry), OnChainAgent>);

/// What anchoring knows of one agent in one registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OnChainAgent {
    pub(crate) id: OnChainId,
    /// A code from the closed list of anchoring reasons.
    pub(crate) reason: &'static str,
}

/// What the evidence of a finalized block says about an agent's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnChainId {
    /// Nothing yet: the id that an AgentIdentity names is used.
    Unknown,
    /// Our own.
    Own(AgentId),
    /// There is none: ours was given away, or the one that an AgentIdentity names is refuted.
    Withheld,
}

/// The ids that documents print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    /// The default agent's, which every host without ids of its own shares.
    pub(crate) default: Registrations,
    /// Those of hosts that have ids of their own.
    pub(crate) hosts: BTreeMap<Hostname, Registrations>,
}

impl OnChainFacts {
    /// What is known after a journal was read or written that says `now`. A journal that was lost, or
    /// restored from an earlier time, takes no id away: only the chain does, by another owner.
    pub(crate) fn updated_by(&self, now: &Self) -> Self {
        let mut updated = self.clone();
        for (key, fact) in &now.0 {
            let known = self.0.get(key).map(|known| known.id);
            let id = match (fact.id, known) {
                (OnChainId::Unknown, Some(own @ OnChainId::Own(_))) => own,
                (now, _) => now,
            };
            updated.0.insert(key.clone(), OnChainAgent { id, ..*fact });
        }
        updated
    }

    /// The ids that documents print. Our own final id replaces the one that an AgentIdentity names
    /// for the same registry; until there is one, the AgentIdentity's is used, so that enabling
    /// anchoring removes nothing.
    pub(crate) fn ids(&self, identity: &Registrations) -> Ids {
        let mut ids = Ids { default: identity.clone(), hosts: BTreeMap::new() };
        for ((agent, registry), fact) in &self.0 {
            match (agent, fact.id) {
                (AgentName::Default, OnChainId::Own(id)) => {
                    ids.default.insert(*registry, id);
                }
                (AgentName::Default, OnChainId::Withheld) => {
                    ids.default.remove(registry);
                }
                (AgentName::Host(host), OnChainId::Own(id)) => {
                    ids.hosts.entry(host.clone()).or_default().insert(*registry, id);
                }
                (AgentName::Default | AgentName::Host(_), OnChainId::Unknown)
                | (AgentName::Host(_), OnChainId::Withheld) => {}
            }
        }
        ids
    }

    /// An agent's reason in each registry that it is anchored in.
    pub(crate) fn reasons<'a>(
        &'a self,
        agent: &'a AgentName,
    ) -> impl Iterator<Item = (AgentRegistry, &'static str)> + 'a {
        let own = self.0.iter().filter(move |((name, _), _)| name == agent);
        own.map(|((_, registry), fact)| (*registry, fact.reason))
    }
}

impl Ids {
    /// The ids in a host's document: its own, or the default agent's.
    pub(crate) fn at(&self, host: &Hostname) -> &Registrations {
        self.hosts.get(host).unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests;
