//! The journal that all chains of this process share, and the facts that documents take from it.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};

use super::{Journal, JournalError, JournalStore, Recalled};
use crate::{
    anchor::{
        account::{AccountKey, AccountState},
        evm::{NotedHead, SavedReading, SavedScan},
        facts::on_chain_facts,
    },
    registration::OnChainFacts,
};

/// An open journal. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct SharedJournal {
    state: Arc<Mutex<Open>>,
    facts: watch::Sender<OnChainFacts>,
}

#[derive(Debug)]
struct Open {
    store: Box<dyn JournalStore>,
    journal: Journal,
    /// When something was stored last.
    stored_at: Option<Instant>,
}

impl Open {
    async fn store(&mut self) -> Result<(), JournalError> {
        let bytes = self.journal.encode_within(self.store.readings_room());
        self.replace(&bytes).await
    }

    /// Stores a journal and has it in place of this one. On an error nothing has changed.
    async fn commit(&mut self, changed: Journal) -> Result<(), JournalError> {
        let bytes = changed.encode_within(self.store.readings_room());
        self.replace(&bytes).await?;
        self.journal = changed;
        Ok(())
    }

    async fn replace(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        self.store.replace(bytes).await?;
        self.stored_at = Some(Instant::now());
        Ok(())
    }
}

impl SharedJournal {
    /// Publishes at once what the journal remembers.
    pub(crate) fn new(
        store: Box<dyn JournalStore>,
        journal: Journal,
        facts: watch::Sender<OnChainFacts>,
    ) -> Self {
        publish_if_changed(&facts, &journal);
        Self { state: Arc::new(Mutex::new(Open { store, journal, stored_at: None })), facts }
    }

    /// What is remembered of one account, and of the registry's other accounts.
    pub(crate) async fn recall(&self, key: &AccountKey) -> Recalled {
        self.state.lock().await.journal.recall(key)
    }

    /// Has calls tried again for which that was asked.
    pub(crate) async fn resume_as_asked(&self) -> Result<(), JournalError> {
        let mut open = self.state.lock().await;
        let asked = open.store.take_resumes();
        if asked.is_empty() {
            return Ok(());
        }
        let mut changed = open.journal.clone();
        let mut is_news = false;
        for (registry, agent) in &asked {
            if changed.resume(registry, agent) {
                is_news = true;
                tracing::info!(chain.id = registry.chain_id, "Calls are tried again for {agent}");
            }
        }
        if is_news { open.commit(changed).await } else { Ok(()) }
    }

    /// How far the chain was read for one account.
    pub(crate) async fn reading(&self, key: &AccountKey) -> SavedReading {
        self.state.lock().await.journal.readings.get(key).cloned().unwrap_or_default()
    }

    /// Remembers how far an endpoint's events were read. A scan that is not done is stored as often
    /// as the store likes; one that is, with the next decision.
    pub(crate) async fn note_scan(
        &self,
        key: AccountKey,
        endpoint: String,
        scan: SavedScan,
    ) -> Result<(), JournalError> {
        let mut open = self.state.lock().await;
        let is_done = scan.is_done();
        open.journal.readings.entry(key).or_default().scans.insert(endpoint, scan);
        let interval = open.store.progress_interval();
        let is_early = open.stored_at.is_some_and(|at| at.elapsed() < interval);
        if is_done || is_early { Ok(()) } else { open.store().await }
    }

    /// Remembers what was read at heads and how endpoints failed. It is stored with the next
    /// decision, or at once if an endpoint has begun or ceased to fail.
    pub(crate) async fn note_reading(
        &self,
        key: AccountKey,
        heads: BTreeMap<String, Vec<NotedHead>>,
        failures: BTreeMap<String, String>,
    ) -> Result<(), JournalError> {
        let mut open = self.state.lock().await;
        let reading = open.journal.readings.entry(key).or_default();
        reading.noted_heads = heads;
        let is_news = !reading.failures.keys().eq(failures.keys());
        reading.failures = failures;
        if is_news { open.store().await } else { Ok(()) }
    }

    /// Stores an account's state, then publishes the facts that follow. On an error nothing has
    /// changed.
    pub(crate) async fn write(
        &self,
        key: AccountKey,
        state: &AccountState,
    ) -> Result<(), JournalError> {
        let mut open = self.state.lock().await;
        let mut changed = open.journal.clone();
        changed.put(key, state.clone());
        open.commit(changed).await?;
        publish_if_changed(&self.facts, &open.journal);
        Ok(())
    }
}

/// Publishes what a journal says, only if that is news; every update re-renders all documents.
pub(crate) fn publish_if_changed(sender: &watch::Sender<OnChainFacts>, journal: &Journal) {
    let now = on_chain_facts(&journal.accounts);
    sender.send_if_modified(|last| {
        let updated = last.updated_by(&now);
        let is_news = *last != updated;
        if is_news {
            *last = updated;
        }
        is_news
    });
}
