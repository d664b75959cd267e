use std::collections::BTreeMap;

use super::*;
use crate::{
    check::offers::{IdentityFacts, OfferFacts, judge, judge_identity},
    offer::{EntryCode, OfferId},
    registration::{DroppedService, Explanation, OfferState, Reason},
};

const DOCUMENT: &str = r#"{"type":"https://eips.ethereum.org/EIPS/eip-8004#registration-v1","name":"Tides","description":"Answers questions about tides.","image":"https://tides.example/icon.png","services":[{"name":"MCP","endpoint":"https://tides.example/mcp","version":"2025-06-18"}],"x402Support":true,"active":true,"registrations":[{"agentId":0,"agentRegistry":"eip155:8453:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432"}]}"#;

fn explanation(name: &str, state: OfferState, reason: Reason) -> Explanation {
    Explanation {
        id: OfferId::new("llm", name),
        state,
        reason,
        message: reason.meaning().to_owned(),
        fix: reason.fix(),
        drain_ends_at: None,
        dropped_services: vec![],
        x402: None,
        enabled: true,
    }
}

fn with(change: impl FnOnce(&mut OfferFacts)) -> Report {
    let mut facts = OfferFacts {
        explanations: vec![explanation("chat", OfferState::Published, Reason::Published)],
        required_conditions: ["ModelReady".to_owned()].into(),
        conditions: BTreeMap::from([("ModelReady".to_owned(), 1)]),
        document: DOCUMENT.into(),
        has_refused: false,
    };
    change(&mut facts);
    judged(|report| judge(&facts, report))
}

/// With one more offer.
fn beside(reason: Reason) -> Report {
    with(|facts| facts.explanations.push(explanation("x", OfferState::Unpublished, reason)))
}

fn identity(change: impl FnOnce(&mut IdentityFacts)) -> Report {
    let mut facts = IdentityFacts {
        exists: Some(true),
        problems: vec![],
        public_url: Some("https://agents.example".to_owned()),
    };
    change(&mut facts);
    judged(|report| judge_identity(&facts, report))
}

fn dropped() -> DroppedService {
    let code = EntryCode::NotHttps;
    DroppedService {
        index: Some(0),
        name: "docs".to_owned(),
        endpoint: "http://x".to_owned(),
        code,
        message: code.message(),
        documents: vec![],
    }
}

pub(super) fn rows() -> Vec<Row> {
    let empty = || with(|facts| facts.explanations.clear());
    let document =
        |from: &str, to: &str| with(|facts| facts.document = DOCUMENT.replace(from, to).into());
    vec![
        (CheckId::OffersRead, Status::Fail, with(|facts| facts.has_refused = true)),
        (CheckId::OffersFound, Status::Warn, empty()),
        (CheckId::OffersPublished, Status::Skip, empty()),
        (
            CheckId::OffersPublished,
            Status::Warn,
            with(|facts| facts.explanations[0].state = OfferState::Drained),
        ),
        (
            CheckId::OffersPublished,
            Status::Pass,
            with(|facts| facts.explanations[0].state = OfferState::Draining),
        ),
        (CheckId::OffersDecodable, Status::Fail, beside(Reason::Undecodable)),
        (CheckId::OffersDecodable, Status::Fail, beside(Reason::InvalidDrain)),
        (CheckId::OffersDecodable, Status::Pass, beside(Reason::Disabled)),
        (CheckId::OffersClaims, Status::Fail, beside(Reason::HostConflict)),
        (CheckId::OffersClaims, Status::Fail, beside(Reason::NotGranted)),
        (CheckId::OffersConditions, Status::Fail, with(|facts| facts.conditions.clear())),
        (CheckId::OffersConditions, Status::Pass, with(|facts| facts.required_conditions.clear())),
        (
            CheckId::OffersEntries,
            Status::Warn,
            with(|facts| facts.explanations[0].dropped_services.push(dropped())),
        ),
        (CheckId::OffersSize, Status::Warn, beside(Reason::DocumentFull)),
        (CheckId::OffersDocument, Status::Fail, document("\"Tides\"", "\"\"")),
        (CheckId::OffersDocument, Status::Warn, document("\"MCP\"", "\"mcp\"")),
        (CheckId::IdentityFound, Status::Warn, identity(|facts| facts.exists = Some(false))),
        (CheckId::IdentityFound, Status::Skip, identity(|facts| facts.exists = None)),
        (
            CheckId::IdentityReadable,
            Status::Fail,
            identity(|facts| facts.problems.push("\"moon\" is unknown.".to_owned())),
        ),
        (CheckId::PublicUrlKnown, Status::Fail, identity(|facts| facts.public_url = None)),
    ]
}

#[test]
fn sound_offers_and_ids_pass() {
    assert_eq!(troubles(with(|_| {}), "offers"), vec![]);
    assert_eq!(troubles(identity(|_| {}), "identity"), vec![]);
}
