//! A registry that tells the whole truth about what happened to it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, U256};

use crate::anchor::{
    evidence::{
        Accounts, Block, Evidence, IncompleteEvidence, KeyEvent, LogPosition, Mint, Token,
        Transfer, View,
    },
    key::AnchorKey,
    testing::{FORMER, STRANGER, US, id},
};
use crate::registration::AgentId;

pub(crate) fn accounts() -> Accounts {
    Accounts { current: US, former: BTreeSet::from([FORMER]) }
}

/// Agents by the first byte of their κ, and mints without κ by their URI.
pub(crate) type Found = (Vec<(u8, u64)>, Vec<(String, u64)>);

/// A registry that tells the whole truth: what happens to it is what its evidence shows.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    pub(crate) evidence: Evidence,
    pub(crate) minted: u64,
    /// How many events there were.
    events: u64,
}

/// The place of an event: one in each block.
pub(crate) fn place(block: u64) -> LogPosition {
    LogPosition { block, index: 0 }
}

impl Registry {
    pub(crate) fn new() -> Self {
        let evidence = Evidence {
            block: Block { number: 7, hash: B256::repeat_byte(7) },
            count: 3,
            former_counts: BTreeMap::from([(FORMER, 2)]),
            mints: Vec::new(),
            transfers: Vec::new(),
            balances: BTreeMap::from([(US, U256::ZERO), (FORMER, U256::ZERO)]),
            key_events: Vec::new(),
            tokens: BTreeMap::new(),
        };
        Self { evidence, minted: 0, events: 0 }
    }

    fn next(&mut self) -> LogPosition {
        self.events += 1;
        place(self.events)
    }

    /// `register`: its events are among ours if the caller is.
    pub(crate) fn mint(mut self, owner: Address, uri: &str, key: Option<AnchorKey>) -> Self {
        let id = id(self.minted);
        self.minted += 1;
        self.evidence
            .tokens
            .insert(id, Token { owner: STRANGER, uri: uri.to_owned(), x402: true, key });
        self.moved(id, Address::ZERO, owner);
        if accounts().contains(owner) {
            let at = self.next();
            self.evidence.mints.push(Mint { at, id, owner, uri: uri.to_owned(), key });
        }
        if let Some(key) = key {
            let (at, sender) = (self.next(), Some(owner));
            self.evidence.key_events.push(KeyEvent { at, id, key, sender });
        }
        self
    }

    pub(crate) fn transfer(mut self, number: u64, to: Address) -> Self {
        let from = self.evidence.tokens[&id(number)].owner;
        self.moved(id(number), from, to);
        self
    }

    pub(crate) fn adopt(mut self, number: u64, sender: Address, key: AnchorKey) -> Self {
        let (at, id_) = (self.next(), id(number));
        self.evidence.key_events.push(KeyEvent { at, id: id_, key, sender: Some(sender) });
        self.evidence.tokens.get_mut(&id(number)).unwrap().key = Some(key);
        self
    }

    fn moved(&mut self, id: AgentId, from: Address, to: Address) {
        self.evidence.tokens.get_mut(&id).unwrap().owner = to;
        if accounts().contains(from) || accounts().contains(to) {
            let at = self.next();
            self.evidence.transfers.push(Transfer { at, id, from, to });
        }
        if let Some(balance) = self.evidence.balances.get_mut(&from) {
            *balance -= U256::ONE;
        }
        if let Some(balance) = self.evidence.balances.get_mut(&to) {
            *balance += U256::ONE;
        }
    }

    pub(crate) fn view(&self) -> Result<View, IncompleteEvidence> {
        self.evidence.view(&accounts(), &BTreeMap::new())
    }

    /// The agents and the mints without κ, by number.
    pub(crate) fn seen(&self) -> Found {
        let view = self.view().unwrap();
        let number = |id: &AgentId| u64::try_from(id.number()).unwrap();
        (
            view.agents.iter().map(|(key, id)| (key.as_bytes()[0], number(id))).collect(),
            view.unkeyed.iter().map(|(uri, id)| (uri.clone(), number(id))).collect(),
        )
    }
}
