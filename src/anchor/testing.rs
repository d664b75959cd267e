//! Accounts, tokens and transactions that the tests of anchoring share.

use alloy::primitives::{Address, B256, U256};

use super::{
    account::{Attempt, InFlight},
    fees::Budget,
    key::AnchorKey,
    plan::{DesiredAgent, UriForm},
};
use crate::{
    offer::Hostname,
    registration::{AgentId, AgentName, AgentRegistry, Selling},
};

pub(crate) const US: Address = Address::repeat_byte(0x11);
pub(crate) const FORMER: Address = Address::repeat_byte(0x22);
pub(crate) const STRANGER: Address = Address::repeat_byte(0xee);

pub(crate) fn key(number: u8) -> AnchorKey {
    AnchorKey::from_metadata(&[number; 20]).unwrap()
}

pub(crate) fn id(number: u64) -> AgentId {
    AgentId::new(U256::from(number))
}

pub(crate) fn registry(chain_id: u64) -> AgentRegistry {
    AgentRegistry { chain_id, address: Address::repeat_byte(0x80) }
}

pub(crate) fn host(name: &str) -> AgentName {
    AgentName::Host(Hostname::parse(name).unwrap())
}

/// An agent that sells, of which nothing is known.
pub(crate) fn desired(agent: AgentName, key: AnchorKey, uri: &str) -> DesiredAgent {
    DesiredAgent {
        agent,
        key,
        earlier_keys: Vec::new(),
        uri: uri.to_owned(),
        form: UriForm::Https,
        document: None,
        retirement: None,
        selling: Selling::Open,
        adopt: None,
        known: None,
        unclear: None,
        failed: 0,
    }
}

/// A transaction in flight for the default agent, signed once.
pub(crate) fn in_flight(nonce: u64, decisions: u32, max_fee: u128) -> InFlight {
    let attempt = Attempt { hash: B256::repeat_byte(1), raw: vec![2].into(), max_fee, tip: 0 };
    InFlight {
        nonce,
        agent: AgentName::Default,
        call: "register(…)".to_owned(),
        to: Address::repeat_byte(0x80),
        data: vec![1, 2, 3].into(),
        gas: 1_000,
        budget: Budget::Daily,
        decisions,
        attempts: vec![attempt],
    }
}
