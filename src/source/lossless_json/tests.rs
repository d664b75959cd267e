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
fn a_listed_object_is_read_without_its_managed_fields_only() {
    let object = r#"{
        "managedFields": 1,
        "metadata": { "name": "a", "managedFields": [{ "manager": "x" }], "labels": { "managedFields": "2" } },
        "spec": { "managedFields": 3, "metadata": { "managedFields": 4 } }
    }"#;
    let mut whole: Value = serde_json::from_str(object).unwrap();
    let LosslessJson(all) = serde_json::from_str(object).unwrap();
    assert_eq!(all, whole, "who asks for one object gets all of it");
    whole["metadata"].as_object_mut().unwrap().remove("managedFields");
    let ListedObject(listed) = serde_json::from_str(object).unwrap();
    assert_eq!(listed, whole);
}
