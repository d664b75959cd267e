//! Which agent, which registry, which token: the names by which documents, the journal and the
//! chain refer to agents.

use std::{collections::BTreeMap, fmt, str::FromStr};

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeStruct};

use super::chains::Deployment;
use crate::offer::Hostname;

/// An agent: the default one, whose document lists everything published, or that of one host.
///
/// Printed and serialized as `default` or `host:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AgentName {
    Default,
    Host(Hostname),
}

/// An ERC-721 token id in an identity registry. 0 is a real id; absence is `Option`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AgentId(U256);

/// An ERC-8004 identity registry (agentRegistry): CAIP-2 chain and contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AgentRegistry {
    /// The EIP-155 chain id.
    pub(crate) chain_id: u64,
    pub(crate) address: Address,
}

/// One agentId per registry, in the order in which documents print them.
pub(crate) type Registrations = BTreeMap<AgentRegistry, AgentId>;

impl AgentName {
    /// Reads `default` or `host:NAME`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "default" => Some(Self::Default),
            Some(("host", host)) => Hostname::parse(host).map(Self::Host),
            Some(_) | None => None,
        }
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Host(host) => write!(f, "host:{host}"),
        }
    }
}

impl Serialize for AgentName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AgentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is not an agent")))
    }
}

impl AgentId {
    pub(crate) fn new(id: U256) -> Self {
        Self(id)
    }

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
    fn from(deployment: &Deployment) -> Self {
        Self { chain_id: deployment.id, address: deployment.registry }
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
pub(crate) struct RegistrationEntry(AgentRegistry, AgentId);

impl RegistrationEntry {
    pub(crate) fn registry(&self) -> &AgentRegistry {
        &self.0
    }

    pub(crate) fn id(&self) -> &AgentId {
        &self.1
    }
}

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
