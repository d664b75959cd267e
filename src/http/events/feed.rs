//! Events that are kept for a while, each with an id by which a subscriber resumes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use crate::{
    offer::{Hostname, OfferId, print_seconds},
    publish::Step,
    registration::{AgentName, Transition, TransitionKind, encode, offer_document_url},
};

/// How many events a subscriber may have missed.
const KEPT: usize = 1_024;
/// How many events a subscriber may be behind before it is dropped.
const BEHIND: usize = 256;

/// Which events a subscriber wants; all of them by default.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) agent: Option<AgentName>,
    pub(super) offer: Option<OfferId>,
}

/// One event, with the bytes that every subscriber gets.
#[derive(Debug)]
pub(super) struct Event {
    number: u64,
    id: OfferId,
    host: Option<Hostname>,
    pub(super) bytes: Bytes,
}

/// What subscribers hear.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    Event(Arc<Event>),
    /// For every subscriber, whatever it wants.
    Notice(Bytes),
}

/// The events of this process. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct EventFeed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Tells the ids of this process from those of others, which number their events on their own.
    epoch: String,
    kept: Mutex<Kept>,
    heard: broadcast::Sender<Heard>,
    is_ending: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Arc<Event>>,
    /// The number of the last event.
    last: u64,
}

/// A subscription: what is to be said first, and what follows.
pub(super) struct Subscription {
    pub(super) first: VecDeque<Heard>,
    pub(super) following: broadcast::Receiver<Heard>,
    pub(super) is_ending: watch::Receiver<bool>,
}

impl EventFeed {
    /// `epoch` is a word without `-` that no other process uses.
    pub(crate) fn new(epoch: String) -> Self {
        Self(Arc::new(Inner {
            epoch,
            kept: Mutex::default(),
            heard: broadcast::Sender::new(BEHIND),
            is_ending: watch::Sender::new(false),
        }))
    }

    /// Ends every subscription, so that subscribers connect to another process.
    pub(crate) fn end(&self) {
        self.0.is_ending.send_replace(true);
    }

    pub(super) fn publish(&self, step: &Step) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for transition in &step.transitions {
            kept.last += 1;
            let number = kept.last;
            let event = Event {
                number,
                id: transition.id.clone(),
                host: transition.host.clone(),
                bytes: self.encode(number, step, transition),
            };
            let event = Arc::new(event);
            if kept.events.len() == KEPT {
                kept.events.pop_front();
            }
            kept.events.push_back(Arc::clone(&event));
            // Nobody may be listening.
            let _ = self.0.heard.send(Heard::Event(event));
        }
    }

    /// Events were lost on the way here.
    pub(super) fn reset(&self) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.events.clear();
        kept.last += 1;
        let _ = self.0.heard.send(Heard::Notice(self.reset_at(kept.last)));
    }

    /// Subscribes from an event on; from here on if none is given.
    pub(super) fn subscribe(&self, last_event_id: Option<&str>) -> Subscription {
        // The lock keeps events from being published between the two.
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let following = self.0.heard.subscribe();
        let last = kept.last;
        let oldest = kept.events.front().map_or(last + 1, |event| event.number);
        let mut first = match last_event_id.map(|id| self.number(id)) {
            None => VecDeque::new(),
            Some(Some(number)) if number <= last && number + 1 >= oldest => {
                let missed = kept.events.iter().filter(|event| event.number > number);
                missed.map(|event| Heard::Event(Arc::clone(event))).collect()
            }
            // Another process, or too long ago.
            Some(_) => VecDeque::from([Heard::Notice(self.reset_at(last))]),
        };
        if first.is_empty() {
            // A client that reconnects before anything happens resumes from here.
            first.push_back(Heard::Notice(format!("id: {}-{last}\n\n", self.0.epoch).into()));
        }
        Subscription { first, following, is_ending: self.0.is_ending.subscribe() }
    }

    /// The number in an id of this process.
    fn number(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.split_once('-')?;
        number.parse().ok().filter(|_| epoch == self.0.epoch)
    }

    fn reset_at(&self, number: u64) -> Bytes {
        let detail = "{\"detail\":\"Events were missed. Read /offers for the current state.\"}";
        Bytes::from(format!("event: reset\nid: {}-{number}\ndata: {detail}\n\n", self.0.epoch))
    }

    fn encode(&self, number: u64, step: &Step, transition: &Transition) -> Bytes {
        let Transition { kind, id, host, page, drain_ends_at } = transition;
        let agent = host.clone().map_or(AgentName::Default, AgentName::Host);
        let etag = page.as_ref().map(|page| {
            let etag = page.identity().etag;
            String::from_utf8_lossy(&etag).into_owned()
        });
        let data = Data {
            agent: agent.to_string(),
            offer: id.to_string(),
            document: offer_document_url(&step.public_url, id),
            etag,
            drain_ends_at: drain_ends_at.map(print_seconds),
            at: print_seconds(step.at),
        };
        let data = String::from_utf8_lossy(&encode(&data)).into_owned();
        let name = name(*kind);
        Bytes::from(format!("event: {name}\nid: {}-{number}\ndata: {data}\n\n", self.0.epoch))
    }
}

impl Filter {
    pub(super) fn wants(&self, event: &Event) -> bool {
        let is_agent = self.agent.as_ref().is_none_or(|agent| match agent {
            // The default agent lists every offer.
            AgentName::Default => true,
            AgentName::Host(host) => event.host.as_ref() == Some(host),
        });
        is_agent && self.offer.as_ref().is_none_or(|offer| *offer == event.id)
    }
}

fn name(kind: TransitionKind) -> &'static str {
    match kind {
        TransitionKind::Published => "published",
        TransitionKind::Draining => "draining",
        TransitionKind::Drained => "drained",
        TransitionKind::Restored => "restored",
        TransitionKind::Withdrawn => "withdrawn",
    }
}

/// The data of an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    /// The agent whose own document changed: that of the offer's host, else the default agent.
    agent: String,
    offer: String,
    /// The URL of the per-offer document.
    document: String,
    /// The entity tag of its identity encoding; null if there is no document any more.
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_ends_at: Option<String>,
    /// When it was published.
    at: String,
}
