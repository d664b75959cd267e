//! κ: the anchor key, by which an agent's mint is found again on chain after any loss of local
//! state.

use std::fmt;

use alloy::primitives::{FixedBytes, Keccak256, hex};
use serde::{Deserialize, Serialize};

use crate::registration::{AgentName, AgentRegistry};

/// The metadata key that carries κ in a mint.
pub(crate) const KEY_METADATA: &str = "registrar.key";
/// What κ is derived under; a new derivation gets a new tag.
const TAG: &str = "erc8004-registrar/1";

/// Identifies an agent permanently: a function of chain, registry, owner id, agent and incarnation,
/// and of nothing that a rebuilt cluster would change.
///
/// Written as hexadecimal text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "FixedBytes<20>", into = "FixedBytes<20>")]
pub(crate) struct AnchorKey([u8; Self::LENGTH]);

/// Who anchors: what κ is derived from in addition to the agent and the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// `--owner-id`: names this installation; must differ between clusters that share an account.
    pub(crate) id: String,
    /// `--incarnation`: a new number requests new identities.
    pub(crate) incarnation: u64,
}

impl AnchorKey {
    const LENGTH: usize = 20;

    /// The first 20 bytes of keccak256 over the fields, each preceded by its length in four
    /// big-endian bytes.
    pub(crate) fn derive(registry: &AgentRegistry, owner: &Owner, agent: &AgentName) -> Self {
        let (kind, host) = match agent {
            AgentName::Default => ("default", ""),
            AgentName::Host(host) => ("host", host.as_str()),
        };
        let chain = format!("eip155:{}", registry.chain_id);
        let incarnation = owner.incarnation.to_string();
        let fields: [&[u8]; 7] = [
            TAG.as_bytes(),
            chain.as_bytes(),
            registry.address.as_slice(),
            owner.id.as_bytes(),
            kind.as_bytes(),
            host.as_bytes(),
            incarnation.as_bytes(),
        ];
        let mut digest = Keccak256::new();
        for field in fields {
            let length = u32::try_from(field.len()).expect("a setting is shorter than 4 GiB");
            digest.update(length.to_be_bytes());
            digest.update(field);
        }
        let mut key = [0; Self::LENGTH];
        key.copy_from_slice(&digest.finalize()[..Self::LENGTH]);
        Self(key)
    }

    /// Reads κ from a token's metadata: exactly 20 bytes.
    pub(crate) fn from_metadata(value: &[u8]) -> Option<Self> {
        value.try_into().ok().map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<FixedBytes<20>> for AnchorKey {
    fn from(bytes: FixedBytes<20>) -> Self {
        Self(bytes.0)
    }
}

impl From<AnchorKey> for FixedBytes<20> {
    fn from(key: AnchorKey) -> Self {
        Self(key.0)
    }
}

impl fmt::Display for AnchorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_prefixed(self.0))
    }
}

impl fmt::Debug for AnchorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
