//! The only door to the wall clock.

use chrono::{DateTime, Utc};

/// Tells the time: the machine's or, in tests, a virtual one that moves with tokio's paused timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// What the clock read at which instant of tokio's timer.
    #[cfg(test)]
    virtual_since: Option<(DateTime<Utc>, tokio::time::Instant)>,
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self {
            #[cfg(test)]
            virtual_since: None,
        }
    }

    /// A clock that reads `epoch` now and advances as tokio's timer does.
    #[cfg(test)]
    pub(crate) fn starting_at(epoch: DateTime<Utc>) -> Self {
        Self { virtual_since: Some((epoch, tokio::time::Instant::now())) }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        #[cfg(test)]
        if let Some((epoch, started)) = self.virtual_since {
            return epoch
                + chrono::TimeDelta::from_std(started.elapsed()).unwrap_or(chrono::TimeDelta::MAX);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the door")]
        Utc::now()
    }
}
