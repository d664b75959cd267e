use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::ClockWatch;
use crate::testing::{NOON, at};

#[test]
fn a_wall_clock_that_moves_by_another_time_was_stepped() {
    // Milliseconds that pass on the monotonic and on the wall clock.
    let rows = [
        (1_000, 1_000, false),
        (1_000, 1_400, false),
        (1_000, 600, false),
        (1_000, 1_600, true),
        (1_000, 400, true),
        (1_000, -3_600_000, true),
        (1_000, 3_600_000, true),
        (0, 0, false),
    ];
    for (monotonic, wall, stepped) in rows {
        let start = Instant::now();
        let mut watch = ClockWatch::new(at(NOON), start);
        let (later, shown) =
            (start + Duration::from_millis(monotonic), at(NOON) + TimeDelta::milliseconds(wall));
        assert_eq!(watch.was_stepped(shown, later), stepped, "{monotonic} {wall}");
        assert!(!watch.was_stepped(shown, later), "a step is noticed once");
    }
}
