//! Explanations, computed when asked for.

use super::{
    LiveProjection,
    claims::ClaimKey,
    entry::{Entry, Standing},
};
use crate::{
    offer::{Age, ClaimOutcome, DecidedByName, OfferId, ParsedOffer, Ungranted},
    registration::{Explanation, judge},
};

impl LiveProjection {
    pub(super) fn explain(&self, entry: &Entry) -> Explanation {
        let Entry { id, parsed, .. } = entry;
        let outcome = self.outcome(entry);
        let mut judgment = judge::judge(parsed, outcome.as_ref(), &self.rules, self.now);
        if let Some(cut) = self.cut_of(entry) {
            judgment.cut_from_aggregate(cut);
        }
        let by_name = outcome.and_then(|outcome| self.by_name(entry, &outcome));
        judge::explain(id, parsed, judgment, by_name.as_ref(), &self.rules, &self.public_url)
    }

    /// The outcome of an offer's claims; `None` only for an offer that is being deleted.
    pub(super) fn outcome(&self, entry: &Entry) -> Option<ClaimOutcome> {
        let keys = || self.keys(&entry.id, &entry.parsed).into_iter();
        let holder = |key: Option<ClaimKey>| Some(self.claims.holder(&key?)?.id.clone());
        Some(match entry.standing {
            Standing::Deleting => return None,
            Standing::Holds => ClaimOutcome::Holds,
            Standing::NotGranted => {
                ClaimOutcome::NotGranted(self.ungranted(&entry.id, &entry.parsed)?)
            }
            Standing::HostConflict => {
                let host = keys().find(|key| matches!(key, ClaimKey::Host(_)));
                ClaimOutcome::HostConflict { holder: holder(host)? }
            }
            Standing::PathConflict => {
                let path = keys().find(|key| matches!(key, ClaimKey::Path(_)));
                ClaimOutcome::PathConflict { holder: holder(path)? }
            }
        })
    }

    /// The first claim of an offer that its namespace is not granted.
    pub(super) fn ungranted(&self, id: &OfferId, parsed: &ParsedOffer) -> Option<Ungranted> {
        let host = self.claimed_host(parsed);
        self.rules.grants.as_ref()?.first_ungranted(&id.namespace, host, &parsed.claims)
    }

    /// The claim of an offer that was decided by name: its own, or of a holder the first that lost.
    fn by_name(&self, entry: &Entry, outcome: &ClaimOutcome) -> Option<DecidedByName> {
        let (holder, loser) = match outcome {
            ClaimOutcome::NotGranted(_) => return None,
            ClaimOutcome::HostConflict { holder } | ClaimOutcome::PathConflict { holder } => {
                (holder.clone(), entry.id.clone())
            }
            ClaimOutcome::Holds => {
                let age = entry.age();
                let keys = self.keys(&entry.id, &entry.parsed);
                let losers = keys.iter().filter_map(|key| self.first_rival(key, &age));
                (entry.id.clone(), losers.min()?.id.clone())
            }
        };
        let created = |id: &OfferId| self.entries.get(id).map(|entry| entry.parsed.created);
        (created(&holder) == created(&loser)).then_some(DecidedByName { holder, loser })
    }

    /// The oldest claimant that lost a key to its holder, if it is as old.
    fn first_rival(&self, key: &ClaimKey, holder: &Age) -> Option<&Age> {
        let lost = match key {
            ClaimKey::Host(_) => Standing::HostConflict,
            ClaimKey::Path(_) => Standing::PathConflict,
        };
        let as_old = self.claims.after(key, holder).take_while(|age| age.created == holder.created);
        let mut losers = as_old
            .filter(|age| self.entries.get(&age.id).is_some_and(|entry| entry.standing == lost));
        losers.next()
    }
}
