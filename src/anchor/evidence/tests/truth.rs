//! A registry that tells the whole truth about what happened to it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, U256};

use crate::anchor::{
    evidence::{
        Accounts, Adoption, Block, Evidence, IncompleteEvidence, Mint, Token, Transfer, View,
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
}

impl Registry {
    pub(crate) fn new() -> Self {
        let evidence = Evidence {
            block: Block { number: 7, hash: B256::repeat_byte(7) },
            count: 3,
            mints: Vec::new(),
            transfers: Vec::new(),
            balances: BTreeMap::from([(US, U256::ZERO), (FORMER, U256::ZERO)]),
            adoptions: Vec::new(),
            tokens: BTreeMap::new(),
        };
        Self { evidence, minted: 0 }
    }

    /// `register`: its events are among ours if the caller is.
    pub(crate) fn mint(mut self, owner: Address, uri: &str, key: Option<AnchorKey>) -> Self {
        let id = id(self.minted);
        self.minted += 1;
        self.evidence
            .tokens
            .insert(id, Token { owner: STRANGER, uri: uri.to_owned(), x402: true, key });
        if accounts().contains(owner) {
            self.evidence.mints.push(Mint { id, owner, uri: uri.to_owned(), key });
        }
        self.evidence.adoptions.extend(key.map(|key| Adoption { id, sender: owner, key }));
        self.moved(id, Address::ZERO, owner);
        self
    }

    pub(crate) fn transfer(mut self, number: u64, to: Address) -> Self {
        let from = self.evidence.tokens[&id(number)].owner;
        self.moved(id(number), from, to);
        self
    }

    pub(crate) fn adopt(mut self, number: u64, sender: Address, key: AnchorKey) -> Self {
        self.evidence.adoptions.push(Adoption { id: id(number), sender, key });
        self.evidence.tokens.get_mut(&id(number)).unwrap().key = Some(key);
        self
    }

    fn moved(&mut self, id: AgentId, from: Address, to: Address) {
        self.evidence.tokens.get_mut(&id).unwrap().owner = to;
        if accounts().contains(from) || accounts().contains(to) {
            self.evidence.transfers.push(Transfer { id, from, to });
        }
        if let Some(balance) = self.evidence.balances.get_mut(&from) {
            *balance -= U256::ONE;
        }
        if let Some(balance) = self.evidence.balances.get_mut(&to) {
            *balance += U256::ONE;
        }
    }

    pub(crate) fn view(&self) -> Result<View, IncompleteEvidence> {
        self.evidence.view(&accounts())
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
