//! One chain's round: look, decide, write down, act. A shell no bigger than the decision.

use alloy::primitives::{B256, Bytes, U256, keccak256};
use chrono::{DateTime, Utc};

use super::{
    evidence::{Accounts, IncompleteEvidence, View},
    evm::{
        AtBlock, HeadState, History, ReadRequest, RegistryClient, RpcError, Snapshot,
        SnapshotCache, SnapshotError, calldata,
    },
    facts,
    fees::{FeeInputs, Fees, SpendLimits, compute_fees},
    journal::{AccountState, AgentNote, Attempt, CodeHashes, IdNote, InFlight, Spent},
    key::AnchoredAgent,
    plan::{Call, Decision, DesiredAgent, DesiredState, Purpose, Reservation, Slot, Step, next},
    reason::AnchorReason,
    signer::{Signer, Unsigned},
};
use crate::telemetry::ChainStats;

/// One chain that is anchored on.
#[derive(Debug)]
pub(crate) struct ChainTarget {
    /// The chain's registry and nodes.
    pub(crate) chain: RegistryClient,
    /// What may be spent there.
    pub(crate) allowance: SpendLimits,
    /// The code that the operator accepts in place of what was first noted: [`code_hash`].
    pub(crate) accepted: Option<B256>,
    /// What was read of its events.
    pub(crate) history: History,
    /// What was read at heads, for nodes that prune.
    pub(crate) notes: SnapshotCache,
}

/// Why a round ended without a decision.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlockedError {
    /// The chain could not be read.
    #[error(transparent)]
    SnapshotError(#[from] SnapshotError),
    /// The evidence is not complete.
    #[error(transparent)]
    IncompleteEvidence(#[from] IncompleteEvidence),
    /// The registry's code is not what it was.
    #[error(
        "the registry's code changed: accept it with --accept-registry eip155:{chain_id}={hash}"
    )]
    RegistryChanged {
        /// The chain.
        chain_id: u64,
        /// The hash to accept.
        hash: B256,
    },
}

impl From<RpcError> for BlockedError {
    fn from(error: RpcError) -> Self {
        Self::SnapshotError(error.into())
    }
}

impl BlockedError {
    /// The reason that every agent of the chain gets.
    pub(crate) fn reason(&self) -> AnchorReason {
        match self {
            Self::SnapshotError(SnapshotError::RpcError(_)) => AnchorReason::Unreachable,
            Self::SnapshotError(SnapshotError::NoQuorum { .. }) => AnchorReason::NoQuorum,
            Self::SnapshotError(
                SnapshotError::ChainMismatch { .. } | SnapshotError::Rewritten(_),
            ) => AnchorReason::ChainMismatch,
            Self::SnapshotError(SnapshotError::StatePruned) => AnchorReason::StatePruned,
            Self::SnapshotError(SnapshotError::RegistryMissing(_)) => AnchorReason::RegistryMissing,
            Self::SnapshotError(SnapshotError::AccountHasCode(_)) => AnchorReason::AccountHasCode,
            Self::IncompleteEvidence(_) => AnchorReason::ViewShort,
            Self::RegistryChanged { .. } => AnchorReason::RegistryChanged,
        }
    }
}

/// What one look at the chain shows, and what it means.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    /// The node and the block.
    pub(crate) at: AtBlock<'a>,
    /// The complete view.
    pub(crate) view: View,
    /// The head.
    pub(crate) outlook: HeadState,
    /// What is wanted.
    pub(crate) intent: DesiredState,
    /// The step, and each agent's reason.
    pub(crate) decision: Decision,
    code: CodeHashes,
}

/// A call with its compute_fees, ready to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Priced {
    /// For which agent.
    pub(crate) agent: String,
    /// The call, for people.
    pub(crate) call: String,
    /// What to sign.
    pub(crate) unsigned: Unsigned,
}

/// The hash that stands for both codes of a registry: what `--accept-registry` takes.
pub(crate) fn code_hash(code: &CodeHashes) -> B256 {
    keccak256([code.proxy.as_slice(), code.implementation.as_slice()].concat())
}

impl ChainTarget {
    /// Looks at the chain and decides. Nothing is written and nothing sent.
    pub(crate) async fn look(
        &mut self,
        lane: &AccountState,
        mut wanted: Vec<DesiredAgent>,
        accounts: &Accounts,
        mint_beside: bool,
    ) -> Result<Look<'_>, BlockedError> {
        for wanted in &mut wanted {
            wanted.failed =
                lane.agents.get(&wanted.agent.to_string()).map_or(0, |note| note.reverts);
        }
        let Self { chain, history, notes, accepted, .. } = self;
        let at = chain.at_final().await?;
        if let Some(checkpoint) = lane.checkpoint
            && !at.stands_on(checkpoint).await?
        {
            return Err(SnapshotError::Rewritten(checkpoint.number).into());
        }
        let named =
            wanted.iter().flat_map(|wanted| wanted.adopt.into_iter().chain(wanted.known)).collect();
        let question = ReadRequest { accounts, named };
        let Snapshot { code, evidence } = chain.read(at, history, notes, &question).await?;
        let known =
            lane.code.is_none_or(|noted| noted == code) || *accepted == Some(code_hash(&code));
        if !known {
            return Err(BlockedError::RegistryChanged {
                chain_id: chain.registry.chain_id,
                hash: code_hash(&code),
            });
        }
        let view = evidence.view(accounts);
        history.judged(view.is_ok());
        let view = view?;
        let outlook = chain.outlook(at, accounts.current).await?;
        let intent = DesiredState { account: accounts.current, agents: wanted, mint_beside };
        let slot = lane.slot.as_ref().map(InFlight::as_slot);
        let decision = next(&intent, slot.as_ref(), &view, &outlook.head, lane.waited);
        Ok(Look { at, view, outlook, intent, decision, code })
    }
}

impl Look<'_> {
    /// SnapshotCache what was seen and how each agent stands.
    pub(crate) fn note(&self, lane: &mut AccountState, accounts: &Accounts, now: DateTime<Utc>) {
        lane.account = accounts.current;
        // The slot's own nonce is counted when it closes; others that were settled since, nobody here signed for.
        if !lane.decided_at.is_empty() {
            let settled = lane.settled_count..self.view.count;
            let own = lane.slot.as_ref().is_some_and(|slot| settled.contains(&slot.nonce));
            let others = self.view.count.saturating_sub(lane.settled_count);
            lane.foreign_nonces += others.saturating_sub(u64::from(own));
        }
        lane.code = Some(self.code);
        lane.settled_count = self.view.count;
        lane.settled_block = self.view.block.number;
        lane.checkpoint = Some(self.view.block);
        lane.balance = self.outlook.balance.to_string();
        lane.decided_at = now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        lane.step = self.decision.step.name().to_owned();
        for wanted in &self.intent.agents {
            let reason =
                self.decision.agents.get(&wanted.agent).copied().unwrap_or(AnchorReason::NotAsked);
            let note = lane.agents.entry(wanted.agent.to_string()).or_insert_with(AgentNote::new);
            note.reason = reason;
            note.id = facts::note(wanted, &self.view, accounts);
            // Whoever put it right: what failed before says nothing of the next call.
            if reason == AnchorReason::Anchored {
                note.reverts = 0;
            }
        }
        let kept: Vec<String> =
            self.intent.agents.iter().map(|wanted| wanted.agent.to_string()).collect();
        lane.agents.retain(|agent, note| kept.contains(agent) || note.id != IdNote::Unknown);
    }

    /// Finds out what a call costs, or why it is not signed now.
    pub(crate) async fn price(
        &self,
        chain: &RegistryClient,
        lane: &AccountState,
        reservation: &Reservation,
        allowance: &SpendLimits,
        now: DateTime<Utc>,
    ) -> Result<Priced, AnchorReason> {
        let market = FeeInputs {
            base_fee: self.outlook.head.base_fee,
            tip: self.outlook.tip,
            balance: self.outlook.balance,
            spent: lane.spent.on(now),
        };
        let (agent, call, data, last, gas) = match (reservation.purpose(), &lane.slot) {
            (Purpose::Bump, Some(slot)) => (
                slot.agent.clone(),
                slot.call.clone(),
                slot.data.clone(),
                slot.last_fees(),
                slot.gas,
            ),
            (Purpose::Bump, None) => return Err(AnchorReason::Pending),
            (Purpose::Open { agent, call }, _) => {
                let data = calldata(call);
                let gas =
                    chain.estimate(self.at, self.intent.account, &data).await.map_err(|error| {
                        tracing::warn!(
                            chain.id = chain.registry.chain_id,
                            "{} {call} is not sent: {error}",
                            agent
                        );
                        refusal(&error)
                    })?;
                (agent.to_string(), call.to_string(), data, None, gas)
            }
        };
        let fees = compute_fees(gas, last, &market, allowance)?;
        let (chain_id, to) = (chain.registry.chain_id, chain.registry.address);
        Ok(Priced { agent, call, unsigned: Unsigned { chain_id, to, data, gas, fees } })
    }
}

/// A call that the registry refuses must not be paid for; one that could not be asked about must not either.
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

impl AccountState {
    /// Signs at the reserved nonce and takes the bytes in: they are sent only after this lane is written down.
    pub(crate) fn sign(
        &mut self,
        signer: &Signer,
        reservation: &Reservation,
        priced: Priced,
        now: DateTime<Utc>,
    ) -> Result<B256, AnchorReason> {
        let signed = signer.sign(reservation, &priced.unsigned).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "Nothing was signed");
            AnchorReason::SignerFailed
        })?;
        let Unsigned { to, data, gas, fees, .. } = priced.unsigned;
        let cost = |fee: u128| fee.saturating_mul(u128::from(gas));
        let before =
            self.slot.as_ref().and_then(InFlight::last_fees).map_or(0, |last| cost(last.max_fee));
        self.spent.add(cost(fees.max_fee).saturating_sub(before), now);
        let attempt = Attempt {
            hash: signed.hash,
            raw: signed.raw,
            max_fee: fees.max_fee.to_string(),
            tip: fees.tip.to_string(),
        };
        match &mut self.slot {
            Some(slot) => {
                slot.attempts.push(attempt);
                slot.decisions = 0;
            }
            None => {
                let (nonce, attempts) = (reservation.nonce(), vec![attempt]);
                let (agent, call) = (priced.agent, priced.call);
                self.slot =
                    Some(InFlight { nonce, agent, call, to, data, gas, decisions: 0, attempts });
            }
        }
        self.waited = 0;
        Ok(signed.hash)
    }

    /// Closes the slot: its nonce is settled. Says whose transaction used it, and counts.
    pub(crate) async fn close(&mut self, chain: &RegistryClient) -> Result<(), BlockedError> {
        let Some(slot) = &self.slot else { return Ok(()) };
        let mut ours = None;
        for attempt in &slot.attempts {
            ours = ours.or(chain.outcome(attempt.hash).await?);
        }
        let note = self.agents.get_mut(&slot.agent);
        match ours {
            None => self.foreign_nonces += 1,
            Some(true) => drop(note.map(|note| note.reverts = 0)),
            Some(false) => drop(note.map(|note| note.reverts += 1)),
        }
        self.slot = None;
        Ok(())
    }
}

impl InFlight {
    /// What the decision needs of it.
    pub(crate) fn as_slot(&self) -> Slot {
        let max_fee = self.last_fees().map_or(0, |fees| fees.max_fee);
        Slot { nonce: self.nonce, decisions: self.decisions, max_fee }
    }

    fn last_fees(&self) -> Option<Fees> {
        let last = self.attempts.last()?;
        Some(Fees { max_fee: last.max_fee.parse().ok()?, tip: last.tip.parse().ok()? })
    }

    /// The bytes that were signed last.
    pub(crate) fn raw(&self) -> Option<(&B256, &Bytes)> {
        self.attempts.last().map(|last| (&last.hash, &last.raw))
    }
}

impl AgentNote {
    fn new() -> Self {
        Self { reason: AnchorReason::NotAsked, id: IdNote::Unknown, reverts: 0 }
    }
}

impl Spent {
    /// What was signed on the day of `now`, wei.
    pub(crate) fn on(&self, now: DateTime<Utc>) -> u128 {
        let today = now.date_naive().to_string();
        // An unreadable amount counts as all there is: it never lets more be spent.
        if self.day == today { self.wei.parse().unwrap_or(u128::MAX) } else { 0 }
    }

    fn add(&mut self, wei: u128, now: DateTime<Utc>) {
        self.wei = self.on(now).saturating_add(wei).to_string();
        self.day = now.date_naive().to_string();
    }
}

impl Step {
    /// The step in a word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Wait => "rest",
            Self::Sign(_) => "sign",
            Self::Broadcast => "broadcast",
            Self::Release => "forget",
        }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mint { uri, key } => write!(f, "register({uri:?}, [registrar.key {key}, x402])"),
            Self::Adopt { id, key } => write!(f, "setMetadata({id}, \"registrar.key\", {key})"),
            Self::SetUri { id, uri } => write!(f, "setAgentURI({id}, {uri:?})"),
            Self::SetX402 { id } => write!(f, "setMetadata({id}, \"x402\", …)"),
        }
    }
}

/// How many days a balance lasts at a day's budget.
pub(crate) fn days_of_funds(balance: u128, allowance: &SpendLimits) -> f64 {
    let (balance, budget) = (U256::from(balance), U256::from(allowance.daily_budget.max(1)));
    f64::from(balance) / f64::from(budget)
}

/// The reasons of a chain on which nothing could be decided.
pub(crate) fn held_reasons(
    lane: &mut AccountState,
    agents: impl Iterator<Item = AnchoredAgent>,
    reason: AnchorReason,
) {
    for agent in agents {
        lane.agents.entry(agent.to_string()).or_insert_with(AgentNote::new).reason = reason;
    }
}

/// How a chain stands, for metrics.
pub(crate) fn reading(lane: &AccountState, anchorage: &ChainTarget) -> ChainStats {
    let count =
        |reason: AnchorReason| lane.agents.values().filter(|note| note.reason == reason).count();
    ChainStats {
        chain: format!("eip155:{}", anchorage.chain.registry.chain_id),
        reasons: AnchorReason::ALL.iter().map(|reason| (reason.as_str(), count(*reason))).collect(),
        days_of_funds: days_of_funds(
            lane.balance.parse().unwrap_or_default(),
            &anchorage.allowance,
        ),
        foreign_nonces: lane.foreign_nonces,
        settled_nonces: lane.settled_count,
        endpoints: anchorage.chain.endpoints.len(),
    }
}
