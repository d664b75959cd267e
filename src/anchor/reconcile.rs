//! One reconciliation of one account on one chain: prepare a complete plan as a value, then execute
//! it.
//!
//! [`ChainTarget::prepare`] only reads. `anchor plan` prints what it returns; `anchor run` and
//! `serve` execute the same value, so a plan cannot differ from what is done.

use alloy::primitives::B256;
use chrono::{DateTime, Utc};

use super::{
    account::{AccountKey, AccountState, CodeHashes, Observed, PricedCall},
    desired::AnchorPolicy,
    evidence::{Accounts, Block, IncompleteEvidence, View},
    evm::{
        AtBlock, History, ReadRequest, RegistryClient, RpcError, Snapshot, SnapshotCache,
        SnapshotError, calldata,
    },
    facts::id_record,
    fees::{FeeInputs, SpendLimits, compute_fees},
    journal::{JournalError, SharedJournal},
    plan::{Decision, DesiredState, HeadState, Purpose, Reservation, Step, next},
    reason::AnchorReason,
    signer::{Signer, SignerError, Unsigned},
};
use crate::registration::PublishedAgents;

/// One chain that is anchored on.
#[derive(Debug)]
pub(crate) struct ChainTarget {
    pub(crate) client: RegistryClient,
    pub(crate) limits: SpendLimits,
    /// `--accept-registry`: the code to accept in place of what was recorded first; see
    /// [`CodeHashes::combined`].
    pub(crate) accepted_code: Option<B256>,
    /// The registry's events, as far as they have been read.
    pub(crate) history: History,
    /// What was read at heads, for nodes that prune state.
    pub(crate) snapshots: SnapshotCache,
    /// What was last logged, so that a block that lasts for hours is one line and not one per
    /// decision.
    pub(crate) last_blocked: Option<Blocked>,
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
    /// Why nothing is done, or why the call in turn is not signed.
    pub(crate) blocked: Option<Blocked>,
}

/// What is done next.
#[derive(Debug)]
pub(crate) enum Action {
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

/// Why an action is not taken, for people and machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) reason: AnchorReason,
    pub(crate) message: String,
}

/// Why nothing could be decided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlockedError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Evidence(#[from] IncompleteEvidence),
    #[error(
        "the registry's code changed; after a review, accept it with --accept-registry eip155:{chain_id}={hash}"
    )]
    RegistryChanged {
        chain_id: u64,
        /// The hash to accept.
        hash: B256,
    },
}

impl From<RpcError> for BlockedError {
    fn from(error: RpcError) -> Self {
        Self::Snapshot(error.into())
    }
}

impl BlockedError {
    /// The reason that every agent of the chain gets.
    fn reason(&self) -> AnchorReason {
        match self {
            Self::Snapshot(SnapshotError::Rpc(_)) => AnchorReason::Unreachable,
            Self::Snapshot(SnapshotError::NoQuorum { .. }) => AnchorReason::NoQuorum,
            Self::Snapshot(SnapshotError::ChainMismatch { .. } | SnapshotError::Rewritten(_)) => {
                AnchorReason::ChainMismatch
            }
            Self::Snapshot(SnapshotError::StatePruned) => AnchorReason::StatePruned,
            Self::Snapshot(SnapshotError::RegistryMissing(_)) => AnchorReason::RegistryMissing,
            Self::Snapshot(SnapshotError::AccountHasCode(_)) => AnchorReason::AccountHasCode,
            Self::Evidence(_) => AnchorReason::ViewShort,
            Self::RegistryChanged { .. } => AnchorReason::RegistryChanged,
        }
    }
}

/// What was read at one finalized block and at the head, and the decision that follows from it.
struct Decided<'a> {
    at: AtBlock<'a>,
    code: CodeHashes,
    view: View,
    head: HeadState,
    desired: DesiredState,
    decision: Decision,
}

impl ChainTarget {
    /// Reads one finalized block, decides, and prices the decision. Nothing is written and nothing
    /// is sent.
    pub(crate) async fn prepare(&mut self, state: AccountState, intent: Intent<'_>) -> Prepared {
        let registry = self.client.registry;
        let key = AccountKey { registry, account: intent.accounts.current };
        let state = AccountState { account: key.account, ..state };
        let limits = self.limits;
        let client = self.client.clone();
        match self.decide(&state, intent).await {
            Ok(decided) => decided.into_prepared(key, state, &client, &limits, intent).await,
            Err(error) => Prepared::blocked(key, state, intent.policy, &error),
        }
    }

    async fn decide(
        &mut self,
        state: &AccountState,
        intent: Intent<'_>,
    ) -> Result<Decided<'_>, BlockedError> {
        let Intent { policy, accounts, published, .. } = intent;
        let Self { client, history, snapshots, accepted_code, .. } = self;
        let desired = policy.desired(&client.registry, accounts.current, published, state);
        let at = client.at_final().await?;
        if let Some(checkpoint) = state.checkpoint
            && !at.contains(checkpoint).await?
        {
            return Err(SnapshotError::Rewritten(checkpoint.number).into());
        }
        let named =
            desired.agents.iter().flat_map(|agent| agent.adopt.into_iter().chain(agent.known));
        let request = ReadRequest { accounts, named: named.collect() };
        let Snapshot { code, evidence } = client.read(at, history, snapshots, &request).await?;
        let hash = code.combined();
        let is_known =
            state.code.is_none_or(|recorded| recorded == code) || *accepted_code == Some(hash);
        if !is_known {
            let chain_id = client.registry.chain_id;
            return Err(BlockedError::RegistryChanged { chain_id, hash });
        }
        let view = evidence.view(accounts);
        history.judge(view.is_ok());
        let view = view?;
        let head = client.head(at, accounts.current).await?;
        let decision = next(&desired, state.in_flight.as_ref(), &view, &head, state.waited);
        Ok(Decided { at, code, view, head, desired, decision })
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
        let Self { at, code, view, head, desired, decision } = self;
        let Decision { step, agents } = decision;
        let observed =
            Observed { account: key.account, code, balance: head.balance, at: intent.now };
        state.observe(&view, observed, &step);
        let records = desired.agents.iter().map(|desired| {
            let reason = agents.get(&desired.agent).copied().unwrap_or(AnchorReason::NotAsked);
            (desired.agent.clone(), (reason, id_record(desired, &view, intent.accounts)))
        });
        state.record_agents(records.collect());
        let (action, blocked) = match step {
            Step::Wait => {
                state.wait();
                (Action::Wait, None)
            }
            Step::Broadcast => {
                state.count_broadcast();
                (Action::Broadcast, None)
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
        Prepared { key, block: Some(view.block), action, state, blocked }
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

/// What a reserved call costs, or why it is not signed.
async fn price(
    client: &RegistryClient,
    at: AtBlock<'_>,
    state: &AccountState,
    head: HeadState,
    reservation: &Reservation,
    limits: &SpendLimits,
    now: DateTime<Utc>,
) -> Result<PricedCall, Blocked> {
    let to = client.registry.address;
    let (agent, call, data, last, gas) = match (reservation.purpose(), &state.in_flight) {
        (Purpose::Bump, Some(sent)) => {
            (sent.agent.clone(), sent.call.clone(), sent.data.clone(), sent.last_fees(), sent.gas)
        }
        (Purpose::Bump, None) => return Err(AnchorReason::Pending.into()),
        (Purpose::Open { agent, call }, _) => {
            let data = calldata(call);
            let gas = client.estimate(at, state.account, &data).await.map_err(|error| Blocked {
                reason: refusal(&error),
                message: format!("{call} for {agent} is not sent: {error}"),
            })?;
            (agent.clone(), call.to_string(), data, None, gas)
        }
    };
    let inputs = FeeInputs {
        base_fee: head.base_fee,
        tip: head.tip,
        balance: head.balance,
        spent: state.spent.on(now),
    };
    let fees = compute_fees(gas, last, &inputs, limits)?;
    Ok(PricedCall { agent, call, to, data, gas, fees })
}

/// A call that the registry rejects must not be paid for, and neither must one that could not be
/// estimated.
fn refusal(error: &RpcError) -> AnchorReason {
    match error {
        RpcError::Refused { message, .. }
            if message.to_lowercase().contains("insufficient funds") =>
        {
            AnchorReason::NoFunds
        }
        RpcError::Refused { reverted: true, .. } => AnchorReason::WouldRevert,
        RpcError::Refused { .. } | RpcError::Unreadable { .. } => AnchorReason::Unreachable,
    }
}

impl From<AnchorReason> for Blocked {
    fn from(reason: AnchorReason) -> Self {
        Self { reason, message: reason.message().to_owned() }
    }
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
        Self { key, block: None, action: Action::Wait, state, blocked: Some(blocked) }
    }

    /// Whether the next decision need not wait for the interval.
    pub(crate) fn is_final_release(&self) -> bool {
        matches!(self.action, Action::Release)
    }
}

/// Carries out what was prepared. Whatever the nodes reply, a nonce is freed by nothing but a final
/// count.
pub(crate) async fn execute(
    prepared: Prepared,
    target: &mut ChainTarget,
    signer: &Signer,
    journal: &SharedJournal,
    now: DateTime<Utc>,
) -> Result<AccountState, JournalError> {
    let Prepared { key, action, mut state, blocked, .. } = prepared;
    let (chain_id, client) = (key.registry.chain_id, &target.client);
    if let Some(Blocked { reason, message }) = &blocked
        && blocked != target.last_blocked
    {
        tracing::warn!(chain.id = chain_id, anchor.reason = %reason, "Nothing is signed: {message}");
    }
    target.last_blocked = blocked;
    match action {
        Action::Wait | Action::Release => {}
        Action::Broadcast => broadcast(client, &mut state).await,
        Action::Sign(reserved) => match sign(*reserved, chain_id, signer, now, &mut state) {
            Ok(()) => {
                // Recorded before it is sent: after a crash the same bytes are sent again.
                journal.write(key, &state).await?;
                state.count_broadcast();
                broadcast(client, &mut state).await;
            }
            Err(error) => tracing::error!(
                chain.id = chain_id,
                error = &error as &dyn std::error::Error,
                "Nothing is signed: the signer failed"
            ),
        },
    }
    journal.write(key, &state).await?;
    Ok(state)
}

/// Signs a call and records the signature in the state, or records that the signer failed.
fn sign(
    reserved: ReservedCall,
    chain_id: u64,
    signer: &Signer,
    now: DateTime<Utc>,
    state: &mut AccountState,
) -> Result<(), SignerError> {
    let ReservedCall { reservation, call } = reserved;
    let PricedCall { to, ref data, gas, fees, .. } = call;
    match signer.sign(&reservation, Unsigned { chain_id, to, data, gas, fees }) {
        Ok(signed) => {
            tracing::info!(
                chain.id = chain_id,
                tx.hash = %signed.hash,
                tx.nonce = reservation.nonce(),
                "Signed {} for {}", call.call, call.agent
            );
            state.record_signature(&reservation, call, signed.hash, signed.raw, now);
            Ok(())
        }
        Err(error) => {
            state.set_reason(&call.agent, AnchorReason::SignerFailed);
            Err(error)
        }
    }
}

/// Sends the recorded bytes, unless a node has them already.
async fn broadcast(client: &RegistryClient, state: &mut AccountState) {
    let Some(last) = state.in_flight.as_ref().and_then(|sent| sent.attempts.last()) else { return };
    let (hash, raw) = (last.hash, last.raw.clone());
    if client.is_known(hash).await {
        return;
    }
    for refusal in client.broadcast(&raw).await {
        // The only use of an error's text: paying more at the same nonce.
        if refusal.to_string().to_lowercase().contains("underpriced") {
            state.bump_next();
        }
        tracing::info!(chain.id = client.registry.chain_id, tx.hash = %hash, "{refusal}");
    }
}
