//! A registry that tells the whole truth about what happened to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    anchor::{
        evidence::{
            Accounts, Adoption, Block, Evidence, IncompleteEvidence, Mint, Token, Transfer, View,
        },
        key::AnchorKey,
    },
    registration::AgentId,
};
use alloy::primitives::{Address, B256, U256};

pub(crate) const US: Address = Address::repeat_byte(0x11);
pub(crate) const FORMER: Address = Address::repeat_byte(0x22);
pub(crate) const STRANGER: Address = Address::repeat_byte(0xee);

pub(crate) fn key(number: u8) -> AnchorKey {
    AnchorKey::from_metadata(&[number; 20]).unwrap()
}

pub(crate) fn id(number: u64) -> AgentId {
    AgentId::new(U256::from(number))
}

pub(crate) fn accounts() -> Accounts {
    Accounts { current: US, former: BTreeSet::from([FORMER]) }
}

/// Agents by the first byte of their κ, and mints without κ by their URI.
pub(crate) type ParsedOffer = (Vec<(u8, u64)>, Vec<(String, u64)>);

/// A registry that tells the whole truth: what happens to it is what its evidence shows.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    pub(crate) told: Evidence,
    pub(crate) minted: u64,
}

impl Registry {
    pub(crate) fn new() -> Self {
        let told = Evidence {
            block: Block { number: 7, hash: B256::repeat_byte(7) },
            count: 3,
            mints: Vec::new(),
            transfers: Vec::new(),
            balances: BTreeMap::from([(US, U256::ZERO), (FORMER, U256::ZERO)]),
            adoptions: Vec::new(),
            tokens: BTreeMap::new(),
        };
        Self { told, minted: 0 }
    }

    /// `register`: its events are among ours if the caller is.
    pub(crate) fn mint(mut self, owner: Address, uri: &str, key: Option<AnchorKey>) -> Self {
        let id = id(self.minted);
        self.minted += 1;
        self.told
            .tokens
            .insert(id, Token { owner: STRANGER, uri: uri.to_owned(), x402: true, key });
        if accounts().contains(owner) {
            self.told.mints.push(Mint { id, owner, uri: uri.to_owned(), key });
        }
        self.told.adoptions.extend(key.map(|key| Adoption { id, sender: owner, key }));
        self.moved(id, Address::ZERO, owner);
        self
    }

    pub(crate) fn transfer(mut self, number: u64, to: Address) -> Self {
        let from = self.told.tokens[&id(number)].owner;
        self.moved(id(number), from, to);
        self
    }

    pub(crate) fn adopt(mut self, number: u64, sender: Address, key: AnchorKey) -> Self {
        self.told.adoptions.push(Adoption { id: id(number), sender, key });
        self.told.tokens.get_mut(&id(number)).unwrap().key = Some(key);
        self
    }

    fn moved(&mut self, id: AgentId, from: Address, to: Address) {
        self.told.tokens.get_mut(&id).unwrap().owner = to;
        if accounts().contains(from) || accounts().contains(to) {
            self.told.transfers.push(Transfer { id, from, to });
        }
        if let Some(balance) = self.told.balances.get_mut(&from) {
            *balance -= U256::ONE;
        }
        if let Some(balance) = self.told.balances.get_mut(&to) {
            *balance += U256::ONE;
        }
    }

    pub(crate) fn view(&self) -> Result<View, IncompleteEvidence> {
        self.told.view(&accounts())
    }

    /// The agents and the mints without κ, by number.
    pub(crate) fn seen(&self) -> ParsedOffer {
        let view = self.view().unwrap();
        let number = |id: &AgentId| u64::try_from(id.number()).unwrap();
        (
            view.agents.iter().map(|(key, id)| (key.as_bytes()[0], number(id))).collect(),
            view.unkeyed.iter().map(|(uri, id)| (uri.clone(), number(id))).collect(),
        )
    }
}
