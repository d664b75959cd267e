//! A review after each change against a review from scratch.

use std::sync::Arc;

use super::*;
use crate::{
    catalog::{Catalog, CurrentCatalog},
    registration::OnChainFacts,
    testing::{NOON, Resource, at, catalog, offer, offers, rules},
};

fn published(resources: &[Resource], now: &str) -> Catalog {
    let ids = crate::registration::Registrations::new();
    catalog(&offers(resources), &ids, &OnChainFacts::default(), &rules(), None, at(now))
}

/// The codes of each document, as a review from scratch finds them.
fn from_scratch(catalog: &Catalog) -> BTreeMap<DocumentName, Vec<LintCode>> {
    let mut all = BTreeMap::new();
    for (document, page) in catalog.projection.changed_documents(None) {
        let found = findings(&page.unwrap().identity().body.to_bytes());
        if !found.is_empty() {
            all.insert(document, found.iter().map(|finding| finding.code).collect());
        }
    }
    all
}

fn codes_of(review: &Review) -> BTreeMap<DocumentName, Vec<LintCode>> {
    let rows = review.documents.iter();
    rows.map(|(document, found)| (document.clone(), found.iter().map(|f| f.code).collect()))
        .collect()
}

fn counted(all: &BTreeMap<DocumentName, Vec<LintCode>>) -> BTreeMap<LintCode, usize> {
    let mut counts = BTreeMap::new();
    for codes in all.values() {
        for code in codes.iter().collect::<BTreeSet<_>>() {
            *counts.entry(*code).or_default() += 1;
        }
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn a_review_follows_every_change_and_equals_one_from_scratch() {
    let short = |id: &str| offer(id).set("/spec/registration/description", "short");
    let named = |id: &str| offer(id).set("/spec/registration/name", "x");
    let worlds = [
        vec![],
        vec![offer("demo/chat"), short("demo/short").host("short.example")],
        vec![offer("demo/chat"), short("demo/short")],
        vec![named("demo/chat"), short("demo/short").draining(NOON, "1h")],
        vec![short("demo/chat"), short("demo/short").disabled()],
        vec![],
    ];
    let (current, cell) = (CurrentCatalog::default(), CurrentReview::default());
    let mut following = Box::pin(follow(current.clone(), cell.clone()));
    for world in worlds {
        let catalog = Arc::new(published(&world, NOON));
        let expected = from_scratch(&catalog);
        current.replace(catalog);
        // Time passes only while the task rests.
        let steps = tokio::time::timeout(std::time::Duration::from_secs(60), &mut following);
        assert!(steps.await.is_err(), "it ended");
        let review = cell.load();
        assert_eq!(codes_of(&review), expected);
        assert_eq!(review.counts().collect::<BTreeMap<_, _>>(), counted(&expected));
    }
}

#[test]
fn only_documents_that_changed_are_checked_again() {
    let before = published(&[offer("demo/chat"), offer("demo/other")], NOON);
    let mut projection = before.projection.clone();
    let changed = offer("demo/chat").set("/spec/registration/description", "Another one.");
    projection.apply([(changed.id(), Some(Arc::new(changed.parsed())))], at(NOON));
    let names: Vec<_> =
        projection.changed_documents(Some(&before.projection)).into_keys().collect();
    let own = DocumentName::Offer(changed.id());
    assert_eq!(names, [DocumentName::Agent(AgentName::Default), own]);
    // An older object is another entry with the same document.
    let last = projection.clone();
    let older = changed.created("2025-12-31T00:00:00Z");
    projection.apply([(older.id(), Some(Arc::new(older.parsed())))], at(NOON));
    assert!(projection.changed_documents(Some(&last)).is_empty());
}

#[test]
fn documents_with_the_same_findings_share_them_and_only_the_worst_are_kept() {
    let mut reviewer = Reviewer::default();
    let page = Page::new(b"{}");
    let names = ["a", "b"].map(|name| DocumentName::Offer(OfferId::new("demo", name)));
    names.iter().for_each(|name| reviewer.check(name.clone(), Some(&page)));
    let [first, second] = names.map(|name| reviewer.review.of(&name));
    assert!(!first.is_empty() && Arc::ptr_eq(&first, &second));
    let services: Vec<_> = (0..40).map(|_| serde_json::json!({ "name": 7 })).collect();
    let document = serde_json::json!({ "name": "many", "services": services }).to_string();
    assert_eq!(findings(document.as_bytes()).len(), KEPT);
}
