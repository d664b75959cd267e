//! The only door to the wall clock.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// Tells the time: the machine's, or a virtual one that moves with tokio's paused timer.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    Virtual { epoch: DateTime<Utc>, started: Instant },
}

impl Clock {
    /// The machine's wall clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that reads `epoch` now and goes on as tokio's timer does.
    pub fn starting_at(epoch: DateTime<Utc>) -> Self {
        Self(Source::Virtual { epoch, started: Instant::now() })
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        match self.0 {
            Source::System =>
            {
                #[expect(clippy::disallowed_methods, reason = "this is the door")]
                Utc::now()
            }
            Source::Virtual { epoch, started } => {
                epoch + TimeDelta::from_std(started.elapsed()).unwrap_or(TimeDelta::MAX)
            }
        }
    }
}
