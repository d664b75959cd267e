//! Why nothing could be decided, or an action is not taken.

use alloy::primitives::B256;

use crate::anchor::{
    evidence::IncompleteEvidence,
    evm::{DoubtedEvidence, RpcError, SnapshotError},
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

impl From<RpcError> for BlockedError {
    fn from(error: RpcError) -> Self {
        Self::Snapshot(error.into())
    }
}

impl BlockedError {
    /// The reason that every agent of the chain gets.
    pub(super) fn reason(&self) -> AnchorReason {
        match self {
            Self::Snapshot(SnapshotError::Rpc(_)) => AnchorReason::Unreachable,
            Self::Snapshot(SnapshotError::NoQuorum { .. }) => AnchorReason::NoQuorum,
            Self::Snapshot(SnapshotError::ChainMismatch { .. } | SnapshotError::Rewritten(_)) => {
                AnchorReason::ChainMismatch
            }
            Self::Snapshot(SnapshotError::StatePruned) => AnchorReason::StatePruned,
            Self::Snapshot(SnapshotError::RegistryMissing(_)) => AnchorReason::RegistryMissing,
            Self::Snapshot(SnapshotError::AccountHasCode(_)) => AnchorReason::AccountHasCode,
            Self::Doubted(DoubtedEvidence::Rpc(_)) => AnchorReason::Unreachable,
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

impl From<AnchorReason> for Blocked {
    fn from(reason: AnchorReason) -> Self {
        Self { reason, message: reason.message().to_owned() }
    }
}
