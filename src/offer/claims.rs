//! Which offer holds which path and host: the one with the earliest claim, even if that offer is
//! not published.

use std::collections::BTreeMap;

use super::{Hostname, OfferId, Offers, Origin};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// The offer holds everything that it claims.
    Holds,
    /// The host that it claims is the public URL's own, so nobody holds it.
    ReservedHost(Hostname),
    /// An earlier offer holds the host, so this offer holds neither host nor path.
    HostConflict { holder: OfferId },
    /// An earlier offer holds the path, so this offer holds neither host nor path.
    PathConflict { holder: OfferId },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResolvedClaims {
    /// The outcome for every offer that is not being deleted.
    pub(crate) outcomes: BTreeMap<OfferId, ClaimOutcome>,
    /// The holder of each claimed host.
    pub(crate) hosts: BTreeMap<Hostname, OfferId>,
}

/// Resolves all claims, oldest offer first; see [`ParsedOffer::age`](super::ParsedOffer::age).
///
/// An offer that claims the public URL's own host still holds its path.
pub(crate) fn resolve_claims(offers: &Offers, public_url: &Origin) -> ResolvedClaims {
    let mut claimants: Vec<_> = offers.iter().filter(|(_, parsed)| !parsed.deleting).collect();
    claimants.sort_by_key(|(id, parsed)| parsed.age(id));
    let mut resolved = ResolvedClaims::default();
    let mut paths: BTreeMap<&str, &OfferId> = BTreeMap::new();
    for (id, parsed) in claimants {
        let path = parsed.claims.path.as_ref().map(|path| path.key());
        let reserved = parsed.claims.host.as_ref().filter(|host| public_url.is_at(host));
        let host = parsed.claims.host.as_ref().filter(|host| !public_url.is_at(host));
        let outcome = if let Some(holder) = host.and_then(|host| resolved.hosts.get(host)) {
            ClaimOutcome::HostConflict { holder: holder.clone() }
        } else if let Some(holder) = path.and_then(|path| paths.get(path)) {
            // If both the host is reserved and the path is taken, the reserved host is reported.
            match reserved {
                Some(host) => ClaimOutcome::ReservedHost(host.clone()),
                None => ClaimOutcome::PathConflict { holder: (*holder).clone() },
            }
        } else {
            paths.extend(path.map(|path| (path, id)));
            resolved.hosts.extend(host.map(|host| (host.clone(), id.clone())));
            reserved.map_or(ClaimOutcome::Holds, |host| ClaimOutcome::ReservedHost(host.clone()))
        };
        resolved.outcomes.insert(id.clone(), outcome);
    }
    resolved
}

#[cfg(test)]
mod tests;
