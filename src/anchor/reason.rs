//! Why an agent is or is not anchored on a chain. The list is closed and the same in every output.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($name:ident: $message:literal;)*) => {
        /// An agent's reason on one chain.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub(crate) enum AnchorReason {
            $(#[doc = $message] $name,)*
        }

        impl AnchorReason {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What is the case, and what to do about it.
            pub(crate) fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

reasons! {
    Anchored: "The agent is on chain as it should be.";
    Pending: "A transaction is needed; it is signed, sent, or next in turn. Wait: the fee is raised after ten decisions without inclusion, at the same nonce.";
    WaitingForFinality: "A transaction of the account is mined but not finalized. Wait for a finalized block.";
    PendingUnknown: "The node has, or may have, a pending transaction of the account that is not in this journal. Wait: after ten decisions its nonce is used anyway. Find out who else uses the account.";
    AdoptFirst: "An id is already known for this agent. Name it with --adopt, or mint a second one with --mint-beside.";
    IdentityUnclear: "An AgentIdentity has a registration that cannot be read, so it may name an id of this agent. Correct it, name the id with --adopt, or mint a new one with --mint-beside.";
    DuplicateMint: "A second token of ours carries this agent's key. The older one is kept and published. Find out which process minted the other one, then give that token away.";
    FormerAccountBusy: "A former account has a transaction that is not final and may be a mint of this agent, so nothing is minted. Wait until its nonce is final, or use it up with the former key.";
    NotOwner: "The id belongs to another account. Transfer the token to the signing account.";
    Tombstone: "None of the agent's offers is published, so it is not minted. Publish an offer, or do nothing.";
    Draining: "All of the agent's offers are draining, so it is not minted. Publish an offer that does not drain, or do nothing.";
    Retired: "An operator has retired the agent: its agentURI says that it is inactive, and it is never minted. To undo this, use registrar anchor retire with --revive.";
    NotAsked: "Nothing has been decided about the agent yet. Wait for the first decision.";
    Unreachable: "The chain's endpoints cannot be read. The log has the error; check the endpoints and --rpc-url.";
    RateLimited: "An endpoint refuses requests because of a rate limit. What was read is kept, and work continues when it allows it. Wait, or use a plan or an endpoint with a higher limit.";
    EndpointTooNarrow: "The endpoint serves so few blocks per eth_getLogs that the event history cannot be read in reasonable time. Use an endpoint or a plan that serves at least 1,000 blocks; the log names the endpoint.";
    NoQuorum: "The endpoints do not agree on a finalized block, or a majority of them does not confirm that the agent is not on chain yet. The log names the endpoint. Look for a node that lags, is on a fork, or leaves out events.";
    ChainMismatch: "An endpoint serves a chain other than the configured one, or a chain without a block that was finalized earlier. Correct --rpc-url.";
    StatePruned: "The node keeps no state at the finalized block; what it had at the head is used once that block is finalized. Wait, or use a node that keeps state.";
    RegistryMissing: "There is no registry at the address, or it does not answer getVersion. Correct --registry, or wait until the node is in sync.";
    RegistryChanged: "The registry's code has changed since it was first read. Review the new code, then accept it with --accept-registry and the hash from the log.";
    AccountHasCode: "The account has code, so a mint could call it back. Use an account without code.";
    ViewShort: "The event history cannot be shown to be complete, so nothing is signed. A lagging or load-balanced endpoint recovers by itself; otherwise use another one.";
    EvidenceContradictsJournal: "The journal records an id that the node's events do not show, so nothing is signed. The node leaves out old events: use one that serves them all.";
    JournalRefused: "The journal is foreign, corrupt, newer than this version, or cannot be written. The log has the error.";
    NoFunds: "The account's balance does not cover the transaction. Fund the account.";
    FeeTooHigh: "The chain's fee is above --max-fee-gwei. Wait, or raise the limit.";
    BudgetSpent: "--daily-budget-ether, or --agent-uri-budget-ether for a data: URI, is spent for today. Wait for the next UTC day, or raise the budget.";
    WouldRevert: "The registry rejects the call, so it was not sent. The log has the registry's error.";
    Reverted: "The call was mined and failed three times. Find out why, then have it tried again with registrar anchor resume.";
    SignerUnreachable: "The signer cannot be reached or is busy, so nothing is signed. It is asked again with the next decision. The log has the error; check --signer.";
    SignerFailed: "The signer did not return a signature of the account. The log has the error.";
}

/// What has to happen before an agent that is held is anchored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Attention {
    /// Nothing: the agent is anchored, or will be by itself, or is not to be.
    None,
    /// A later decision may find that the reason is gone.
    Retry,
    /// An operator has to do something.
    Person,
}

impl AnchorReason {
    /// What has to happen, and by whom. `anchor run --once` and `anchor plan` exit 1 unless it is
    /// nothing.
    pub(crate) fn attention(self) -> Attention {
        match self {
            Self::Anchored
            | Self::Pending
            | Self::WaitingForFinality
            | Self::Tombstone
            | Self::Draining
            | Self::Retired => Attention::None,
            Self::PendingUnknown
            | Self::FormerAccountBusy
            | Self::NotAsked
            | Self::Unreachable
            | Self::RateLimited
            | Self::NoQuorum
            | Self::StatePruned
            | Self::ViewShort
            | Self::FeeTooHigh
            | Self::BudgetSpent
            | Self::SignerUnreachable => Attention::Retry,
            Self::AdoptFirst
            | Self::IdentityUnclear
            | Self::DuplicateMint
            | Self::NotOwner
            | Self::EndpointTooNarrow
            | Self::ChainMismatch
            | Self::RegistryMissing
            | Self::RegistryChanged
            | Self::AccountHasCode
            | Self::EvidenceContradictsJournal
            | Self::JournalRefused
            | Self::NoFunds
            | Self::WouldRevert
            | Self::Reverted
            | Self::SignerFailed => Attention::Person,
        }
    }
}

impl fmt::Display for AnchorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
