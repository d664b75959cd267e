//! The only place that reads the wall clock.

use chrono::{DateTime, Utc};

/// The machine's clock or, in tests, a virtual one that moves with tokio's paused timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// The virtual clock's start, and the instant of tokio's timer at which it was started.
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

    /// A virtual clock that starts at `epoch`.
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
        #[expect(clippy::disallowed_methods, reason = "the only place that reads the wall clock")]
        Utc::now()
    }
}
