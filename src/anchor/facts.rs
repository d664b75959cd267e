//! What documents learn from anchoring. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{
    account::{AccountKey, AccountState},
    evidence::{Accounts, View},
    plan::DesiredAgent,
};
use crate::registration::{AgentId, AgentName, OnChainAgent, OnChainFacts, OnChainId};

/// What the evidence of a finalized block says about an agent's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "agentId")]
pub(crate) enum IdRecord {
    /// Nothing yet: the id that an AgentIdentity names is used.
    Unknown,
    /// Ours.
    #[serde(serialize_with = "id_as_text", deserialize_with = "id_from_text")]
    Ours(AgentId),
    /// Ours once; another account owns it.
    Lost,
    /// The id that an AgentIdentity names is neither owned by our account nor points at our
    /// agentURI.
    Refuted,
}

fn id_as_text<S: Serializer>(id: &AgentId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn id_from_text<'de, D: Deserializer<'de>>(from: D) -> Result<AgentId, D::Error> {
    let text = String::deserialize(from)?;
    AgentId::parse(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not an agentId")))
}

/// What the states of all accounts say about agents.
pub(crate) fn on_chain_facts(accounts: &BTreeMap<AccountKey, AccountState>) -> OnChainFacts {
    let mut facts = BTreeMap::new();
    // After a key rotation two accounts may list one agent; the latest decision wins.
    let mut by_age: Vec<_> = accounts.iter().collect();
    by_age.sort_by_key(|(_, state)| state.decided_at);
    for (key, state) in by_age {
        for (agent, record) in &state.agents {
            let id = match record.id {
                IdRecord::Ours(id) => OnChainId::Own(id),
                IdRecord::Lost | IdRecord::Refuted => OnChainId::Withheld,
                IdRecord::Unknown => OnChainId::Unknown,
            };
            let fact = OnChainAgent { id, reason: record.reason.as_str() };
            facts.insert((agent.clone(), key.registry), fact);
        }
    }
    OnChainFacts(facts)
}

/// What a complete view says about one agent's id.
pub(crate) fn id_record(desired: &DesiredAgent, view: &View, accounts: &Accounts) -> IdRecord {
    if let Some(id) = view.agents.get(&desired.key) {
        let ours = view.tokens.get(id).is_some_and(|token| accounts.contains(token.owner));
        return if ours { IdRecord::Ours(*id) } else { IdRecord::Lost };
    }
    match (&desired.agent, desired.known) {
        (AgentName::Default, Some(known)) => {
            let confirmed = view
                .tokens
                .get(&known)
                .is_some_and(|token| token.owner == accounts.current || token.uri == desired.uri);
            if confirmed { IdRecord::Unknown } else { IdRecord::Refuted }
        }
        (AgentName::Default | AgentName::Host(_), _) => IdRecord::Unknown,
    }
}

#[cfg(test)]
mod tests;
