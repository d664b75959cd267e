//! What was learned on chain, as documents take it in.

use std::collections::BTreeMap;

use super::{
    evidence::{Accounts, View},
    journal::{IdNote, Journal},
    key::AnchoredAgent,
    plan::DesiredAgent,
};
use crate::registration::{AgentId, AgentRegistry, OnChainAgent, OnChainFacts, OnChainId};

/// What a journal remembers of ids.
pub(crate) fn learned(journal: &Journal) -> OnChainFacts {
    let mut learned = BTreeMap::new();
    // After a change of key two lanes speak of one agent: the last that was decided wins.
    let mut lanes: Vec<_> = journal.lanes.iter().collect();
    lanes.sort_by_key(|(_, notes)| &notes.decided_at);
    for (lane, notes) in lanes {
        // A lane's name is its registry and its account.
        let named = lane.rsplit_once(':').and_then(|(registry, _)| AgentRegistry::parse(registry));
        let Some(registry) = named else { continue };
        for (agent, note) in &notes.agents {
            let id = match &note.id {
                IdNote::Ours(id) => AgentId::parse(id).map_or(OnChainId::Unknown, OnChainId::Own),
                IdNote::Lost | IdNote::Refuted => OnChainId::Withheld,
                IdNote::Unknown => OnChainId::Unknown,
            };
            learned.insert(
                (agent.clone(), registry),
                OnChainAgent { id, reason: note.reason.as_str() },
            );
        }
    }
    OnChainFacts(learned)
}

/// What a complete view says of one agent's id.
pub(crate) fn note(wanted: &DesiredAgent, view: &View, accounts: &Accounts) -> IdNote {
    if let Some(id) = view.agents.get(&wanted.key) {
        let ours = view.tokens.get(id).is_some_and(|token| accounts.contains(token.owner));
        return if ours { IdNote::Ours(id.to_string()) } else { IdNote::Lost };
    }
    match (&wanted.agent, wanted.known) {
        (AnchoredAgent::Default, Some(known)) => {
            let stands = view
                .tokens
                .get(&known)
                .is_some_and(|token| token.owner == accounts.current || token.uri == wanted.uri);
            if stands { IdNote::Unknown } else { IdNote::Refuted }
        }
        (AnchoredAgent::Default | AnchoredAgent::Host(_), _) => IdNote::Unknown,
    }
}

#[cfg(test)]
mod tests;
