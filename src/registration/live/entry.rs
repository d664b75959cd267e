//! What is known of one offer: its standing, its state, and its page if it is listed.

use std::{cmp::Ordering, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    offer::{Age, Offer, OfferId, ParsedOffer, Timestamp},
    page::Page,
    registration::{Availability, Document, OfferState, Reason},
};

/// What became of an offer's claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It claims nothing, because it is being deleted.
    Deleting,
    NotGranted,
    HostConflict,
    PathConflict,
    Holds,
}

/// One offer at one instant.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: OfferId,
    pub(super) parsed: Arc<ParsedOffer>,
    pub(super) standing: Standing,
    pub(super) state: OfferState,
    /// As if the aggregate document had no limits.
    pub(super) reason: Reason,
    /// The only instant at which the clock alone changes the state, past or future.
    pub(super) flips_at: Option<Timestamp>,
    /// `None` unless documents list the offer.
    pub(super) listed: Option<Listed>,
}

/// Entries are compared by identity: whoever compares two maps of them wants what the two do not
/// share.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// How documents list an offer.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) availability: Availability,
    /// The per-offer document.
    pub(super) page: Page,
    /// Where its service entries are in the page, which is how the aggregate lists them.
    services: Range<usize>,
}

impl Entry {
    /// How documents list the offer, and what it says; `None` unless it is published.
    pub(super) fn published(&self) -> Option<(&Listed, &Offer)> {
        Some((self.listed.as_ref()?, self.parsed.verdict.as_ref().ok()?))
    }

    pub(super) fn age(&self) -> Age {
        self.parsed.age(&self.id)
    }

    pub(super) fn cmp_age(&self, age: &Age) -> Ordering {
        let own = (self.parsed.created.is_none(), self.parsed.created, &self.id);
        own.cmp(&(age.created.is_none(), age.created, &age.id))
    }
}

impl Listed {
    /// `document` is the per-offer document.
    pub(super) fn new(availability: Availability, document: &Document) -> Self {
        let (mut bytes, tail) = document.frame();
        let start = bytes.len();
        for fragment in &document.services {
            bytes.extend_from_slice(fragment);
        }
        let services = start..bytes.len();
        bytes.extend_from_slice(&tail);
        Self { availability, page: Page::new(&bytes), services }
    }

    /// Its service entries as JSON objects joined by commas; empty without entries.
    pub(super) fn fragment(&self) -> Bytes {
        self.page.identity().body.to_bytes().slice(self.services.clone())
    }

    /// The length of [`Self::fragment`] in bytes.
    pub(super) fn fragment_len(&self) -> usize {
        self.services.len()
    }
}
