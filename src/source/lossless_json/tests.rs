//! Objects of any depth in the lists and watch events of a cluster.

use kube::core::{ObjectList, WatchEvent};
use serde_json::Value;

use super::{ListedObject, LosslessJson};
use crate::{
    offer::{OfferId, ParsedOffer, Rejection},
    source::cluster::RawObject,
    testing::for_each_row,
};

/// A ServiceOffer with these members in its `spec`.
fn offer(spec: &str) -> String {
    format!(
        r#"{{"apiVersion":"obol.org/v1alpha1","kind":"ServiceOffer",
            "metadata":{{"name":"a","namespace":"llm"}},
            "spec":{{{spec}"registration":{{"enabled":true}}}}}}"#
    )
}

fn parsed(object: &RawObject) -> ParsedOffer {
    ParsedOffer::parse(&OfferId::new("llm", "a"), object.value())
}

#[test]
fn an_object_of_any_depth_costs_only_itself_in_lists_and_events() {
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let maps = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    for_each_row([lists(50), lists(200), maps(200), lists(200_000), maps(200_000)], |deep| {
        let unread = offer(&format!(r#""future":{deep},"#));
        let read = offer(&format!(r#""path":{deep},"#));
        let list = format!(
            r#"{{"kind":"ServiceOfferList","apiVersion":"obol.org/v1alpha1","metadata":{{}},
                "items":[{unread},{read},{}]}}"#,
            offer("")
        );
        let list: ObjectList<RawObject> = serde_json::from_str(&list).unwrap();
        let verdicts: Vec<_> = list.items.iter().map(|object| parsed(object).verdict).collect();
        assert!(verdicts[0].is_ok(), "a field that is not read refuses nothing");
        assert!(matches!(verdicts[1], Err(Rejection::Undecodable(_))), "{:?}", verdicts[1]);
        assert!(verdicts[2].is_ok());
        let event = format!(r#"{{"type":"MODIFIED","object":{read}}}"#);
        let event: WatchEvent<RawObject> = serde_json::from_str(&event).unwrap();
        let WatchEvent::Modified(object) = event else { panic!("another event") };
        assert!(parsed(&object).verdict.is_err() && parsed(&object).enabled);
    });
}

#[test]
fn a_listed_object_is_read_without_the_fields_of_its_managers_only() {
    let object = r#"{
        "fieldsV1": 1, "managedFields": [{ "fieldsV1": 2 }],
        "metadata": {
            "name": "a", "fieldsV1": 3, "labels": { "managedFields": "4" },
            "managedFields": [
                { "manager": "x", "time": "2026-11-29T12:00:00Z", "fieldsV1": { "f:spec": {} }, "y": { "fieldsV1": 5 } },
                { "fieldsV1": 6 },
                7
            ]
        },
        "spec": { "metadata": { "managedFields": [{ "fieldsV1": 8 }] } }
    }"#;
    let mut whole: Value = serde_json::from_str(object).unwrap();
    let LosslessJson(all) = serde_json::from_str(object).unwrap();
    assert_eq!(all, whole, "who asks for one object gets all of it");
    for entry in whole["metadata"]["managedFields"].as_array_mut().unwrap() {
        entry.as_object_mut().map(|entry| entry.remove("fieldsV1"));
    }
    let ListedObject(listed) = serde_json::from_str(object).unwrap();
    assert_eq!(listed, whole);
}

#[test]
fn a_listed_offer_says_what_the_whole_object_says() {
    let managed = r#""name":"a","managedFields":[
        {"manager":"x","time":"2026-11-29T12:00:00Z","fieldsV1":{"f:spec":{"f:path":{}}}},
        {"manager":"y","time":"2026-11-30T12:00:00Z","subresource":"status","fieldsV1":{}}]"#;
    let object = offer("").replace(r#""name":"a""#, managed);
    let whole =
        ParsedOffer::parse(&OfferId::new("llm", "a"), &serde_json::from_str(&object).unwrap());
    let listed: RawObject = serde_json::from_str(&object).unwrap();
    assert_eq!(parsed(&listed), whole);
    let written = whole.verdict.unwrap().written.unwrap();
    assert_eq!(written.to_rfc3339(), "2026-11-29T12:00:00+00:00");
}
