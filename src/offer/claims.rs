//! Which offer holds which path and host: the one with the earliest claim, even if that offer is
//! not published.

use std::collections::BTreeMap;

use super::{Grants, Hostname, OfferId, Offers, Origin, ParsedOffer, grants::Ungranted};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// The offer holds everything that it claims.
    Holds,
    /// Its namespace may not claim this, so the offer holds neither host nor path.
    NotGranted(Ungranted),
    /// An earlier offer holds the host, so this offer holds neither host nor path.
    HostConflict { holder: OfferId },
    /// An earlier offer holds the path, so this offer holds neither host nor path.
    PathConflict { holder: OfferId },
}

/// A claim that was decided by name, because both offers have the same creation time or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecidedByName {
    pub(crate) holder: OfferId,
    pub(crate) loser: OfferId,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResolvedClaims {
    /// The outcome for every offer that is not being deleted.
    pub(crate) outcomes: BTreeMap<OfferId, ClaimOutcome>,
    /// The holder of each claimed host.
    pub(crate) hosts: BTreeMap<Hostname, OfferId>,
    /// For each loser, and for each holder the first loser.
    pub(crate) by_name: BTreeMap<OfferId, DecidedByName>,
}

/// Resolves all claims, oldest offer first; see [`ParsedOffer::age`](super::ParsedOffer::age).
///
/// Nobody can claim the public URL's own host.
pub(crate) fn resolve_claims(
    offers: &Offers,
    public_url: &Origin,
    grants: Option<&Grants>,
) -> ResolvedClaims {
    let mut claimants: Vec<_> = offers.iter().filter(|(_, parsed)| !parsed.deleting).collect();
    claimants.sort_by_cached_key(|(id, parsed)| parsed.age(id));
    let mut resolved = ResolvedClaims::default();
    let mut paths: BTreeMap<&str, &OfferId> = BTreeMap::new();
    for (id, parsed) in claimants {
        let path = parsed.claims.path.as_ref().map(|path| path.key());
        let host = parsed.claims.host.as_ref().filter(|host| !public_url.is_at(host));
        let ungranted =
            grants.and_then(|grants| grants.first_ungranted(&id.namespace, host, &parsed.claims));
        let outcome = if let Some(claim) = ungranted {
            ClaimOutcome::NotGranted(claim)
        } else if let Some(holder) = host.and_then(|host| resolved.hosts.get(host)).cloned() {
            resolved.note_if_by_name(offers, &holder, id, parsed);
            ClaimOutcome::HostConflict { holder }
        } else if let Some(holder) = path.and_then(|path| paths.get(path)) {
            resolved.note_if_by_name(offers, holder, id, parsed);
            ClaimOutcome::PathConflict { holder: (*holder).clone() }
        } else {
            paths.extend(path.map(|path| (path, id)));
            resolved.hosts.extend(host.map(|host| (host.clone(), id.clone())));
            ClaimOutcome::Holds
        };
        resolved.outcomes.insert(id.clone(), outcome);
    }
    resolved
}

impl ResolvedClaims {
    fn note_if_by_name(
        &mut self,
        offers: &Offers,
        holder: &OfferId,
        loser: &OfferId,
        parsed: &ParsedOffer,
    ) {
        if offers.get(holder).is_some_and(|held| held.created == parsed.created) {
            let decision = DecidedByName { holder: holder.clone(), loser: loser.clone() };
            self.by_name.entry(holder.clone()).or_insert_with(|| decision.clone());
            self.by_name.insert(loser.clone(), decision);
        }
    }
}

#[cfg(test)]
mod tests;
