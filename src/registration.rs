//! What the world says, as documents: a pure fold over offers, ids and `now`, and the instant at which it ends.

pub(crate) mod chains;
mod document;
mod entries;
mod identity;
mod json;
mod judge;
mod reason;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::document::fragment;
pub(crate) use self::{
    document::{AgentProfile, Availability, Document, ServiceEntry, WELL_KNOWN_PATH},
    identity::{
        AgentId, AgentRegistry, Identity, Ids, OnChainAgent, OnChainFacts, OnChainId,
        RegistrationEntry, Registrations, entries,
    },
    json::encode,
    reason::{Explanation, OfferState, Reason},
};
use crate::offer::{Hostname, Offer, OfferId, Offers, Origin, Timestamp, resolve_claims};

/// What the operator decided about documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Condition types that must be `True`.
    pub(crate) required_conditions: BTreeSet<String>,
    /// Whether a draining offer that lacks a required condition is dropped, as the original system does.
    pub(crate) drop_unready_drains: bool,
    /// Names of entries that are published; all when `None`.
    pub(crate) service_names: Option<BTreeSet<String>>,
    /// The aggregate document is cut above this many bytes.
    pub(crate) max_document_bytes: usize,
    /// What the default agent says of itself, each field on its own.
    pub(crate) profile: ProfileOverrides,
    /// What a tombstone of the default agent is called when the profile has no name.
    pub(crate) agent_name: String,
}

/// The operator's own words for the default agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProfileOverrides {
    /// The agent's name.
    pub(crate) name: Option<String>,
    /// The agent's description.
    pub(crate) description: Option<String>,
    /// An image URL.
    pub(crate) image: Option<String>,
    /// Trust models.
    pub(crate) supported_trust: Option<Vec<String>>,
    /// Free metadata.
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    /// Provenance.
    pub(crate) provenance: Option<BTreeMap<String, String>>,
}

/// Everything that is published at one instant, and for how long it is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Projection {
    /// The default agent's document.
    pub(crate) default: Document,
    /// Every claimed host's document: its agent's, or a tombstone.
    pub(crate) hosts: BTreeMap<Hostname, HostDocument>,
    /// Every published offer, oldest first.
    pub(crate) published: Vec<PublishedOffer>,
    /// Every offer seen, by id.
    pub(crate) explanations: Vec<Explanation>,
    /// The first instant at which the clock alone changes any of this.
    pub(crate) next_change: Option<Timestamp>,
}

/// The document of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostDocument {
    /// The offer that holds the host; none when it was anchored and nobody claims it.
    pub(crate) holder: Option<OfferId>,
    /// Its document; inactive while the holder is not published.
    pub(crate) document: Document,
}

/// One published offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedOffer {
    /// The offer.
    pub(crate) id: OfferId,
    /// Published or draining.
    pub(crate) availability: Availability,
    /// Why it stands so; `DocumentFull` when the aggregate document is cut before it.
    pub(crate) reason: Reason,
    /// Where it is sold on the public URL.
    pub(crate) web: String,
    /// The host it is sold at besides.
    pub(crate) host: Option<Hostname>,
    /// Whom it is paid to, if it says so.
    pub(crate) pay_to: Option<String>,
    /// Its own document.
    pub(crate) document: Document,
}

/// Projects offers into documents.
///
/// The answer holds from `now` until [`Projection::next_change`], in whatever order the offers came.
pub(crate) fn project(
    offers: &Offers,
    ids: &Ids,
    public_url: &Origin,
    rules: &Rules,
    now: Timestamp,
) -> Projection {
    let standings = resolve_claims(offers, public_url);
    let mut explanations = BTreeMap::new();
    let mut listed: Vec<(&OfferId, &Offer, Availability)> = Vec::new();
    let mut next_change: Option<Timestamp> = None;
    let mut by_age: Vec<_> = offers.iter().collect();
    by_age.sort_by_key(|(id, seen)| seen.age(id));
    for (id, seen) in by_age {
        let judged = judge::judge(seen, standings.offers.get(id), rules, now);
        next_change = [next_change, judged.until].into_iter().flatten().min();
        if let (Some(availability), Ok(offer)) = (judged.listed, &seen.verdict) {
            listed.push((id, offer, availability));
        }
        explanations.insert(id.clone(), judge::explain(id, seen, judged, rules, public_url));
    }

    let mut published: Vec<PublishedOffer> = listed
        .iter()
        .map(|(id, offer, availability)| PublishedOffer {
            id: (*id).clone(),
            availability: *availability,
            reason: match availability {
                Availability::Open => Reason::Published,
                Availability::Draining { .. } => Reason::Draining,
            },
            web: format!("{public_url}{}", offer.path.as_str()),
            host: offer.host.clone(),
            pay_to: offer.pay_to.clone(),
            document: Document {
                face: face(id, offer, public_url),
                services: vec![fragment(&entries::at_public_url(
                    offer,
                    public_url,
                    *availability,
                    rules,
                ))],
                active: true,
                registrations: ids.default.clone(),
            },
        })
        .collect();

    let mut default = Document {
        face: default_face(
            published.first().map(|oldest| &oldest.document.face),
            public_url,
            rules,
        ),
        services: published
            .iter()
            .flat_map(|offer| offer.document.services.iter().cloned())
            .collect(),
        active: !published.is_empty(),
        registrations: ids.default.clone(),
    };
    let kept = default.services_within(rules.max_document_bytes);
    default.services.truncate(kept);
    for cut in published.iter_mut().skip(kept) {
        cut.reason = Reason::DocumentFull;
        explanations.entry(cut.id.clone()).and_modify(judge::cut_from_aggregate);
    }

    let by_id: BTreeMap<_, _> =
        listed.iter().map(|(id, offer, availability)| (*id, (*offer, *availability))).collect();
    // A host that was anchored keeps its tombstone and its ids, whoever claims it or nobody.
    let anchored = ids.hosts.keys().filter_map(|host| Some((Hostname::parse(host)?, None)));
    let claimed = standings.hosts.iter().map(|(host, holder)| (host.clone(), Some(holder)));
    let all: BTreeMap<Hostname, Option<&OfferId>> = anchored.chain(claimed).collect();
    let hosts = all.into_iter().map(|(host, holder)| {
        let registrations = ids.at(host.as_str()).clone();
        let document = match holder.and_then(|holder| Some((holder, by_id.get(holder)?))) {
            Some((holder, (offer, availability))) => Document {
                face: face(holder, offer, public_url),
                services: vec![fragment(&entries::at_host(offer, &host, *availability, rules))],
                active: true,
                registrations,
            },
            None => Document {
                face: tombstone(host.as_str(), default_image(public_url)),
                services: Vec::new(),
                active: false,
                registrations,
            },
        };
        (host, HostDocument { holder: holder.cloned(), document })
    });
    Projection {
        hosts: hosts.collect(),
        default,
        published,
        explanations: explanations.into_values().collect(),
        next_change,
    }
}

fn default_image(public_url: &Origin) -> String {
    format!("{public_url}/agent-icon.png")
}

fn face(id: &OfferId, offer: &Offer, public_url: &Origin) -> AgentProfile {
    let said = &offer.registration;
    let generated = || match &offer.model {
        Some(model) if offer.kind == "inference" => {
            format!("{model} inference via x402 micropayments")
        }
        Some(_) | None => format!("x402 payment-gated {} service: {}", offer.kind, id.name),
    };
    AgentProfile {
        name: said.name.clone().unwrap_or_else(|| id.name.to_string()),
        description: said.description.clone().unwrap_or_else(generated),
        image: said.image.clone().unwrap_or_else(|| default_image(public_url)),
        supported_trust: said.supported_trust.clone(),
        metadata: said.metadata.clone(),
        provenance: said.provenance.clone(),
    }
}

fn default_face(oldest: Option<&AgentProfile>, public_url: &Origin, rules: &Rules) -> AgentProfile {
    let profile = rules.profile.clone();
    let image = profile.image.unwrap_or_else(|| default_image(public_url));
    let Some(oldest) = oldest.cloned() else {
        return tombstone(profile.name.as_deref().unwrap_or(&rules.agent_name), image);
    };
    AgentProfile {
        name: profile.name.unwrap_or(oldest.name),
        description: profile.description.unwrap_or(oldest.description),
        image: rules.profile.image.clone().unwrap_or(oldest.image),
        supported_trust: profile.supported_trust.unwrap_or(oldest.supported_trust),
        metadata: profile.metadata.unwrap_or(oldest.metadata),
        provenance: profile.provenance.unwrap_or(oldest.provenance),
    }
}

fn tombstone(name: &str, image: String) -> AgentProfile {
    AgentProfile {
        name: name.to_owned(),
        description: format!("Agent {name} (deactivated)"),
        image,
        supported_trust: Vec::new(),
        metadata: BTreeMap::new(),
        provenance: BTreeMap::new(),
    }
}
