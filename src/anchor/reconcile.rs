//! One reconciliation of one account on one chain: prepare a complete plan as a value, then execute
//! it.
//!
//! [`ChainTarget::prepare`] only reads. `anchor plan` prints what it returns; `anchor run` and
//! `serve` execute the same value, so a plan cannot differ from what is done.

mod blocked;
mod execute;
mod price;
mod reading;

use alloy::primitives::B256;
use chrono::{DateTime, Utc};

pub(crate) use self::{
    blocked::{Blocked, BlockedError},
    execute::execute,
};
use self::{
    price::price,
    reading::{Decided, Reading},
};
use super::{
    account::{AccountKey, AccountState, AgentFinding, Attempt, Observed, PricedCall},
    desired::{AnchorPolicy, Remembered},
    evidence::{Accounts, Block},
    evm::{Histories, RegistryClient, SavedReading, ScanObserver, SnapshotCache},
    facts::id_record,
    fees::SpendLimits,
    journal::Recalled,
    plan::{Decision, DesiredState, Purpose, Reservation, Step, UriForm},
    reason::AnchorReason,
    signer::SigningPolicy,
};
use crate::registration::{AgentRegistry, PublishedAgents};

/// One chain that is anchored on.
#[derive(Debug)]
pub(crate) struct ChainTarget {
    pub(crate) client: RegistryClient,
    pub(crate) limits: SpendLimits,
    /// What to review before anything is signed, for people.
    pub(crate) warnings: Vec<String>,
    /// `--accept-registry`: the code to accept in place of what was recorded first; see
    /// [`CodeHashes::combined`].
    pub(crate) accepted_code: Option<B256>,
    /// The registry's events, as far as each endpoint was asked for them.
    pub(crate) histories: Histories,
    /// What was read at heads, for nodes that prune state.
    pub(crate) snapshots: SnapshotCache,
    /// What was last logged, so that a block that lasts for hours is one line and not one per
    /// decision.
    pub(crate) last_blocked: Option<Blocked>,
    /// What was decided last, if it holds until something changes.
    pub(crate) settled: Option<Settled>,
    /// How many tokens of ours carry a key that an older one carries.
    pub(crate) duplicates: usize,
}

/// A decision that left nothing to do, and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The finalized block of that decision.
    block: Block,
    desired: DesiredState,
}

/// Who asks for what: the inputs of a reconciliation that do not come from the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intent<'a> {
    pub(crate) policy: &'a AnchorPolicy,
    pub(crate) accounts: &'a Accounts,
    pub(crate) published: &'a PublishedAgents,
    pub(crate) now: DateTime<Utc>,
}

/// The next action on one chain, the account's state after it, and every agent's reason.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) key: AccountKey,
    /// The finalized block it was decided at; `None` if nothing could be decided.
    pub(crate) block: Option<Block>,
    pub(crate) action: Action,
    /// The state after the action. A signature is added to it when the action is executed.
    pub(crate) state: AccountState,
    /// Signatures of former accounts that may still be included: nothing is minted before their
    /// nonces are final, so they are sent again.
    pub(crate) former: Vec<Attempt>,
    /// Why nothing is done, or why the call in turn is not signed.
    pub(crate) blocked: Option<Blocked>,
}

/// What is done next.
#[derive(Debug)]
pub(crate) enum Action {
    /// The last decision still holds: nothing was read, and there is nothing to record.
    Rest,
    Wait,
    /// Sign the call at the reserved nonce, record it, send it.
    Sign(Box<ReservedCall>),
    /// Send the recorded bytes again.
    Broadcast,
    /// The in-flight nonce is final. The state no longer contains it, so the next decision need not
    /// wait.
    Release,
}

/// A priced call and the right to sign it.
#[derive(Debug)]
pub(crate) struct ReservedCall {
    pub(crate) reservation: Reservation,
    pub(crate) call: PricedCall,
}

/// What a decision comes to.
enum Decidable<'a> {
    /// The last decision still holds, at this block.
    Settled(Block),
    Decided(Box<Decided<'a>>),
}

impl ChainTarget {
    /// What may be signed for this chain.
    pub(crate) fn signing_policy(&self) -> SigningPolicy {
        let AgentRegistry { chain_id, address } = self.client.registry;
        let SpendLimits { max_fee, daily_budget, uri_budget } = self.limits;
        let max_cost = daily_budget.max(uri_budget);
        SigningPolicy { chain_id, registry: address, max_fee, max_cost }
    }

    /// Continues where reading the chain stopped, and has an observer told of the progress. The last
    /// decision is not taken to hold: the journal may have been another process's since.
    pub(crate) fn resume(&mut self, saved: &SavedReading, observer: ScanObserver) {
        self.settled = None;
        self.histories.resume(&saved.scans);
        self.snapshots.resume(&saved.noted_heads);
        self.histories.observe(observer);
    }

    /// Reads one finalized block, decides, and prices the decision. Nothing is written and nothing
    /// is sent.
    pub(crate) async fn prepare(&mut self, recalled: Recalled, intent: Intent<'_>) -> Prepared {
        let registry = self.client.registry;
        let key = AccountKey { registry, account: intent.accounts.current };
        let state = AccountState { account: key.account, ..recalled.state };
        let recalled = Recalled { state, ..recalled };
        let limits = self.limits;
        let client = self.client.clone();
        match self.decide(&recalled, intent).await {
            Ok(Decidable::Settled(block)) => Prepared::settled(key, recalled.state, block),
            Ok(Decidable::Decided(decided)) => {
                decided.into_prepared(key, recalled.state, &client, &limits, intent).await
            }
            Err(error) => Prepared::blocked(key, recalled.state, intent.policy, &error),
        }
    }

    async fn decide(
        &mut self,
        recalled: &Recalled,
        intent: Intent<'_>,
    ) -> Result<Decidable<'_>, BlockedError> {
        let Intent { policy, accounts, published, now } = intent;
        let state = &recalled.state;
        let Self { client, histories, snapshots, accepted_code, settled, duplicates, .. } = self;
        let remembered = Remembered { state, retirements: &recalled.retirements };
        let desired =
            policy.desired(&client.registry, accounts.current, published, remembered, now);
        let candidates = client.at_final().await?;
        let block = candidates[0].block();
        let at = Settled { block, desired };
        if state.in_flight.is_none() && settled.as_ref() == Some(&at) {
            return Ok(Decidable::Settled(at.block));
        }
        *settled = None;
        let Settled { desired, .. } = at;
        let mut reading = Reading {
            client,
            candidates: &candidates,
            histories,
            snapshots,
            accepted_code: *accepted_code,
            duplicates,
        };
        let decided = reading.decide(&desired, recalled, accounts).await?;
        if decided.decision.is_settled {
            *settled = Some(Settled { block, desired });
        }
        Ok(Decidable::Decided(Box::new(decided)))
    }
}

impl Decided<'_> {
    async fn into_prepared(
        self,
        key: AccountKey,
        mut state: AccountState,
        client: &RegistryClient,
        limits: &SpendLimits,
        intent: Intent<'_>,
    ) -> Prepared {
        let Self { at, code, view, head, desired, decision, former, denied } = self;
        let Decision { step, agents, mut details, is_settled: _ } = decision;
        let observed =
            Observed { account: key.account, code, balance: head.balance, at: intent.now };
        state.observe(&view, observed, &step);
        state.record_minted(desired.agents.iter().map(|desired| desired.key), &view);
        let findings = desired.agents.iter().map(|desired| {
            let finding = AgentFinding {
                reason: agents.get(&desired.agent).copied().unwrap_or(AnchorReason::NotAsked),
                detail: details.remove(&desired.agent),
                id: id_record(desired, &view, intent.accounts),
            };
            (desired.agent.clone(), finding)
        });
        state.record_agents(findings.collect());
        for agent in &desired.agents {
            if let (UriForm::Data { .. }, Some(document)) = (agent.form, &agent.document) {
                let digest = document.digest(&desired.registry);
                state.note_content(&agent.agent, digest, intent.now);
            }
        }
        let (action, blocked) = match step {
            // `confirmed` leaves no such step.
            Step::Wait | Step::Confirm(_) => {
                let saw_unknown = agents.values().any(|said| *said == AnchorReason::PendingUnknown);
                state.wait(saw_unknown);
                (Action::Wait, denied.map(|denied| denied.blocked))
            }
            Step::Broadcast => {
                state.count_broadcast();
                (if head.is_known { Action::Wait } else { Action::Broadcast }, None)
            }
            Step::Release => match client.outcome(state.in_flight.as_ref()).await {
                Ok(outcome) => {
                    state.release(outcome);
                    (Action::Release, None)
                }
                Err(error) => {
                    return Prepared::blocked(key, state, intent.policy, &error.into());
                }
            },
            Step::Sign(reservation) => {
                let priced = price(client, at, &state, head, &reservation, limits, intent.now);
                match priced.await {
                    Ok(call) => (Action::Sign(Box::new(ReservedCall { reservation, call })), None),
                    Err(blocked) => (unsigned(&mut state, &reservation, &blocked), Some(blocked)),
                }
            }
        };
        Prepared { key, block: Some(view.block), action, state, former, blocked }
    }
}

/// What is done when the call in turn is not signed: bytes that cannot be replaced are still worth
/// sending.
fn unsigned(state: &mut AccountState, reservation: &Reservation, blocked: &Blocked) -> Action {
    let agent = match (reservation.purpose(), &state.in_flight) {
        (Purpose::Open { agent, .. }, _) => Some(agent.clone()),
        (Purpose::Bump, sent) => sent.as_ref().map(|sent| sent.agent.clone()),
    };
    if let Some(agent) = agent {
        state.set_reason(&agent, blocked.reason);
    }
    if state.in_flight.is_none() {
        return Action::Wait;
    }
    state.count_broadcast();
    Action::Broadcast
}

impl Prepared {
    fn blocked(
        key: AccountKey,
        mut state: AccountState,
        policy: &AnchorPolicy,
        error: &BlockedError,
    ) -> Self {
        let blocked = Blocked { reason: error.reason(), message: error.to_string() };
        state.block(policy.agents(), blocked.reason);
        let former = Vec::new();
        Self { key, block: None, action: Action::Wait, state, former, blocked: Some(blocked) }
    }

    fn settled(key: AccountKey, state: AccountState, block: Block) -> Self {
        let (action, former) = (Action::Rest, Vec::new());
        Self { key, block: Some(block), action, state, former, blocked: None }
    }

    /// Whether the next decision need not wait for the interval.
    pub(crate) fn is_final_release(&self) -> bool {
        matches!(self.action, Action::Release)
    }
}
