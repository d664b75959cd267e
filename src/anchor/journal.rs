//! What was signed and what was learned, on disk. Losing it costs time and the memory of today's spending, never a mint.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use alloy::primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

use super::{
    evidence::{Accounts, Block},
    reason::AnchorReason,
};
use crate::registration::AgentRegistry;

const FORMAT: &str = "erc8004-registrar-journal";
const VERSION: u32 = 1;

/// Everything that is remembered, for all chains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Journal {
    /// Whose it is: `--owner-id`.
    pub(crate) owner_id: String,
    /// One lane for each chain, registry and account, by [`lane_key`].
    pub(crate) lanes: BTreeMap<String, AccountState>,
}

/// One account's work on one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AccountState {
    /// The account that signs.
    pub(crate) account: Address,
    /// What is signed and not settled.
    pub(crate) slot: Option<InFlight>,
    /// Decisions that an unknown pending transaction has been waited for.
    pub(crate) waited: u32,
    /// What was signed today.
    pub(crate) spent: Spent,
    /// The registry's code as first noted.
    pub(crate) code: Option<CodeHashes>,
    /// The last final block that was decided on: a chain without it is another chain.
    pub(crate) checkpoint: Option<Block>,
    /// How each agent stands, by agent.
    pub(crate) agents: BTreeMap<String, AgentNote>,
    /// Settled nonces of the account that no transaction used that this journal knows.
    pub(crate) foreign_nonces: u64,
    /// The account's transaction count in the last final block that was decided on.
    pub(crate) settled_count: u64,
    /// That block's height.
    pub(crate) settled_block: u64,
    /// The account's balance at the head, wei, decimal.
    pub(crate) balance: String,
    /// When it was last decided, RFC 3339.
    pub(crate) decided_at: String,
    /// What was decided then, in a word.
    pub(crate) step: String,
}

/// One nonce, one call, one or more signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InFlight {
    /// The nonce.
    pub(crate) nonce: u64,
    /// For which agent.
    pub(crate) agent: String,
    /// The call, for people.
    pub(crate) call: String,
    /// The registry.
    pub(crate) to: Address,
    /// The calldata.
    pub(crate) data: Bytes,
    /// The gas limit.
    pub(crate) gas: u64,
    /// Decisions that saw it unmined since it was last signed.
    pub(crate) decisions: u32,
    /// Every signature of it: any of them may win the nonce.
    pub(crate) attempts: Vec<Attempt>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt {
    /// The transaction's hash.
    pub(crate) hash: B256,
    /// The signed bytes: sent as they are, and again after a crash.
    pub(crate) raw: Bytes,
    /// The highest fee, wei per gas, decimal.
    pub(crate) max_fee: String,
    /// The tip, wei per gas, decimal.
    pub(crate) tip: String,
}

/// The worst case of what was signed on one UTC day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spent {
    /// The day, `2026-11-24`.
    pub(crate) day: String,
    /// Wei, decimal.
    pub(crate) wei: String,
}

/// Which code answers behind the registry's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CodeHashes {
    /// keccak256 of the code at the address.
    pub(crate) proxy: B256,
    /// keccak256 of the code at its ERC-1967 implementation, or of nothing.
    pub(crate) implementation: B256,
}

/// How one agent stands on one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentNote {
    /// Why it is where it is.
    pub(crate) reason: AnchorReason,
    /// What is known of its id.
    pub(crate) id: IdNote,
    /// Calls for it that were mined and failed in a row.
    pub(crate) reverts: u32,
}

/// What final evidence says of an agent's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "agentId")]
pub(crate) enum IdNote {
    /// Nothing yet: the id that an AgentIdentity names stands.
    Unknown,
    /// Ours, final, decimal.
    Ours(String),
    /// Ours once, and in other hands now.
    Lost,
    /// The id that an AgentIdentity names is neither owned by our account nor points at our agentURI.
    Refuted,
}

/// Why a journal is not used. It is never overwritten.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The file cannot be read or written.
    #[error("the journal {path} cannot be {act}")]
    Io {
        /// The file.
        path: String,
        /// What was tried.
        act: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process writes it.
    #[error("the journal {0} is in use by another process")]
    Locked(String),
    /// Not a journal, or damaged.
    #[error("the journal {path} is corrupt: {what}; move it away to start without its memory")]
    Corrupt {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// Written by a newer version of this program.
    #[error("the journal {path} has version {version}; this program knows {VERSION}")]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        version: u32,
    },
    /// Another installation's.
    #[error("the journal {path} belongs to owner id {theirs:?}, not {ours:?}")]
    ForeignOwner {
        /// The file.
        path: String,
        /// Its owner id.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// Another account's.
    #[error(
        "the journal {path} belongs to account {account}; name it with --former-account if its key was replaced"
    )]
    ForeignAccount {
        /// The file.
        path: String,
        /// Its account.
        account: Address,
    },
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    format: String,
    version: u32,
    checksum: String,
    content: serde_json::Value,
}

/// A journal that this process alone writes.
#[derive(Debug)]
pub(crate) struct JournalFile {
    path: PathBuf,
    /// Held for as long as the file is written.
    _lock: File,
}

/// The name of a lane.
pub(crate) fn lane_key(registry: &AgentRegistry, account: Address) -> String {
    format!("{registry}:{}", account.to_checksum(None))
}

/// Reads a journal that another process may be writing. `None` when there is none yet.
pub(crate) fn read(path: &Path) -> Result<Option<Journal>, JournalError> {
    let named = || path.display().to_string();
    let corrupt = |what: String| JournalError::Corrupt { path: named(), what };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(JournalError::Io { path: named(), act: "read", source }),
    };
    let envelope: Envelope =
        serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
    if envelope.format != FORMAT {
        return Err(corrupt(format!("its format is {:?}", envelope.format)));
    }
    if envelope.version > VERSION {
        return Err(JournalError::Newer { path: named(), version: envelope.version });
    }
    if checksum(&envelope.content) != envelope.checksum {
        return Err(corrupt("its checksum does not match its content".to_owned()));
    }
    serde_json::from_value(envelope.content).map(Some).map_err(|error| corrupt(error.to_string()))
}

impl Journal {
    /// One lane as it stands. An account that is new to a registry begins with what the last one knew of its agents, so
    /// that a replaced key takes no id out of a document.
    pub(crate) fn lane(&self, key: &str) -> AccountState {
        let mut lane = self.lanes.get(key).cloned().unwrap_or_default();
        if lane.agents.is_empty() {
            let beside = self.lanes.iter().filter(|(name, _)| is_beside(name, key));
            lane.agents = beside.flat_map(|(_, lane)| lane.agents.clone()).collect();
        }
        lane
    }

    /// Takes a lane in. A registry's agents are noted in the lane that was decided last, and in no other.
    pub(crate) fn put(&mut self, key: &str, lane: AccountState) {
        for (_, beside) in self.lanes.iter_mut().filter(|(name, _)| is_beside(name, key)) {
            beside.agents.clear();
        }
        self.lanes.insert(key.to_owned(), lane);
    }
}

/// Whether two lanes are of one registry and of different accounts.
fn is_beside(one: &str, other: &str) -> bool {
    let registry = |name: &str| name.rsplit_once(':').map(|(registry, _)| registry.to_owned());
    one != other && registry(one) == registry(other)
}

impl JournalFile {
    /// Takes a journal over: locks it, reads it, and checks that it is ours. A missing one is begun.
    pub(crate) fn open(
        path: &Path,
        owner_id: &str,
        accounts: &Accounts,
    ) -> Result<(Self, Journal), JournalError> {
        let named = || path.display().to_string();
        let beside = beside(path, ".lock");
        let failed =
            |act| move |source| JournalError::Io { path: path.display().to_string(), act, source };
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(beside)
            .map_err(failed("locked"))?;
        lock.try_lock().map_err(|_| JournalError::Locked(named()))?;
        let file = Self { path: path.to_owned(), _lock: lock };
        let Some(journal) = read(path)? else {
            let journal = Journal { owner_id: owner_id.to_owned(), lanes: BTreeMap::new() };
            file.write(&journal)?;
            return Ok((file, journal));
        };
        if journal.owner_id != owner_id {
            return Err(JournalError::ForeignOwner {
                path: named(),
                theirs: journal.owner_id,
                ours: owner_id.to_owned(),
            });
        }
        match journal.lanes.values().find(|lane| !accounts.contains(lane.account)) {
            Some(foreign) => {
                Err(JournalError::ForeignAccount { path: named(), account: foreign.account })
            }
            None => Ok((file, journal)),
        }
    }

    /// Replaces the journal whole: after a crash the old one stands or the new one, never a part.
    pub(crate) fn write(&self, journal: &Journal) -> Result<(), JournalError> {
        let content = serde_json::to_value(journal).expect("a journal has text keys");
        let envelope = Envelope {
            format: FORMAT.to_owned(),
            version: VERSION,
            checksum: checksum(&content),
            content,
        };
        let bytes = serde_json::to_vec(&envelope).expect("a journal has text keys");
        let fresh = beside(&self.path, ".next");
        let written = File::create(&fresh).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)?;
            // The rename itself must survive a power cut too.
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        });
        written.map_err(|source| JournalError::Io {
            path: self.path.display().to_string(),
            act: "written",
            source,
        })
    }
}

/// A file beside the journal: its whole name and more, so that it is never the journal itself.
fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// BLAKE3 of the content's compact JSON, whose keys are sorted.
fn checksum(content: &serde_json::Value) -> String {
    blake3::hash(content.to_string().as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests;
