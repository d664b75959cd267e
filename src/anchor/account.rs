//! The state of one account in one registry, and its transitions. Pure.
//!
//! This is what the journal stores. Losing it costs time and the memory of today's spending, never
//! a second mint: safety rests on the evidence of a finalized block alone.

mod agent;
mod serialized;

use std::{collections::BTreeMap, fmt, str::FromStr};

use alloy::primitives::{Address, B256, Bytes, keccak256};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub(crate) use self::agent::{AgentFinding, AgentRecord, ContentRecord};
use super::{
    evidence::{Block, View},
    facts::IdRecord,
    fees::{Budget, Fees, Replaced, target_fee},
    key::AnchorKey,
    plan::{BUMP_AFTER_DECISIONS, Reservation, Step},
    reason::{AnchorReason, Attention},
};
use crate::registration::{AgentId, AgentName, AgentRegistry};

/// Which account in which registry: `eip155:CHAIN:0xREGISTRY:0xACCOUNT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccountKey {
    pub(crate) registry: AgentRegistry,
    pub(crate) account: Address,
}

/// One account's work in one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AccountState {
    /// The account that signs.
    pub(crate) account: Address,
    #[serde(rename = "slot")]
    pub(crate) in_flight: Option<InFlight>,
    /// For how many decisions an unknown pending transaction has been waited for.
    pub(crate) waited: u32,
    pub(crate) spent: Spent,
    /// The same for `data:` URIs, which have a budget of their own.
    #[serde(skip_serializing_if = "Spent::is_nothing")]
    pub(crate) spent_on_uris: Spent,
    /// The registry's code when it was first read.
    pub(crate) code: Option<CodeHashes>,
    /// The finalized block of the last decision: a chain that lacks it is another chain, or was
    /// rewritten.
    pub(crate) checkpoint: Option<Block>,
    pub(crate) agents: BTreeMap<AgentName, AgentRecord>,
    /// The token of each κ that was ever found in a finalized block. It only grows: evidence that
    /// lacks one of these is not believed.
    #[serde(with = "serialized::ids", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) minted: BTreeMap<AnchorKey, AgentId>,
    /// Finalized nonces used by transactions that are not in this journal.
    pub(crate) foreign_nonces: u64,
    /// The account's transaction count at the checkpoint.
    #[serde(rename = "settledCount")]
    pub(crate) final_count: u64,
    /// The checkpoint's height.
    #[serde(rename = "settledBlock")]
    pub(crate) final_block: u64,
    /// The account's balance at the head, wei.
    #[serde(with = "serialized::wei")]
    pub(crate) balance: u128,
    /// When the last decision was made; whole seconds.
    #[serde(with = "serialized::instant")]
    pub(crate) decided_at: Option<DateTime<Utc>>,
    /// What was decided then; see [`Step::name`]. Empty before the first decision.
    pub(crate) step: String,
}

/// The transaction that is signed and not final: one nonce, one call, one or more signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InFlight {
    pub(crate) nonce: u64,
    pub(crate) agent: AgentName,
    /// The call, for people.
    pub(crate) call: String,
    /// The registry.
    pub(crate) to: Address,
    pub(crate) data: Bytes,
    /// The gas limit of the last signature.
    pub(crate) gas: u64,
    /// Which budget it counts against. Earlier versions knew one.
    #[serde(default, skip_serializing_if = "Budget::is_daily")]
    pub(crate) budget: Budget,
    /// How many decisions have seen it unmined since it was last signed.
    pub(crate) decisions: u32,
    /// Every signature, oldest first: any of them may be included at the nonce.
    pub(crate) attempts: Vec<Attempt>,
}

/// One signature of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt {
    /// The transaction's hash.
    pub(crate) hash: B256,
    /// The signed EIP-2718 bytes: sent as they are, and again after a crash.
    pub(crate) raw: Bytes,
    /// maxFeePerGas, wei.
    #[serde(with = "serialized::wei")]
    pub(crate) max_fee: u128,
    /// maxPriorityFeePerGas, wei.
    #[serde(with = "serialized::wei")]
    pub(crate) tip: u128,
}

/// The worst-case fee of what was signed on one UTC day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spent {
    /// The day, such as `2026-11-24`.
    pub(crate) day: String,
    /// An unreadable amount counts as everything, so that it never allows more spending.
    #[serde(with = "serialized::spent_wei")]
    pub(crate) wei: u128,
}

/// The code behind a registry's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CodeHashes {
    /// keccak256 of the code at the address.
    pub(crate) proxy: B256,
    /// keccak256 of the code at its ERC-1967 implementation, or of nothing.
    pub(crate) implementation: B256,
}

/// How a transaction whose nonce is final ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FinalOutcome {
    /// One of our signatures was included and succeeded.
    Succeeded,
    /// One of our signatures was included and reverted.
    Failed,
    /// A transaction that this journal does not know was included at the nonce.
    Foreign,
}

/// What one decision saw of the chain besides the agents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    pub(crate) account: Address,
    pub(crate) code: CodeHashes,
    /// The account's balance at the head, wei.
    pub(crate) balance: u128,
    pub(crate) at: DateTime<Utc>,
}

impl AccountState {
    /// Records what was seen of the chain. Call once per decision, before its action is applied.
    pub(crate) fn observe(&mut self, view: &View, observed: Observed, step: &Step) {
        let Observed { account, code, balance, at } = observed;
        self.account = account;
        // The in-flight nonce is counted when it is released; nobody here signed for the others.
        if self.decided_at.is_some() {
            let newly_final = self.final_count..view.count;
            let own = self.in_flight.as_ref().is_some_and(|sent| newly_final.contains(&sent.nonce));
            let all = view.count.saturating_sub(self.final_count);
            self.foreign_nonces += all.saturating_sub(u64::from(own));
        }
        self.code = Some(code);
        self.final_count = view.count;
        self.final_block = view.block.number;
        self.checkpoint = Some(view.block);
        self.balance = balance;
        self.decided_at = DateTime::from_timestamp(at.timestamp(), 0);
        self.step = step.name().to_owned();
    }

    /// Records each agent's reason and id. Records of agents that are not anchored any more are
    /// kept only for their id.
    pub(crate) fn record_agents(&mut self, agents: BTreeMap<AgentName, AgentFinding>) {
        self.agents
            .retain(|agent, record| agents.contains_key(agent) || record.id != IdRecord::Unknown);
        for (agent, AgentFinding { reason, detail, id }) in agents {
            let record = self.agents.entry(agent).or_insert_with(AgentRecord::new);
            record.reason = reason;
            record.detail = detail;
            record.id = id;
            // Healthy again, so reset the failure count.
            if matches!(reason, AnchorReason::Anchored | AnchorReason::DuplicateMint) {
                record.failures = 0;
            }
        }
    }

    /// Remembers the tokens of the given κ permanently, as far as the view shows them.
    pub(crate) fn record_minted(&mut self, keys: impl Iterator<Item = AnchorKey>, view: &View) {
        for key in keys {
            if let Some(id) = view.agents.get(&key) {
                self.minted.entry(key).or_insert(*id);
            }
        }
    }

    /// Has a call that failed too often tried again. Returns whether one had failed.
    pub(crate) fn resume(&mut self, agent: &AgentName) -> bool {
        let Some(record) = self.agents.get_mut(agent) else { return false };
        std::mem::take(&mut record.failures) > 0
    }

    /// Gives the agents one reason, because nothing could be decided.
    pub(crate) fn block(&mut self, agents: impl Iterator<Item = AgentName>, reason: AnchorReason) {
        for agent in agents {
            let record = self.agents.entry(agent).or_insert_with(AgentRecord::new);
            (record.reason, record.detail) = (reason, None);
        }
    }

    /// Gives one agent another reason.
    pub(crate) fn set_reason(&mut self, agent: &AgentName, reason: AnchorReason) {
        if let Some(record) = self.agents.get_mut(agent) {
            (record.reason, record.detail) = (reason, None);
        }
    }

    /// Gives one agent another reason, with what it is about in this case.
    pub(crate) fn hold(&mut self, agent: &AgentName, reason: AnchorReason, detail: String) {
        if let Some(record) = self.agents.get_mut(agent) {
            (record.reason, record.detail) = (reason, Some(detail));
        }
    }

    /// Records a decision that does nothing. Only those that saw something unknown pending are
    /// counted.
    pub(crate) fn wait(&mut self, saw_unknown: bool) {
        self.waited = if saw_unknown { self.waited.saturating_add(1) } else { 0 };
    }

    /// What its agents need in order to go on: the most that any of them does.
    pub(crate) fn attention(&self) -> Attention {
        let needs = self.agents.values().map(|record| record.reason.attention());
        needs.max().unwrap_or(Attention::None)
    }

    /// Whether this journal remembers a signature of the account.
    pub(crate) fn has_signed(&self) -> bool {
        !self.spent.is_nothing() || !self.spent_on_uris.is_nothing()
    }

    /// What was signed for on the UTC day of `now` and counts against a budget, wei.
    pub(crate) fn spent(&self, budget: Budget, now: DateTime<Utc>) -> u128 {
        match budget {
            Budget::Daily => self.spent.on(now),
            Budget::AgentUri => self.spent_on_uris.on(now),
        }
    }

    fn spent_mut(&mut self, budget: Budget) -> &mut Spent {
        match budget {
            Budget::Daily => &mut self.spent,
            Budget::AgentUri => &mut self.spent_on_uris,
        }
    }

    /// Remembers what an agent's document says, and since when.
    pub(crate) fn note_content(&mut self, agent: &AgentName, digest: String, now: DateTime<Utc>) {
        let Some(record) = self.agents.get_mut(agent) else { return };
        if record.content.as_ref().is_none_or(|known| known.digest != digest) {
            record.content = Some(ContentRecord { digest, since: Some(now) });
        }
    }

    /// Counts a decision that sends the recorded bytes again.
    pub(crate) fn count_broadcast(&mut self) {
        if let Some(sent) = &mut self.in_flight {
            sent.decisions = sent.decisions.saturating_add(1);
        }
    }

    /// Raises the fee in the next decision: a node called the transaction underpriced.
    pub(crate) fn bump_next(&mut self) {
        if let Some(sent) = &mut self.in_flight {
            sent.decisions = sent.decisions.max(BUMP_AFTER_DECISIONS);
        }
    }

    /// Removes the in-flight transaction, whose nonce is final.
    pub(crate) fn release(&mut self, outcome: FinalOutcome) {
        let Some(sent) = self.in_flight.take() else { return };
        let record = self.agents.get_mut(&sent.agent);
        match outcome {
            FinalOutcome::Foreign => self.foreign_nonces += 1,
            FinalOutcome::Succeeded => record.into_iter().for_each(|record| record.failures = 0),
            FinalOutcome::Failed => record.into_iter().for_each(|record| record.failures += 1),
        }
    }

    /// Records a signature, made at the reserved nonce. It must be stored before the bytes are
    /// sent.
    pub(crate) fn record_signature(
        &mut self,
        reservation: &Reservation,
        call: PricedCall,
        hash: B256,
        raw: Bytes,
        now: DateTime<Utc>,
    ) {
        let PricedCall { agent, call, to, data, gas, fees, data_fee, budget } = call;
        let before = self.in_flight.as_ref().and_then(InFlight::replaced);
        self.spent_mut(budget).add(fees.added_cost(gas, data_fee, before), now);
        let attempt = Attempt { hash, raw, max_fee: fees.max_fee, tip: fees.tip };
        match &mut self.in_flight {
            Some(sent) => {
                sent.attempts.push(attempt);
                (sent.decisions, sent.gas) = (0, gas);
            }
            None => {
                let (nonce, attempts) = (reservation.nonce(), vec![attempt]);
                let decisions = 0;
                self.in_flight = Some(InFlight {
                    nonce,
                    agent,
                    call,
                    to,
                    data,
                    gas,
                    budget,
                    decisions,
                    attempts,
                });
            }
        }
        self.waited = 0;
    }
}

/// A call on the registry with its price, ready to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PricedCall {
    pub(crate) agent: AgentName,
    /// The call, for people.
    pub(crate) call: String,
    /// The registry.
    pub(crate) to: Address,
    pub(crate) data: Bytes,
    /// The gas limit.
    pub(crate) gas: u64,
    pub(crate) fees: Fees,
    /// What its data costs on the chain below, wei.
    pub(crate) data_fee: u128,
    pub(crate) budget: Budget,
}

impl InFlight {
    /// The last signature, which the next one replaces.
    pub(crate) fn replaced(&self) -> Option<Replaced> {
        let fees = self.attempts.last().map(|last| Fees { max_fee: last.max_fee, tip: last.tip });
        fees.map(|fees| Replaced { fees, gas: self.gas })
    }

    /// The highest maxFeePerGas it was signed with, wei.
    pub(crate) fn max_fee(&self) -> u128 {
        self.replaced().map_or(0, |last| last.fees.max_fee)
    }

    /// Whether the market asks for more than it was last signed with.
    pub(crate) fn is_outbid(&self, base_fee: u128, tip: u128) -> bool {
        self.replaced().is_none_or(|Replaced { fees, .. }| {
            target_fee(base_fee, tip) > fees.max_fee || tip > fees.tip
        })
    }
}

impl Spent {
    fn is_nothing(&self) -> bool {
        self.day.is_empty()
    }

    /// What was signed on the UTC day of `now`, wei.
    pub(crate) fn on(&self, now: DateTime<Utc>) -> u128 {
        if self.day == now.date_naive().to_string() { self.wei } else { 0 }
    }

    fn add(&mut self, wei: u128, now: DateTime<Utc>) {
        self.wei = self.on(now).saturating_add(wei);
        self.day = now.date_naive().to_string();
    }
}

impl CodeHashes {
    /// One hash of both: what `--accept-registry` takes.
    pub(crate) fn combined(&self) -> B256 {
        keccak256([self.proxy.as_slice(), self.implementation.as_slice()].concat())
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.registry, self.account.to_checksum(None))
    }
}

impl FromStr for AccountKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.rsplit_once(':').and_then(|(registry, account)| {
            let registry = AgentRegistry::parse(registry)?;
            Some(Self { registry, account: account.parse().ok()? })
        });
        parsed.ok_or_else(|| format!("{text:?} does not name a registry and an account"))
    }
}

#[cfg(test)]
mod tests;
