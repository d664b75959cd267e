//! What one finalized block shows about our accounts and the registry: raw evidence in, a checked
//! view out. Pure.
//!
//! Everything here was read at one block: the registry's logs up to it, and the receipts of the
//! mints among them.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::key::AnchorKey;
use crate::registration::AgentId;

/// A block by height and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) number: u64,
    pub(crate) hash: B256,
}

/// Everything that was read at one finalized block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) block: Block,
    /// The signing account's transaction count there.
    pub(crate) count: u64,
    /// `Registered` events whose owner topic is one of ours, in order.
    pub(crate) mints: Vec<Mint>,
    /// `Transfer` events from or to one of our accounts, in order.
    pub(crate) transfers: Vec<Transfer>,
    /// `balanceOf` of each of our accounts.
    pub(crate) balances: BTreeMap<Address, U256>,
    /// `MetadataSet` events of κ's metadata key on tokens that are ours, in order, whoever sent
    /// them.
    pub(crate) adoptions: Vec<Adoption>,
    /// The tokens that were read: all of ours, and those that the operator or an AgentIdentity
    /// names.
    pub(crate) tokens: BTreeMap<AgentId, Token>,
}

/// A `Registered` event of one of our accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mint {
    pub(crate) id: AgentId,
    /// The owner topic of its `Registered` event: who called `register`.
    pub(crate) owner: Address,
    /// The agentURI it was minted with.
    pub(crate) uri: String,
    /// κ from the mint's own receipt, if it carries one.
    pub(crate) key: Option<AnchorKey>,
}

/// A `Transfer` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) id: AgentId,
    /// Zero in a mint.
    pub(crate) from: Address,
    pub(crate) to: Address,
}

/// A `MetadataSet` event that sets κ on an existing token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Adoption {
    pub(crate) id: AgentId,
    /// Who sent the transaction; the event itself does not name a sender.
    pub(crate) sender: Address,
    pub(crate) key: AnchorKey,
}

/// A token's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) owner: Address,
    pub(crate) uri: String,
    /// Whether its `x402` metadata has the value that we set.
    pub(crate) x402: bool,
    /// κ in its current metadata, whoever set it.
    pub(crate) key: Option<AnchorKey>,
}

/// Our accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accounts {
    /// The account that signs.
    pub(crate) current: Address,
    /// Accounts that signed before a key rotation (`--former-account`): their mints still count.
    pub(crate) former: BTreeSet<Address>,
}

/// What complete evidence shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) block: Block,
    /// The signing account's transaction count there: the only nonce that may be signed.
    pub(crate) count: u64,
    /// The token of each κ that one of our accounts minted or adopted.
    pub(crate) agents: BTreeMap<AnchorKey, AgentId>,
    /// Our mints without κ, by agentURI.
    pub(crate) unkeyed: BTreeMap<String, AgentId>,
    pub(crate) tokens: BTreeMap<AgentId, Token>,
}

/// Why evidence is not complete: nothing may be signed on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IncompleteEvidence {
    /// Fewer or more `Registered` than `Transfer`-from-zero events.
    #[error("{account} has {registered} Registered events, but {minted} Transfer events from zero")]
    Mints {
        account: Address,
        /// `Registered` events by this owner.
        registered: usize,
        /// `Transfer` events from zero to it.
        minted: usize,
    },
    /// The `Transfer` events do not add up to `balanceOf`.
    #[error("the Transfer events of {account} add up to {summed}, but balanceOf is {balance}")]
    Balance {
        account: Address,
        /// In minus out.
        summed: i128,
        balance: U256,
    },
    #[error("token {0} was not read")]
    Token(AgentId),
    #[error("token {0} carries κ {1}, but no event shows who set it")]
    Key(AgentId, AnchorKey),
}

impl Accounts {
    /// Whether an address is one of ours.
    pub(crate) fn contains(&self, address: Address) -> bool {
        self.current == address || self.former.contains(&address)
    }

    /// The signing account, then former ones.
    pub(crate) fn all(&self) -> impl Iterator<Item = Address> {
        std::iter::once(self.current).chain(self.former.iter().copied())
    }
}

impl Evidence {
    /// Checks that the evidence is complete, and derives the view.
    ///
    /// Only what one of our accounts sent counts: anyone can mint our agentURI with our κ and send
    /// us the token.
    pub(crate) fn view(&self, accounts: &Accounts) -> Result<View, IncompleteEvidence> {
        accounts.all().try_for_each(|account| self.check(account))?;
        let ours = |owner: &Address| accounts.contains(*owner);
        let mut agents = BTreeMap::new();
        for mint in self.mints.iter().filter(|mint| ours(&mint.owner)) {
            let Some(key) = mint.key else { continue };
            agents.entry(key).or_insert(mint.id);
        }
        for id in self.owned(accounts).into_iter().chain(agents.values().copied()) {
            self.tokens.get(&id).ok_or(IncompleteEvidence::Token(id))?;
        }
        let mut adopted = BTreeSet::new();
        for (id, token) in self.tokens.iter().filter(|(_, token)| ours(&token.owner)) {
            let Some(key) = token.key else { continue };
            let mut setters = self
                .adoptions
                .iter()
                .filter(|adoption| adoption.id == *id && adoption.key == key)
                .peekable();
            let minted = self.mints.iter().any(|mint| mint.id == *id && mint.key == Some(key));
            if setters.peek().is_none() && !minted {
                return Err(IncompleteEvidence::Key(*id, key));
            }
            if setters.any(|adoption| ours(&adoption.sender)) {
                agents.entry(key).or_insert(*id);
                adopted.insert(*id);
            }
        }
        let mut unkeyed = BTreeMap::new();
        for mint in self.mints.iter().filter(|mint| ours(&mint.owner) && mint.key.is_none()) {
            if !adopted.contains(&mint.id) {
                unkeyed.entry(mint.uri.clone()).or_insert(mint.id);
            }
        }
        Ok(View {
            block: self.block,
            count: self.count,
            agents,
            unkeyed,
            tokens: self.tokens.clone(),
        })
    }

    /// The tokens that our accounts hold, by the `Transfer` events.
    pub(crate) fn owned(&self, accounts: &Accounts) -> BTreeSet<AgentId> {
        let mut owned = BTreeSet::new();
        for transfer in &self.transfers {
            if accounts.contains(transfer.to) {
                owned.insert(transfer.id);
            } else {
                owned.remove(&transfer.id);
            }
        }
        owned
    }

    fn check(&self, account: Address) -> Result<(), IncompleteEvidence> {
        let registered = self.mints.iter().filter(|mint| mint.owner == account).count();
        let minted =
            |transfer: &&Transfer| transfer.from == Address::ZERO && transfer.to == account;
        let minted = self.transfers.iter().filter(minted).count();
        if registered != minted {
            return Err(IncompleteEvidence::Mints { account, registered, minted });
        }
        let moved = |transfer: &Transfer| {
            i128::from(transfer.to == account) - i128::from(transfer.from == account)
        };
        let summed: i128 = self.transfers.iter().map(moved).sum();
        let balance = self.balances.get(&account).copied().unwrap_or_default();
        match u128::try_from(summed) {
            Ok(sum) if U256::from(sum) == balance => Ok(()),
            Ok(_) | Err(_) => Err(IncompleteEvidence::Balance { account, summed, balance }),
        }
    }
}

#[cfg(test)]
mod tests;
