//! What became of which offer, for those who follow offers.

use std::{collections::BTreeSet, sync::Arc};

use super::{LiveProjection, entry::Entry};
use crate::{
    offer::{Hostname, OfferId, Timestamp},
    page::Page,
    registration::{Availability, Explanation, OfferState, Reason},
};

/// An offer came into another state. A change of its document alone is not a transition.
#[derive(Clone, Debug)]
pub(crate) struct Transition {
    pub(crate) kind: TransitionKind,
    pub(crate) id: OfferId,
    /// Its own host after the change, or before it if the offer does not exist any more. The default
    /// agent lists an offer in any case.
    pub(crate) host: Option<Hostname>,
    /// The per-offer document; `None` if there is none any more.
    pub(crate) page: Option<Page>,
    /// When the drain ends or ended, for `Draining` and `Drained`.
    pub(crate) drain_ends_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransitionKind {
    /// It is published and was not, for any reason but a drain.
    Published,
    /// It drains and did not, or until another instant.
    Draining,
    /// Its drain has ended.
    Drained,
    /// It is published again after a drain, ended or not.
    Restored,
    /// It is not published any more, for any reason but a drain.
    Withdrawn,
}

impl LiveProjection {
    /// How the state of `touched` offers differs from an earlier projection.
    pub(crate) fn transitions_since(
        &self,
        earlier: &Self,
        touched: &BTreeSet<OfferId>,
    ) -> Vec<Transition> {
        let entry = |projection: &Self, id| projection.entries.get(id).map(Arc::clone);
        let transition =
            |id| self.transition(id, entry(earlier, id).as_deref(), entry(self, id).as_deref());
        touched.iter().filter_map(transition).collect()
    }

    /// Which of the `touched` offers are refused for a reason that they were not refused for before.
    pub(crate) fn refusals_since(
        &self,
        earlier: &Self,
        touched: &BTreeSet<OfferId>,
    ) -> Vec<Explanation> {
        let reason = |projection: &Self, id: &OfferId| {
            let entry = projection.entries.get(id)?;
            (entry.state == OfferState::Unpublished).then_some(entry.reason)
        };
        let is_new = |id: &&OfferId| {
            let now = reason(self, id);
            now.is_some_and(is_refusal) && now != reason(earlier, id)
        };
        let refused = touched.iter().filter(is_new).filter_map(|id| self.entries.get(id));
        refused.map(|entry| self.explain(entry)).collect()
    }

    fn transition(
        &self,
        id: &OfferId,
        old: Option<&Entry>,
        new: Option<&Entry>,
    ) -> Option<Transition> {
        let state = |entry: Option<&Entry>| entry.map_or(OfferState::Unpublished, |new| new.state);
        let kind = match (state(old), state(new)) {
            (OfferState::Unpublished, OfferState::Published) => TransitionKind::Published,
            (OfferState::Draining | OfferState::Drained, OfferState::Published) => {
                TransitionKind::Restored
            }
            (OfferState::Draining, OfferState::Draining) if ends(old) == ends(new) => return None,
            (_, OfferState::Draining) => TransitionKind::Draining,
            (OfferState::Published | OfferState::Draining, OfferState::Drained) => {
                TransitionKind::Drained
            }
            (OfferState::Published | OfferState::Draining, OfferState::Unpublished) => {
                TransitionKind::Withdrawn
            }
            (OfferState::Published, OfferState::Published)
            | (OfferState::Unpublished | OfferState::Drained, OfferState::Drained)
            | (OfferState::Unpublished | OfferState::Drained, OfferState::Unpublished) => {
                return None;
            }
        };
        let page = new.and_then(|new| new.listed.as_ref()).map(|listed| listed.page.clone());
        let is_drain = matches!(kind, TransitionKind::Draining | TransitionKind::Drained);
        Some(Transition {
            kind,
            id: id.clone(),
            host: new.or(old).and_then(|entry| self.claimed_host(&entry.parsed)).cloned(),
            page,
            drain_ends_at: new.filter(|_| is_drain).and_then(|new| new.flips_at),
        })
    }
}

/// Whether an offer is unpublished although its seller wants it to be published.
fn is_refusal(reason: Reason) -> bool {
    match reason {
        Reason::Undecodable
        | Reason::InvalidPath
        | Reason::InvalidHostname
        | Reason::ReservedPath
        | Reason::NotGranted
        | Reason::HostConflict
        | Reason::PathConflict
        | Reason::InvalidDrain
        | Reason::ConditionMissing => true,
        Reason::Deleting
        | Reason::Disabled
        | Reason::Paused
        | Reason::Drained
        | Reason::OfferTooLarge
        | Reason::DocumentFull
        | Reason::Draining
        | Reason::Published => false,
    }
}

/// When documents list an offer no more, if that is known.
fn ends(entry: Option<&Entry>) -> Option<Timestamp> {
    match entry?.listed.as_ref()?.availability {
        Availability::Draining { ends_at } => Some(ends_at),
        Availability::Open => None,
    }
}
