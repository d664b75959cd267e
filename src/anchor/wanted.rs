//! What should be on chain, by what is published.

use std::collections::BTreeMap;

use super::{
    key::{AnchorKey, AnchoredAgent, Owner},
    plan::{DesiredAgent, MintReadiness},
};
use crate::{
    catalog::{Catalog, ListedOffer},
    offer::Hostname,
    registration::{AgentId, AgentRegistry, OfferState, Registrations, WELL_KNOWN_PATH},
};

/// Which agents the operator anchors, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnchorPolicy {
    /// Whose keys they are.
    pub(crate) owner: Owner,
    /// Hosts that are anchored besides the default agent.
    pub(crate) hosts: Vec<Hostname>,
    /// Tokens that the operator names, by chain id and agent.
    pub(crate) adopt: BTreeMap<(u64, AnchoredAgent), AgentId>,
    /// Whether to mint although an id is known already.
    pub(crate) mint_beside: bool,
}

/// How many earlier incarnations are looked for; more were never asked for by anybody.
const EARLIER: u64 = 64;

impl AnchorPolicy {
    /// The agents that should be in one registry.
    pub(crate) fn wanted(&self, registry: &AgentRegistry, catalog: &Catalog) -> Vec<DesiredAgent> {
        let (public_url, identity) = (&catalog.public_url, &catalog.identity);
        let all: Vec<&ListedOffer> = catalog.listed.iter().collect();
        let mut wanted = vec![self.agent(
            registry,
            AnchoredAgent::Default,
            public_url.as_str(),
            readiness(&all),
            identity,
        )];
        for host in &self.hosts {
            let own: Vec<&ListedOffer> = all
                .iter()
                .copied()
                .filter(|offer| offer.host.as_deref() == Some(host.as_str()))
                .collect();
            let agent = AnchoredAgent::Host(host.clone());
            wanted.push(self.agent(
                registry,
                agent,
                &host.origin(),
                readiness(&own),
                &Registrations::new(),
            ));
        }
        wanted
    }

    fn agent(
        &self,
        registry: &AgentRegistry,
        agent: AnchoredAgent,
        origin: &str,
        readiness: MintReadiness,
        identity: &Registrations,
    ) -> DesiredAgent {
        let incarnation = self.owner.incarnation;
        let earlier = (incarnation.saturating_sub(EARLIER)..incarnation)
            .map(|incarnation| Owner { incarnation, ..self.owner.clone() });
        DesiredAgent {
            key: AnchorKey::derive(registry, &self.owner, &agent),
            earlier_keys: earlier
                .map(|owner| AnchorKey::derive(registry, &owner, &agent))
                .collect(),
            uri: format!("{origin}{WELL_KNOWN_PATH}"),
            readiness,
            adopt: self.adopt.get(&(registry.chain_id, agent.clone())).copied(),
            known: identity.get(registry).copied(),
            failed: 0,
            agent,
        }
    }
}

fn readiness(offers: &[&ListedOffer]) -> MintReadiness {
    if offers.is_empty() {
        MintReadiness::Tombstone
    } else if offers.iter().all(|offer| offer.state == OfferState::Draining) {
        MintReadiness::Draining
    } else {
        MintReadiness::Ready
    }
}
