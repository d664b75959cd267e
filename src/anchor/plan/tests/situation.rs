//! Everything that one decision sees, and what it decides, in words.

use std::collections::BTreeMap;

use crate::{
    anchor::{
        evidence::{Block, Token, View},
        key::{AnchorKey, AnchoredAgent},
        plan::{
            Call, Decision, DesiredAgent, DesiredState, Head, MintReadiness, Purpose, Slot, Step,
            next,
        },
    },
    offer::Hostname,
    registration::AgentId,
};
use alloy::primitives::{Address, B256, U256};

pub(crate) const URI: &str = "https://seller.example/a";
pub(crate) const HOST_URI: &str = "https://audit.example/a";

pub(crate) const US: Address = Address::repeat_byte(0x11);
pub(crate) const FORMER: Address = Address::repeat_byte(0x22);
pub(crate) const STRANGER: Address = Address::repeat_byte(0xee);

pub(crate) fn key(number: u8) -> AnchorKey {
    AnchorKey::from_metadata(&[number; 20]).unwrap()
}

pub(crate) fn id(number: u64) -> AgentId {
    AgentId::new(U256::from(number))
}

pub(crate) fn token(owner: Address, uri: &str) -> Token {
    Token { owner, uri: uri.to_owned(), x402: true, key: None }
}

/// Everything that a decision sees.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    pub(crate) intent: DesiredState,
    pub(crate) slot: Option<Slot>,
    pub(crate) view: View,
    pub(crate) head: Head,
    pub(crate) waited: u32,
}

/// The default agent is wanted, nothing is on chain, five transactions are final and none is under way.
pub(crate) fn quiet() -> Situation {
    let wanted = DesiredAgent {
        agent: AnchoredAgent::Default,
        key: key(1),
        earlier_keys: vec![key(8), key(9)],
        uri: URI.to_owned(),
        readiness: MintReadiness::Ready,
        adopt: None,
        known: None,
        failed: 0,
    };
    Situation {
        intent: DesiredState { account: US, agents: vec![wanted], mint_beside: false },
        slot: None,
        view: View {
            block: Block { number: 9, hash: B256::repeat_byte(9) },
            count: 5,
            agents: BTreeMap::new(),
            unkeyed: BTreeMap::new(),
            tokens: BTreeMap::new(),
        },
        head: Head { mined: 5, pending: 5, base_fee: 10 },
        waited: 0,
    }
}

impl Situation {
    pub(crate) fn decide(&self) -> Decision {
        next(&self.intent, self.slot.as_ref(), &self.view, &self.head, self.waited)
    }

    pub(crate) fn agent(&mut self) -> &mut DesiredAgent {
        &mut self.intent.agents[0]
    }

    /// Adds a second agent, of a host.
    pub(crate) fn with_host(&mut self) -> &mut DesiredAgent {
        let host = DesiredAgent {
            agent: AnchoredAgent::Host(Hostname::parse("audit.example").unwrap()),
            key: key(2),
            uri: HOST_URI.to_owned(),
            ..quiet().intent.agents.remove(0)
        };
        self.intent.agents.push(host);
        self.intent.agents.last_mut().unwrap()
    }

    pub(crate) fn slot(&mut self, nonce: u64, decisions: u32, max_fee: u128) {
        self.slot = Some(Slot { nonce, decisions, max_fee });
    }

    /// Gives the default agent's κ to a token.
    pub(crate) fn on_chain(&mut self, number: u64, token: Token) {
        self.view.agents.insert(key(1), id(number));
        self.view.tokens.insert(id(number), token);
    }
}

/// A decision in words: the step, then each agent's reason.
pub(crate) fn told(decision: &Decision) -> String {
    let step = match &decision.step {
        Step::Wait => "rest".to_owned(),
        Step::Broadcast => "broadcast".to_owned(),
        Step::Release => "forget".to_owned(),
        Step::Sign(reservation) => {
            let what = match reservation.purpose() {
                Purpose::Bump => "bump".to_owned(),
                Purpose::Open { agent, call } => {
                    let call = match call {
                        Call::Mint { uri, key } => format!("mint {uri} {key}"),
                        Call::Adopt { id, key } => format!("adopt {id} {key}"),
                        Call::SetUri { id, uri } => format!("uri {id} {uri}"),
                        Call::SetX402 { id } => format!("x402 {id}"),
                    };
                    let call = call.replace(&key(1).to_string(), "k1");
                    format!("{agent} {}", call.replace(&key(2).to_string(), "k2"))
                }
            };
            format!("sign@{} {what}", reservation.nonce())
        }
    };
    let reasons = decision.agents.iter().map(|(agent, reason)| format!("; {agent} {reason}"));
    step + &reasons.collect::<String>()
}
