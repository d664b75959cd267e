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

/// Where an event is in the chain: a later event compares greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LogPosition {
    pub(crate) block: u64,
    /// The event's index in its block.
    pub(crate) index: u64,
}

/// Everything that was read at one finalized block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) block: Block,
    /// The signing account's transaction count there.
    pub(crate) count: u64,
    /// The transaction count of each former account there.
    pub(crate) former_counts: BTreeMap<Address, u64>,
    /// `Registered` events whose owner topic is one of ours, in order.
    pub(crate) mints: Vec<Mint>,
    /// `Transfer` events from or to one of our accounts, in order.
    pub(crate) transfers: Vec<Transfer>,
    /// `balanceOf` of each of our accounts.
    pub(crate) balances: BTreeMap<Address, U256>,
    /// `MetadataSet` events of κ's metadata key on tokens that one of our accounts ever held, in
    /// order, whoever sent them.
    pub(crate) key_events: Vec<KeyEvent>,
    /// The tokens that were read: those that we minted, that one of us set a κ on, and those that
    /// the operator or an AgentIdentity names.
    pub(crate) tokens: BTreeMap<AgentId, Token>,
}

/// A `Registered` event of one of our accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mint {
    pub(crate) at: LogPosition,
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
    pub(crate) at: LogPosition,
    pub(crate) id: AgentId,
    /// Zero in a mint.
    pub(crate) from: Address,
    pub(crate) to: Address,
}

/// A `MetadataSet` event that sets κ on a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyEvent {
    pub(crate) at: LogPosition,
    pub(crate) id: AgentId,
    pub(crate) key: AnchorKey,
    /// Who sent the transaction, as the event itself does not name a sender. `None` if that does
    /// not matter; see [`Evidence::is_claim`].
    pub(crate) sender: Option<Address>,
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

/// What a node serves of the mint of the registry's first token, with which all later events begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstMint {
    Served,
    /// The token exists, but its mint is not served.
    Missing,
    /// The registry has no token yet.
    None,
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
    /// The transaction count of each former account there.
    pub(crate) former_counts: BTreeMap<Address, u64>,
    /// The token of each κ that one of our accounts minted or adopted; the first one, if there are
    /// several. It remains so whoever owns the token by now.
    pub(crate) agents: BTreeMap<AnchorKey, AgentId>,
    /// Tokens that carry a κ in addition to the first one, and that one of our accounts holds.
    pub(crate) duplicates: BTreeMap<AnchorKey, BTreeSet<AgentId>>,
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
    /// A node that drops old events without an error.
    #[error(
        "the mint of the registry's first token is not served: the node has dropped old events, or the scan begins after the registry's deployment (--registry CHAIN=0x…@BLOCK)"
    )]
    Pruned,
    /// Nothing that was final can become undone, so a node leaves something out, or serves another
    /// chain.
    #[error(
        "the journal records agentId {id} for κ {key}, but the events that the node serves do not show it"
    )]
    Contradicts { key: AnchorKey, id: AgentId },
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
    /// Checks that the evidence is complete, and derives the view. `minted` is what the journal
    /// records: a view that lacks any of it is not believed.
    ///
    /// Only what one of our accounts sent counts: anyone can mint our agentURI with our κ and send
    /// us the token.
    pub(crate) fn view(
        &self,
        accounts: &Accounts,
        minted: &BTreeMap<AnchorKey, AgentId>,
    ) -> Result<View, IncompleteEvidence> {
        accounts.all().try_for_each(|account| self.check(account))?;
        let own = || self.mints.iter().filter(|mint| accounts.contains(mint.owner));
        let adoptions = self.adoptions(accounts)?;
        let adopted: BTreeSet<AgentId> = adoptions.iter().map(|event| event.id).collect();
        let mut claims: Vec<(LogPosition, AnchorKey, AgentId)> =
            own().filter_map(|mint| Some((mint.at, mint.key?, mint.id))).collect();
        claims.extend(adoptions.iter().map(|event| (event.at, event.key, event.id)));
        claims.sort();
        let held = self.owned(accounts);
        let mut agents = BTreeMap::new();
        let mut duplicates = BTreeMap::<_, BTreeSet<_>>::new();
        for (_, key, id) in claims {
            let first = *agents.entry(key).or_insert(id);
            if first != id && held.contains(&id) {
                duplicates.entry(key).or_default().insert(id);
            }
        }
        if let Some((key, id)) = minted.iter().find(|(key, id)| agents.get(key) != Some(id)) {
            return Err(IncompleteEvidence::Contradicts { key: *key, id: *id });
        }
        for id in agents.values().copied().chain(own().map(|mint| mint.id)) {
            self.tokens.get(&id).ok_or(IncompleteEvidence::Token(id))?;
        }
        let ever_held = self.ever_held(accounts);
        let read = self.tokens.iter().filter(|(id, _)| ever_held.contains(id));
        self.explain(read.filter_map(|(id, token)| Some((*id, token.key?))))?;
        let mut unkeyed = BTreeMap::new();
        for mint in own().filter(|mint| mint.key.is_none() && !adopted.contains(&mint.id)) {
            unkeyed.entry(mint.uri.clone()).or_insert(mint.id);
        }
        Ok(View {
            block: self.block,
            count: self.count,
            former_counts: self.former_counts.clone(),
            agents,
            duplicates,
            unkeyed,
            tokens: self.tokens.clone(),
        })
    }

    /// What a mint needs in addition to a view: looks for signs that events were left out although
    /// the rest adds up. `keys` are those of [`Self::unread`].
    pub(crate) fn check_absence(
        &self,
        first_mint: FirstMint,
        keys: impl IntoIterator<Item = (AgentId, AnchorKey)>,
    ) -> Result<(), IncompleteEvidence> {
        if self.is_unused() {
            return Ok(());
        }
        match first_mint {
            FirstMint::Missing => Err(IncompleteEvidence::Pruned),
            FirstMint::Served | FirstMint::None => self.explain(keys),
        }
    }

    /// Tokens that are or were ours and were not read: a κ in their metadata needs an event, too.
    /// Accounts that have sent nothing have set none, whatever others sent them.
    pub(crate) fn unread(&self, accounts: &Accounts) -> BTreeSet<AgentId> {
        if self.count == 0 && self.former_counts.values().all(|count| *count == 0) {
            return BTreeSet::new();
        }
        let mut unread = self.ever_held(accounts);
        unread.retain(|id| !self.tokens.contains_key(id));
        unread
    }

    /// Checks that an event explains every κ that tokens which were ever ours carry: one that no
    /// event explains was left out by the node.
    fn explain(
        &self,
        keys: impl IntoIterator<Item = (AgentId, AnchorKey)>,
    ) -> Result<(), IncompleteEvidence> {
        for (id, key) in keys {
            let set = self.key_events.iter().any(|event| event.id == id && event.key == key);
            let minted = self.mints.iter().any(|mint| mint.id == id && mint.key == Some(key));
            if !set && !minted {
                return Err(IncompleteEvidence::Key(id, key));
            }
        }
        Ok(())
    }

    /// Whether an event adopts a token if one of our accounts sent it: the token was ours when it
    /// happened, and the mint did not carry this κ already.
    pub(crate) fn is_claim(&self, event: &KeyEvent, accounts: &Accounts) -> bool {
        let minted = |mint: &Mint| mint.id == event.id && mint.key == Some(event.key);
        let moves = self.transfers.iter().filter(|moved| moved.id == event.id);
        let before = moves.take_while(|moved| moved.at < event.at).last();
        before.is_some_and(|moved| accounts.contains(moved.to)) && !self.mints.iter().any(minted)
    }

    /// The events by which our accounts adopted tokens of theirs.
    fn adoptions(&self, accounts: &Accounts) -> Result<Vec<KeyEvent>, IncompleteEvidence> {
        let mut adoptions = Vec::new();
        for event in self.key_events.iter().filter(|event| self.is_claim(event, accounts)) {
            let sender = event.sender.ok_or(IncompleteEvidence::Key(event.id, event.key))?;
            if accounts.contains(sender) {
                adoptions.push(*event);
            }
        }
        Ok(adoptions)
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

    /// The tokens that one of our accounts holds or held, by the `Transfer` events.
    pub(crate) fn ever_held(&self, accounts: &Accounts) -> BTreeSet<AgentId> {
        let received = self.transfers.iter().filter(|transfer| accounts.contains(transfer.to));
        received.map(|transfer| transfer.id).collect()
    }

    /// Whether none of our accounts has ever sent a transaction or holds a token: then there is
    /// nothing in the history to be found.
    pub(crate) fn is_unused(&self) -> bool {
        self.count == 0
            && self.former_counts.values().all(|count| *count == 0)
            && self.balances.values().all(U256::is_zero)
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
