//! The service entries of one offer: the generated ones first, then the custom ones that may be
//! published.

use super::{
    Availability, Rules, ServiceEntry,
    reason::{DocumentKind, DroppedService},
};
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
    let custom =
        offer.registration.services.iter().filter_map(|service| service.at_host(host).ok());
    assemble(offer, host.origin(), custom, availability, rules)
}

/// What the documents of an offer leave out. An entry with different codes in two documents has an
/// item for each.
pub(super) fn dropped(offer: &Offer, public_url: &Origin, rules: &Rules) -> Vec<DroppedService> {
    let host = offer.own_host(public_url);
    let unlisted = |name: &str| (!is_listed(name, rules)).then_some(EntryCode::NameNotListed);
    let mut dropped = Vec::new();
    let mut note = |index, name: &str, endpoint: &str, [aggregate, at_host]: [_; 2]| {
        let documents = [(aggregate, DocumentKind::Aggregate), (at_host, DocumentKind::Host)];
        for (code, documents) in by_code(documents) {
            dropped.push(DroppedService {
                index,
                name: name.to_owned(),
                endpoint: endpoint.to_owned(),
                code,
                message: code.message(),
                documents,
            });
        }
    };
    let mut generated = vec![("web", web_endpoint(offer, public_url))];
    if has_oasf(offer) {
        generated.push(("OASF", OASF_ENDPOINT.to_owned()));
    }
    for (name, endpoint) in generated {
        let code = unlisted(name);
        note(None, name, &endpoint, [code, code.filter(|_| host.is_some())]);
    }
    for (index, service) in offer.registration.services.iter().enumerate() {
        let unlisted = unlisted(&service.name);
        let at_host = host.and_then(|host| match (service.at_host(host), unlisted) {
            // An entry that is not published anywhere is not reported as on another host.
            (Ok(_) | Err(EntryCode::NotOnHost), Some(code)) => Some(code),
            (at_host, _) => at_host.err(),
        });
        let codes = [service.refusal.or(unlisted), at_host];
        note(Some(index), &service.name, &service.endpoint, codes);
    }
    dropped
}

/// The documents of each code, in order.
fn by_code(
    documents: [(Option<EntryCode>, DocumentKind); 2],
) -> Vec<(EntryCode, Vec<DocumentKind>)> {
    let mut codes: Vec<(EntryCode, Vec<DocumentKind>)> = Vec::new();
    for (code, document) in documents {
        let Some(code) = code else { continue };
        match codes.last_mut().filter(|(last, _)| *last == code) {
            Some((_, documents)) => documents.push(document),
            None => codes.push((code, vec![document])),
        }
    }
    codes
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
        mcp_tools: Vec::new(),
        a2a_skills: Vec::new(),
        availability,
    };
    let mut entries = vec![plain("web".to_owned(), web, String::new())];
    if has_oasf(offer) {
        entries.push(ServiceEntry {
            skills: offer.registration.skills.to_vec(),
            domains: offer.registration.domains.to_vec(),
            // OASF is a taxonomy, not a service that could drain.
            availability: Availability::Open,
            ..plain("OASF".to_owned(), OASF_ENDPOINT.to_owned(), OASF_VERSION.to_owned())
        });
    }
    entries.extend(custom.map(|service| ServiceEntry {
        mcp_tools: service.mcp_tools,
        a2a_skills: service.a2a_skills,
        ..plain(service.name, service.endpoint, service.version)
    }));
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

#[cfg(test)]
mod tests;
