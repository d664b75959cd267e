//! Which agents should be on chain, by what is published and what the operator configured.

use std::collections::BTreeMap;

use super::{
    account::AccountState,
    key::{AnchorKey, Owner},
    plan::{DesiredAgent, DesiredState},
};
use crate::{
    offer::Hostname,
    registration::{AgentId, AgentName, AgentRegistry, PublishedAgents, WELL_KNOWN_PATH},
};
use alloy::primitives::Address;

/// Which agents the operator anchors, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnchorPolicy {
    pub(crate) owner: Owner,
    /// Hosts that are anchored in addition to the default agent.
    pub(crate) hosts: Vec<Hostname>,
    /// Existing tokens that the operator names, by chain id and agent (`--adopt`).
    pub(crate) adopt: BTreeMap<(u64, AgentName), AgentId>,
    /// Whether to mint although an id is known already (`--mint-beside`).
    pub(crate) mint_beside: bool,
}

/// How many earlier incarnations are looked for.
const EARLIER: u64 = 64;

impl AnchorPolicy {
    /// Every agent that is anchored in each registry, in the order in which they are served.
    pub(crate) fn agents(&self) -> impl Iterator<Item = AgentName> + '_ {
        std::iter::once(AgentName::Default).chain(self.hosts.iter().cloned().map(AgentName::Host))
    }

    /// What should be in one registry. `state` knows how many calls for an agent failed in a row.
    pub(crate) fn desired(
        &self,
        registry: &AgentRegistry,
        account: Address,
        published: &PublishedAgents,
        state: &AccountState,
    ) -> DesiredState {
        let agents = self.agents().map(|agent| self.agent(registry, agent, published, state));
        DesiredState {
            chain_id: registry.chain_id,
            account,
            agents: agents.collect(),
            mint_beside: self.mint_beside,
        }
    }

    fn agent(
        &self,
        registry: &AgentRegistry,
        agent: AgentName,
        published: &PublishedAgents,
        state: &AccountState,
    ) -> DesiredAgent {
        let (origin, known, unclear) = match &agent {
            AgentName::Default => (
                published.public_url.to_string(),
                published.identity.get(registry).copied(),
                published.unclear_identity.clone(),
            ),
            // An AgentIdentity describes the default agent only.
            AgentName::Host(host) => (host.origin(), None, None),
        };
        let incarnation = self.owner.incarnation;
        let earlier = (incarnation.saturating_sub(EARLIER)..incarnation)
            .map(|incarnation| Owner { incarnation, ..self.owner.clone() });
        DesiredAgent {
            key: AnchorKey::derive(registry, &self.owner, &agent),
            earlier_keys: earlier
                .map(|owner| AnchorKey::derive(registry, &owner, &agent))
                .collect(),
            uri: format!("{origin}{WELL_KNOWN_PATH}"),
            selling: published.selling(&agent),
            adopt: self.adopt.get(&(registry.chain_id, agent.clone())).copied(),
            known,
            unclear,
            failed: state.agents.get(&agent).map_or(0, |record| record.failures),
            agent,
        }
    }
}

#[cfg(test)]
mod tests;
