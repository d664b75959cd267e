//! What an AgentIdentity says about the default agent's ids.

use std::fmt;

use serde_json::Value;

use super::{
    agent::{AgentId, Registrations},
    chains::KnownRegistries,
};
use crate::offer::Fields;

/// The ids that an AgentIdentity names, and entries that could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// One id per registry.
    pub(crate) registrations: Registrations,
    /// Entries that were left out.
    pub(crate) problems: Vec<IdentityProblem>,
}

/// Why an entry of an AgentIdentity was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdentityProblem {
    /// The object or its list has the wrong JSON type.
    Undecodable(String),
    /// No known deployment goes by this name.
    UnknownChain(String),
    UnreadableId {
        /// The entry's chain as written.
        chain: String,
        /// The id as written.
        id: String,
    },
    /// Another entry for the same registry was taken.
    IdConflict {
        /// The entry's chain as written.
        chain: String,
        /// The id that was left out.
        id: AgentId,
        /// The id that was taken.
        kept: AgentId,
    },
}

impl Identity {
    /// Reads an AgentIdentity object. A bad entry costs only itself.
    pub(crate) fn parse(resource: &Value, known: &KnownRegistries) -> Self {
        let mut identity = Self::default();
        let status = Fields::of(resource.get("status"), "status");
        let mut entries = Vec::new();
        match status.as_ref().map_err(Clone::clone).and_then(|status| status.list("registrations"))
        {
            Ok(list) => {
                for entry in list {
                    match IdentityEntry::read(entry) {
                        Ok(entry) => entries.push(entry),
                        Err(problem) => identity.problems.push(problem),
                    }
                }
            }
            Err(wrong) => identity.problems.push(IdentityProblem::Undecodable(wrong.to_string())),
        }
        // Stable: of entries with the same chain text the first in the list comes first.
        entries.sort_by(|a: &IdentityEntry, b: &IdentityEntry| {
            a.chain.as_bytes().cmp(b.chain.as_bytes())
        });
        entries.into_iter().for_each(|entry| identity.take(entry, known));
        identity
    }

    /// What cannot be read in it, and may therefore be an id in any registry.
    pub(crate) fn unclear(&self) -> Option<String> {
        let unclear: Vec<String> = self
            .problems
            .iter()
            .filter(|problem| problem.hides_id())
            .map(ToString::to_string)
            .collect();
        (!unclear.is_empty()).then(|| unclear.join("; "))
    }

    fn take(&mut self, entry: IdentityEntry, known: &KnownRegistries) {
        let IdentityEntry { chain, id } = entry;
        let Some(registry) = known.find(&chain) else {
            return self.problems.push(IdentityProblem::UnknownChain(chain));
        };
        let Some(id) = AgentId::parse(&id) else {
            return self.problems.push(IdentityProblem::UnreadableId { chain, id });
        };
        let kept = *self.registrations.entry(registry).or_insert(id);
        if kept != id {
            self.problems.push(IdentityProblem::IdConflict { chain, id, kept });
        }
    }
}

struct IdentityEntry {
    chain: String,
    id: String,
}

impl IdentityEntry {
    fn read(entry: &Value) -> Result<Self, IdentityProblem> {
        let undecodable =
            |wrong: crate::offer::WrongTypeError| IdentityProblem::Undecodable(wrong.to_string());
        let fields = Fields::of(Some(entry), "status.registrations[]").map_err(undecodable)?;
        let chain = fields.text("chain").map_err(undecodable)?.unwrap_or_default().to_owned();
        // A number keeps its digits as written, so an integer id of any size is read exactly.
        let id = match fields.raw("agentId") {
            Some(Value::Number(number)) => number.to_string(),
            Some(_) | None => {
                fields.text("agentId").map_err(undecodable)?.unwrap_or_default().to_owned()
            }
        };
        Ok(Self { chain, id })
    }
}

impl IdentityProblem {
    /// Whether an id that was left out remains unknown.
    fn hides_id(&self) -> bool {
        match self {
            Self::Undecodable(_) | Self::UnknownChain(_) | Self::UnreadableId { .. } => true,
            Self::IdConflict { .. } => false,
        }
    }
}

impl fmt::Display for IdentityProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecodable(what) => write!(f, "{what}"),
            Self::UnknownChain(chain) => {
                write!(
                    f,
                    "no known ERC-8004 deployment goes by {chain:?}; if it is a new chain, name its --registry"
                )
            }
            Self::UnreadableId { chain, id } => {
                write!(f, "agentId {id:?} for {chain:?} is not an integer from 0 to 2^256 - 1")
            }
            Self::IdConflict { chain, id, kept } => {
                write!(
                    f,
                    "{chain:?} names agentId {id}, but another entry for the same registry names {kept}, which is used"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
