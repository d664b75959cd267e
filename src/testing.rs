//! Fixtures for unit tests: ServiceOffers, rules, and short names for what a projection contains.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    catalog::Catalog,
    offer::{OfferId, Offers, Origin, ParsedOffer, Timestamp, parse_timestamp},
    page::Page,
    registration::{
        Document, Explanation, Ids, LiveProjection, OfferState, OnChainFacts, ProfileOverrides,
        Projection, Reason, Registrations, Rules, SizeLimits, project,
    },
};
use proptest::test_runner::Config as ProptestConfig;
use serde_json::Value;

/// The time of most tests.
pub(crate) const NOON: &str = "2026-05-24T12:00:00Z";
pub(crate) const PUBLIC_URL: &str = "https://seller.example";

pub(crate) fn at(text: &str) -> Timestamp {
    parse_timestamp(text).unwrap()
}

pub(crate) fn public_url() -> Origin {
    Origin::parse(PUBLIC_URL).unwrap()
}

pub(crate) use self::{
    resource::{Resource, offer},
    rows::{for_each_row, for_each_row_async},
};

#[path = "../tests/support/resource.rs"]
mod resource;
#[path = "../tests/support/rows.rs"]
mod rows;

impl Resource {
    pub(crate) fn id(&self) -> OfferId {
        let (namespace, name) = self.key();
        OfferId::new(namespace, name)
    }

    pub(crate) fn parsed(&self) -> ParsedOffer {
        ParsedOffer::parse(&self.id(), &self.0)
    }
}

pub(crate) fn offers<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Offers {
    resources.into_iter().map(|resource| (resource.id(), Arc::new(resource.parsed()))).collect()
}

/// Rules without requirements or limits.
pub(crate) fn rules() -> Rules {
    Rules {
        required_conditions: BTreeSet::new(),
        drop_unready_drains: false,
        service_names: None,
        limits: SizeLimits { document: 1_048_576, offer: 65_536 },
        grants: None,
        profile: ProfileOverrides::default(),
        agent_name: "default".to_owned(),
    }
}

/// Projects resources without agent ids.
pub(crate) fn projected<'a>(
    resources: impl IntoIterator<Item = &'a Resource>,
    rules: &Rules,
    now: &str,
) -> Projection {
    project(&offers(resources), &Ids::default(), &public_url(), rules, at(now))
}

/// What a process that starts at `now` publishes.
pub(crate) fn live(offers: &Offers, ids: Ids, rules: &Rules, now: Timestamp) -> LiveProjection {
    let mut live = LiveProjection::new(rules.clone().into(), ids.into(), public_url(), now);
    live.apply(offers.iter().map(|(id, parsed)| (id.clone(), Some(Arc::clone(parsed)))), now);
    live
}

/// The catalog that a process publishes at `now`.
pub(crate) fn catalog(
    offers: &Offers,
    identity: &Registrations,
    on_chain: &OnChainFacts,
    rules: &Rules,
    last: Option<&Catalog>,
    now: Timestamp,
) -> Catalog {
    let live = live(offers, on_chain.ids(identity), rules, now);
    Catalog::new(&live, &Arc::new(on_chain.clone()), last, now)
}

/// The text of a document.
pub(crate) fn text_of(page: &Page) -> String {
    String::from_utf8(page.identity().body.to_bytes().to_vec()).unwrap()
}

pub(crate) fn json_of(document: &Document) -> Value {
    serde_json::from_slice(&document.render()).unwrap()
}

pub(crate) fn state_and_reason(projection: &Projection, id: &str) -> (OfferState, Reason) {
    let explanation = explanation(projection, id);
    (explanation.state, explanation.reason)
}

pub(crate) fn explanation<'a>(projection: &'a Projection, id: &str) -> &'a Explanation {
    projection.explanations.iter().find(|explanation| explanation.id.to_string() == id).unwrap()
}

/// The ids of the published offers, in the order of the aggregate document.
pub(crate) fn published(projection: &Projection) -> Vec<String> {
    projection.published.iter().map(|offer| offer.id.to_string()).collect()
}

/// The entries of a document, as pairs of name and endpoint.
pub(crate) fn listed(document: &Document) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let json = json_of(document);
    let entries = json["services"].as_array().unwrap().iter();
    entries.map(|entry| (text(&entry["name"]), text(&entry["endpoint"]))).collect()
}

/// Configures a property test that prints a failing input and writes no file.
pub(crate) fn law(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The ids for documents if anchoring knows nothing.
pub(crate) fn ids_of(registrations: &Registrations) -> Ids {
    OnChainFacts::default().ids(registrations)
}

#[test]
#[should_panic(expected = "2 rows failed:\n1 is odd\n3 is odd")]
fn a_table_test_reports_every_failing_row() {
    for_each_row([1, 2, 3], |number| assert!(number % 2 == 0, "{number} is odd"));
}
