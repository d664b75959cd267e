//! What is known of one agent in one registry. Pure.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::serialized;
use crate::anchor::{facts::IdRecord, reason::AnchorReason};

/// What is known of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentRecord {
    pub(crate) reason: AnchorReason,
    /// What the reason is about in this case, for people, where its own text does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    pub(crate) id: IdRecord,
    /// Calls for it that were mined and failed, in a row.
    #[serde(rename = "reverts")]
    pub(crate) failures: u32,
    /// What its document says, if that is written on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<ContentRecord>,
}

/// Since when an agent's document says the same, as far as it is written on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContentRecord {
    /// See [`ChainDocument::digest`](crate::registration::ChainDocument::digest).
    pub(crate) digest: String,
    #[serde(with = "serialized::instant")]
    pub(crate) since: Option<DateTime<Utc>>,
}

/// What a decision finds out about one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentFinding {
    pub(crate) reason: AnchorReason,
    /// See [`AgentRecord::detail`].
    pub(crate) detail: Option<String>,
    pub(crate) id: IdRecord,
}

impl AgentRecord {
    pub(super) fn new() -> Self {
        Self {
            reason: AnchorReason::NotAsked,
            detail: None,
            id: IdRecord::Unknown,
            failures: 0,
            content: None,
        }
    }

    /// What is the case, and what to do about it.
    pub(crate) fn message(&self) -> &str {
        self.detail.as_deref().unwrap_or_else(|| self.reason.message())
    }
}
