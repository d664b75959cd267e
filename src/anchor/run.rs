//! The loop: one decision for each chain at each tick, over one journal that is written before anything is sent.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, watch};

use super::{
    evidence::Accounts,
    evm::RegistryClient,
    facts::learned,
    journal::{AccountState, Journal, JournalError, JournalFile, lane_key},
    key::AnchoredAgent,
    lane::{BlockedError, ChainTarget, held_reasons, reading},
    plan::{BUMP_AFTER_DECISIONS, DesiredAgent, Purpose, Reservation, Step},
    reason::AnchorReason,
    signer::Signer,
    wanted::AnchorPolicy,
};
use crate::{
    catalog::{Catalog, Shared},
    clock::Clock,
    registration::OnChainFacts,
    telemetry::Metrics,
};

/// Everything that anchoring needs, checked.
#[derive(Debug)]
pub(crate) struct Anchoring {
    /// The chains.
    pub(crate) chains: Vec<ChainTarget>,
    /// Which agents, as whom.
    pub(crate) anchored: AnchorPolicy,
    /// Our accounts.
    pub(crate) accounts: Accounts,
    /// The key.
    pub(crate) signer: Signer,
    /// How long to rest between two decisions on a chain.
    pub(crate) interval: Duration,
}

/// What is wanted comes from what is published.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// The published catalog.
    pub(crate) catalog: watch::Receiver<Shared>,
    /// The time.
    pub(crate) clock: Clock,
    /// Where it is counted how chains stand.
    pub(crate) metrics: Metrics,
}

/// The journal and the facts that come from it, shared by all chains of this process.
#[derive(Clone, Debug)]
pub(crate) struct SharedJournal {
    state: Arc<Mutex<(JournalFile, Journal)>>,
    facts: watch::Sender<OnChainFacts>,
}

impl SharedJournal {
    /// A ledger over an open journal. What it remembers is told at once.
    pub(crate) fn new(
        file: JournalFile,
        journal: Journal,
        facts: watch::Sender<OnChainFacts>,
    ) -> Self {
        facts.send_replace(learned(&journal));
        Self { state: Arc::new(Mutex::new((file, journal))), facts }
    }

    /// One lane as it stands.
    pub(crate) async fn lane(&self, key: &str) -> AccountState {
        self.state.lock().await.1.lane(key)
    }

    /// Writes a lane down, and tells what it means.
    async fn write(&self, key: &str, lane: &AccountState) -> Result<(), JournalError> {
        let mut state = self.state.lock().await;
        let (file, journal) = &mut *state;
        let mut changed = journal.clone();
        changed.put(key, lane.clone());
        file.write(&changed)?;
        *journal = changed;
        tell(&self.facts, learned(journal));
        Ok(())
    }
}

/// Tells what was learned, if it is news: each telling renders every document again.
pub(crate) fn tell(sender: &watch::Sender<OnChainFacts>, learned: OnChainFacts) {
    sender.send_if_modified(|last| {
        let changed = *last != learned;
        if changed {
            *last = learned;
        }
        changed
    });
}

/// Anchors until the process ends; returns only when the journal can no longer be written, with the words for it.
pub(crate) async fn run(
    anchoring: &mut Anchoring,
    sources: Sources,
    ledger: SharedJournal,
) -> String {
    let Anchoring { chains, anchored, accounts, signer, interval } = anchoring;
    let rounds = chains.iter_mut().map(|anchorage| {
        let (mut sources, ledger) = (sources.clone(), ledger.clone());
        let (anchored, accounts, signer, interval) = (&*anchored, &*accounts, &*signer, *interval);
        async move {
            loop {
                let round =
                    Round { anchored, accounts, signer, ledger: &ledger, clock: sources.clock };
                let published = sources.catalog.borrow_and_update().clone();
                match published {
                    Some(catalog) => {
                        match round.once(anchorage, &catalog).await {
                            // A nonce has been settled: what comes next need not wait.
                            Ok(true) => continue,
                            Ok(false) => {}
                            Err(refused) => return refused.to_string(),
                        }
                        let lane = ledger
                            .lane(&lane_key(&anchorage.chain.registry, accounts.current))
                            .await;
                        sources.metrics.anchored(&reading(&lane, anchorage));
                        tokio::time::sleep(interval).await;
                    }
                    // Nothing is known to be wanted before the first world.
                    None => {
                        if sources.catalog.changed().await.is_err() {
                            return "the publisher is gone".to_owned();
                        }
                    }
                }
            }
        }
    });
    let (ended, _, _) = futures::future::select_all(rounds.map(Box::pin)).await;
    ended
}

/// One round on one chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round<'a> {
    /// Which agents, as whom.
    pub(crate) anchored: &'a AnchorPolicy,
    /// Our accounts.
    pub(crate) accounts: &'a Accounts,
    /// The key.
    pub(crate) signer: &'a Signer,
    /// The journal.
    pub(crate) ledger: &'a SharedJournal,
    /// The time.
    pub(crate) clock: Clock,
}

impl Round<'_> {
    /// Looks, decides, writes down and acts; `true` when another round has something to do at once.
    pub(crate) async fn once(
        &self,
        anchorage: &mut ChainTarget,
        catalog: &Catalog,
    ) -> Result<bool, JournalError> {
        let registry = anchorage.chain.registry;
        let key = lane_key(&registry, self.accounts.current);
        let mut lane = self.ledger.lane(&key).await;
        lane.account = self.accounts.current;
        let wanted = self.anchored.wanted(&registry, catalog);
        let agents: Vec<AnchoredAgent> = wanted.iter().map(|wanted| wanted.agent.clone()).collect();
        let acted = self.act(anchorage, &mut lane, &key, wanted).await?;
        match acted {
            Ok(again) => Ok(again),
            Err(held) => {
                tracing::warn!(chain.id = registry.chain_id, anchor.reason = %held.reason(), "Nothing was decided: {held}");
                held_reasons(&mut lane, agents.into_iter(), held.reason());
                self.ledger.write(&key, &lane).await?;
                Ok(false)
            }
        }
    }

    async fn act(
        &self,
        anchorage: &mut ChainTarget,
        lane: &mut AccountState,
        key: &str,
        wanted: Vec<DesiredAgent>,
    ) -> Result<Result<bool, BlockedError>, JournalError> {
        let (chain, allowance) = (anchorage.chain.clone(), anchorage.allowance);
        let now = self.clock.now();
        let look =
            match anchorage.look(lane, wanted, self.accounts, self.anchored.mint_beside).await {
                Ok(look) => look,
                Err(held) => return Ok(Err(held)),
            };
        look.note(lane, self.accounts, now);
        let chain_id = chain.registry.chain_id;
        let again = match &look.decision.step {
            Step::Wait => {
                lane.waited = if lane.slot.is_none() { lane.waited.saturating_add(1) } else { 0 };
                false
            }
            Step::Release => {
                if let Err(held) = lane.close(&chain).await {
                    return Ok(Err(held));
                }
                true
            }
            Step::Broadcast => {
                self.broadcast(&chain, lane).await;
                false
            }
            Step::Sign(reservation) => {
                match look.price(&chain, lane, reservation, &allowance, now).await {
                    Err(reason) => {
                        let agent = lane.slot.as_ref().map(|slot| slot.agent.clone());
                        self.hold(lane, agent.or_else(|| reserved_for(reservation)), reason);
                        // A slot that cannot be bumped is still worth sending.
                        self.broadcast(&chain, lane).await;
                        false
                    }
                    Ok(priced) => {
                        let call = priced.call.clone();
                        match lane.sign(self.signer, reservation, priced, now) {
                            Err(reason) => {
                                self.hold(lane, reserved_for(reservation), reason);
                                false
                            }
                            Ok(hash) => {
                                let nonce = reservation.nonce();
                                tracing::info!(chain.id = chain_id, tx.hash = %hash, tx.nonce = nonce, "Signed {call}");
                                // Written down, then sent: after a crash the same bytes are sent again.
                                self.ledger.write(key, lane).await?;
                                self.broadcast(&chain, lane).await;
                                false
                            }
                        }
                    }
                }
            }
        };
        self.ledger.write(key, lane).await?;
        Ok(Ok(again))
    }

    fn hold(&self, lane: &mut AccountState, agent: Option<String>, reason: AnchorReason) {
        if let Some(note) = agent.and_then(|agent| lane.agents.get_mut(&agent)) {
            note.reason = reason;
        }
    }

    /// Sends the slot's bytes, unless a node has them already. Whatever comes back frees nothing.
    async fn broadcast(&self, chain: &RegistryClient, lane: &mut AccountState) {
        let Some(slot) = &mut lane.slot else { return };
        slot.decisions = slot.decisions.saturating_add(1);
        let Some((hash, raw)) = slot.raw().map(|(hash, raw)| (*hash, raw.clone())) else { return };
        if chain.is_known(hash).await {
            return;
        }
        for refusal in chain.broadcast(&raw).await {
            // The one thing that an error's words are good for: paying more at the same nonce.
            if refusal.to_string().to_lowercase().contains("underpriced") {
                slot.decisions = slot.decisions.max(BUMP_AFTER_DECISIONS);
            }
            tracing::info!(chain.id = chain.registry.chain_id, tx.hash = %hash, "{refusal}");
        }
    }
}

fn reserved_for(reservation: &Reservation) -> Option<String> {
    match reservation.purpose() {
        Purpose::Open { agent, .. } => Some(agent.to_string()),
        Purpose::Bump => None,
    }
}
