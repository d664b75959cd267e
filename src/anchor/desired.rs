//! Which agents should be on chain, by what is published and what the operator configured.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::{
    account::AccountState,
    key::{AnchorKey, Owner},
    plan::{DesiredAgent, DesiredState, Retirement, UriForm},
};
use crate::{
    offer::Hostname,
    registration::{
        AgentId, AgentName, AgentRegistry, ChainDocument, PublishedAgents, WELL_KNOWN_PATH,
    },
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
    /// The chains on which agentURIs are `data:` URIs (`--agent-uri`).
    pub(crate) data_uris: BTreeSet<u64>,
    /// For how long a document must have said the same before a `data:` URI is renewed.
    pub(crate) uri_settle: Duration,
}

/// What a decision begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered<'a> {
    /// It knows how many calls for an agent failed in a row, and since when its document says the
    /// same.
    pub(crate) state: &'a AccountState,
    pub(crate) retirements: &'a BTreeMap<AnchorKey, Retirement>,
}

/// How many earlier incarnations are looked for.
const EARLIER: u64 = 64;

impl AnchorPolicy {
    /// Every agent that is anchored in each registry, in the order in which they are served.
    pub(crate) fn agents(&self) -> impl Iterator<Item = AgentName> + '_ {
        std::iter::once(AgentName::Default).chain(self.hosts.iter().cloned().map(AgentName::Host))
    }

    /// What should be in one registry.
    pub(crate) fn desired(
        &self,
        registry: &AgentRegistry,
        account: Address,
        published: &PublishedAgents,
        remembered: Remembered<'_>,
        now: DateTime<Utc>,
    ) -> DesiredState {
        let agents =
            self.agents().map(|agent| self.agent(registry, agent, published, remembered, now));
        DesiredState {
            registry: *registry,
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
        remembered: Remembered<'_>,
        now: DateTime<Utc>,
    ) -> DesiredAgent {
        let Remembered { state, retirements } = remembered;
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
        let key = AnchorKey::derive(registry, &self.owner, &agent);
        let uri = format!("{origin}{WELL_KNOWN_PATH}");
        let record = state.agents.get(&agent);
        let retirement = retirements.get(&key).copied();
        let has_data = self.data_uris.contains(&registry.chain_id);
        let is_written = has_data || retirement == Some(Retirement::Retired);
        let document = if is_written { published.document(&agent) } else { None };
        let document = document.and_then(|bytes| ChainDocument::read(&bytes, &uri));
        let is_settled = document.as_ref().is_some_and(|document| {
            let content = record.and_then(|record| record.content.as_ref());
            let known = content.filter(|known| known.digest == document.digest(registry));
            let since = known.and_then(|known| known.since);
            since.is_some_and(|since| {
                (now - since).to_std().is_ok_and(|passed| passed >= self.uri_settle)
            })
        });
        DesiredAgent {
            key,
            earlier_keys: earlier
                .map(|owner| AnchorKey::derive(registry, &owner, &agent))
                .collect(),
            uri,
            form: if has_data { UriForm::Data { is_settled } } else { UriForm::Https },
            document,
            retirement,
            selling: published.selling(&agent),
            adopt: self.adopt.get(&(registry.chain_id, agent.clone())).copied(),
            known,
            unclear,
            failed: record.map_or(0, |record| record.failures),
            agent,
        }
    }
}

#[cfg(test)]
mod tests;
