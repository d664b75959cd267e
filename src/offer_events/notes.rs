//! Which Events are told, and how many. Pure.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    offer::{Hostname, OfferId, print_seconds},
    registration::{AgentName, Explanation, OnChainFacts, OnChainId, Transition, TransitionKind},
};

/// The same is not told again within this time.
const REPEATED_AFTER: Duration = Duration::from_secs(600);
/// How many may be told at once.
const BURST: u32 = 50;
/// One more may be told after each so much time.
const INTERVAL: Duration = Duration::from_secs(1);

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Offer(OfferId),
    DefaultAgent,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) about: Subject,
    /// `Published`, `Draining`, `Drained`, `Withdrawn`, `Refused` or `Anchored`.
    pub(super) reason: &'static str,
    /// A sentence.
    pub(super) text: String,
    pub(super) is_warning: bool,
}

/// What a publication has to tell.
pub(super) fn notes_of_step(transitions: &[Transition], refused: &[Explanation]) -> Vec<Note> {
    let changed = transitions.iter().map(|transition| {
        let Transition { kind, id, drain_ends_at, .. } = transition;
        let end = drain_ends_at.map(print_seconds).unwrap_or_default();
        let (reason, text) = match kind {
            TransitionKind::Published => ("Published", "Listed in documents.".to_owned()),
            TransitionKind::Restored => {
                ("Published", "Listed in documents without a drain again.".to_owned())
            }
            TransitionKind::Draining => {
                ("Draining", format!("Listed in documents as draining, until {end}."))
            }
            TransitionKind::Drained => {
                ("Drained", format!("The drain ended at {end}; not listed in documents any more."))
            }
            TransitionKind::Withdrawn => {
                ("Withdrawn", "Not listed in documents any more.".to_owned())
            }
        };
        Note { about: Subject::Offer(id.clone()), reason, text, is_warning: false }
    });
    let refused = refused.iter().map(|explanation| Note {
        about: Subject::Offer(explanation.id.clone()),
        reason: "Refused",
        text: format!("{}: {}", explanation.reason.as_str(), explanation.message),
        is_warning: true,
    });
    changed.chain(refused).collect()
}

/// What is to be told of agents: the ids that are new. `offer_at` finds the offer with a host.
pub(super) fn notes_of_chain(
    before: &OnChainFacts,
    now: &OnChainFacts,
    offer_at: impl Fn(&Hostname) -> Option<OfferId>,
) -> Vec<Note> {
    let new = now.0.iter().filter_map(|((agent, registry), fact)| {
        let OnChainId::Own(id) = fact.id else { return None };
        let last = before.0.get(&(agent.clone(), *registry)).map(|last| last.id);
        if last == Some(fact.id) {
            return None;
        }
        let about = match agent {
            AgentName::Default => Subject::DefaultAgent,
            AgentName::Host(host) => Subject::Offer(offer_at(host)?),
        };
        let text = format!("The agent {agent} is agentId {id} in {registry}.");
        Some(Note { about, reason: "Anchored", text, is_warning: false })
    });
    new.collect()
}

/// Holds back what was told before, and what is too much.
#[derive(Clone, Debug, Default)]
pub(super) struct NoteLimit {
    /// When each was told last.
    told: BTreeMap<(Subject, &'static str, String), Duration>,
    /// How many were told in the current window beyond those whose time has passed.
    used: u32,
    /// Up to when uses were given back.
    refilled: Duration,
}

impl NoteLimit {
    /// Whether to tell it now. `now` is a monotonic time.
    pub(super) fn admits(&mut self, note: &Note, now: Duration) -> bool {
        while self.used > 0 && now.saturating_sub(self.refilled) >= INTERVAL {
            self.used -= 1;
            self.refilled += INTERVAL;
        }
        if self.used == 0 {
            self.refilled = now;
        }
        self.told.retain(|_, told| now.saturating_sub(*told) < REPEATED_AFTER);
        let key = (note.about.clone(), note.reason, note.text.clone());
        if self.used >= BURST || self.told.contains_key(&key) {
            return false;
        }
        self.used += 1;
        self.told.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests;
