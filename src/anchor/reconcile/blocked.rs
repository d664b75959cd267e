//! Why nothing could be decided, or an action is not taken.

use alloy::primitives::B256;

use crate::anchor::{
    evidence::IncompleteEvidence,
    evm::{DoubtedEvidence, Refusal, RpcError, SnapshotError},
    reason::AnchorReason,
};

/// Why an action is not taken, for people and machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) reason: AnchorReason,
    pub(crate) message: String,
}

/// Why nothing could be decided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlockedError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// No endpoint answers what any of them may answer.
    #[error(transparent)]
    Unanswered(#[from] RpcError),
    #[error(transparent)]
    Evidence(#[from] IncompleteEvidence),
    #[error(transparent)]
    Doubted(#[from] DoubtedEvidence),
    #[error(
        "the registry's code changed; after a review, accept it with --accept-registry eip155:{chain_id}={hash}"
    )]
    RegistryChanged {
        chain_id: u64,
        /// The hash to accept.
        hash: B256,
    },
}

impl BlockedError {
    /// Whether an endpoint has left something out of its events.
    pub(super) fn is_incomplete(&self) -> bool {
        match self {
            Self::Evidence(_) => true,
            Self::Doubted(error) => error.is_incomplete(),
            Self::Snapshot(_) | Self::Unanswered(_) | Self::RegistryChanged { .. } => false,
        }
    }

    /// Whether another endpoint may do better at the same block.
    pub(super) fn is_of_one_endpoint(&self) -> bool {
        match self {
            Self::Snapshot(error) | Self::Doubted(DoubtedEvidence::Snapshot(error)) => {
                error.is_of_one_endpoint()
            }
            Self::Evidence(_)
            | Self::Doubted(DoubtedEvidence::Rpc(_) | DoubtedEvidence::Incomplete(_)) => true,
            Self::Unanswered(_) | Self::RegistryChanged { .. } => false,
        }
    }

    /// The reason that every agent of the chain gets.
    pub(super) fn reason(&self) -> AnchorReason {
        match self {
            Self::Snapshot(error) | Self::Doubted(DoubtedEvidence::Snapshot(error)) => {
                snapshot_reason(error)
            }
            Self::Unanswered(error) | Self::Doubted(DoubtedEvidence::Rpc(error)) => {
                unreachable_reason(error)
            }
            Self::Evidence(error) | Self::Doubted(DoubtedEvidence::Incomplete(error)) => {
                match error {
                    IncompleteEvidence::Contradicts { .. } => {
                        AnchorReason::EvidenceContradictsJournal
                    }
                    IncompleteEvidence::Mints { .. }
                    | IncompleteEvidence::Balance { .. }
                    | IncompleteEvidence::Token(_)
                    | IncompleteEvidence::Key(..)
                    | IncompleteEvidence::Pruned => AnchorReason::ViewShort,
                }
            }
            Self::RegistryChanged { .. } => AnchorReason::RegistryChanged,
        }
    }
}

fn snapshot_reason(error: &SnapshotError) -> AnchorReason {
    match error {
        SnapshotError::Rpc(error) => unreachable_reason(error),
        SnapshotError::NoQuorum { .. } => AnchorReason::NoQuorum,
        SnapshotError::ChainMismatch { .. } | SnapshotError::Rewritten(_) => {
            AnchorReason::ChainMismatch
        }
        SnapshotError::StatePruned => AnchorReason::StatePruned,
        SnapshotError::EndpointTooNarrow { .. } => AnchorReason::EndpointTooNarrow,
        SnapshotError::RegistryMissing(_) => AnchorReason::RegistryMissing,
        SnapshotError::AccountHasCode(_) => AnchorReason::AccountHasCode,
    }
}

/// Why an endpoint cannot be read.
pub(super) fn unreachable_reason(error: &RpcError) -> AnchorReason {
    match error.refusal() {
        Some(Refusal::RateLimited) => AnchorReason::RateLimited,
        Some(
            Refusal::Reverted | Refusal::TooWide { .. } | Refusal::UnknownBlock | Refusal::Other,
        )
        | None => AnchorReason::Unreachable,
    }
}

impl From<AnchorReason> for Blocked {
    fn from(reason: AnchorReason) -> Self {
        Self { reason, message: reason.message().to_owned() }
    }
}
