//! Small worlds: resources as they would come from a file or a cluster, and rules to project them with.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    offer::{OfferId, Offers, Origin, ParsedOffer, Timestamp, parse_timestamp},
    registration::{
        Document, Explanation, Ids, OfferState, OnChainFacts, ProfileOverrides, Projection, Reason,
        Registrations, Rules, project,
    },
};
use proptest::test_runner::Config as ProptestConfig;
use serde_json::Value;

/// Noon of the day on which most test worlds stand.
pub(crate) const NOON: &str = "2026-05-24T12:00:00Z";
pub(crate) const PUBLIC_URL: &str = "https://seller.example";

/// An instant.
pub(crate) fn at(text: &str) -> Timestamp {
    parse_timestamp(text).unwrap()
}

/// The public URL of all test worlds.
pub(crate) fn public_url() -> Origin {
    Origin::parse(PUBLIC_URL).unwrap()
}

pub(crate) use self::resource::{Resource, offer};

#[path = "../tests/support/resource.rs"]
mod resource;

impl Resource {
    pub(crate) fn id(&self) -> OfferId {
        let (namespace, name) = self.key();
        OfferId::new(namespace, name)
    }

    pub(crate) fn seen(&self) -> ParsedOffer {
        ParsedOffer::parse(&self.id(), &self.0)
    }
}

/// The parsed offers of some resources.
pub(crate) fn offers<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Offers {
    resources.into_iter().map(|resource| (resource.id(), Arc::new(resource.seen()))).collect()
}

/// Rules without requirements or limits.
pub(crate) fn rules() -> Rules {
    Rules {
        required_conditions: BTreeSet::new(),
        drop_unready_drains: false,
        service_names: None,
        max_document_bytes: 1_048_576,
        profile: ProfileOverrides::default(),
        agent_name: "default".to_owned(),
    }
}

/// Projects resources by `rules`, without ids.
pub(crate) fn projected<'a>(
    resources: impl IntoIterator<Item = &'a Resource>,
    rules: &Rules,
    now: &str,
) -> Projection {
    project(&offers(resources), &Ids::default(), &public_url(), rules, at(now))
}

/// What a document says, as JSON.
pub(crate) fn document_json(document: &Document) -> Value {
    serde_json::from_slice(&document.render()).unwrap()
}

/// An offer's state and reason.
pub(crate) fn standing(projection: &Projection, id: &str) -> (OfferState, Reason) {
    let told = explanation(projection, id);
    (told.state, told.reason)
}

/// What is said of an offer.
pub(crate) fn explanation<'a>(projection: &'a Projection, id: &str) -> &'a Explanation {
    projection.explanations.iter().find(|told| told.id.to_string() == id).unwrap()
}

/// The ids of what is published, in the order of the aggregate document.
pub(crate) fn published(projection: &Projection) -> Vec<String> {
    projection.published.iter().map(|offer| offer.id.to_string()).collect()
}

/// The entries of a document, as name and endpoint.
pub(crate) fn listed(document: &Document) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let json = document_json(document);
    let entries = json["services"].as_array().unwrap().iter();
    entries.map(|entry| (text(&entry["name"]), text(&entry["endpoint"]))).collect()
}

/// How often a law is tried. Failing inputs are printed, and no file is written.
pub(crate) fn law(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The ids of documents where nothing was learned on chain.
pub(crate) fn ids_of(registrations: &Registrations) -> Ids {
    OnChainFacts::default().ids(registrations)
}
