//! What an agent's agentURI should be: the document's URL, a `data:` URI once the id is final, or the
//! last one of an agent that is retired. Pure.

use serde::{Deserialize, Serialize};

use super::{Call, DesiredAgent};
use crate::registration::{AgentId, AgentRegistry, DATA_URI_PREFIX, is_retired_uri, retired_uri};

/// What an operator said about an agent's retirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Retirement {
    /// Its last agentURI says that it is inactive, and its key is never minted.
    Retired,
    /// It is as if it had never been retired, whatever its agentURI says.
    Revived,
}

/// What an agent's agentURI should be, unless it is retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UriForm {
    /// The URL of its document.
    Https,
    /// What the document says, once its id is final.
    Data {
        /// Whether the document has said so for long enough to replace another `data:` URI.
        is_settled: bool,
    },
}

/// What is to be done about the agentURI of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UriNeed {
    Set(Call),
    /// Nothing.
    Kept,
    /// Nothing, and neither about anything else of the agent.
    Retired,
}

impl Retirement {
    pub(super) fn is_retired(&self) -> bool {
        match self {
            Self::Retired => true,
            Self::Revived => false,
        }
    }
}

/// What is to be done about the agentURI of an agent's token.
///
/// An agentURI that says that the agent is retired holds until an operator revives it, so that a
/// lost journal revives nothing.
pub(super) fn needed_uri(
    registry: &AgentRegistry,
    agent: &DesiredAgent,
    id: AgentId,
    uri: &str,
) -> UriNeed {
    let says_retired = is_retired_uri(uri, registry, id);
    if agent.retirement.as_ref().map_or(says_retired, Retirement::is_retired) {
        return match says_retired {
            true => UriNeed::Retired,
            false => {
                let uri = retired_uri(agent.document.as_ref(), &agent.uri, registry, id);
                UriNeed::Set(Call::SetUri { id, uri })
            }
        };
    }
    let is_data = uri.starts_with(DATA_URI_PREFIX) && !says_retired;
    match (agent.form, &agent.document) {
        (UriForm::Data { .. }, None) if is_data => UriNeed::Kept,
        (UriForm::Data { is_settled }, Some(document)) => {
            let wanted = document.uri(registry, id);
            if uri == wanted || is_data && !is_settled {
                UriNeed::Kept
            } else {
                UriNeed::Set(Call::SetDataUri { id, uri: wanted })
            }
        }
        (UriForm::Https, _) | (UriForm::Data { .. }, None) => match uri == agent.uri {
            true => UriNeed::Kept,
            false => UriNeed::Set(Call::SetUri { id, uri: agent.uri.clone() }),
        },
    }
}

#[cfg(test)]
mod tests;
