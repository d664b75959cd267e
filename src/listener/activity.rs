//! What one connection is doing, and the decision how long it may go on.

use std::{
    cell::{Cell, RefCell},
    task::Waker,
    time::{Duration, Instant},
};

use super::Limits;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not had a request yet.
    New,
    /// The head of a request has arrived in part.
    Head,
    /// A request is being answered.
    Busy,
    /// All its requests are answered.
    Idle,
    /// Our side is closed, and what the client still sends is thrown away.
    Lingering,
}

/// Why a connection is closed before its client wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closed {
    /// No request came in time.
    FirstRequest,
    /// The head of a request took too long.
    SlowHead,
    /// It was without a request for too long.
    Idle,
    /// The client did not read.
    StalledWrite,
    /// The client did not close a connection that was closed on our side.
    Lingering,
    /// It was idle for the longest when a new one came and there were too many.
    Evicted,
    /// The client sent too many frames that ask for nothing.
    Flood,
}

impl Closed {
    pub(crate) const ALL: [Self; 7] = [
        Self::FirstRequest,
        Self::SlowHead,
        Self::Idle,
        Self::StalledWrite,
        Self::Lingering,
        Self::Evicted,
        Self::Flood,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::FirstRequest => "first-request",
            Self::SlowHead => "slow-head",
            Self::Idle => "idle",
            Self::StalledWrite => "stalled-write",
            Self::Lingering => "lingering",
            Self::Evicted => "evicted",
            Self::Flood => "flood",
        }
    }
}

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Free its buffers until the next request.
    Park,
    /// Answer what has arrived, then close.
    Finish,
    /// Close at once.
    Abort,
}

/// A connection at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot {
    pub(super) phase: Phase,
    /// Since when it has been in this phase; while it is busy, since it last made progress.
    pub(super) since: Instant,
    /// Since when the client has taken no byte of what is to be written.
    pub(super) blocked_since: Option<Instant>,
    /// Since when it has been told to finish.
    pub(super) finishing_since: Option<Instant>,
}

/// What is to be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Park,
    /// Finish an idle connection.
    Finish(Closed),
    Abort(Closed),
}

/// How long a connection keeps its buffers after its last answer. Most clients that come back do so
/// at once or much later.
const PARK_AFTER: Duration = Duration::from_secs(2);
/// How long a client may take to close a connection after our side is closed, and to acknowledge that
/// an HTTP/2 connection ends.
const LINGER: Duration = Duration::from_secs(2);

/// Decides whether a connection has waited too long.
pub(super) fn judge(connection: Snapshot, limits: &Limits, now: Instant) -> Verdict {
    let waited = |since: Instant| now.saturating_duration_since(since);
    if connection.blocked_since.is_some_and(|since| waited(since) >= limits.stalled_write) {
        return Verdict::Abort(Closed::StalledWrite);
    }
    let in_phase = waited(connection.since);
    let finishing = connection.finishing_since.map(waited);
    match connection.phase {
        Phase::New if in_phase >= limits.first_request => Verdict::Abort(Closed::FirstRequest),
        Phase::Head if in_phase >= limits.head => Verdict::Abort(Closed::SlowHead),
        // HTTP/2 clients can stop reading by flow control, which no write shows.
        Phase::Busy if in_phase >= limits.stalled_write => Verdict::Abort(Closed::StalledWrite),
        Phase::Lingering if in_phase >= LINGER => Verdict::Abort(Closed::Lingering),
        Phase::Idle if finishing.is_some_and(|waited| waited >= LINGER) => {
            Verdict::Abort(Closed::Idle)
        }
        Phase::Idle if finishing.is_none() && in_phase >= limits.idle => {
            Verdict::Finish(Closed::Idle)
        }
        Phase::Idle if finishing.is_none() && in_phase >= PARK_AFTER => Verdict::Park,
        Phase::New | Phase::Head | Phase::Busy | Phase::Idle | Phase::Lingering => Verdict::Keep,
    }
}

/// The state of one connection. It is shared by what reads, what answers and what judges, all on one
/// thread.
#[derive(Debug)]
pub(super) struct Activity {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    blocked_since: Cell<Option<Instant>>,
    finishing_since: Cell<Option<Instant>>,
    /// Requests whose answers are not complete.
    open_requests: Cell<u32>,
    pub(super) is_http_2: Cell<bool>,
    /// Whether an order to park can be followed.
    pub(super) can_park: Cell<bool>,
    /// It is being closed to make room for another.
    pub(super) is_evicted: Cell<bool>,
    /// A request has a body that nobody reads.
    pub(super) has_unread_body: Cell<bool>,
    order: Cell<Option<Order>>,
    waker: RefCell<Option<Waker>>,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            phase: Cell::new(Phase::New),
            since: Cell::new(now),
            blocked_since: Cell::new(None),
            finishing_since: Cell::new(None),
            open_requests: Cell::new(0),
            is_http_2: Cell::new(false),
            can_park: Cell::new(false),
            is_evicted: Cell::new(false),
            has_unread_body: Cell::new(false),
            order: Cell::new(None),
            waker: RefCell::new(None),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase: self.phase.get(),
            since: self.since.get(),
            blocked_since: self.blocked_since.get(),
            finishing_since: self.finishing_since.get(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.finishing_since.get().is_some()
    }

    /// Whether no request has arrived, in whole or in part.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase.get(), Phase::New | Phase::Idle)
    }

    pub(super) fn enter(&self, phase: Phase, now: Instant) {
        if self.phase.get() != phase {
            self.phase.set(phase);
            self.since.set(now);
        }
    }

    /// Bytes of a request have arrived.
    pub(super) fn read(&self, now: Instant) {
        // The first request has its own limit, which bytes do not extend.
        if self.phase.get() == Phase::Idle {
            self.enter(Phase::Head, now);
        }
    }

    /// A request is complete but for its body.
    pub(super) fn begin(&self, now: Instant) {
        self.open_requests.set(self.open_requests.get() + 1);
        self.enter(Phase::Busy, now);
        self.progress(now);
    }

    /// A part of an answer was handed over.
    pub(super) fn progress(&self, now: Instant) {
        if self.phase.get() == Phase::Busy {
            self.since.set(now);
        }
    }

    /// The answer to a request is handed over in full, or its client does not want it any more.
    pub(super) fn end(&self, now: Instant) {
        let open = self.open_requests.get().saturating_sub(1);
        self.open_requests.set(open);
        match open {
            0 => self.enter(Phase::Idle, now),
            _ => self.progress(now),
        }
    }

    /// A write went through, or must wait for the client.
    pub(super) fn wrote(&self, is_blocked: bool, now: Instant) {
        match (is_blocked, self.blocked_since.get()) {
            (true, None) => self.blocked_since.set(Some(now)),
            (false, Some(_)) => self.blocked_since.set(None),
            (true, Some(_)) | (false, None) => {}
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked_since.get().is_some()
    }

    /// Gives an order to the task of this connection.
    pub(super) fn order(&self, order: Order, now: Instant) {
        if order == Order::Finish && self.finishing_since.get().is_none() {
            self.finishing_since.set(Some(now));
        }
        self.order.set(Some(order));
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Takes the order that was given, and arranges to be woken by the next.
    pub(super) fn take_order(&self, waker: &Waker) -> Option<Order> {
        let mut current = self.waker.borrow_mut();
        match current.as_ref() {
            Some(known) if known.will_wake(waker) => {}
            Some(_) | None => *current = Some(waker.clone()),
        }
        self.order.take()
    }
}

#[cfg(test)]
mod tests;
