//! The journal: which bytes stand for the states of all accounts, and whose they are.
//!
//! Where the bytes are kept is a [`JournalStore`]'s business.

pub(crate) mod file;
mod shared;

use std::{collections::BTreeMap, fmt, io, time::Duration};

use alloy::primitives::Address;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub(crate) use self::shared::{SharedJournal, publish_if_changed};
use super::{
    account::{AccountKey, AccountState, InFlight},
    evidence::Accounts,
    evm::SavedReading,
    key::AnchorKey,
    plan::Retirement,
};
use crate::registration::{AgentName, AgentRegistry};

const FORMAT: &str = "erc8004-registrar-journal";
const VERSION: u32 = 1;

/// Everything that is remembered, for all chains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Journal {
    /// The installation it belongs to: `--owner-id`.
    pub(crate) owner_id: String,
    #[serde(rename = "lanes", with = "by_text")]
    pub(crate) accounts: BTreeMap<AccountKey, AccountState>,
    /// How far the chain was read for each account. Earlier versions wrote none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "by_text")]
    pub(crate) readings: BTreeMap<AccountKey, SavedReading>,
    /// What operators said about the retirement of agents, whatever account signs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) retirements: BTreeMap<AnchorKey, Retirement>,
}

/// What a decision about one account begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recalled {
    pub(crate) state: AccountState,
    /// The transactions in flight of the registry's other accounts: all of them are former ones.
    pub(crate) former: BTreeMap<Address, InFlight>,
    pub(crate) retirements: BTreeMap<AnchorKey, Retirement>,
}

/// Where a journal is kept. The process that opened it is the only one that writes it.
pub(crate) trait JournalStore: fmt::Debug + Send {
    /// Replaces the journal as a whole and durably. After a failure, or a crash at any moment,
    /// either the old or the new bytes are there, never a mix.
    fn replace<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), JournalError>>;

    /// How many bytes of saved readings there is room for.
    fn readings_room(&self) -> usize {
        usize::MAX
    }

    /// How much time should pass between two writes that only save the progress of a scan.
    fn progress_interval(&self) -> Duration {
        Duration::ZERO
    }

    /// Takes the requests to try calls again that other processes left beside the journal. Each is
    /// taken once: one that is lost in a crash has to be made again.
    fn take_resumes(&mut self) -> Vec<(AgentRegistry, AgentName)> {
        Vec::new()
    }
}

/// Why a journal is not used. It is never overwritten.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("the journal {place} cannot be {act}")]
    Io {
        place: String,
        /// `read`, `locked`, `written` or `resumed`.
        act: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("the journal {place} cannot be {act}")]
    Request {
        place: String,
        /// `read` or `written`.
        act: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "the journal {0} was changed by another process, so nothing was sent and it is read again"
    )]
    Changed(String),
    #[error(
        "the journal {0} does not exist: apply deploy/anchoring/journal.yaml; what it held is then read from the chain"
    )]
    Missing(String),
    #[error(
        "the journal {place} is in use by another process{holder}, and has one writer at a time: stop that process first"
    )]
    Locked {
        place: String,
        /// Which one, if that is known.
        holder: String,
    },
    #[error("the journal {place} is corrupt: {what}; move it away to start without its memory")]
    Corrupt { place: String, what: String },
    #[error(
        "the journal {place} was written by a newer version: its format is {version}, this version reads {VERSION}"
    )]
    Newer { place: String, version: u32 },
    #[error("the journal {place} belongs to owner id {theirs:?}, not {ours:?}")]
    ForeignOwner { place: String, theirs: String, ours: String },
    #[error(
        "the journal {place} belongs to account {account}; name it with --former-account if its key was replaced"
    )]
    ForeignAccount { place: String, account: Address },
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    format: String,
    version: u32,
    checksum: String,
    content: serde_json::Value,
}

impl Journal {
    /// The bytes that stand for it: versioned and checksummed JSON.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let content = serde_json::to_value(self).expect("a journal's keys are strings");
        let envelope = Envelope {
            format: FORMAT.to_owned(),
            version: VERSION,
            checksum: checksum(&content),
            content,
        };
        serde_json::to_vec(&envelope).expect("a journal's keys are strings")
    }

    /// The same, with at most so many bytes of saved readings. The largest ones are left out first:
    /// what is not saved is read from the chain again after a restart.
    pub(crate) fn encode_within(&self, readings_room: usize) -> Vec<u8> {
        let size = |readings: &BTreeMap<AccountKey, SavedReading>| {
            readings.values().map(SavedReading::size).fold(0, usize::saturating_add)
        };
        if readings_room == usize::MAX || size(&self.readings) <= readings_room {
            return self.encode();
        }
        let mut bounded = self.clone();
        while size(&bounded.readings) > readings_room {
            let largest = bounded.readings.iter_mut().max_by_key(|(_, reading)| reading.size());
            let Some((key, reading)) = largest else { break };
            let key = *key;
            if !reading.shed() {
                bounded.readings.remove(&key);
            }
        }
        bounded.encode()
    }

    /// Reads what [`Self::encode`] wrote. `place` is for error messages.
    pub(crate) fn decode(bytes: &[u8], place: &str) -> Result<Self, JournalError> {
        let corrupt = |what: String| JournalError::Corrupt { place: place.to_owned(), what };
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
        if envelope.format != FORMAT {
            return Err(corrupt(format!("its format is {:?}", envelope.format)));
        }
        if envelope.version > VERSION {
            return Err(JournalError::Newer { place: place.to_owned(), version: envelope.version });
        }
        if checksum(&envelope.content) != envelope.checksum {
            return Err(corrupt("its checksum does not match its content".to_owned()));
        }
        serde_json::from_value(envelope.content).map_err(|error| corrupt(error.to_string()))
    }

    /// Refuses another installation's journal, and one of an account that is neither ours nor a
    /// former one.
    pub(crate) fn check_owner(
        self,
        owner_id: &str,
        accounts: &Accounts,
        place: &str,
    ) -> Result<Self, JournalError> {
        if self.owner_id != owner_id {
            return Err(JournalError::ForeignOwner {
                place: place.to_owned(),
                theirs: self.owner_id,
                ours: owner_id.to_owned(),
            });
        }
        match self.accounts.values().find(|state| !accounts.contains(state.account)) {
            Some(foreign) => Err(JournalError::ForeignAccount {
                place: place.to_owned(),
                account: foreign.account,
            }),
            None => Ok(self),
        }
    }

    /// The state of one account. An account that is new to a registry begins with what the previous
    /// one knew about its agents, so that a key rotation removes no id from a document. What was
    /// minted by any account is remembered by all.
    pub(crate) fn account(&self, key: &AccountKey) -> AccountState {
        let mut state = self.accounts.get(key).cloned().unwrap_or_default();
        let others = || self.accounts.iter().filter(|(other, _)| is_beside(other, key));
        if state.agents.is_empty() {
            state.agents = others().flat_map(|(_, other)| other.agents.clone()).collect();
        }
        for (_, other) in others() {
            for (key, id) in &other.minted {
                state.minted.entry(*key).or_insert(*id);
            }
        }
        state
    }

    /// What a decision about one account begins with.
    pub(crate) fn recall(&self, key: &AccountKey) -> Recalled {
        let others = self.accounts.iter().filter(|(other, _)| is_beside(other, key));
        let in_flight = |(other, state): (&AccountKey, &AccountState)| {
            Some((other.account, state.in_flight.clone()?))
        };
        Recalled {
            state: self.account(key),
            former: others.filter_map(in_flight).collect(),
            retirements: self.retirements.clone(),
        }
    }

    /// Has calls tried again for an agent of a registry. Returns whether any had failed.
    pub(crate) fn resume(&mut self, registry: &AgentRegistry, agent: &AgentName) -> bool {
        let own = self.accounts.iter_mut().filter(|(key, _)| key.registry == *registry);
        own.fold(false, |any, (_, state)| state.resume(agent) || any)
    }

    /// Remembers what an operator said about an agent's retirement. Returns whether it is news.
    pub(crate) fn note_retirement(&mut self, key: AnchorKey, retirement: Retirement) -> bool {
        self.retirements.insert(key, retirement) != Some(retirement)
    }

    /// Replaces the state of one account. A registry's agents are recorded with the account of the
    /// latest decision only.
    pub(crate) fn put(&mut self, key: AccountKey, state: AccountState) {
        for (_, other) in self.accounts.iter_mut().filter(|(other, _)| is_beside(other, &key)) {
            other.agents.clear();
        }
        self.accounts.insert(key, state);
    }
}

/// Whether two keys name different accounts in one registry.
fn is_beside(one: &AccountKey, other: &AccountKey) -> bool {
    one != other && one.registry == other.registry
}

/// BLAKE3 of the content's compact JSON, whose keys are sorted.
fn checksum(content: &serde_json::Value) -> String {
    blake3::hash(content.to_string().as_bytes()).to_hex().to_string()
}

/// A map whose keys are written as text.
mod by_text {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::AccountKey;

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        map: &BTreeMap<AccountKey, T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(key, value)| (key.to_string(), value)))
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<AccountKey, T>, D::Error> {
        let named = BTreeMap::<String, T>::deserialize(from)?;
        let typed = named.into_iter().map(|(key, value)| Ok((key.parse()?, value)));
        typed.collect::<Result<_, String>>().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
