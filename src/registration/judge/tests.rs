//! The state and reason of an offer: each of the seventeen reasons, their order, and both ends of a
//! drain.

use std::collections::BTreeSet;

use crate::{
    offer::Grants,
    registration::{OfferState, Projection, Reason, Rules, SizeLimits},
    testing::{
        Resource, explanation, for_each_row, offer, projected, published, rules, state_and_reason,
    },
};
use serde_json::{Value, json};

const NOW: &str = "2026-02-01T00:00:00Z";

/// Changes the offer `sales/target` and the rules so that `reason` applies.
fn situation(reason: Reason, target: Resource, rules: Rules) -> (Resource, Rules) {
    match reason {
        Reason::Deleting => (target.set("/metadata/deletionTimestamp", NOW), rules),
        Reason::Undecodable => (target.set("/spec/type", 5), rules),
        Reason::InvalidPath => (target.path("no-slash"), rules),
        Reason::InvalidHostname => (target.host("nodot"), rules),
        Reason::ReservedPath => (target.path("/offers/x"), rules),
        Reason::NotGranted => (target, Rules { grants: Some(grants(&["taken.example"])), ..rules }),
        Reason::HostConflict => (target.host("taken.example"), rules),
        Reason::PathConflict => (target.path("/taken"), rules),
        Reason::InvalidDrain => (target.draining(NOW, "1 hour"), rules),
        Reason::Disabled => (target.disabled(), rules),
        Reason::Drained => (target.draining("2026-01-31T00:00:00Z", "1h"), rules),
        Reason::ConditionMissing => (target.ready(&["Ready"]), rules),
        Reason::Paused => (target.set("/spec/paused", true), rules),
        Reason::OfferTooLarge => {
            (target, Rules { limits: SizeLimits { document: 1, offer: 1 }, ..rules })
        }
        Reason::DocumentFull => {
            (target, Rules { limits: SizeLimits { document: 1, ..rules.limits }, ..rules })
        }
        Reason::Draining => (target.draining("2026-01-31T00:00:00Z", "48h"), rules),
        Reason::Published => (target, rules),
    }
}

/// Grants for the older offers only.
fn grants(hosts: &[&str]) -> Grants {
    let all = |hosts: &[&str]| json!({ "hosts": hosts, "paths": ["/"] });
    Grants::parse(&json!({ "a": all(hosts), "b": all(&[]) })).unwrap()
}

/// The field that makes a reason apply. Two reasons with the same field exclude each other.
fn field(reason: Reason) -> &'static str {
    match reason {
        Reason::InvalidPath | Reason::ReservedPath | Reason::PathConflict => "path",
        Reason::InvalidHostname | Reason::HostConflict => "host",
        Reason::InvalidDrain | Reason::Drained | Reason::Draining => "drain",
        Reason::Deleting | Reason::Undecodable | Reason::Disabled => reason.as_str(),
        Reason::Paused | Reason::NotGranted | Reason::ConditionMissing => reason.as_str(),
        Reason::OfferTooLarge | Reason::DocumentFull | Reason::Published => reason.as_str(),
    }
}

fn judged(reasons: &[Reason], drop_unready_drains: bool) -> (OfferState, Reason) {
    let required_conditions = BTreeSet::from(["ModelReady".to_owned()]);
    let mut rules = Rules { required_conditions, drop_unready_drains, ..rules() };
    let mut target = offer("sales/target").created("2026-01-02T00:00:00Z").ready(&["ModelReady"]);
    for reason in reasons {
        (target, rules) = situation(*reason, target, rules);
    }
    let older = [
        offer("a/host").host("taken.example").ready(&["ModelReady"]),
        offer("b/path").path("/taken").ready(&["ModelReady"]),
    ];
    let projection = projected(older.iter().chain([&target]), &rules, NOW);
    let actual = state_and_reason(&projection, "sales/target");
    let is_listed = published(&projection).contains(&"sales/target".to_owned());
    assert_eq!(is_listed, actual.0.is_listed(), "{reasons:?}");
    actual
}

#[test]
fn each_situation_has_its_state_and_reason() {
    for_each_row(Reason::ALL, |reason| {
        let state = match reason {
            Reason::Published | Reason::DocumentFull | Reason::OfferTooLarge => {
                OfferState::Published
            }
            Reason::Draining => OfferState::Draining,
            Reason::Drained => OfferState::Drained,
            Reason::Deleting
            | Reason::Undecodable
            | Reason::InvalidPath
            | Reason::InvalidHostname
            | Reason::ReservedPath
            | Reason::NotGranted
            | Reason::HostConflict
            | Reason::PathConflict
            | Reason::InvalidDrain
            | Reason::Disabled
            | Reason::Paused
            | Reason::ConditionMissing => OfferState::Unpublished,
        };
        assert_eq!(judged(&[reason], false), (state, reason));
    });
}

#[test]
fn of_two_reasons_the_earlier_is_reported_but_a_drain_outlives_readiness() {
    let mut pairs = 0;
    for (at, first) in Reason::ALL.into_iter().enumerate() {
        for second in Reason::ALL.into_iter().skip(at + 1) {
            if field(first) == field(second) {
                continue;
            }
            pairs += 1;
            let reported = judged(&[first, second], false).1;
            let reversed = judged(&[second, first], false).1;
            let strict = judged(&[first, second], true).1;
            let drains = (first, second) == (Reason::ConditionMissing, Reason::Draining);
            let expected = if drains { Reason::Draining } else { first };
            assert_eq!((reported, reversed), (expected, expected), "{first} and {second}");
            assert_eq!(strict, first, "{first} and {second} with --drop-unready-drains");
        }
    }
    assert_eq!(pairs, 136 - 7);
}

#[test]
fn a_full_document_cuts_a_draining_offer_without_changing_its_state() {
    let reported = judged(&[Reason::DocumentFull, Reason::Draining], false);
    assert_eq!(reported, (OfferState::Draining, Reason::DocumentFull));
}

#[test]
fn reasons_and_states_are_closed_lists_in_order_and_print_as_documented() {
    let reasons = [
        "Deleting",
        "Undecodable",
        "InvalidPath",
        "InvalidHostname",
        "ReservedPath",
        "NotGranted",
        "HostConflict",
        "PathConflict",
        "InvalidDrain",
        "Disabled",
        "Paused",
        "Drained",
        "ConditionMissing",
        "OfferTooLarge",
        "DocumentFull",
        "Draining",
        "Published",
    ];
    assert_eq!(Reason::ALL.map(Reason::as_str), reasons);
    assert!(Reason::ALL.is_sorted(), "the order of the list is the order of the type");
    let states = ["published", "draining", "drained", "unpublished"];
    assert_eq!(OfferState::ALL.map(OfferState::as_str), states);
    assert_eq!(OfferState::ALL.map(OfferState::is_listed), [true, true, false, false]);
    for_each_row(Reason::ALL, |reason| {
        assert_eq!(
            (reason.to_string(), json!(reason)),
            (reason.as_str().into(), json!(reason.as_str()))
        );
        assert!(reason.fix().ends_with('.'), "{reason}");
    });
    for_each_row(OfferState::ALL, |state| {
        assert_eq!(
            (state.to_string(), json!(state)),
            (state.as_str().into(), json!(state.as_str()))
        );
        assert!(state.meaning().ends_with('.'), "{state}");
    });
}

fn at(resource: &Resource, now: &str) -> Projection {
    projected([resource], &rules(), now)
}

#[test]
fn an_offer_drains_from_the_moment_drain_at_is_set_until_its_end_inclusive() {
    let draining = |grace: &str| offer("llm/chat").draining("2026-05-24T14:00:00Z", grace);
    let default_grace = offer("llm/chat").set("/spec/drainAt", "2026-05-24T14:00:00Z");
    let null_grace = draining("x").set("/spec/drainGracePeriod", Value::Null);
    let cases = [
        ("long before it starts", draining("30m"), "0001-01-01T00:00:00Z", OfferState::Draining),
        ("before it starts", draining("30m"), "2026-05-24T13:59:59Z", OfferState::Draining),
        ("when it starts", draining("30m"), "2026-05-24T14:00:00Z", OfferState::Draining),
        (
            "a nanosecond before its end",
            draining("30m"),
            "2026-05-24T14:29:59.999999999Z",
            OfferState::Draining,
        ),
        ("at its end", draining("30m"), "2026-05-24T14:30:00Z", OfferState::Drained),
        ("after its end", draining("30m"), "2036-01-01T00:00:00Z", OfferState::Drained),
        (
            "by default for an hour",
            default_grace.clone(),
            "2026-05-24T14:59:59Z",
            OfferState::Draining,
        ),
        ("by default no longer", default_grace, "2026-05-24T15:00:00Z", OfferState::Drained),
        ("a null grace is the default", null_grace, "2026-05-24T14:59:59Z", OfferState::Draining),
        (
            "no grace, before",
            draining("0s"),
            "2026-05-24T13:59:59.999999999Z",
            OfferState::Draining,
        ),
        ("no grace, at once", draining("0s"), "2026-05-24T14:00:00Z", OfferState::Drained),
        (
            "a fraction is cut, before",
            draining("1500ms"),
            "2026-05-24T14:00:00.999999999Z",
            OfferState::Draining,
        ),
        (
            "a fraction is cut, after",
            draining("1500ms"),
            "2026-05-24T14:00:01Z",
            OfferState::Drained,
        ),
        ("a negative grace", draining("-5m"), "2026-05-24T13:00:00Z", OfferState::Unpublished),
        (
            "cleared",
            draining("30m").set("/spec/drainAt", Value::Null),
            "2036-01-01T00:00:00Z",
            OfferState::Published,
        ),
    ];
    for_each_row(cases, |(case, resource, now, state)| {
        let projection = at(&resource, now);
        assert_eq!(state_and_reason(&projection, "llm/chat").0, state, "{case}");
        let marked = crate::testing::json_of(&projection.default)["services"][0]["available"]
            == json!(false);
        assert_eq!(marked, state == OfferState::Draining, "{case}");
    });
}

#[test]
fn the_next_change_is_the_earliest_end_that_the_clock_will_reach() {
    let end = |projection: &Projection| projection.next_change.map(crate::offer::print_seconds);
    let early = offer("a/early").draining("2026-05-24T14:00:00Z", "30m");
    let late =
        offer("b/late").draining("2026-05-24T14:00:00Z", "1h").created("2025-01-01T00:00:00Z");
    let both = |now| end(&projected([&early, &late], &rules(), now));
    assert_eq!(both("2026-05-24T14:00:00Z").as_deref(), Some("2026-05-24T14:30:00Z"));
    assert_eq!(both("2026-05-24T14:30:00Z").as_deref(), Some("2026-05-24T15:00:00Z"));
    assert_eq!(both("2026-05-24T15:00:00Z"), None);
    let idle = [
        ("an offer that does not drain", offer("a/early")),
        ("a disabled one", early.clone().disabled()),
        ("a deleted one", early.clone().set("/metadata/deletionTimestamp", NOW)),
        ("an unreadable one", early.clone().draining(NOW, "1 hour")),
        ("a misplaced one", early.clone().path("/api")),
    ];
    for_each_row(idle, |(case, resource)| {
        assert_eq!(end(&at(&resource, "2026-05-24T14:00:00Z")), None, "{case}");
    });
    let full = Rules { limits: SizeLimits { document: 1, ..rules().limits }, ..rules() };
    let cut = projected([&early, &late], &full, "2026-05-24T14:00:00Z");
    assert_eq!(state_and_reason(&cut, "a/early"), (OfferState::Draining, Reason::DocumentFull));
    assert_eq!(end(&cut).as_deref(), Some("2026-05-24T14:30:00Z"));
}

#[test]
fn every_required_condition_must_hold_and_no_other_counts() {
    let required = ["ModelReady", "UpstreamHealthy", "PaymentGateReady", "RoutePublished"];
    let strict = Rules { required_conditions: required.map(str::to_owned).into(), ..rules() };
    let reported = |conditions: &[&str]| {
        let projection = projected([&offer("llm/chat").ready(conditions)], &strict, NOW);
        let message = explanation(&projection, "llm/chat").message.clone();
        (state_and_reason(&projection, "llm/chat"), message)
    };
    let published = (OfferState::Published, Reason::Published);
    let missing = (OfferState::Unpublished, Reason::ConditionMissing);
    assert_eq!(reported(&required).0, published);
    assert_eq!(reported(&["Ready", "Registered", "Draining"]).0, missing);
    for_each_row(required, |absent| {
        let others: Vec<_> = required.into_iter().filter(|kind| *kind != absent).collect();
        let (actual, message) = reported(&others);
        assert_eq!(actual, missing, "{absent}");
        assert_eq!(message, format!("Not True in status.conditions: {absent}."));
    });
    let none = projected([&offer("llm/chat")], &rules(), NOW);
    assert_eq!(state_and_reason(&none, "llm/chat"), published, "nothing is required");
}

#[test]
fn an_unready_draining_offer_is_listed_until_its_end_unless_configured_otherwise() {
    let required_conditions = BTreeSet::from(["ModelReady".to_owned()]);
    let kept = Rules { required_conditions, ..rules() };
    let dropped = Rules { drop_unready_drains: true, ..kept.clone() };
    let unready = offer("llm/chat").draining("2026-05-24T14:00:00Z", "30m");
    let ready = unready.clone().ready(&["ModelReady"]);
    let (before, after) = ("2026-05-24T14:29:59Z", "2026-05-24T14:30:00Z");
    let cases = [
        ("kept, unready, before", &kept, &unready, before, Reason::Draining),
        ("kept, unready, after", &kept, &unready, after, Reason::Drained),
        ("kept, ready, before", &kept, &ready, before, Reason::Draining),
        ("dropped, unready, before", &dropped, &unready, before, Reason::ConditionMissing),
        ("dropped, unready, after", &dropped, &unready, after, Reason::Drained),
        ("dropped, ready, before", &dropped, &ready, before, Reason::Draining),
    ];
    for_each_row(cases, |(case, rules, resource, now, reason)| {
        let projection = projected([resource], rules, now);
        assert_eq!(state_and_reason(&projection, "llm/chat").1, reason, "{case}");
        let change = (now == before).then(|| crate::testing::at(after));
        assert_eq!(projection.next_change, change, "{case}");
    });
    let message = explanation(&projected([&unready], &kept, before), "llm/chat").message.clone();
    assert!(message.contains("not True: ModelReady"), "{message}");
}

#[test]
fn warnings_are_part_of_the_explanation() {
    let warned = offer("llm/chat").set("/spec/drainGracePeriod", "1 hour");
    let projection = at(&warned, NOW);
    assert_eq!(state_and_reason(&projection, "llm/chat").1, Reason::Published);
    let message = &explanation(&projection, "llm/chat").message;
    assert!(message.contains("spec.drainGracePeriod is not a valid Go duration"), "{message}");
}

#[test]
fn an_explanation_says_whether_the_offer_is_enabled() {
    let reported = |resource: &Resource| explanation(&at(resource, NOW), "llm/chat").enabled;
    assert!(reported(&offer("llm/chat")) && reported(&offer("llm/chat").path("bad")));
    assert!(!reported(&offer("llm/chat").disabled()));
    assert!(!reported(&offer("llm/chat").set("/spec/registration/enabled", "true")));
}

#[test]
fn an_explanation_has_the_end_of_a_valid_drain_only() {
    let drained = offer("llm/chat").draining("2026-05-24T14:00:00Z", "30m");
    let reported = |resource: &Resource| {
        let explanation = json!(explanation(&at(resource, "2026-05-24T15:00:00Z"), "llm/chat"));
        (
            explanation["namespace"].clone(),
            explanation["state"].clone(),
            explanation.get("drainEndsAt").cloned(),
        )
    };
    let end = Some(json!("2026-05-24T14:30:00Z"));
    assert_eq!(reported(&drained), (json!("llm"), json!("drained"), end));
    assert_eq!(reported(&offer("llm/chat")), (json!("llm"), json!("published"), None));
}
