//! What is deleted and written when a drain has ended, and what is left alone.

use serde_json::{Value, json};

use super::*;
use crate::offer::parse_timestamp;

const UID: &str = "11111111-1111-1111-1111-111111111111";

fn at(text: &str) -> Timestamp {
    parse_timestamp(text).unwrap()
}

fn now() -> Timestamp {
    at("2026-05-24T15:00:00Z")
}

fn id() -> OfferId {
    OfferId::new("llm", "chat")
}

/// An offer whose drain ended an hour ago.
fn drained() -> Value {
    json!({
        "apiVersion": "obol.org/v1alpha1",
        "kind": "ServiceOffer",
        "metadata": {
            "namespace": "llm", "name": "chat", "uid": UID, "resourceVersion": "77", "generation": 4,
            "managedFields": [
                { "manager": "serviceoffer-controller", "fieldsV1": { "f:status": { "f:conditions": {} } } },
            ],
        },
        "spec": {
            "payment": {}, "registration": { "enabled": true },
            "drainAt": "2026-05-24T13:00:00Z", "drainGracePeriod": "1h",
        },
        "status": { "conditions": [
            { "type": "ModelReady", "status": "True", "reason": "Declared" },
            { "type": "RoutePublished", "status": "True", "reason": "Reconciled",
              "lastTransitionTime": "2026-05-01T00:00:00Z" },
        ] },
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut object = drained();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

fn ended(object: &Value) -> Option<EndedOffer> {
    EndedOffer::of(&id(), object, now())
}

#[test]
fn only_an_offer_whose_drain_has_ended_is_torn_down() {
    let cases = [
        ("a drain that has ended", drained(), true),
        ("at its very end", with("/spec/drainGracePeriod", json!("2h")), true),
        ("a second before", with("/spec/drainGracePeriod", json!("2h0m1s")), false),
        ("a drain that was taken back", with("/spec/drainAt", Value::Null), false),
        ("not registered, but drained", with("/spec/registration/enabled", json!(false)), true),
        ("paused", with("/spec/paused", json!(true)), true),
        ("a bad grace period", with("/spec/drainGracePeriod", json!("1 hour")), false),
        (
            "being deleted",
            with("/metadata/deletionTimestamp", json!("2026-05-24T14:30:00Z")),
            false,
        ),
        ("refused for its path", with("/spec/path", json!("//")), false),
        ("no uid", with("/metadata/uid", Value::Null), false),
    ];
    for (case, object, expected) in cases {
        assert_eq!(ended(&object).is_some(), expected, "{case}");
    }
}

#[test]
fn conditions_of_others_are_kept_and_ours_say_drained() {
    let status = ended(&drained()).unwrap().status(now()).unwrap();
    let condition = |kind: &str, message: &str| {
        json!({
            "type": kind, "status": "False", "reason": "Drained", "observedGeneration": 4,
            "message": format!("{message} at 2026-05-24T14:00:00Z"),
            "lastTransitionTime": "2026-05-24T15:00:00Z",
        })
    };
    let ours = [
        condition("Draining", "The drain has ended"),
        condition("PaymentGateReady", "The drain has ended; the offer takes no payments"),
        condition("RoutePublished", "The drain has ended; the offer's routes are deleted"),
    ];
    let model = json!({ "type": "ModelReady", "status": "True", "reason": "Declared" });
    let all = json!([model, ours[0], ours[1], ours[2]]);
    assert_eq!(status["status"]["conditions"], all);
    // Written only over the object that was read, or somebody's newer condition would be lost.
    assert_eq!(status["metadata"]["resourceVersion"], "77");
    assert_eq!(status["metadata"]["uid"], UID);

    // Where each condition has its owner, only ours are applied.
    let by_type = json!([{ "fieldsV1": { "f:status": { "f:conditions": {
        "k:{\"type\":\"ModelReady\"}": { "f:status": {} },
    } } } }]);
    let status = ended(&with("/metadata/managedFields", by_type)).unwrap().status(now()).unwrap();
    assert_eq!(status["status"]["conditions"], json!(ours));
    assert_eq!(status["metadata"]["resourceVersion"], Value::Null);
}

#[test]
fn what_is_said_already_is_not_written_again() {
    let first = ended(&drained()).unwrap().status(now()).unwrap();
    let written = with("/status", first["status"].clone());
    assert_eq!(ended(&written).unwrap().status(at("2026-05-24T16:00:00Z")), None);
    // The original's controller writes no observedGeneration.
    let mut original = written.clone();
    for condition in original["status"]["conditions"].as_array_mut().unwrap() {
        condition.as_object_mut().unwrap().remove("observedGeneration");
    }
    assert_eq!(ended(&original).unwrap().status(now()), None);
    // A later generation is observed anew, but the transition was the first one.
    let mut newer = written;
    newer["metadata"]["generation"] = json!(5);
    let again = ended(&newer).unwrap().status(at("2026-05-24T16:00:00Z")).unwrap();
    let draining = &again["status"]["conditions"][1];
    assert_eq!(draining["observedGeneration"], 5);
    assert_eq!(draining["lastTransitionTime"], "2026-05-24T15:00:00Z");
}

#[test]
fn a_child_is_ours_by_its_owner_or_by_all_labels_and_never_by_its_name() {
    let offer = ended(&drained()).unwrap();
    let owner = |uid: &str| json!({ "apiVersion": "obol.org/v1alpha1", "kind": "ServiceOffer", "name": "chat", "uid": uid });
    let labels = json!({
        "obol.org/serviceoffer-namespace": "llm", "obol.org/serviceoffer-name": "chat",
        "obol.org/managed-by": "serviceoffer-controller",
    });
    let without = |key: &str| {
        let mut labels = labels.clone();
        labels.as_object_mut().unwrap().remove(key);
        labels
    };
    let other_namespace = {
        let mut labels = labels.clone();
        labels["obol.org/serviceoffer-namespace"] = "else".into();
        labels
    };
    let foreign = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "uid": "9" });
    let cases = [
        ("our uid", json!({ "ownerReferences": [owner(UID)] }), true),
        ("our uid beside another kind", json!({ "ownerReferences": [foreign, owner(UID)] }), true),
        ("an earlier offer of the name", json!({ "ownerReferences": [owner("2")] }), false),
        ("two offers", json!({ "ownerReferences": [owner(UID), owner("2")] }), false),
        (
            "labels of ours, another's uid",
            json!({ "ownerReferences": [owner("2")], "labels": labels }),
            false,
        ),
        ("all labels", json!({ "labels": labels }), true),
        ("labels of another namespace", json!({ "labels": other_namespace }), false),
        ("no manager", json!({ "labels": without("obol.org/managed-by") }), false),
        ("no name", json!({ "labels": without("obol.org/serviceoffer-name") }), false),
        ("nothing", json!({ "name": "so-chat" }), false),
    ];
    for (case, metadata, expected) in cases {
        assert_eq!(offer.owns(&json!({ "metadata": metadata })), expected, "{case}");
    }
}

#[test]
fn routes_are_known_by_the_names_that_the_original_gives_them() {
    let offer = ended(&drained()).unwrap();
    for (name, expected) in [
        ("so-chat", true),
        ("so-chat-host", true),
        ("so-chat-wellknown", false),
        ("so-chat-registration", false),
        ("so-chatter", false),
        ("chat", false),
    ] {
        assert_eq!(offer.is_route(name), expected, "{name}");
    }
    let long = "a".repeat(250);
    let (shared, host) =
        (format!("so-{}", "a".repeat(250)), format!("so-{}-01234567-host", "a".repeat(236)));
    assert_eq!((shared.len(), host.len()), (253, 253));
    for (name, suffix, expected) in
        [(&shared, "", true), (&host, "-host", true), (&shared, "-host", false)]
    {
        assert_eq!(is_child_name(name, &long, suffix), expected, "{name} {suffix}");
    }
    let other = format!("so-{}b-0123456-host", "a".repeat(236));
    assert!(!is_child_name(&other, &long, "-host"));
}
