//! Who holds which path and host: the earliest claim, whatever becomes of the offer that makes it.

use std::collections::BTreeMap;

use super::{Hostname, OfferId, Offers, Origin};

/// How one offer's claims fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// It holds all that it claims.
    Holds,
    /// Its host is the public URL's own.
    ReservedHost(Hostname),
    /// An earlier offer holds its host; it holds nothing.
    HostConflict {
        /// Who does.
        holder: OfferId,
    },
    /// An earlier offer holds its path; it holds nothing.
    PathConflict {
        /// Who does.
        holder: OfferId,
    },
}

/// The claims of all offers, settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResolvedClaims {
    /// Every offer that claims, that is every one that is not being deleted.
    pub(crate) offers: BTreeMap<OfferId, ClaimOutcome>,
    /// Who holds each claimed host.
    pub(crate) hosts: BTreeMap<Hostname, OfferId>,
}

/// Settles all claims: earliest first by creation time, then namespace, then name; those without a time last.
///
/// A host that is the public URL's own is held by nobody; its offer still holds its path.
pub(crate) fn resolve_claims(offers: &Offers, public_url: &Origin) -> ResolvedClaims {
    let mut claimants: Vec<_> = offers.iter().filter(|(_, seen)| !seen.deleting).collect();
    claimants.sort_by_key(|(id, seen)| seen.age(id));
    let mut standings = ResolvedClaims::default();
    let mut paths: BTreeMap<&str, &OfferId> = BTreeMap::new();
    for (id, seen) in claimants {
        let path = seen.claims.path.as_ref().map(|path| path.key());
        let reserved = seen.claims.host.as_ref().filter(|host| public_url.is_at(host));
        let host = seen.claims.host.as_ref().filter(|host| !public_url.is_at(host));
        let standing = if let Some(holder) = host.and_then(|host| standings.hosts.get(host)) {
            ClaimOutcome::HostConflict { holder: holder.clone() }
        } else if let Some(holder) = path.and_then(|path| paths.get(path)) {
            // Of the two reasons the reserved host is named first.
            match reserved {
                Some(host) => ClaimOutcome::ReservedHost(host.clone()),
                None => ClaimOutcome::PathConflict { holder: (*holder).clone() },
            }
        } else {
            paths.extend(path.map(|path| (path, id)));
            standings.hosts.extend(host.map(|host| (host.clone(), id.clone())));
            reserved.map_or(ClaimOutcome::Holds, |host| ClaimOutcome::ReservedHost(host.clone()))
        };
        standings.offers.insert(id.clone(), standing);
    }
    standings
}

#[cfg(test)]
mod tests;
