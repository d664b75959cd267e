//! What readers ask of a projection.

use std::{borrow::Cow, ops::Bound, sync::Arc};

use imbl::OrdMap;

use super::{HostPage, LiveProjection, entry::Entry, first_after};
use crate::{
    offer::{Hostname, OfferId, Origin, Payable, Timestamp},
    page::Page,
    registration::{
        Availability, Explanation, Ids, OfferState, Reason,
        agent::AgentName,
        document::Cut,
        offer_documents::web,
        profile::{description, name},
    },
};

/// How many offers are looked at for those whose drains end next: others may have a drain without
/// being published.
const LOOKED_AT: usize = 1_000;

/// What a published offer sells.
#[derive(Debug)]
pub(crate) struct ForSale<'a> {
    /// At least one URL.
    pub(crate) payables: &'a [Payable],
    pub(crate) availability: Availability,
    /// The URL of the service on the public URL.
    pub(crate) web: String,
    /// As in its documents.
    pub(crate) name: &'a str,
    /// As in its documents.
    pub(crate) description: Cow<'a, str>,
    /// When the object was last written, if it says so.
    pub(crate) written: Option<Timestamp>,
}

/// One published offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedRow {
    pub(crate) id: OfferId,
    pub(crate) availability: Availability,
    /// `Published`, `Draining`, `OfferTooLarge` or `DocumentFull`.
    pub(crate) reason: Reason,
    /// The URL of the service on the public URL.
    pub(crate) web: String,
    /// The offer's own host, if it has one.
    pub(crate) host: Option<Hostname>,
}

impl LiveProjection {
    pub(crate) fn public_url(&self) -> &Origin {
        &self.public_url
    }

    pub(crate) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The default agent's document.
    pub(crate) fn default(&self) -> &Page {
        &self.default
    }

    /// The document of every host that is claimed or anchored.
    pub(crate) fn hosts(&self) -> &OrdMap<Hostname, Arc<HostPage>> {
        &self.hosts
    }

    /// The per-offer document of an offer that is published.
    pub(crate) fn offer(&self, id: &OfferId) -> Option<&Page> {
        Some(&self.entries.get(id)?.listed.as_ref()?.page)
    }

    /// An offer, if it is published.
    pub(crate) fn published(&self, id: &OfferId) -> Option<PublishedRow> {
        self.row(self.entries.get(id)?)
    }

    /// The published offers behind `after`, by id.
    pub(crate) fn published_after<'a>(
        &'a self,
        after: Option<&OfferId>,
    ) -> impl Iterator<Item = PublishedRow> + use<'a> {
        self.entries_after(after).filter_map(|entry| self.row(entry))
    }

    /// The published offers that can be paid by x402, by id, and how many URLs each has.
    pub(crate) fn payable(&self) -> impl Iterator<Item = (&OfferId, usize)> {
        self.entries.values().filter_map(|entry| {
            let (_, offer) = entry.published()?;
            Some((&entry.id, offer.payables.as_ref().ok()?.len()))
        })
    }

    /// What an offer sells, if it is published and can be paid by x402.
    pub(crate) fn for_sale(&self, id: &OfferId) -> Option<ForSale<'_>> {
        let entry = self.entries.get(id)?;
        let (listed, offer) = entry.published()?;
        Some(ForSale {
            payables: offer.payables.as_ref().ok()?,
            availability: listed.availability,
            web: web(offer, &self.public_url),
            name: name(&entry.id, offer),
            description: description(&entry.id, offer),
            written: offer.written,
        })
    }

    /// How many offers are published.
    pub(crate) fn published_count(&self) -> usize {
        self.count_in_state(OfferState::Published) + self.count_in_state(OfferState::Draining)
    }

    /// The explanations of the offers behind `after`, by id.
    pub(crate) fn explanations_after<'a>(
        &'a self,
        after: Option<&OfferId>,
    ) -> impl Iterator<Item = Explanation> + use<'a> {
        self.entries_after(after).map(|entry| self.explain(entry))
    }

    /// The reason of an offer, and whether its `registration.enabled` is true.
    pub(crate) fn reason(&self, id: &OfferId) -> Option<(Reason, bool)> {
        let entry = self.entries.get(id)?;
        Some((self.reason_of(entry), entry.parsed.enabled))
    }

    /// How many offers have a reason.
    pub(crate) fn count_with_reason(&self, reason: Reason) -> usize {
        let kept = self.reasons[reason as usize];
        let (full, too_large) = (self.cut.full, self.cut.too_large);
        let offers = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        match reason {
            Reason::OfferTooLarge => offers(too_large.offers),
            Reason::DocumentFull => offers(full.offers),
            Reason::Draining => kept - offers(full.draining + too_large.draining),
            Reason::Published => {
                let cut = full.offers + too_large.offers - full.draining - too_large.draining;
                kept - offers(cut)
            }
            Reason::Deleting
            | Reason::Undecodable
            | Reason::InvalidPath
            | Reason::InvalidHostname
            | Reason::ReservedPath
            | Reason::NotGranted
            | Reason::HostConflict
            | Reason::PathConflict
            | Reason::InvalidDrain
            | Reason::Disabled
            | Reason::Paused
            | Reason::Drained
            | Reason::ConditionMissing => kept,
        }
    }

    /// How many agents have a document: the default agent, and one for each host.
    pub(crate) fn agent_count(&self) -> usize {
        self.hosts.len() + 1
    }

    /// How many offers the source has.
    pub(crate) fn offer_count(&self) -> usize {
        self.entries.len()
    }

    /// Agents whose documents are larger than the strictest reader accepts, with sizes in bytes.
    pub(crate) fn large_documents(&self) -> impl Iterator<Item = (&AgentName, &usize)> {
        self.large.iter()
    }

    /// The instant from which on this is true; `None` if it was always so.
    pub(crate) fn valid_from(&self) -> Option<Timestamp> {
        self.flips.range(..first_after(self.now)).next_back().map(|(at, _)| *at)
    }

    /// The first instant at which the clock alone changes any of this.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        self.flips.range(first_after(self.now)..).next().map(|(at, _)| *at)
    }

    /// The published offers whose drains end next, by end.
    pub(crate) fn next_drains(&self) -> impl Iterator<Item = (Timestamp, &OfferId)> {
        let flips = self.flips.range(first_after(self.now)..).take(LOOKED_AT);
        let is_draining = |id: &OfferId| {
            self.entries.get(id).is_some_and(|entry| entry.state == OfferState::Draining)
        };
        flips.filter(move |(_, id)| is_draining(id)).map(|(at, id)| (*at, id))
    }

    /// Why the aggregate document leaves out a listed offer, if it does.
    pub(super) fn cut_of(&self, entry: &Entry) -> Option<Cut> {
        entry.listed.as_ref()?;
        self.cut.of(entry, self.class_of(entry))
    }

    fn reason_of(&self, entry: &Entry) -> Reason {
        match self.cut_of(entry) {
            None => entry.reason,
            Some(Cut::TooLarge) => Reason::OfferTooLarge,
            Some(Cut::Full) => Reason::DocumentFull,
        }
    }

    fn row(&self, entry: &Entry) -> Option<PublishedRow> {
        let (listed, offer) = entry.published()?;
        Some(PublishedRow {
            id: entry.id.clone(),
            availability: listed.availability,
            reason: self.reason_of(entry),
            web: web(offer, &self.public_url),
            host: offer.own_host(&self.public_url).cloned(),
        })
    }

    fn entries_after<'a>(
        &'a self,
        after: Option<&OfferId>,
    ) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        self.entries.range((start, Bound::Unbounded)).map(|(_, entry)| entry.as_ref())
    }
}
