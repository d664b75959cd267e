//! The width of a range is learned with few requests.

use super::{RangeWidth, Refusal};

/// Reads so many blocks from an endpoint with a limit; returns how many requests it took.
fn requests(blocks: u64, limit: u64, refusal: fn(u64) -> Option<Refusal>) -> u64 {
    let (mut width, mut read, mut requests) = (RangeWidth::default(), 0, 0);
    while read < blocks {
        let asked = width.blocks().min(blocks - read);
        requests += 1;
        width = if asked <= limit {
            read += asked;
            width.after_answer(asked)
        } else {
            width.after_failure(asked, refusal(limit)).expect("a smaller range helps")
        };
    }
    requests
}

#[test]
fn a_limit_is_learned_once() {
    let blocks = 1_000_000;
    for limit in [1, 5, 10, 500, 1_000, 2_000, 3_000, 5_000, 9_999, 10_000] {
        let named = requests(blocks, limit, |limit| Some(Refusal::TooWide { named: Some(limit) }));
        let least = blocks.div_ceil(limit);
        assert!(named <= least + 1, "{limit} named: {named} of {least}");
        // Without a number it is halved, so that the width is at least half of the limit.
        let silent = requests(blocks, limit, |_| Some(Refusal::TooWide { named: None }));
        assert!(silent <= 2 * least + 14, "{limit} not named: {silent} of {least}");
    }
    // A page of a gateway leads to the same, as long as the limit is not much smaller.
    for limit in [500, 2_000, 5_000] {
        let page = requests(blocks, limit, |_| None);
        assert!(page <= 2 * blocks.div_ceil(limit) + 30, "{limit} behind a gateway: {page}");
    }
}

#[test]
fn a_failure_that_a_smaller_range_does_not_mend_ends_soon() {
    let mut width = RangeWidth::default();
    let mut halved = 0;
    while let Some(smaller) = width.after_failure(width.blocks(), None) {
        width = smaller;
        halved += 1;
    }
    assert_eq!(halved, 6);
    assert_eq!(width.after_failure(width.blocks(), Some(Refusal::RateLimited)), None);
    assert_eq!(
        RangeWidth::default().after_failure(1, Some(Refusal::TooWide { named: None })),
        None
    );
}
