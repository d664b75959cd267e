//! The journal that all chains of this process share, and the facts that documents take from it.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{Mutex, watch};

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
    state: Arc<Mutex<(Box<dyn JournalStore>, Journal)>>,
    facts: watch::Sender<OnChainFacts>,
}

impl SharedJournal {
    /// Publishes what the journal remembers at once.
    pub(crate) fn new(
        store: Box<dyn JournalStore>,
        journal: Journal,
        facts: watch::Sender<OnChainFacts>,
    ) -> Self {
        facts.send_replace(on_chain_facts(&journal.accounts));
        Self { state: Arc::new(Mutex::new((store, journal))), facts }
    }

    /// What is remembered of one account, and of the registry's other accounts.
    pub(crate) async fn recall(&self, key: &AccountKey) -> Recalled {
        self.state.lock().await.1.recall(key)
    }

    /// How far the chain was read for one account.
    pub(crate) async fn reading(&self, key: &AccountKey) -> SavedReading {
        self.state.lock().await.1.readings.get(key).cloned().unwrap_or_default()
    }

    /// Remembers how far an endpoint's events were read. A scan that is not done is stored at once;
    /// one that is, with the next decision.
    pub(crate) async fn note_scan(
        &self,
        key: AccountKey,
        endpoint: String,
        scan: SavedScan,
        is_done: bool,
    ) -> Result<(), JournalError> {
        let mut guard = self.state.lock().await;
        let (store, journal) = &mut *guard;
        journal.readings.entry(key).or_default().scans.insert(endpoint, scan);
        if is_done {
            return Ok(());
        }
        store.replace(&journal.encode()).await
    }

    /// Remembers what was read at heads and how endpoints failed. It is stored with the next
    /// decision, or at once if an endpoint has begun or ceased to fail.
    pub(crate) async fn note_reading(
        &self,
        key: AccountKey,
        heads: Vec<NotedHead>,
        failures: BTreeMap<String, String>,
    ) -> Result<(), JournalError> {
        let mut guard = self.state.lock().await;
        let (store, journal) = &mut *guard;
        let reading = journal.readings.entry(key).or_default();
        reading.heads = heads;
        let is_news = !reading.failures.keys().eq(failures.keys());
        reading.failures = failures;
        if is_news { store.replace(&journal.encode()).await } else { Ok(()) }
    }

    /// Stores an account's state, then publishes the facts that follow. On an error nothing has
    /// changed.
    pub(crate) async fn write(
        &self,
        key: AccountKey,
        state: &AccountState,
    ) -> Result<(), JournalError> {
        let mut guard = self.state.lock().await;
        let (store, journal) = &mut *guard;
        let mut changed = journal.clone();
        changed.put(key, state.clone());
        store.replace(&changed.encode()).await?;
        *journal = changed;
        publish_if_changed(&self.facts, on_chain_facts(&journal.accounts));
        Ok(())
    }
}

/// Publishes facts only if they changed; every update re-renders all documents.
pub(crate) fn publish_if_changed(sender: &watch::Sender<OnChainFacts>, facts: OnChainFacts) {
    sender.send_if_modified(|last| {
        let is_news = *last != facts;
        if is_news {
            *last = facts;
        }
        is_news
    });
}
