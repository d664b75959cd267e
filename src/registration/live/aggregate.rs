//! The aggregate document, and which agents sell.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Before, LiveProjection, cut::CutPoint, entry::Entry, order::SizeClass};
use crate::{
    offer::Age,
    page::Frame,
    registration::{
        AgentProfile, Document, Identity, PublishedAgents, Selling,
        agent::AgentName,
        profile::{of_default_agent, of_offer},
        published::{AgentDocuments, HostDocuments},
    },
};

impl LiveProjection {
    /// Brings the aggregate document up to date after the offers of `before` changed.
    pub(super) fn refresh_aggregate(&mut self, before: &Before) {
        let oldest = self.order.first().and_then(|entry| self.profile(entry));
        let listed = [SizeClass::Small, SizeClass::Large].map(|class| self.order.sum(class));
        let offers: u32 = listed.iter().map(|sum| sum.offers).sum();
        let draining: u32 = listed.iter().map(|sum| sum.draining).sum();
        self.set_selling(AgentName::Default, selling(offers, draining));
        let (head, tail) = Document {
            profile: of_default_agent(oldest.as_ref(), &self.public_url, &self.rules),
            services: Vec::new(),
            active: offers > 0,
            x402_support: listed.iter().any(|sum| sum.x402 > 0),
            registrations: self.ids.default.clone(),
        }
        .frame();
        let is_framed = self.frame.head == head && self.frame.tail == tail;
        let cut = CutPoint::find(&self.order, head.len() + tail.len(), self.rules.limits);
        let edits = self.edits(&cut, before);
        self.cut = cut;
        if is_framed && edits.is_empty() {
            return;
        }
        if !is_framed {
            self.frame = Frame::new(head, tail);
        }
        self.segments.edit(edits);
        self.default = self.segments.page(&self.frame);
        self.set_large(AgentName::Default, Some(self.default.len()));
    }

    fn profile(&self, entry: &Entry) -> Option<AgentProfile> {
        let offer = entry.parsed.verdict.as_ref().ok()?;
        Some(of_offer(&entry.id, offer, &self.public_url))
    }

    /// What the aggregate document lists from now on, and what it lists no more.
    fn edits(&self, cut: &CutPoint, before: &Before) -> BTreeMap<Age, Option<Bytes>> {
        let mut edits = BTreeMap::new();
        let fragment = |entry: &Entry, cut: &CutPoint| {
            let listed = entry.listed.as_ref()?;
            let is_listed =
                cut.of(entry, self.class_of(entry)).is_none() && listed.fragment_len() > 0;
            is_listed.then(|| listed.fragment())
        };
        for class in [SizeClass::Small, SizeClass::Large] {
            let (from, to) = (self.cut.from(class), cut.from(class));
            if from == to {
                continue;
            }
            // Without a cut the end is behind the youngest.
            let (from, to) = match (from, to) {
                (None, to) => (to, None),
                (from, None) => (from, None),
                (Some(from), Some(to)) => (Some(from.min(to)), Some(from.max(to))),
            };
            self.order.visit(class, from, to, &mut |entry| {
                let was = fragment(entry, &self.cut);
                let is = fragment(entry, cut);
                if was != is && !before.contains_key(&entry.id) {
                    edits.insert(entry.age(), is);
                }
            });
        }
        let mut gone: Vec<Age> = Vec::new();
        for (id, old) in before {
            let old = old.as_deref();
            let new = self.entries.get(id);
            let was = old.and_then(|old| Some((old.age(), fragment(old, &self.cut)?)));
            let is = new.and_then(|new| Some((new.age(), fragment(new, cut)?)));
            if was == is {
                continue;
            }
            gone.extend(was.map(|(age, _)| age));
            edits.extend(is.map(|(age, fragment)| (age, Some(fragment))));
        }
        for age in gone {
            edits.entry(age).or_insert(None);
        }
        edits
    }

    pub(super) fn set_selling(&mut self, agent: AgentName, selling: Selling) {
        let last = self.selling.get(&agent).copied().unwrap_or(Selling::Nothing);
        match selling {
            same if same == last => {}
            Selling::Nothing => drop(self.selling.remove(&agent)),
            Selling::Open | Selling::Draining => drop(self.selling.insert(agent, selling)),
        }
    }

    /// What anchoring needs to know.
    pub(crate) fn agents(&self, identity: &Identity) -> PublishedAgents {
        let documents = AgentDocuments {
            default: self.default.identity().body,
            hosts: HostDocuments::Live(self.hosts.clone()),
        };
        PublishedAgents::of(self.public_url.clone(), identity, self.selling.clone(), documents)
    }
}

pub(super) fn selling(offers: u32, draining: u32) -> Selling {
    match offers {
        0 => Selling::Nothing,
        offers if offers == draining => Selling::Draining,
        _ => Selling::Open,
    }
}
