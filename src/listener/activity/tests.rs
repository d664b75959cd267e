use std::time::{Duration, Instant};

use super::{Activity, Closed, Phase, Snapshot, Verdict, judge};
use crate::{listener::Limits, testing::for_each_row};

#[test]
fn a_connection_may_wait_as_long_as_the_limit_of_what_it_does() {
    use Verdict::{Abort, Finish, Keep, Park};
    /// A case; the phase and its age; the ages of a stalled write and of the order to finish.
    type Row = (&'static str, Phase, u64, Option<u64>, Option<u64>, Verdict);
    let rows: [Row; 21] = [
        ("a new one", Phase::New, 4, None, None, Keep),
        ("one that says nothing", Phase::New, 5, None, None, Abort(Closed::FirstRequest)),
        ("a head on its way", Phase::Head, 4, None, None, Keep),
        ("a head that is too slow", Phase::Head, 5, None, None, Abort(Closed::SlowHead)),
        ("an answer on its way", Phase::Busy, 29, None, None, Keep),
        ("an answer that nobody takes", Phase::Busy, 30, None, None, Abort(Closed::StalledWrite)),
        ("a client that reads slowly", Phase::Busy, 29, Some(29), None, Keep),
        ("one that does not read", Phase::Busy, 0, Some(30), None, Abort(Closed::StalledWrite)),
        (
            "one whose last bytes are stuck",
            Phase::Idle,
            31,
            Some(30),
            None,
            Abort(Closed::StalledWrite),
        ),
        ("one that was answered just now", Phase::Idle, 1, None, None, Keep),
        ("an idle one", Phase::Idle, 2, None, None, Park),
        ("one that may be idle a little longer", Phase::Idle, 59, None, None, Park),
        ("one that is idle for too long", Phase::Idle, 60, None, None, Finish(Closed::Idle)),
        ("one that was told to finish", Phase::Idle, 61, None, Some(1), Keep),
        ("one that does not finish", Phase::Idle, 62, None, Some(2), Abort(Closed::Idle)),
        ("a request that came when it was told", Phase::Busy, 3, None, Some(3), Keep),
        ("a client that still sends", Phase::Lingering, 1, None, None, Keep),
        ("and does not stop", Phase::Lingering, 2, None, None, Abort(Closed::Lingering)),
        (
            "a new one that was told to finish",
            Phase::New,
            5,
            None,
            Some(1),
            Abort(Closed::FirstRequest),
        ),
        ("a slow head in a shutdown", Phase::Head, 5, None, Some(1), Abort(Closed::SlowHead)),
        (
            "a stalled one in a shutdown",
            Phase::Busy,
            1,
            Some(30),
            Some(1),
            Abort(Closed::StalledWrite),
        ),
    ];
    let start = Instant::now();
    let now = start + Duration::from_secs(1_000);
    let ago = |seconds| now - Duration::from_secs(seconds);
    for_each_row(rows, |(case, phase, age, blocked, finishing, expected)| {
        let connection = Snapshot {
            phase,
            since: ago(age),
            blocked_since: blocked.map(ago),
            finishing_since: finishing.map(ago),
        };
        assert_eq!(judge(connection, &Limits::default(), now), expected, "{case}");
    });
}

#[test]
fn a_head_is_timed_from_its_first_byte_and_a_connection_is_idle_when_all_is_answered() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let activity = Activity::new(start);
    activity.read(at(1));
    assert_eq!((activity.phase(), activity.snapshot().since), (Phase::New, start));
    activity.begin(at(2));
    activity.begin(at(3));
    activity.end(at(4));
    assert_eq!((activity.phase(), activity.snapshot().since), (Phase::Busy, at(4)));
    activity.end(at(5));
    assert_eq!((activity.phase(), activity.snapshot().since), (Phase::Idle, at(5)));
    activity.read(at(6));
    activity.read(at(8));
    assert_eq!((activity.phase(), activity.snapshot().since), (Phase::Head, at(6)));
    activity.wrote(true, at(9));
    activity.wrote(true, at(10));
    assert_eq!(activity.snapshot().blocked_since, Some(at(9)));
    activity.wrote(false, at(11));
    assert_eq!(activity.snapshot().blocked_since, None);
}
