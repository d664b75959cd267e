//! The incremental form of [`project`](super::project): one change costs one change.
//!
//! The state is a value. [`LiveProjection::apply`] takes changes of offers, and
//! [`LiveProjection::advance`] the time; both return what changed. Clones are cheap and share what
//! they have in common, so that a clone is a snapshot for readers. A law proves that documents,
//! reasons and the next change are those of `project`, whatever happened before.

mod aggregate;
mod changes;
mod claims;
mod cut;
mod documents;
mod entry;
mod explain;
mod hosts;
mod order;
mod read;
mod settle;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use imbl::{OrdMap, OrdSet};

pub(crate) use self::{
    changes::{Transition, TransitionKind},
    documents::DocumentName,
    hosts::HostPage,
    read::{ForSale, PublishedRow},
};
use self::{
    claims::ClaimIndex,
    cut::CutPoint,
    entry::{Entry, Listed},
    order::{OrderTree, SizeClass},
};
use super::{
    Ids, OfferState, Reason, Rules, Selling, agent::AgentName, judge::judge,
    offer_documents::of_listed,
};
use crate::{
    offer::{Age, Hostname, OfferId, Origin, ParsedOffer, Timestamp},
    page::{Frame, Page, Segments},
};

/// Everything that is published at one instant, kept so that a change is cheap.
#[derive(Clone, Debug)]
pub(crate) struct LiveProjection {
    rules: Arc<Rules>,
    ids: Arc<Ids>,
    public_url: Origin,
    now: Timestamp,
    entries: OrdMap<OfferId, Arc<Entry>>,
    claims: ClaimIndex,
    /// The listed offers by age.
    order: OrderTree,
    /// When the clock alone changes which offer, past and future.
    flips: OrdSet<(Timestamp, OfferId)>,
    hosts: OrdMap<Hostname, Arc<HostPage>>,
    /// The aggregate document: what the offers list, what is around it, and where it is cut.
    segments: Segments<Age>,
    frame: Frame,
    cut: CutPoint,
    default: Page,
    /// The number of offers in each state and with each reason, as if nothing were cut.
    states: [usize; OfferState::ALL.len()],
    reasons: [usize; Reason::ALL.len()],
    /// Agents with at least one published offer.
    selling: OrdMap<AgentName, Selling>,
    /// The number of bytes of each agent's document that is larger than some readers accept.
    large: OrdMap<AgentName, usize>,
}

/// A change of one offer: as it is, or `None` if it does not exist.
pub(crate) type OfferChange = (OfferId, Option<Arc<ParsedOffer>>);

/// The offers that a step touches, as they were before it.
type Before = BTreeMap<OfferId, Option<Arc<Entry>>>;

impl LiveProjection {
    /// The projection without offers. Other ids and another public URL concern every document, so
    /// they need a projection of their own.
    pub(crate) fn new(
        rules: Arc<Rules>,
        ids: Arc<Ids>,
        public_url: Origin,
        now: Timestamp,
    ) -> Self {
        let mut empty = Self {
            frame: Frame::new(Vec::new(), Vec::new()),
            default: Page::new(b""),
            rules,
            ids,
            public_url,
            now,
            entries: OrdMap::new(),
            claims: ClaimIndex::default(),
            order: OrderTree::default(),
            flips: OrdSet::new(),
            hosts: OrdMap::new(),
            segments: Segments::default(),
            cut: CutPoint::default(),
            states: [0; OfferState::ALL.len()],
            reasons: [0; Reason::ALL.len()],
            selling: OrdMap::new(),
            large: OrdMap::new(),
        };
        empty.refresh_aggregate(&Before::new());
        let anchored: Vec<Hostname> = empty.ids.hosts.keys().cloned().collect();
        anchored.iter().for_each(|host| empty.refresh_host(host));
        empty
    }

    /// Moves to `now`, in either direction.
    pub(crate) fn advance(&mut self, now: Timestamp) -> BTreeSet<OfferId> {
        self.apply([], now)
    }

    /// Applies changes of offers and moves to `now`. Each offer may occur once. Returns the offers
    /// whose state or documents may have changed.
    pub(crate) fn apply(
        &mut self,
        changes: impl IntoIterator<Item = OfferChange>,
        now: Timestamp,
    ) -> BTreeSet<OfferId> {
        let mut before = Before::new();
        let mut hosts = self.settle(changes, &mut before);
        self.note_flips(now, &mut before);
        self.now = now;
        for (id, old) in &before {
            self.refresh(id, old.as_deref(), &mut hosts);
        }
        for host in &hosts {
            self.refresh_host(host);
        }
        self.refresh_aggregate(&before);
        before.into_keys().collect()
    }

    /// Notes the offers that the clock changes between the last instant and `now`.
    fn note_flips(&self, now: Timestamp, before: &mut Before) {
        let (from, to) = (self.now.min(now), self.now.max(now));
        let later = self.flips.range(first_after(from)..);
        for (_, id) in later.take_while(|(at, _)| *at <= to) {
            before.entry(id.clone()).or_insert_with(|| self.entries.get(id).cloned());
        }
    }

    /// Judges an offer again, renders it if necessary, and updates what is kept of it. Adds the
    /// hosts whose documents this changes.
    fn refresh(&mut self, id: &OfferId, old: Option<&Entry>, hosts: &mut BTreeSet<Hostname>) {
        let new = self.entries.get(id).cloned().map(|entry| self.judged(&entry, old));
        if let Some(old) = old {
            self.states[old.state as usize] -= 1;
            self.reasons[old.reason as usize] -= 1;
            let is_listed_there = new
                .as_ref()
                .is_some_and(|new| new.listed.is_some() && new.cmp_age(&old.age()).is_eq());
            if old.listed.is_some() && !is_listed_there {
                self.order.remove(&old.age());
            }
            if let Some(flips_at) = old.flips_at {
                self.flips.remove(&(flips_at, id.clone()));
            }
            hosts.extend(old.parsed.claims.host.clone());
        }
        if let Some(new) = new {
            self.states[new.state as usize] += 1;
            self.reasons[new.reason as usize] += 1;
            if let Some(flips_at) = new.flips_at {
                self.flips.insert((flips_at, id.clone()));
            }
            hosts.extend(new.parsed.claims.host.clone());
            if new.listed.is_some() {
                let class = self.class_of(&new);
                self.order.insert(Arc::clone(&new), class);
            }
            self.entries.insert(id.clone(), new);
        }
    }

    /// An offer as it is at this instant. Its page is kept if nothing in it changed.
    fn judged(&self, entry: &Entry, old: Option<&Entry>) -> Arc<Entry> {
        let outcome = self.outcome(entry);
        let judgment = judge(&entry.parsed, outcome.as_ref(), &self.rules, self.now);
        let offer = entry.parsed.verdict.as_ref().ok();
        let drain = offer.and_then(|offer| offer.drain.as_ref().ok().copied().flatten());
        let flips_at = match judgment.state {
            OfferState::Drained => drain.map(|drain| drain.ends_at()),
            OfferState::Published | OfferState::Draining | OfferState::Unpublished => {
                judgment.until
            }
        };
        let listed = judgment.listed.zip(offer).map(|(availability, offer)| {
            let kept = old.filter(|old| Arc::ptr_eq(&old.parsed, &entry.parsed));
            let kept = kept.and_then(|old| old.listed.as_ref());
            match kept.filter(|kept| kept.availability == availability) {
                Some(kept) => kept.clone(),
                None => {
                    let Self { ids, public_url, rules, .. } = self;
                    let document =
                        of_listed(&entry.id, offer, availability, ids, public_url, rules);
                    Listed::new(availability, &document)
                }
            }
        });
        Arc::new(Entry {
            state: judgment.state,
            reason: judgment.reason,
            flips_at,
            listed,
            ..entry.clone()
        })
    }

    fn class_of(&self, entry: &Entry) -> SizeClass {
        let bytes = entry.listed.as_ref().map_or(0, Listed::fragment_len);
        if bytes > self.rules.limits.offer { SizeClass::Large } else { SizeClass::Small }
    }
}

/// The first key of flips after an instant.
fn first_after(instant: Timestamp) -> (Timestamp, OfferId) {
    let next = instant.checked_add_signed(chrono::TimeDelta::nanoseconds(1));
    (next.unwrap_or(instant), OfferId::new("", ""))
}
