//! The service entries of one offer: the generated ones first, then the custom ones that may be
//! published.

use super::{Availability, Rules, ServiceEntry, reason::DroppedService};
use crate::offer::{EntryCode, Hostname, Offer, Origin, Service};

/// Five readers reject an OASF entry without an endpoint. All of them accept this one.
const OASF_ENDPOINT: &str = "https://github.com/agntcy/oasf/";
const OASF_VERSION: &str = "0.8.0";

/// The entries for the aggregate document and for the offer's own document.
pub(super) fn at_public_url(
    offer: &Offer,
    public_url: &Origin,
    availability: Availability,
    rules: &Rules,
) -> Vec<ServiceEntry> {
    let custom =
        offer.registration.services.iter().filter(|service| service.refusal.is_none()).cloned();
    assemble(offer, web_endpoint(offer, public_url), custom, availability, rules)
}

/// The entries for the document of the offer's own host.
pub(super) fn at_host(
    offer: &Offer,
    host: &Hostname,
    availability: Availability,
    rules: &Rules,
) -> Vec<ServiceEntry> {
    let custom = offer.registration.services.iter().filter_map(|service| service.at_host(host));
    assemble(offer, host.origin(), custom, availability, rules)
}

/// The entries that [`at_public_url`] leaves out.
pub(super) fn dropped(offer: &Offer, public_url: &Origin, rules: &Rules) -> Vec<DroppedService> {
    let drop = |index, name: &str, endpoint: &str, code: EntryCode| DroppedService {
        index,
        name: name.to_owned(),
        endpoint: endpoint.to_owned(),
        code,
        message: code.message(),
    };
    let mut dropped = Vec::new();
    let mut generated = vec![("web", web_endpoint(offer, public_url))];
    if has_oasf(offer) {
        generated.push(("OASF", OASF_ENDPOINT.to_owned()));
    }
    for (name, endpoint) in generated.iter().filter(|(name, _)| !is_listed(name, rules)) {
        dropped.push(drop(None, name, endpoint, EntryCode::NameNotListed));
    }
    for (index, service) in offer.registration.services.iter().enumerate() {
        let unlisted = (!is_listed(&service.name, rules)).then_some(EntryCode::NameNotListed);
        if let Some(code) = service.refusal.or(unlisted) {
            dropped.push(drop(Some(index), &service.name, &service.endpoint, code));
        }
    }
    dropped
}

fn assemble(
    offer: &Offer,
    web: String,
    custom: impl Iterator<Item = Service>,
    availability: Availability,
    rules: &Rules,
) -> Vec<ServiceEntry> {
    let plain = |name: String, endpoint: String, version: String| ServiceEntry {
        name,
        endpoint,
        version,
        skills: Vec::new(),
        domains: Vec::new(),
        availability,
    };
    let mut entries = vec![plain("web".to_owned(), web, String::new())];
    if has_oasf(offer) {
        entries.push(ServiceEntry {
            skills: offer.registration.skills.clone(),
            domains: offer.registration.domains.clone(),
            // OASF is a taxonomy, not a service that could drain.
            availability: Availability::Open,
            ..plain("OASF".to_owned(), OASF_ENDPOINT.to_owned(), OASF_VERSION.to_owned())
        });
    }
    entries.extend(custom.map(|service| plain(service.name, service.endpoint, service.version)));
    entries.retain(|entry| is_listed(&entry.name, rules));
    entries
}

fn web_endpoint(offer: &Offer, public_url: &Origin) -> String {
    format!("{public_url}{}", offer.path.as_str())
}

fn has_oasf(offer: &Offer) -> bool {
    !offer.registration.skills.is_empty() || !offer.registration.domains.is_empty()
}

fn is_listed(name: &str, rules: &Rules) -> bool {
    rules.service_names.as_ref().is_none_or(|names| names.contains(name))
}
