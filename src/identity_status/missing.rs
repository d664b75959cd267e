//! What an AgentIdentity lacks. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    offer::OfferId,
    registration::{
        AgentId, AgentName, AgentRegistry, Identity, OnChainFacts, OnChainId,
        chains::KnownRegistries,
    },
};

/// What is to be added to an AgentIdentity, and what is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// The original's name of each chain, and the id.
    pub(super) added: Vec<(String, AgentId)>,
    /// Ids that cannot be added, a sentence each.
    pub(super) others: Vec<String>,
}

/// The default agent's own ids that a final block shows.
pub(super) fn own_ids(facts: &OnChainFacts) -> BTreeMap<AgentRegistry, AgentId> {
    let own = facts.0.iter().filter_map(|((agent, registry), fact)| match (agent, fact.id) {
        (AgentName::Default, OnChainId::Own(id)) => Some((*registry, id)),
        (AgentName::Default, OnChainId::Unknown | OnChainId::Withheld)
        | (AgentName::Host(_), _) => None,
    });
    own.collect()
}

impl Missing {
    /// Compares an AgentIdentity with our own ids. Fails if its list cannot be added to.
    pub(super) fn of(
        object: &Value,
        own: &BTreeMap<AgentRegistry, AgentId>,
        known: &KnownRegistries,
    ) -> Result<Self, String> {
        let list = &object["status"]["registrations"];
        if !list.is_null() && !list.is_array() {
            return Err("status.registrations is no list".to_owned());
        }
        let named = Identity::parse(object, known).registrations;
        let mut missing = Self::default();
        for (registry, id) in own {
            let chain = registry.chain_id;
            match (named.get(registry), known.name(registry)) {
                (Some(theirs), _) if theirs == id => {}
                (Some(theirs), _) => missing.others.push(format!(
                    "the object names agentId {theirs} on eip155:{chain}, ours is {id}: remove that entry if it is not in use any more"
                )),
                (None, Some(name)) => missing.added.push((name, *id)),
                (None, None) => missing.others.push(format!(
                    "eip155:{chain} stands for another registry than {}",
                    registry.address
                )),
            }
        }
        Ok(missing)
    }

    /// What to apply to the AgentIdentity `object` that was read as `identity`.
    ///
    /// It repeats the entries of others, since the list has one owner. The API server therefore has to
    /// refuse it if anything was written since, or if another object has taken the name.
    pub(super) fn applied(&self, object: &OfferId, identity: &Value) -> Value {
        let read = &identity["metadata"];
        json!({
            "apiVersion": "obol.org/v1alpha1",
            "kind": "AgentIdentity",
            "metadata": {
                "namespace": *object.namespace,
                "name": *object.name,
                "uid": read["uid"],
                "resourceVersion": read["resourceVersion"],
            },
            "status": { "registrations": self.list(identity) },
        })
    }

    /// The list with what is added to it.
    fn list(&self, object: &Value) -> Vec<Value> {
        let list = object["status"]["registrations"].as_array().cloned().unwrap_or_default();
        let added = self.added.iter();
        let added = added.map(|(chain, id)| json!({ "chain": chain, "agentId": id.to_string() }));
        list.into_iter().chain(added).collect()
    }
}

#[cfg(test)]
mod tests;
