//! How fast one endpoint is asked: at its own speed until it refuses because of a rate limit, then
//! slower, and slowly faster again.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

/// How often a request that hits a rate limit is repeated before it fails.
const REPEATS: u32 = 5;
/// The wait before the first repetition; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait that an endpoint may ask for. One that asks for more, as for a daily quota, is
/// not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The largest gap between two requests.
const LARGEST_GAP: Duration = Duration::from_millis(500);

/// The gap between two requests to one endpoint, which grows with each rate limit that is hit.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    gap: Duration,
    /// When the next request may be sent.
    next: Option<Instant>,
}

impl Pace {
    /// Waits for this request's turn.
    pub(super) async fn turn(&self) {
        let turn = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = state.next.map_or_else(Instant::now, |next| next.max(Instant::now()));
            state.next = Some(turn + state.gap);
            turn
        };
        sleep_until(turn).await;
    }

    /// Records an answer that is not a rate limit.
    pub(super) fn answered(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.gap = match state.gap < Duration::from_micros(500) {
            true => Duration::ZERO,
            false => state.gap.mul_f64(0.998),
        };
    }

    /// Waits after a rate limit. Returns whether to repeat the request.
    pub(super) async fn limited(&self, repeats: u32, asked_for: Option<Duration>) -> bool {
        {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.gap = (state.gap.mul_f64(1.3) + Duration::from_millis(2)).min(LARGEST_GAP);
        }
        let wait = asked_for.unwrap_or(FIRST_WAIT * 2_u32.pow(repeats.min(REPEATS)));
        if repeats >= REPEATS || wait > LONGEST_WAIT {
            return false;
        }
        // Requests that were refused together should not come back together.
        sleep(wait + wait.mul_f64(fastrand::f64() / 10.0)).await;
        true
    }
}
