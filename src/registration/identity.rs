//! Agent ids: what an AgentIdentity says of them, and how documents print them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use alloy::primitives::{Address, U256};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;

use super::chains::{self, Deployment};
use crate::offer::Fields;

/// An ERC-721 token id in an identity registry. 0 is a real id; absence is `Option`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AgentId(U256);

/// Which identity registry: CAIP-2 chain and contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AgentRegistry {
    /// The EIP-155 chain id.
    pub(crate) chain_id: u64,
    /// The registry contract.
    pub(crate) address: Address,
}

/// The agent's id in each registry that knows it, in the order in which documents print them.
pub(crate) type Registrations = BTreeMap<AgentRegistry, AgentId>;

/// The ids that documents print: the default agent's, and those of hosts that have ids of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    /// The default agent's, which every host without ids of its own shares.
    pub(crate) default: Registrations,
    /// Hosts' own, by lower-case name.
    pub(crate) hosts: BTreeMap<String, Registrations>,
}

/// What anchoring knows, by agent (`default` or `host:NAME`) and registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OnChainFacts(pub(crate) BTreeMap<(String, AgentRegistry), OnChainAgent>);

/// What anchoring knows of one agent in one registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OnChainAgent {
    /// Its id, by final evidence.
    pub(crate) id: OnChainId,
    /// Why it is where it is, from the closed list of anchoring's reasons.
    pub(crate) reason: &'static str,
}

/// What final chain evidence says of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnChainId {
    /// Nothing yet: the id that an AgentIdentity names stands.
    Unknown,
    /// Our own.
    Own(AgentId),
    /// None: it was lost, or the one that an AgentIdentity names is refuted.
    Withheld,
}

impl OnChainFacts {
    /// The ids that documents print, with those that an AgentIdentity names.
    ///
    /// In a registry that we anchor our own final id stands; until there is one, the AgentIdentity's.
    pub(crate) fn ids(&self, identity: &Registrations) -> Ids {
        let mut ids = Ids { default: identity.clone(), hosts: BTreeMap::new() };
        for ((agent, registry), learned) in &self.0 {
            match (agent.strip_prefix("host:"), learned.id) {
                (None, OnChainId::Own(id)) => drop(ids.default.insert(*registry, id)),
                (None, OnChainId::Withheld) => drop(ids.default.remove(registry)),
                (Some(host), OnChainId::Own(id)) => {
                    ids.hosts.entry(host.to_owned()).or_default().insert(*registry, id);
                }
                (_, OnChainId::Unknown) | (Some(_), OnChainId::Withheld) => {}
            }
        }
        ids
    }

    /// How one agent stands in each registry that it is anchored in.
    pub(crate) fn of<'a>(
        &'a self,
        agent: &'a str,
    ) -> impl Iterator<Item = (AgentRegistry, &'static str)> + 'a {
        let own = self.0.iter().filter(move |((name, _), _)| name == agent);
        own.map(|((_, registry), learned)| (*registry, learned.reason))
    }
}

impl Ids {
    /// The ids in a host's document: its own, or the default agent's.
    pub(crate) fn at(&self, host: &str) -> &Registrations {
        self.hosts.get(host).unwrap_or(&self.default)
    }
}

/// What an AgentIdentity says, and what of it could not be used.
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
    /// The id is no whole number from 0 to 2^256 - 1.
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

impl AgentId {
    /// An id from its number.
    pub(crate) fn new(id: U256) -> Self {
        Self(id)
    }

    /// The number.
    pub(crate) fn number(&self) -> U256 {
        self.0
    }

    /// Reads ASCII digits below 2^256, trimmed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.trim();
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| U256::from_str_radix(digits, 10).ok()).flatten().map(Self)
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for AgentId {
    /// A JSON integer, exact at any size.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::Number::from_str(&self.0.to_string())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl AgentRegistry {
    /// Reads `eip155:CHAIN:0xADDRESS`, the address in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (chain, address) = text.strip_prefix("eip155:")?.split_once(':')?;
        Some(Self { chain_id: chain.parse().ok()?, address: address.parse().ok()? })
    }
}

impl From<&Deployment> for AgentRegistry {
    fn from(chain: &Deployment) -> Self {
        Self { chain_id: chain.id, address: chain.registry }
    }
}

impl fmt::Display for AgentRegistry {
    /// CAIP-10 text with an EIP-55 address, such as `eip155:8453:0x8004…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eip155:{}:{}", self.chain_id, self.address.to_checksum(None))
    }
}

/// One entry of a document's `registrations`.
#[derive(Clone, Copy)]
pub(crate) struct RegistrationEntry(pub(crate) AgentRegistry, pub(crate) AgentId);

impl Serialize for RegistrationEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entry = serializer.serialize_struct("RegistrationEntry", 2)?;
        entry.serialize_field("agentId", &self.1)?;
        entry.serialize_field("agentRegistry", &self.0.to_string())?;
        entry.end()
    }
}

/// The entries of a document's `registrations`, in order.
pub(crate) fn entries(registrations: &Registrations) -> Vec<RegistrationEntry> {
    registrations.iter().map(|(registry, id)| RegistrationEntry(*registry, *id)).collect()
}

impl Identity {
    /// Reads an AgentIdentity object. A bad entry costs only itself.
    pub(crate) fn parse(resource: &Value) -> Self {
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
        entries.into_iter().for_each(|entry| identity.take(entry));
        identity
    }

    fn take(&mut self, entry: IdentityEntry) {
        let IdentityEntry { chain, id } = entry;
        let Some(known) = chains::find(&chain) else {
            return self.problems.push(IdentityProblem::UnknownChain(chain));
        };
        let Some(id) = AgentId::parse(&id) else {
            return self.problems.push(IdentityProblem::UnreadableId { chain, id });
        };
        let kept = *self.registrations.entry(AgentRegistry::from(known)).or_insert(id);
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
    /// The problem's code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "IdentityUndecodable",
            Self::UnknownChain(_) => "UnknownChain",
            Self::UnreadableId { .. } => "UnreadableId",
            Self::IdConflict { .. } => "IdConflict",
        }
    }
}

impl fmt::Display for IdentityProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecodable(what) => write!(f, "{what}"),
            Self::UnknownChain(chain) => {
                write!(f, "no known ERC-8004 deployment goes by {chain:?}")
            }
            Self::UnreadableId { chain, id } => {
                write!(f, "agentId {id:?} for {chain:?} is no whole number from 0 to 2^256 - 1")
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
