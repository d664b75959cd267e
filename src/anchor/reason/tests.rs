//! Reasons: a closed list in which each has its own name and text.

use std::collections::BTreeSet;

use crate::anchor::{AnchorReason, Attention};

#[test]
fn every_reason_has_a_name_and_words_of_its_own() {
    let all = AnchorReason::ALL;
    let names: BTreeSet<_> = all.iter().map(|reason| reason.as_str()).collect();
    let words: BTreeSet<_> = all.iter().map(|reason| reason.message()).collect();
    assert_eq!((names.len(), words.len(), all.len()), (32, 32, 32));
    for reason in all {
        assert!(reason.message().ends_with('.') && !reason.message().contains("  "), "{reason}");
        let has_advice = reason.message().contains(". ");
        assert_eq!(has_advice, *reason != AnchorReason::Anchored, "{reason}: what to do?");
        assert_eq!(format!("{reason:?}"), reason.as_str());
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
}

#[test]
fn only_what_is_well_or_will_be_by_itself_needs_nobody() {
    let quiet: Vec<&str> = AnchorReason::ALL
        .iter()
        .filter(|reason| reason.attention() == Attention::None)
        .map(|reason| reason.as_str())
        .collect();
    let expected =
        ["Anchored", "Pending", "WaitingForFinality", "Tombstone", "Draining", "Retired"];
    assert_eq!(quiet, expected);
    assert!(Attention::None < Attention::Retry && Attention::Retry < Attention::Person);
}
