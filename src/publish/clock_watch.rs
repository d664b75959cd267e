//! Notices a wall clock that was stepped, and a machine that was suspended.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use crate::offer::Timestamp;

/// Clocks that are disciplined drift by less than this between two looks.
const TOLERANCE: Duration = Duration::from_millis(500);

/// The wall clock and the monotonic clock at the last look.
#[derive(Debug)]
pub(super) struct ClockWatch {
    wall: Timestamp,
    monotonic: Instant,
}

impl ClockWatch {
    pub(super) fn new(wall: Timestamp, monotonic: Instant) -> Self {
        Self { wall, monotonic }
    }

    /// Whether the wall clock has moved, since the last look, by another time than the monotonic
    /// one. The monotonic clock stands still while the machine is suspended.
    pub(super) fn was_stepped(&mut self, wall: Timestamp, monotonic: Instant) -> bool {
        let passed = TimeDelta::from_std(monotonic.duration_since(self.monotonic));
        let moved = wall - self.wall;
        *self = Self { wall, monotonic };
        let difference = passed.map_or(TimeDelta::MAX, |passed| (moved - passed).abs());
        difference.to_std().is_ok_and(|difference| difference > TOLERANCE)
    }
}

#[cfg(test)]
mod tests;
