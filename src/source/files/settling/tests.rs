//! When a file counts as half written.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{SETTLED_AFTER, is_settled, may_be_half_written};
use crate::testing::{for_each_row, law};

#[test]
fn a_file_that_lost_all_or_more_than_half_may_be_half_written() {
    let cases = [
        ("nothing was there", 0, 0, false),
        ("the first objects", 0, 3, false),
        ("the only one", 1, 0, true),
        ("both", 2, 0, true),
        ("one of two", 2, 1, false),
        ("two of three", 3, 1, true),
        ("half of ten", 10, 5, false),
        ("more than half of ten", 10, 4, true),
        ("none", 3, 3, false),
        ("more than before", 3, 9, false),
    ];
    for_each_row(cases, |(case, kept, new, expected)| {
        assert_eq!(may_be_half_written(kept, new), expected, "{case}");
    });
}

#[test]
fn a_file_is_settled_after_five_seconds_without_change() {
    let since = Instant::now();
    for_each_row(
        [(0, false), (4_999, false), (5_000, true), (9_000, true)],
        |(after, expected)| {
            assert_eq!(
                is_settled(since, since + Duration::from_millis(after)),
                expected,
                "{after}"
            );
        },
    );
    assert!(!is_settled(since + SETTLED_AFTER, since), "an instant before it");
}

proptest! {
    #![proptest_config(law(1_000))]

    #[test]
    fn growing_never_looks_half_written_and_losing_more_never_less(
        kept in 0_usize..12,
        new in 0_usize..12,
    ) {
        prop_assert!(new < kept || !may_be_half_written(kept, new));
        prop_assert!(new == 0 || !may_be_half_written(kept, new) || may_be_half_written(kept, new - 1));
    }
}
