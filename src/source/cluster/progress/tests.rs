use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Cause, Request, SILENCE_LIMIT, WatchProgress};
use crate::testing::{for_each_row, law};

/// What happens to a target, after how many milliseconds.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Listed,
    Delivered,
    Failed(Cause),
    Planned,
}

use Happens::{Delivered, Failed, Listed, Planned};

/// A name, what happens, and the next request with the bounds of its delay.
type Row = (&'static str, Vec<(u64, Happens)>, (Request, u64, u64));

/// The next request after a history, and in how many milliseconds at the earliest and the latest.
fn after(history: &[(u64, Happens)]) -> (Request, u64, u64) {
    let ends = [0.0, 1.0].map(|jitter| {
        let mut progress = WatchProgress::default();
        let mut now = Instant::now();
        for (millis, happens) in history {
            now += Duration::from_millis(*millis);
            match happens {
                Listed => progress.listed(now),
                Delivered => progress.delivered(now),
                Failed(cause) => progress.failed(*cause, now, jitter),
                Planned => progress.plan_list(),
            }
        }
        let (request, at) = progress.next(now);
        (request, u64::try_from((at - now).as_millis()).unwrap())
    });
    (ends[0].0, ends[0].1, ends[1].1)
}

#[test]
fn what_follows_from_what_happened() {
    use Cause::{Ended, Expired, Refused, Throttled, Unreachable};
    use Request::{List, Watch};
    let day = Throttled(Duration::from_secs(86_400));
    let rows: Vec<Row> = vec![
        ("a new target is listed at once", vec![], (List, 0, 0)),
        ("then watched", vec![(0, Listed)], (Watch, 0, 0)),
        (
            "a watch that ends early is repeated",
            vec![(0, Listed), (0, Failed(Ended))],
            (Watch, 500, 625),
        ),
        (
            "three failures without progress give the version up",
            vec![(0, Listed), (0, Failed(Ended)), (0, Failed(Refused)), (0, Failed(Unreachable))],
            (List, 1_400, 1_750),
        ),
        (
            "an event or a bookmark is progress",
            vec![
                (0, Listed),
                (0, Failed(Ended)),
                (0, Failed(Ended)),
                (0, Delivered),
                (0, Failed(Ended)),
            ],
            (Watch, 500, 625),
        ),
        (
            "a list is none: refused watches back off although lists succeed",
            vec![
                (0, Listed),
                (0, Failed(Refused)),
                (0, Failed(Refused)),
                (0, Listed),
                (0, Failed(Refused)),
            ],
            (Watch, 2_000, 2_500),
        ),
        ("30 s of silence give the version up", vec![(0, Listed), (30_000, Planned)], (List, 0, 0)),
        (
            "also if the server answered meanwhile",
            vec![(0, Listed), (29_800, Failed(Ended))],
            (List, 500, 625),
        ),
        ("29 s do not", vec![(0, Listed), (29_000, Failed(Ended))], (Watch, 500, 625)),
        (
            "an expired version is listed at once",
            vec![(0, Listed), (0, Failed(Expired))],
            (List, 0, 0),
        ),
        (
            "also after another failure",
            vec![(0, Listed), (0, Failed(Refused)), (0, Failed(Expired))],
            (List, 0, 0),
        ),
        (
            "the second time after a while",
            vec![(0, Listed), (0, Failed(Expired)), (0, Listed), (0, Failed(Expired))],
            (List, 1_000, 1_250),
        ),
        (
            "refusals are repeated every 5 s at most",
            (0..9).map(|_| (0, Failed(Refused))).collect(),
            (List, 5_000, 6_250),
        ),
        (
            "a server that is down is tried every 2 s at least",
            (0..9).map(|_| (0, Failed(Unreachable))).collect(),
            (List, 1_400, 1_750),
        ),
        (
            "a server may ask for 2 s",
            vec![(0, Listed), (0, Failed(Throttled(Duration::from_secs(2))))],
            (Watch, 2_000, 2_500),
        ),
        ("and not for a day", vec![(0, Listed), (0, Failed(day))], (Watch, 10_000, 12_500)),
        ("a planned list", vec![(0, Listed), (0, Delivered), (0, Planned)], (List, 0, 0)),
        (
            "that fails does not end the watch",
            vec![(0, Listed), (0, Delivered), (0, Planned), (0, Failed(Refused))],
            (Watch, 500, 625),
        ),
    ];
    for_each_row(rows, |(name, history, expected)| {
        assert_eq!(after(&history), expected, "{name}");
    });
}

#[test]
fn one_broken_connection_of_a_fresh_target_is_not_worth_a_word() {
    let mut progress = WatchProgress::default();
    let now = Instant::now();
    progress.failed(Cause::Unreachable, now, 0.0);
    assert!(!progress.is_passing(Cause::Unreachable, now), "nothing is known yet");
    progress.listed(now);
    progress.delivered(now);
    progress.failed(Cause::Ended, now, 0.0);
    assert!(progress.is_passing(Cause::Ended, now));
    assert!(!progress.is_passing(Cause::Refused, now), "a refusal is");
    assert!(!progress.is_passing(Cause::Ended, now + SILENCE_LIMIT), "and silence");
    progress.failed(Cause::Ended, now, 0.0);
    assert!(!progress.is_passing(Cause::Ended, now), "and a second one");
}

fn happenings() -> impl Strategy<Value = Happens> {
    let seconds = |seconds| Cause::Throttled(Duration::from_secs(seconds));
    prop_oneof![
        Just(Listed),
        Just(Delivered),
        Just(Planned),
        prop_oneof![
            Just(Cause::Unreachable),
            Just(Cause::Ended),
            Just(Cause::Refused),
            Just(Cause::Expired),
            Just(seconds(0)),
            Just(seconds(u64::MAX)),
        ]
        .prop_map(Failed),
    ]
}

proptest! {
    #![proptest_config(law(400))]

    /// Whatever happens, a target sends at most two requests a second, waits for at most 13 s, and
    /// watches only from a version that is fresh and not in doubt.
    #[test]
    fn no_target_hurries_waits_long_or_trusts_an_old_version(
        history in prop::collection::vec((happenings(), 0..3_000_u64, 0.0..1.0), 1..40)
    ) {
        let mut progress = WatchProgress::default();
        let mut now = Instant::now();
        let (mut began, mut confirmed, mut failures) = (Vec::new(), None, 0);
        for (happens, millis, jitter) in history {
            let (request, at) = progress.next(now);
            prop_assert!(at - now <= Duration::from_secs(13));
            let fresh = confirmed.is_some_and(|confirmed| at - confirmed < SILENCE_LIMIT);
            prop_assert!(request == Request::List || (fresh && failures < 3));
            now = at;
            progress.began(now);
            began.push(now);
            now += Duration::from_millis(millis);
            match happens {
                Listed => {
                    progress.listed(now);
                    (confirmed, failures) = (Some(now), 0);
                }
                Delivered => {
                    progress.delivered(now);
                    (confirmed, failures) = (Some(now), 0);
                }
                Failed(cause) => {
                    progress.failed(cause, now, jitter);
                    failures += 1;
                    let expired = cause == Cause::Expired;
                    prop_assert!(!expired || progress.next(now).0 == Request::List);
                }
                Planned => progress.plan_list(),
            }
        }
        for three in began.windows(3) {
            prop_assert!(three[2] - three[0] >= Duration::from_secs(1), "{three:?}");
        }
    }
}
