//! Turns offers, agent ids and the time into registration documents, without I/O.

mod agent;
pub(crate) mod chains;
mod data_uri;
mod document;
mod entries;
mod heading;
mod identity;
mod json;
mod judge;
mod live;
mod offer_documents;
mod on_chain;
mod profile;
mod published;
mod reason;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
pub(crate) use self::agent::Registrations;
pub(crate) use self::{
    agent::{AgentId, AgentName, AgentRegistry, RegistrationEntry, entries},
    data_uri::{ChainDocument, DATA_URI_PREFIX, is_retired_uri, retired_uri},
    document::{
        AgentProfile, Availability, DOCUMENT_TYPE, Document, ServiceEntry, SizeLimits,
        WELL_KNOWN_PATH, offer_document_url,
    },
    heading::heading,
    identity::{Identity, IdentityProblem},
    json::encode,
    live::{
        DocumentName, ForSale, HostPage, LiveProjection, OfferChange, PublishedRow, Transition,
        TransitionKind,
    },
    on_chain::{Ids, OnChainAgent, OnChainFacts, OnChainId},
    published::{PublishedAgents, Selling},
    reason::{DroppedService, Explanation, OfferState, Reason, X402Listing, X402Problem},
};
use self::{
    document::Cut,
    judge::{Judgment, judge},
    offer_documents::{at_host, inactive_host, of_listed},
};
use crate::offer::{
    Grants, Hostname, Offer, OfferId, Offers, Origin, ParsedOffer, Payee, ResolvedClaims,
    Timestamp, resolve_claims,
};

/// The operator's settings for documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Condition types that must be `True` before an offer is published.
    pub(crate) required_conditions: BTreeSet<String>,
    /// Whether a draining offer also needs the required conditions, as in the original system.
    pub(crate) drop_unready_drains: bool,
    /// Names of entries that are published; all if `None`.
    pub(crate) service_names: Option<BTreeSet<String>>,
    /// Sizes above which the aggregate document leaves offers out.
    pub(crate) limits: SizeLimits,
    /// What each namespace may claim; anything if `None`.
    pub(crate) grants: Option<Grants>,
    pub(crate) profile: ProfileOverrides,
    /// The name of the inactive default agent if the profile has none.
    pub(crate) agent_name: String,
}

/// Fields of the default agent's profile that the operator sets. Each unset field comes from the
/// oldest offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProfileOverrides {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    /// A URL.
    pub(crate) image: Option<String>,
    pub(crate) supported_trust: Option<Vec<String>>,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    pub(crate) provenance: Option<BTreeMap<String, String>>,
}

/// Everything that is published at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Projection {
    /// The default agent's document.
    pub(crate) default: Document,
    /// One document for every host that is claimed or anchored.
    pub(crate) hosts: BTreeMap<Hostname, HostDocument>,
    /// Oldest first.
    pub(crate) published: Vec<PublishedOffer>,
    /// One for every offer of the source, by id.
    pub(crate) explanations: Vec<Explanation>,
    /// The first instant at which the clock alone changes any of this.
    pub(crate) next_change: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostDocument {
    /// The offer that holds the host; `None` for an anchored host that no offer claims.
    pub(crate) holder: Option<OfferId>,
    /// Inactive unless the holder is published.
    pub(crate) document: Document,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedOffer {
    pub(crate) id: OfferId,
    pub(crate) availability: Availability,
    /// `Published`, `Draining`, `OfferTooLarge` or `DocumentFull`.
    pub(crate) reason: Reason,
    /// The URL of the service on the public URL.
    pub(crate) web: String,
    /// The offer's own host, if it has one.
    pub(crate) host: Option<Hostname>,
    /// `spec.payment.payTo`, if set.
    pub(crate) pay_to: Option<Payee>,
    /// The offer's own document.
    pub(crate) document: Document,
}

/// Computes everything that is published at `now`.
///
/// The result holds from `now` until [`Projection::next_change`] and does not depend on the order
/// in which offers arrived.
pub(crate) fn project(
    offers: &Offers,
    ids: &Ids,
    public_url: &Origin,
    rules: &Rules,
    now: Timestamp,
) -> Projection {
    let claims = resolve_claims(offers, public_url, rules.grants.as_ref());
    let mut judged = judge_all(offers, &claims, rules, now);
    let next_change = judged.iter().filter_map(|offer| offer.judgment.until).min();
    let mut published: Vec<PublishedOffer> =
        judged.iter().filter_map(|offer| offer.publish(ids, public_url, rules)).collect();
    let (default, cuts) = default_document(&published, ids, public_url, rules);

    let listed = judged.iter_mut().filter(|offer| offer.judgment.listed.is_some());
    for ((offer, row), cut) in listed.zip(&mut published).zip(cuts) {
        if let Some(cut) = cut {
            offer.judgment.cut_from_aggregate(cut);
            row.reason = offer.judgment.reason;
        }
    }
    let hosts = host_documents(&judged, &claims, ids, public_url, rules);
    Projection {
        default,
        hosts,
        published,
        explanations: explanations(judged, &claims, rules, public_url),
        next_change,
    }
}

/// An offer with its judgment.
struct JudgedOffer<'a> {
    id: &'a OfferId,
    parsed: &'a ParsedOffer,
    judgment: Judgment,
}

impl<'a> JudgedOffer<'a> {
    /// The offer and its availability, if documents list it.
    fn listed(&self) -> Option<(&'a Offer, Availability)> {
        Some((self.parsed.verdict.as_ref().ok()?, self.judgment.listed?))
    }

    fn publish(&self, ids: &Ids, public_url: &Origin, rules: &Rules) -> Option<PublishedOffer> {
        let (offer, availability) = self.listed()?;
        Some(PublishedOffer {
            id: self.id.clone(),
            availability,
            reason: self.judgment.reason,
            web: offer_documents::web(offer, public_url),
            host: offer.own_host(public_url).cloned(),
            pay_to: offer.pay_to.clone(),
            document: of_listed(self.id, offer, availability, ids, public_url, rules),
        })
    }

    fn publish_at_host(
        &self,
        ids: &Ids,
        public_url: &Origin,
        rules: &Rules,
    ) -> Option<(Hostname, HostDocument)> {
        let (offer, availability) = self.listed()?;
        let host = offer.own_host(public_url)?;
        let document = at_host(self.id, offer, host, availability, ids, public_url, rules);
        Some((host.clone(), HostDocument { holder: Some(self.id.clone()), document }))
    }
}

/// Judges every offer, oldest first.
fn judge_all<'a>(
    offers: &'a Offers,
    claims: &ResolvedClaims,
    rules: &Rules,
    now: Timestamp,
) -> Vec<JudgedOffer<'a>> {
    let mut by_age: Vec<(&OfferId, &ParsedOffer)> =
        offers.iter().map(|(id, parsed)| (id, parsed.as_ref())).collect();
    by_age.sort_by_cached_key(|(id, parsed)| parsed.age(id));
    let judge = |(id, parsed)| {
        let judgment = judge(parsed, claims.outcomes.get(id), rules, now);
        JudgedOffer { id, parsed, judgment }
    };
    by_age.into_iter().map(judge).collect()
}

/// The aggregate document with as many published offers as fit, and why each of the others is left
/// out.
fn default_document(
    published: &[PublishedOffer],
    ids: &Ids,
    public_url: &Origin,
    rules: &Rules,
) -> (Document, Vec<Option<Cut>>) {
    let oldest = published.first().map(|offer| &offer.document.profile);
    let services = published.iter().flat_map(|offer| offer.document.services.iter().cloned());
    let mut document = Document {
        profile: profile::of_default_agent(oldest, public_url, rules),
        services: services.collect(),
        active: !published.is_empty(),
        x402_support: published.iter().any(|offer| offer.document.x402_support),
        registrations: ids.default.clone(),
    };
    let cuts = document.cut_to(rules.limits);
    (document, cuts)
}

/// The document of every host that an offer holds or that is anchored. It is inactive unless its
/// holder is published; an anchored host keeps an inactive document with its ids even if nobody
/// claims it.
fn host_documents(
    judged: &[JudgedOffer<'_>],
    claims: &ResolvedClaims,
    ids: &Ids,
    public_url: &Origin,
    rules: &Rules,
) -> BTreeMap<Hostname, HostDocument> {
    let inactive = |host: &Hostname, holder: Option<&OfferId>| HostDocument {
        holder: holder.cloned(),
        document: inactive_host(host, ids, public_url),
    };
    let published = judged.iter().filter_map(|offer| offer.publish_at_host(ids, public_url, rules));
    let mut documents: BTreeMap<Hostname, HostDocument> = published.collect();
    for (host, holder) in &claims.hosts {
        documents.entry(host.clone()).or_insert_with(|| inactive(host, Some(holder)));
    }
    // An anchored host keeps its tombstone and ids even if it is unclaimed. The public URL's host is
    // the default agent's, even if it was anchored as the host of an offer before.
    for host in ids.hosts.keys().filter(|host| !public_url.is_at(host)) {
        documents.entry(host.clone()).or_insert_with(|| inactive(host, None));
    }
    documents
}

/// The explanations of all offers, by id.
fn explanations(
    judged: Vec<JudgedOffer<'_>>,
    claims: &ResolvedClaims,
    rules: &Rules,
    public_url: &Origin,
) -> Vec<Explanation> {
    let mut explanations: Vec<_> = judged
        .into_iter()
        .map(|offer| {
            let by_name = claims.by_name.get(offer.id);
            judge::explain(offer.id, offer.parsed, offer.judgment, by_name, rules, public_url)
        })
        .collect();
    explanations.sort_by(|a, b| a.id.cmp(&b.id));
    explanations
}
