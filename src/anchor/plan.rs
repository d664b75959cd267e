//! The whole decision for one account on one chain: what is desired, what is in flight and what one
//! finalized block shows, to one next step. Pure.
//!
//! Safety is the nonce rule and nothing else: a mint of κ is signed at nonce n only if one
//! finalized block shows exactly n transactions from the account, and its complete evidence
//! contains no mint of κ. Two mints of κ would need two nonces, and when the second was signed, the
//! first would have been in that evidence.
//!
//! That argument is about one account and one truthful view. So nothing is minted while a former
//! account may still mint ([`FormerAccount`]), and a mint is signed only if a majority of the
//! endpoints confirms the view ([`Unconfirmed`]).

mod confirm;
mod uri;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use alloy::primitives::Address;

use self::uri::{UriNeed, needed_uri};
pub(crate) use self::{
    confirm::{Denial, Testimony, Unconfirmed, is_decided},
    uri::{Retirement, UriForm},
};
use super::{
    account::InFlight, evidence::View, fees::Budget, key::AnchorKey, reason::AnchorReason,
};
use crate::registration::{
    AgentId, AgentName, AgentRegistry, ChainDocument, DATA_URI_PREFIX, Selling,
};

/// How many decisions an unknown pending transaction is waited for, and a known one before its fee
/// is raised.
pub(crate) const BUMP_AFTER_DECISIONS: u32 = 10;
/// How many failed calls in a row are paid for before a person has to look.
pub(crate) const PAID_FAILURES: u32 = 3;

/// What should be on one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DesiredState {
    pub(crate) registry: AgentRegistry,
    /// The account that signs.
    pub(crate) account: Address,
    /// In the order in which they are served.
    pub(crate) agents: Vec<DesiredAgent>,
    /// Whether to mint although an id is known already.
    pub(crate) mint_beside: bool,
}

/// One agent that should be on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DesiredAgent {
    pub(crate) agent: AgentName,
    /// Its κ in this registry.
    pub(crate) key: AnchorKey,
    /// Its κ of earlier incarnations: a token that carries one of these does not hold the agent.
    pub(crate) earlier_keys: Vec<AnchorKey>,
    /// The URL of its document.
    pub(crate) uri: String,
    /// What its agentURI should be.
    pub(crate) form: UriForm,
    /// What its document says, if that is written on chain; `None` also if it is not known.
    pub(crate) document: Option<ChainDocument>,
    /// What an operator said about its retirement.
    pub(crate) retirement: Option<Retirement>,
    /// Whether it may be minted.
    pub(crate) selling: Selling,
    /// The token that the operator names for it (`--adopt`).
    pub(crate) adopt: Option<AgentId>,
    /// The token that an AgentIdentity names for it.
    pub(crate) known: Option<AgentId>,
    /// What cannot be read in the AgentIdentity that describes it: it may name an id, too.
    pub(crate) unclear: Option<String>,
    /// How many calls for it were mined and failed, in a row.
    pub(crate) failed: u32,
}

/// A call on the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `register(uri, [registrar.key, x402])`; the mint itself carries κ.
    Mint { uri: String, key: AnchorKey },
    /// `setMetadata(id, "registrar.key", κ)`: counts as the mint of κ.
    Adopt { id: AgentId, key: AnchorKey },
    /// `setAgentURI(id, uri)`
    SetUri { id: AgentId, uri: String },
    /// The same with a `data:` URI that is renewed, which has a budget of its own.
    SetDataUri { id: AgentId, uri: String },
    /// `setMetadata(id, "x402", …)`
    SetX402 { id: AgentId },
}

/// What the head shows. It may be undone, so none of it frees a nonce; it only shows what is worth
/// doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadState {
    /// The account's transaction count in the newest block.
    pub(crate) mined: u64,
    /// The same, including what the node has pending.
    pub(crate) pending: u64,
    /// The newest block's base fee, wei per gas.
    pub(crate) base_fee: u128,
    /// The priority fee that the node suggests, wei per gas.
    pub(crate) tip: u128,
    /// The account's balance, wei.
    pub(crate) balance: u128,
    /// Whether some node knows the last signature of the transaction in flight, pending or mined.
    pub(crate) is_known: bool,
}

/// An account that signed before a key rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FormerAccount {
    /// Its transaction count in the finalized block.
    pub(crate) final_count: u64,
    /// Its transaction count including what nodes have pending.
    pub(crate) pending: u64,
    /// The nonce of its transaction in flight, by the journal.
    pub(crate) recorded: Option<u64>,
}

impl FormerAccount {
    /// Whether it may still mint: what it signed stays valid until another transaction at that
    /// nonce is final.
    pub(crate) fn is_busy(&self) -> bool {
        self.pending > self.final_count || self.holds_recorded()
    }

    /// Whether the transaction that the journal records can still be included.
    pub(crate) fn holds_recorded(&self) -> bool {
        self.recorded.is_some_and(|nonce| nonce >= self.final_count)
    }
}

/// The right to sign one call at one nonce. Only [`next`] and [`Unconfirmed::judge`] create one, so
/// the signer cannot be reached without the rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    nonce: u64,
    purpose: Purpose,
}

/// What a reservation is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A call that nothing has been signed for.
    Open { agent: AgentName, call: Call },
    /// The in-flight call again, with a higher fee.
    Bump,
}

impl Reservation {
    /// The account's transaction count in a finalized block.
    pub(crate) fn nonce(&self) -> u64 {
        self.nonce
    }

    pub(crate) fn purpose(&self) -> &Purpose {
        &self.purpose
    }
}

/// The one next thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait,
    /// Have the other endpoints confirm that the agent is not on chain yet, then sign.
    Confirm(Unconfirmed),
    /// Sign, record, and send.
    Sign(Reservation),
    /// Send the recorded bytes again.
    Broadcast,
    /// The in-flight nonce is final, whoever used it: release it.
    Release,
}

impl Step {
    /// The name that the journal and `anchor plan` use.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Wait => "rest",
            Self::Confirm(_) | Self::Sign(_) => "sign",
            Self::Broadcast => "broadcast",
            Self::Release => "forget",
        }
    }
}

/// A step, and each agent's reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) step: Step,
    pub(crate) agents: BTreeMap<AgentName, AnchorReason>,
    /// What an agent's reason is about in this case, for people.
    pub(crate) details: BTreeMap<AgentName, String>,
    /// Whether nothing is in flight or needed, so that the decision stays the same until a new
    /// block is final or something else is desired.
    pub(crate) is_settled: bool,
}

/// Decides. `waited` counts the decisions that an unknown pending transaction has been waited for.
pub(crate) fn next(
    desired: &DesiredState,
    in_flight: Option<&InFlight>,
    formers: &[FormerAccount],
    view: &View,
    head: &HeadState,
    waited: u32,
) -> Decision {
    let is_busy = formers.iter().any(FormerAccount::is_busy);
    let needs: Vec<(&DesiredAgent, Need)> = desired
        .agents
        .iter()
        .map(|agent| (agent, permitted_need(desired, agent, view, is_busy)))
        .collect();
    let mut agents: BTreeMap<AgentName, AnchorReason> =
        needs.iter().map(|(desired, need)| (desired.agent.clone(), need.reason())).collect();
    let details = needs.iter().filter_map(|(desired, need)| {
        let Need::None(_, Some(detail)) = need else { return None };
        Some((desired.agent.clone(), detail.clone()))
    });
    let details = details.collect();
    let calls = needs.into_iter().filter_map(|(desired, need)| match need {
        Need::Call(call) => Some((desired.agent.clone(), call)),
        Need::None(..) => None,
    });
    // What an agent's `data:` URI says can wait, and no other call waits for its budget.
    let first = calls.min_by_key(|(_, call)| call.budget() == Budget::AgentUri);
    // A former account's transaction moves without a decision of ours.
    let is_settled = in_flight.is_none() && first.is_none() && !is_busy;
    let step = match (in_flight, first) {
        (Some(sent), _) => follow_up(sent, view, head),
        (None, None) => Step::Wait,
        // Mined but not final: signing at the final count now would only fail.
        (None, Some((agent, _))) if head.mined > view.count => {
            agents.insert(agent, AnchorReason::WaitingForFinality);
            Step::Wait
        }
        (None, Some((agent, _))) if head.pending > view.count && waited < BUMP_AFTER_DECISIONS => {
            agents.insert(agent, AnchorReason::PendingUnknown);
            Step::Wait
        }
        (None, Some((agent, call))) => {
            let key = call.claimed_key();
            let purpose = Purpose::Open { agent: agent.clone(), call };
            let reservation = Reservation { nonce: view.count, purpose };
            match key {
                Some(key) => Step::Confirm(Unconfirmed::new(reservation, agent, key, view)),
                None => Step::Sign(reservation),
            }
        }
    };
    Decision { step, agents, details, is_settled }
}

impl Call {
    /// What it counts against.
    pub(crate) fn budget(&self) -> Budget {
        match self {
            Self::SetDataUri { .. } => Budget::AgentUri,
            Self::Mint { .. } | Self::Adopt { .. } | Self::SetUri { .. } | Self::SetX402 { .. } => {
                Budget::Daily
            }
        }
    }

    /// The κ that it gives to a token: it must not be given a second time.
    fn claimed_key(&self) -> Option<AnchorKey> {
        match self {
            Self::Mint { key, .. } | Self::Adopt { key, .. } => Some(*key),
            Self::SetUri { .. } | Self::SetDataUri { .. } | Self::SetX402 { .. } => None,
        }
    }
}

/// What to do about the transaction in flight.
fn follow_up(sent: &InFlight, view: &View, head: &HeadState) -> Step {
    if sent.nonce < view.count {
        return Step::Release;
    }
    // A final count never falls, so a smaller one is an older view than the one that the
    // transaction was signed on.
    if sent.nonce > view.count || sent.nonce < head.mined {
        return Step::Wait;
    }
    // Paying more for nothing helps nobody: the market must have moved, or no node have it pending,
    // which is also so after it was called underpriced.
    let is_late = sent.decisions >= BUMP_AFTER_DECISIONS
        && (!head.is_known || sent.is_outbid(head.base_fee, head.tip));
    if is_late || head.base_fee > sent.max_fee() {
        return Step::Sign(Reservation { nonce: sent.nonce, purpose: Purpose::Bump });
    }
    Step::Broadcast
}

enum Need {
    /// Nothing, for a reason, and what that is about in this case.
    None(AnchorReason, Option<String>),
    Call(Call),
}

impl From<AnchorReason> for Need {
    fn from(reason: AnchorReason) -> Self {
        Self::None(reason, None)
    }
}

impl Need {
    fn reason(&self) -> AnchorReason {
        match self {
            Self::None(reason, _) => *reason,
            Self::Call(_) => AnchorReason::Pending,
        }
    }
}

/// What one agent needs, unless calls for it have failed too often, or it would be minted while a
/// former account may mint it.
fn permitted_need(
    desired: &DesiredState,
    agent: &DesiredAgent,
    view: &View,
    is_former_busy: bool,
) -> Need {
    match need(desired, agent, view) {
        Need::Call(_) if agent.failed >= PAID_FAILURES => AnchorReason::Reverted.into(),
        Need::Call(call) if is_former_busy && call.claimed_key().is_some() => {
            AnchorReason::FormerAccountBusy.into()
        }
        need @ (Need::Call(_) | Need::None(..)) => need,
    }
}

/// What one agent needs on chain, by the view alone.
fn need(desired: &DesiredState, agent: &DesiredAgent, view: &View) -> Need {
    if let Some(id) = view.agents.get(&agent.key) {
        return match view.tokens.get(id) {
            Some(token) if token.owner != desired.account => AnchorReason::NotOwner.into(),
            Some(token) => match needed_uri(&desired.registry, agent, *id, &token.uri) {
                UriNeed::Set(call) => Need::Call(call),
                UriNeed::Retired => AnchorReason::Retired.into(),
                UriNeed::Kept if !token.x402 => Need::Call(Call::SetX402 { id: *id }),
                UriNeed::Kept => match view.duplicates.get(&agent.key) {
                    Some(others) => Need::None(AnchorReason::DuplicateMint, Some(listed(others))),
                    None => AnchorReason::Anchored.into(),
                },
            },
            // A complete view contains every token that it names.
            None => AnchorReason::ViewShort.into(),
        };
    }
    if agent.retirement.as_ref().is_some_and(Retirement::is_retired) {
        return AnchorReason::Retired.into();
    }
    if let Some(id) = agent.adopt {
        return match view.tokens.get(&id) {
            Some(token) if token.owner == desired.account => {
                Need::Call(Call::Adopt { id, key: agent.key })
            }
            Some(_) | None => AnchorReason::NotOwner.into(),
        };
    }
    if !desired.mint_beside {
        if let Some(wrong) = &agent.unclear {
            return Need::None(AnchorReason::IdentityUnclear, Some(wrong.clone()));
        }
        if let Some(id) = unclaimed_id(agent, view) {
            return Need::None(
                AnchorReason::AdoptFirst,
                Some(adopt_advice(desired, agent, id, view)),
            );
        }
    }
    match agent.selling {
        Selling::Open => Need::Call(Call::Mint { uri: agent.uri.clone(), key: agent.key }),
        Selling::Nothing => AnchorReason::Tombstone.into(),
        Selling::Draining => AnchorReason::Draining.into(),
    }
}

/// An id that is known for the agent and does not carry a κ of ours: it must be adopted or waived
/// first.
fn unclaimed_id(agent: &DesiredAgent, view: &View) -> Option<AgentId> {
    let earlier =
        |id: &AgentId| agent.earlier_keys.iter().any(|key| view.agents.get(key) == Some(id));
    let unkeyed = view.unkeyed.get(&agent.uri);
    agent.known.iter().chain(unkeyed).copied().find(|id| !earlier(id))
}

/// Which id is known, and what exactly to do about it. Only a token of the account can be adopted.
fn adopt_advice(desired: &DesiredState, agent: &DesiredAgent, id: AgentId, view: &View) -> String {
    let host = match &agent.agent {
        AgentName::Default => String::new(),
        AgentName::Host(host) => format!("/{host}"),
    };
    let flag = format!("--adopt eip155:{}{host}={id}", desired.registry.chain_id);
    match view.tokens.get(&id).map(|token| token.owner) {
        Some(owner) if owner == desired.account => format!(
            "agentId {id} is already known for this agent. Take it over with {flag}, or mint a second one with --mint-beside."
        ),
        Some(owner) => format!(
            "agentId {id} is already known for this agent, but {owner} owns it. Mint a new one with --mint-beside; or transfer the token to {} first, then give {flag}.",
            desired.account
        ),
        None => format!(
            "agentId {id} is already known for this agent, but the registry has no such token. Correct what names it, or mint a new one with --mint-beside."
        ),
    }
}

fn listed(ids: &BTreeSet<AgentId>) -> String {
    let ids: Vec<String> = ids.iter().map(AgentId::to_string).collect();
    format!(
        "The account also holds agentId {}, which carries the same key. The older one is kept and published. Find out which process minted the other one, then give that token away.",
        ids.join(", ")
    )
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mint { uri, key } => write!(f, "register({uri:?}, [registrar.key {key}, x402])"),
            Self::Adopt { id, key } => write!(f, "setMetadata({id}, \"registrar.key\", {key})"),
            Self::SetUri { id, uri } | Self::SetDataUri { id, uri } => {
                match uri.strip_prefix(DATA_URI_PREFIX) {
                    // Thousands of characters that say nothing to people.
                    Some(data) => {
                        write!(
                            f,
                            "setAgentURI({id}, \"{DATA_URI_PREFIX}…\" ({} bytes))",
                            data.len()
                        )
                    }
                    None => write!(f, "setAgentURI({id}, {uri:?})"),
                }
            }
            Self::SetX402 { id } => write!(f, "setMetadata({id}, \"x402\", …)"),
        }
    }
}

#[cfg(test)]
mod tests;
