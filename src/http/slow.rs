//! Which slow requests are logged.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A request that takes this long is slow. No handler needs nearly as long.
const SLOW: Duration = Duration::from_secs(1);
/// At most one slow request is logged in this time: when everything is slow, the log need not be too.
const PAUSE: Duration = Duration::from_secs(1);

/// When a slow request was last logged. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct SlowLog(Arc<Mutex<Option<Instant>>>);

impl SlowLog {
    /// Whether a request that took so long and is answered now is to be logged.
    pub(super) fn admits(&self, took: Duration, now: Instant) -> bool {
        if took < SLOW {
            return false;
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.duration_since(last) >= PAUSE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_requests_are_logged_and_of_many_at_once_the_first() {
        let (log, start) = (SlowLog::default(), Instant::now());
        let requests = [
            (999, 0, false),
            (1_000, 0, true),
            (5_000, 0, false),
            (1_000, 999, false),
            (1_000, 1_000, true),
            (999, 5_000, false),
            (1_000, 5_000, true),
        ];
        for (took, at, is_logged) in requests {
            let now = start + Duration::from_millis(at);
            let admitted = log.clone().admits(Duration::from_millis(took), now);
            assert_eq!(admitted, is_logged, "{took} ms at {at} ms");
        }
    }
}
