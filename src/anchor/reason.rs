//! Why an agent is or is not anchored on a chain: a closed list, the same everywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($name:ident: $message:literal;)*) => {
        /// How an agent stands on one chain.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub(crate) enum AnchorReason {
            $(#[doc = $message] $name,)*
        }

        impl AnchorReason {
            /// All reasons.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The reason as it is printed.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What is the case and what to do about it.
            pub(crate) fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

reasons! {
    Anchored: "The agent is on chain as it should be.";
    Pending: "A transaction is needed; it is signed, sent, or next in turn.";
    WaitingForFinality: "A transaction of the account is mined but not final yet.";
    PendingUnknown: "The node has a transaction of the account pending that this journal does not know.";
    AdoptFirst: "An id is known for this agent already: name it with --adopt, or give --mint-beside.";
    NotOwner: "The id belongs to another account: transfer it to this one.";
    Tombstone: "Nothing of the agent is published, so it is not minted.";
    Draining: "Everything of the agent winds down, so it is not minted.";
    NotAsked: "No world was seen yet, so nothing is known to be wanted.";
    Unreachable: "The chain's endpoints cannot be read; the error is in the log.";
    NoQuorum: "The endpoints do not agree on a final block.";
    ChainMismatch: "An endpoint serves another chain than the one that is configured, or one without a block that was final.";
    StatePruned: "The node keeps no state at the final block; what it had at the head is used once that block is final.";
    RegistryMissing: "There is no registry at the address, or it does not answer getVersion.";
    RegistryChanged: "The registry's code changed since it was first noted: look at it, then --accept-registry.";
    AccountHasCode: "The account has code, so a mint may call it back: use an account without code.";
    ViewShort: "The event history cannot be shown to be complete; nothing is signed on it.";
    JournalRefused: "The journal is foreign, corrupt, newer, or cannot be written.";
    NoFunds: "The account's balance does not cover the transaction.";
    FeeTooHigh: "The chain's fee is above --max-fee-gwei.";
    BudgetSpent: "--daily-budget-ether is spent for today (UTC).";
    WouldRevert: "The registry refuses the call; nothing was sent.";
    Reverted: "The call was mined and failed three times: find out why, then move the journal away to have it tried again.";
    SignerFailed: "The signer gave no signature of the account.";
}

impl fmt::Display for AnchorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
