//! The whole decision for one chain, pure: what is wanted, what is in flight and what one final block shows, to one step.
//!
//! Safety is the nonce rule and nothing else: a mint of κ is signed only at the transaction count of a final block whose
//! complete evidence holds no mint of κ. Two mints of κ would need two nonces, and when the second was signed, the first
//! stood in final evidence.

use std::collections::BTreeMap;

use alloy::primitives::Address;

use super::{
    evidence::View,
    key::{AnchorKey, AnchoredAgent},
    reason::AnchorReason,
};
use crate::registration::AgentId;

/// How many decisions an unknown pending transaction is waited for, and a known one before its fee is raised.
pub(crate) const BUMP_AFTER_DECISIONS: u32 = 10;
/// How many failed calls are paid for before a person has to look.
pub(crate) const PAID_FAILURES: u32 = 3;

/// What the operator and the catalog want on one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DesiredState {
    /// The account that signs.
    pub(crate) account: Address,
    /// The agents, in the order in which they are served.
    pub(crate) agents: Vec<DesiredAgent>,
    /// Whether to mint although an id is known already.
    pub(crate) mint_beside: bool,
}

/// One agent that should be on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DesiredAgent {
    /// The agent.
    pub(crate) agent: AnchoredAgent,
    /// Its κ there.
    pub(crate) key: AnchorKey,
    /// Its κ of earlier incarnations: a token that carries one of these holds nothing.
    pub(crate) earlier_keys: Vec<AnchorKey>,
    /// Its document's URL.
    pub(crate) uri: String,
    /// Whether it may be minted.
    pub(crate) readiness: MintReadiness,
    /// The token that the operator names for it.
    pub(crate) adopt: Option<AgentId>,
    /// The token that an AgentIdentity names for it.
    pub(crate) known: Option<AgentId>,
    /// How many calls for it in a row were mined and failed.
    pub(crate) failed: u32,
}

/// Whether an agent may be minted. An agent that is on chain stays there whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MintReadiness {
    /// It sells.
    Ready,
    /// Nothing of it is published.
    Tombstone,
    /// Everything of it winds down.
    Draining,
}

/// A call on the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `register(uri, [registrar.key, x402])`
    Mint {
        /// The agentURI.
        uri: String,
        /// κ, carried by the mint itself.
        key: AnchorKey,
    },
    /// `setMetadata(id, "registrar.key", κ)`: counts as the mint of κ.
    Adopt {
        /// The token.
        id: AgentId,
        /// κ.
        key: AnchorKey,
    },
    /// `setAgentURI(id, uri)`
    SetUri {
        /// The token.
        id: AgentId,
        /// The agentURI.
        uri: String,
    },
    /// `setMetadata(id, "x402", …)`
    SetX402 {
        /// The token.
        id: AgentId,
    },
}

/// What was signed and is not settled: one nonce, one call, one or more fees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The nonce.
    pub(crate) nonce: u64,
    /// How many decisions have seen it unmined since it was last signed.
    pub(crate) decisions: u32,
    /// The highest fee it was signed with, wei per gas.
    pub(crate) max_fee: u128,
}

/// What the head says. None of it frees a nonce; it tells what is worth doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Our account's transaction count in the newest block.
    pub(crate) mined: u64,
    /// The same, counting what the node has pending.
    pub(crate) pending: u64,
    /// The newest block's base fee, wei per gas.
    pub(crate) base_fee: u128,
}

/// The right to sign one call at one nonce. Only [`next`] makes one, so the signer cannot be reached without the rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    nonce: u64,
    purpose: Purpose,
}

/// What a reservation is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A call that nothing was signed for yet.
    Open {
        /// For which agent.
        agent: AnchoredAgent,
        /// The call.
        call: Call,
    },
    /// The slot's own call again, with a higher fee.
    Bump,
}

impl Reservation {
    /// The nonce to sign at: our count in a final block.
    pub(crate) fn nonce(&self) -> u64 {
        self.nonce
    }

    /// What to sign.
    pub(crate) fn purpose(&self) -> &Purpose {
        &self.purpose
    }
}

/// The one next thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing now.
    Wait,
    /// Sign, write it down, and send it in a later step.
    Sign(Reservation),
    /// Send the slot's bytes again.
    Broadcast,
    /// The slot's nonce is settled, whoever used it: forget the slot.
    Release,
}

/// A step, and how each agent stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// What to do.
    pub(crate) step: Step,
    /// Why each agent is where it is.
    pub(crate) agents: BTreeMap<AnchoredAgent, AnchorReason>,
}

/// Decides. `waited` counts the decisions that an unknown pending transaction has been waited for.
pub(crate) fn next(
    intent: &DesiredState,
    slot: Option<&Slot>,
    view: &View,
    head: &Head,
    waited: u32,
) -> Decision {
    let needs: Vec<(&DesiredAgent, Need)> =
        intent.agents.iter().map(|wanted| (wanted, capped_need(intent, wanted, view))).collect();
    let mut agents: BTreeMap<AnchoredAgent, AnchorReason> =
        needs.iter().map(|(wanted, need)| (wanted.agent.clone(), need.reason())).collect();
    let first = needs.into_iter().find_map(|(wanted, need)| match need {
        Need::Call(call) => Some((wanted.agent.clone(), call)),
        Need::None(_) => None,
    });
    let step = match slot {
        Some(slot) if slot.nonce < view.count => Step::Release,
        // A final count never falls: this view is older than the one that the slot was signed on.
        Some(slot) if slot.nonce > view.count => Step::Wait,
        Some(slot) if slot.nonce < head.mined => Step::Wait,
        Some(slot) if slot.decisions >= BUMP_AFTER_DECISIONS || head.base_fee > slot.max_fee => {
            Step::Sign(Reservation { nonce: slot.nonce, purpose: Purpose::Bump })
        }
        Some(_) => Step::Broadcast,
        None => match first {
            None => Step::Wait,
            // Mined but not final: signing at the final count now would only fail.
            Some((agent, _)) if head.mined > view.count => {
                agents.insert(agent, AnchorReason::WaitingForFinality);
                Step::Wait
            }
            Some((agent, _)) if head.pending > view.count && waited < BUMP_AFTER_DECISIONS => {
                agents.insert(agent, AnchorReason::PendingUnknown);
                Step::Wait
            }
            Some((agent, call)) => Step::Sign(Reservation {
                nonce: view.count,
                purpose: Purpose::Open { agent, call },
            }),
        },
    };
    Decision { step, agents }
}

enum Need {
    None(AnchorReason),
    Call(Call),
}

impl Need {
    fn reason(&self) -> AnchorReason {
        match self {
            Self::None(reason) => *reason,
            Self::Call(_) => AnchorReason::Pending,
        }
    }
}

/// What is done for one agent: what it needs, unless that was paid for and failed often enough.
fn capped_need(intent: &DesiredState, wanted: &DesiredAgent, view: &View) -> Need {
    match need(intent, wanted, view) {
        Need::Call(_) if wanted.failed >= PAID_FAILURES => Need::None(AnchorReason::Reverted),
        need @ (Need::Call(_) | Need::None(_)) => need,
    }
}

/// What one agent needs on chain, by the view alone.
fn need(intent: &DesiredState, wanted: &DesiredAgent, view: &View) -> Need {
    if let Some(id) = view.agents.get(&wanted.key) {
        return match view.tokens.get(id) {
            Some(token) if token.owner != intent.account => Need::None(AnchorReason::NotOwner),
            Some(token) if token.uri != wanted.uri => {
                Need::Call(Call::SetUri { id: *id, uri: wanted.uri.clone() })
            }
            Some(token) if !token.x402 => Need::Call(Call::SetX402 { id: *id }),
            Some(_) => Need::None(AnchorReason::Anchored),
            // A complete view holds every token that it names.
            None => Need::None(AnchorReason::ViewShort),
        };
    }
    if let Some(id) = wanted.adopt {
        return match view.tokens.get(&id) {
            Some(token) if token.owner == intent.account => {
                Need::Call(Call::Adopt { id, key: wanted.key })
            }
            Some(_) | None => Need::None(AnchorReason::NotOwner),
        };
    }
    if !intent.mint_beside && is_held(wanted, view) {
        return Need::None(AnchorReason::AdoptFirst);
    }
    match wanted.readiness {
        MintReadiness::Ready => Need::Call(Call::Mint { uri: wanted.uri.clone(), key: wanted.key }),
        MintReadiness::Tombstone => Need::None(AnchorReason::Tombstone),
        MintReadiness::Draining => Need::None(AnchorReason::Draining),
    }
}

/// Whether an id is known for the agent that is not ours to decide about: it must be adopted or waived first.
fn is_held(wanted: &DesiredAgent, view: &View) -> bool {
    let earlier =
        |id: &AgentId| wanted.earlier_keys.iter().any(|key| view.agents.get(key) == Some(id));
    let unkeyed = view.unkeyed.get(&wanted.uri);
    wanted.known.iter().chain(unkeyed).any(|id| !earlier(id))
}

#[cfg(test)]
mod tests;
