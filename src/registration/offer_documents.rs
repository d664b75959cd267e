//! The documents of one offer and of one host: what the full fold and its incremental form share.

use super::{
    Availability, Document, Ids, Rules,
    document::fragment,
    entries,
    profile::{default_image, inactive, of_offer},
};
use crate::offer::{Hostname, Offer, OfferId, Origin};

/// The per-offer document of an offer that is listed.
pub(super) fn of_listed(
    id: &OfferId,
    offer: &Offer,
    availability: Availability,
    ids: &Ids,
    public_url: &Origin,
    rules: &Rules,
) -> Document {
    let services = entries::at_public_url(offer, public_url, availability, rules);
    Document {
        profile: of_offer(id, offer, public_url),
        services: vec![fragment(&services)],
        active: true,
        x402_support: offer.accepts_x402,
        registrations: ids.default.clone(),
    }
}

/// The document of the host of an offer that is listed.
pub(super) fn at_host(
    id: &OfferId,
    offer: &Offer,
    host: &Hostname,
    availability: Availability,
    ids: &Ids,
    public_url: &Origin,
    rules: &Rules,
) -> Document {
    Document {
        profile: of_offer(id, offer, public_url),
        services: vec![fragment(&entries::at_host(offer, host, availability, rules))],
        active: true,
        x402_support: offer.accepts_x402,
        registrations: ids.at(host).clone(),
    }
}

/// The document of a host whose holder is not listed, or that nobody claims.
pub(super) fn inactive_host(host: &Hostname, ids: &Ids, public_url: &Origin) -> Document {
    Document {
        profile: inactive(host.as_str(), default_image(public_url)),
        services: Vec::new(),
        active: false,
        x402_support: false,
        registrations: ids.at(host).clone(),
    }
}

/// The URL of an offer's service on the public URL.
pub(super) fn web(offer: &Offer, public_url: &Origin) -> String {
    format!("{public_url}{}", offer.path.as_str())
}
