//! Everything that one decision sees, and what it decides, in words.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};

use crate::{
    anchor::{
        account::InFlight,
        evidence::{Block, Token, View},
        plan::{
            Call, Decision, DesiredAgent, DesiredState, FormerAccount, HeadState, Purpose,
            Reservation, Step, next,
        },
        testing::{US, desired, host, id, in_flight, key, registry},
    },
    registration::AgentName,
};

pub(crate) const URI: &str = "https://seller.example/a";
pub(crate) const HOST_URI: &str = "https://audit.example/a";

pub(crate) fn token(owner: Address, uri: &str) -> Token {
    Token { owner, uri: uri.to_owned(), x402: true, key: None }
}

/// Everything that a decision sees.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    pub(crate) desired: DesiredState,
    pub(crate) in_flight: Option<InFlight>,
    pub(crate) formers: Vec<FormerAccount>,
    pub(crate) view: View,
    pub(crate) head: HeadState,
    pub(crate) waited: u32,
}

/// The default agent is wanted, nothing is on chain, five transactions are final and none is under
/// way.
pub(crate) fn quiet() -> Situation {
    let default = DesiredAgent {
        earlier_keys: vec![key(8), key(9)],
        ..desired(AgentName::Default, key(1), URI)
    };
    Situation {
        desired: DesiredState {
            registry: registry(1),
            account: US,
            agents: vec![default],
            mint_beside: false,
        },
        in_flight: None,
        formers: Vec::new(),
        view: View {
            block: Block { number: 9, hash: B256::repeat_byte(9) },
            count: 5,
            former_counts: BTreeMap::new(),
            agents: BTreeMap::new(),
            duplicates: BTreeMap::new(),
            unkeyed: BTreeMap::new(),
            tokens: BTreeMap::new(),
        },
        head: HeadState { mined: 5, pending: 5, base_fee: 10, tip: 0, balance: 0, is_known: false },
        waited: 0,
    }
}

impl Situation {
    pub(crate) fn decide(&self) -> Decision {
        let Self { desired, in_flight, formers, view, head, waited } = self;
        next(desired, in_flight.as_ref(), formers, view, head, *waited)
    }

    pub(crate) fn agent(&mut self) -> &mut DesiredAgent {
        &mut self.desired.agents[0]
    }

    /// Adds a second agent, of a host.
    pub(crate) fn with_host(&mut self) -> &mut DesiredAgent {
        let host = DesiredAgent {
            earlier_keys: vec![key(8), key(9)],
            ..desired(host("audit.example"), key(2), HOST_URI)
        };
        self.desired.agents.push(host);
        self.desired.agents.last_mut().unwrap()
    }

    pub(crate) fn sent(&mut self, nonce: u64, decisions: u32, max_fee: u128) {
        self.in_flight = Some(in_flight(nonce, decisions, max_fee));
    }

    /// Gives the default agent's κ to a token.
    pub(crate) fn on_chain(&mut self, number: u64, token: Token) {
        self.view.agents.insert(key(1), id(number));
        self.view.tokens.insert(id(number), token);
    }
}

/// A decision in words: the step, then each agent's reason.
pub(crate) fn in_words(decision: &Decision) -> String {
    let step = match &decision.step {
        Step::Wait => "rest".to_owned(),
        Step::Broadcast => "broadcast".to_owned(),
        Step::Release => "forget".to_owned(),
        Step::Confirm(claim) => format!("confirm, {}", signed(claim.reservation())),
        Step::Sign(reservation) => signed(reservation),
    };
    let reasons = decision.agents.iter().map(|(agent, reason)| format!("; {agent} {reason}"));
    step + &reasons.collect::<String>()
}

fn signed(reservation: &Reservation) -> String {
    let what = match reservation.purpose() {
        Purpose::Bump => "bump".to_owned(),
        Purpose::Open { agent, call } => {
            let call = match call {
                Call::Mint { uri, key } => format!("mint {uri} {key}"),
                Call::Adopt { id, key } => format!("adopt {id} {key}"),
                Call::SetUri { id, uri } => format!("uri {id} {uri}"),
                Call::SetDataUri { .. } => call.to_string(),
                Call::SetX402 { id } => format!("x402 {id}"),
            };
            let call = call.replace(&key(1).to_string(), "k1");
            format!("{agent} {}", call.replace(&key(2).to_string(), "k2"))
        }
    };
    format!("sign@{} {what}", reservation.nonce())
}
