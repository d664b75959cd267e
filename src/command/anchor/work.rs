//! Anchoring over a journal that may be another process's at times.

use std::time::Duration;

use tokio::sync::watch;

use super::sources;
use crate::{
    anchor::{
        AnchorReason,
        evidence::Accounts,
        journal::{Journal, JournalError, SharedJournal, publish_if_changed},
        run::{self, Anchoring, Halt, Sources},
    },
    command::pipeline::Pipeline,
    error_chain::with_causes,
    journal_place::JournalPlace,
    registration::{OnChainAgent, OnChainFacts, OnChainId},
};

/// How often a journal that another process has locked is tried.
const LOCK_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait before a journal that could not be used is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// The same where it is a server that could not be asked, or that another process was faster.
const SHORT_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What becomes of a process whose journal cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Documents are served, and anchoring is held and tried again: a disk that was full may have
    /// space again.
    Holds,
    /// It has nothing else to do.
    Ends,
}

/// Anchoring, with all that it needs.
pub(super) struct Work {
    anchoring: Box<Anchoring>,
    journal: JournalPlace,
    sources: Sources,
    facts: watch::Sender<OnChainFacts>,
    refusal: Refusal,
    /// The failure that was logged last, so that one that lasts is logged once.
    logged: Option<String>,
}

impl Work {
    pub(super) fn new(
        anchoring: Box<Anchoring>,
        journal: JournalPlace,
        pipeline: &Pipeline,
        refusal: Refusal,
    ) -> Self {
        let (sources, facts) = (sources(pipeline), pipeline.on_chain.clone());
        Self { anchoring, journal, sources, facts, refusal, logged: None }
    }

    /// Anchors: always, or while this process leads. While another one does, publishes what that
    /// records in the journal. Returns only if anchoring cannot go on, with the reason.
    pub(super) async fn run(mut self, leading: Option<watch::Receiver<bool>>) -> String {
        let Some(mut leading) = leading else {
            if let JournalPlace::ConfigMap(_) = self.journal {
                tracing::warn!("Without --lease, no other process should anchor with this journal");
            }
            return self.anchor().await;
        };
        loop {
            let leads = *leading.borrow_and_update();
            let changed = async {
                if leading.wait_for(|now| *now != leads).await.is_err() {
                    // The candidate has ended: this process leads never again.
                    std::future::pending::<()>().await;
                }
            };
            let work = async {
                match leads {
                    true => self.anchor().await,
                    false => self.follow().await,
                }
            };
            // Stopping is safe at any point: what was signed is recorded.
            tokio::select! {
                biased;
                () = changed => {}
                ended = work => return ended,
            }
            self.anchoring.close_journal();
        }
    }

    /// Anchors. A journal that another process has locked is read until that process ends.
    async fn anchor(&mut self) -> String {
        let mut is_reading = false;
        loop {
            let error = match self.open_and_anchor().await {
                Halt::PublisherEnded => return Halt::PublisherEnded.to_string(),
                Halt::Journal(error) => error,
            };
            match &error {
                JournalError::Locked { .. } if self.refusal == Refusal::Holds => {
                    match self.read_beside().await {
                        Ok(remembered) => {
                            self.publish(remembered);
                            if !is_reading {
                                tracing::info!("Anchoring waits, and the ids are read: {error}");
                            }
                            is_reading = true;
                            tokio::time::sleep(LOCK_INTERVAL).await;
                            continue;
                        }
                        Err(error) => self.hold(&error),
                    }
                }
                JournalError::Changed(_) => {
                    tracing::info!("{error}");
                    tokio::time::sleep(SHORT_RETRY_INTERVAL).await;
                    continue;
                }
                // An outage of the API server is no reason to end: nobody could start anew either.
                JournalError::Request { .. } => self.hold(&error),
                JournalError::Locked { .. }
                | JournalError::Io { .. }
                | JournalError::Missing(_)
                | JournalError::Corrupt { .. }
                | JournalError::Newer { .. }
                | JournalError::ForeignOwner { .. }
                | JournalError::ForeignAccount { .. } => match self.refusal {
                    Refusal::Holds => self.hold(&error),
                    Refusal::Ends => return with_causes(&error),
                },
            }
            is_reading = false;
            let is_remote =
                matches!(error, JournalError::Request { .. } | JournalError::Missing(_));
            let wait = if is_remote { SHORT_RETRY_INTERVAL } else { RETRY_INTERVAL };
            tokio::time::sleep(wait).await;
        }
    }

    async fn open_and_anchor(&mut self) -> Halt {
        let (owner_id, accounts) = owner(&self.anchoring);
        let (store, remembered) = match self.journal.open(owner_id, accounts).await {
            Ok(opened) => opened,
            Err(error) => return error.into(),
        };
        self.logged = None;
        let journal = SharedJournal::new(store, remembered, self.facts.clone());
        let halt = run::run(&mut self.anchoring, self.sources.clone(), journal).await;
        self.anchoring.close_journal();
        halt
    }

    async fn follow(&self) -> String {
        follow(&self.journal, Some(owner(&self.anchoring)), &self.facts).await
    }

    /// Reads a journal that another process writes.
    async fn read_beside(&self) -> Result<Option<Journal>, JournalError> {
        let (owner_id, accounts) = owner(&self.anchoring);
        self.journal.read_own(owner_id, accounts).await
    }

    fn publish(&self, remembered: Option<Journal>) {
        if let Some(journal) = remembered {
            publish_if_changed(&self.facts, &journal);
        }
    }

    /// Gives every agent the reason that the journal is refused; the ids remain.
    fn hold(&mut self, error: &JournalError) {
        let (reason, why) = (AnchorReason::JournalRefused, with_causes(error));
        if self.logged.as_ref() != Some(&why) {
            tracing::error!(anchor.reason = %reason, "Anchoring is stopped: {why}");
            self.logged = Some(why);
        }
        self.facts.send_if_modified(|facts| {
            let mut refused = facts.clone();
            refuse(&mut refused, &self.anchoring, reason.as_str());
            let is_news = refused != *facts;
            *facts = refused;
            is_news
        });
    }
}

fn owner(anchoring: &Anchoring) -> (&str, &Accounts) {
    (&anchoring.policy.owner.id, &anchoring.accounts)
}

fn refuse(facts: &mut OnChainFacts, anchoring: &Anchoring, reason: &'static str) {
    facts.0.values_mut().for_each(|agent| agent.reason = reason);
    for target in &anchoring.targets {
        for agent in anchoring.policy.agents() {
            let unknown = OnChainAgent { id: OnChainId::Unknown, reason };
            facts.0.entry((agent, target.client.registry)).or_insert(unknown);
        }
    }
}

/// Publishes what another process records in its journal, for ever. With an owner, only of a journal
/// that is ours. One that is missing, or cannot be used, takes no id away.
pub(super) async fn follow(
    journal: &JournalPlace,
    owner: Option<(&str, &Accounts)>,
    facts: &watch::Sender<OnChainFacts>,
) -> String {
    // An error that lasts for a day is worth one line, not one every two seconds.
    let mut logged = None;
    let journal_name = journal.to_string();
    let seen = |read: Result<Option<Journal>, JournalError>| {
        let own = read.and_then(|read| match (read, owner) {
            (Some(journal), Some((owner_id, accounts))) => {
                journal.check_owner(owner_id, accounts, &journal_name).map(Some)
            }
            (read, _) => Ok(read),
        });
        match own.map_err(|error| with_causes(&error)) {
            Ok(journal) => {
                logged = None;
                if let Some(journal) = journal {
                    publish_if_changed(facts, &journal);
                }
            }
            Err(error) if logged.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::warn!("The ids read last remain in use: {error}");
                logged = Some(error);
            }
        }
    };
    journal.follow(seen).await
}
