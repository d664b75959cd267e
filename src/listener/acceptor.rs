//! One thread of a listener: it accepts connections, judges them, and ends with them.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    net::TcpListener as StdListener,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Answers, Limits, Stage,
    activity::{Activity, Closed, Order, Phase, Verdict, judge},
    connection::{self, HEAD_BYTES, Protocols},
    repeated::Repeated,
};
use crate::telemetry::ListenerMetrics;

/// How often connections are judged. Limits are exact to this.
const SWEEP: Duration = Duration::from_millis(500);
/// How long to wait after the system refused a connection, for example for lack of file descriptors.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// How many connections are chosen at once to make room; choosing looks at all of them.
const EVICTION_BATCH: usize = 256;

/// What one thread of a listener needs.
pub(super) struct Acceptor {
    pub(super) limits: Limits,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) metrics: ListenerMetrics,
    /// Connections over all threads.
    pub(super) open: Arc<AtomicUsize>,
    pub(super) stages: watch::Receiver<Stage>,
}

/// What the connections of a thread share.
pub(super) struct Thread {
    /// The time, exact to [`SWEEP`]: reading the clock for each byte would cost more than it tells.
    pub(super) tick: Cell<Instant>,
    /// Whether answers ask their clients to connect elsewhere.
    pub(super) is_stopping: Cell<bool>,
    pub(super) protocols: Protocols,
    pub(super) metrics: ListenerMetrics,
    /// Where small answers of hyper are put together.
    pub(super) piece: RefCell<Vec<u8>>,
    /// Where requests are read that may need no hyper.
    pub(super) input: RefCell<Box<[u8]>>,
    /// Where their answers are put together.
    pub(super) answer: RefCell<Vec<u8>>,
    pub(super) repeated: RefCell<Repeated>,
    /// The value of `Date`, exact to [`SWEEP`].
    pub(super) date: RefCell<String>,
    connections: RefCell<BTreeMap<u64, Rc<Activity>>>,
    /// Connections to be closed when there are too many, the next one last.
    evictable: RefCell<Vec<u64>>,
    open: Arc<AtomicUsize>,
}

impl Acceptor {
    /// Serves until the listener has closed and its connections have ended. Tells how it ended.
    pub(super) fn run<S: Answers>(self, socket: StdListener, service: S) -> String {
        let mut runtime = Builder::new_current_thread();
        let runtime = match runtime.enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => return format!("it has no runtime: {error}"),
        };
        let ended = runtime.block_on(async {
            let socket = TcpListener::from_std(socket)?;
            self.accept(socket, service).await;
            io::Result::Ok(())
        });
        // What is still running is of connections that had their time.
        runtime.shutdown_background();
        match ended {
            Ok(()) => "it closed".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    async fn accept<S: Answers>(mut self, socket: TcpListener, service: S) {
        let thread = Rc::new(Thread {
            tick: Cell::new(Instant::now()),
            is_stopping: Cell::new(false),
            protocols: Protocols::new(),
            metrics: self.metrics.clone(),
            piece: RefCell::default(),
            input: RefCell::new(vec![0; HEAD_BYTES].into()),
            answer: RefCell::default(),
            repeated: RefCell::default(),
            date: RefCell::new(date()),
            connections: RefCell::default(),
            evictable: RefCell::default(),
            open: Arc::clone(&self.open),
        });
        let mut sweep = tokio::time::interval(SWEEP);
        let mut next_id = 0;
        loop {
            tokio::select! {
                biased;
                _ = sweep.tick() => thread.sweep(&self.limits),
                stage = next_stage(&mut self.stages) => match stage {
                    Stage::Serving => {}
                    Stage::Stopping => thread.stop(),
                    Stage::Closing => break,
                },
                accepted = socket.accept() => match accepted {
                    Ok((stream, _)) => {
                        next_id += 1;
                        self.admit(next_id, stream, &thread, &service);
                    }
                    Err(error) => self.refused(&error, &thread).await,
                },
            }
        }
        thread.stop();
        // Whoever is in the backlog is connected already as far as the client knows.
        while let Some(Ok((stream, _))) = now_or_never(socket.accept()).await {
            next_id += 1;
            self.admit(next_id, stream, &thread, &service);
        }
        drop(socket);
        self.drain(&thread, sweep).await;
    }

    fn admit<S: Answers>(&self, id: u64, stream: TcpStream, thread: &Rc<Thread>, service: &S) {
        thread.tick.set(Instant::now());
        if self.open.load(Ordering::Relaxed) >= self.limits.connections && !thread.evict() {
            thread.metrics.refused();
            return;
        }
        // Answers are written whole, so Nagle's algorithm would only delay their last bytes.
        let _ = stream.set_nodelay(true);
        let activity = Rc::new(Activity::new(thread.tick.get()));
        let entry = Entry::new(id, Rc::clone(&activity), Rc::clone(thread));
        let service = service.clone();
        let thread = Rc::clone(thread);
        // The thread owns its connections: it waits for them, and they end with it.
        match self.tls.clone() {
            None => drop(tokio::task::spawn_local(async move {
                let _entry = entry;
                connection::serve(stream, activity, thread, service).await;
            })),
            Some(tls) => drop(tokio::task::spawn_local(async move {
                let _entry = entry;
                let stream = connection::handshake(tls, stream, &activity).await;
                if let Some(stream) = stream {
                    connection::serve(stream, activity, thread, service).await;
                }
            })),
        }
    }

    /// The system gives no connection: it was closed at once, or there are no file descriptors.
    async fn refused(&self, error: &io::Error, thread: &Thread) {
        let is_gone = matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionRefused
        );
        if is_gone {
            return;
        }
        thread.metrics.refused();
        tracing::warn!(%error, "A connection could not be accepted");
        thread.evict();
        tokio::time::sleep(REFUSED_PAUSE).await;
    }

    /// Waits for open requests; closes what is idle.
    async fn drain(&self, thread: &Rc<Thread>, mut sweep: tokio::time::Interval) {
        let end = Instant::now() + self.limits.drain;
        let mut often = tokio::time::interval(Duration::from_millis(20));
        while !thread.connections.borrow().is_empty() {
            tokio::select! {
                biased;
                _ = sweep.tick() => thread.sweep(&self.limits),
                _ = often.tick() => {}
            }
            let now = Instant::now();
            thread.tick.set(now);
            for activity in thread.connections.borrow().values() {
                if now >= end {
                    activity.order(Order::Abort, now);
                } else if activity.phase() == Phase::Idle || activity.is_http_2.get() {
                    activity.order(Order::Finish, now);
                }
            }
            if now >= end {
                let open = thread.connections.borrow().len();
                tracing::warn!(open, "Requests were still open when the time to finish was over");
                break;
            }
        }
        // Tasks that were told to end get to drop their connections.
        tokio::task::yield_now().await;
    }
}

async fn next_stage(stages: &mut watch::Receiver<Stage>) -> Stage {
    match stages.changed().await {
        Ok(()) => *stages.borrow_and_update(),
        // Whoever started the listener is gone.
        Err(_) => Stage::Closing,
    }
}

/// The value of a future that is ready after the runtime has looked for new events.
async fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    tokio::task::yield_now().await;
    futures::FutureExt::now_or_never(future)
}

/// The date of answers that are made now (RFC 9110, section 5.6.7).
#[expect(clippy::disallowed_methods, reason = "nothing is decided by it")]
fn date() -> String {
    DateTime::<Utc>::from(SystemTime::now()).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

impl Thread {
    /// Judges every connection.
    fn sweep(&self, limits: &Limits) {
        let now = Instant::now();
        self.tick.set(now);
        self.date.replace(date());
        self.repeated.borrow_mut().forget();
        for activity in self.connections.borrow().values() {
            match judge(activity.snapshot(), limits, now) {
                Verdict::Keep => {}
                Verdict::Park => {
                    if activity.can_park.get() {
                        activity.order(Order::Park, now);
                    }
                }
                Verdict::Finish(why) => {
                    self.metrics.closed(why.as_str());
                    activity.order(Order::Finish, now);
                }
                Verdict::Abort(why) => {
                    if !activity.is_finishing() {
                        self.metrics.closed(why.as_str());
                    }
                    activity.order(Order::Abort, now);
                }
            }
        }
    }

    /// Answers ask their clients to connect elsewhere from here on.
    fn stop(&self) {
        self.is_stopping.set(true);
        let now = self.tick.get();
        for activity in self.connections.borrow().values() {
            if activity.is_http_2.get()
                && activity.phase() != Phase::New
                && !activity.is_finishing()
            {
                activity.order(Order::Finish, now);
            }
        }
    }

    /// Closes the connection that has been without a request for the longest. False if all of them
    /// have one.
    fn evict(&self) -> bool {
        let connections = self.connections.borrow();
        let mut evictable = self.evictable.borrow_mut();
        loop {
            if evictable.is_empty() {
                let idle = connections.iter().filter(|(_, activity)| is_evictable(activity));
                let mut idle: Vec<_> = idle
                    .map(|(id, activity)| {
                        let connection = activity.snapshot();
                        ((connection.phase == Phase::Head, connection.since), *id)
                    })
                    .collect();
                idle.sort_unstable();
                idle.truncate(EVICTION_BATCH);
                evictable.extend(idle.into_iter().rev().map(|(_, id)| id));
            }
            let Some(id) = evictable.pop() else { return false };
            if let Some(activity) = connections.get(&id).filter(|activity| is_evictable(activity)) {
                self.metrics.closed(Closed::Evicted.as_str());
                activity.order(Order::Abort, self.tick.get());
                activity.is_evicted.set(true);
                return true;
            }
        }
    }
}

fn is_evictable(activity: &Activity) -> bool {
    (activity.is_idle() || activity.phase() == Phase::Head) && !activity.is_evicted.get()
}

/// A connection in the books of its thread.
struct Entry {
    id: u64,
    thread: Rc<Thread>,
}

impl Entry {
    fn new(id: u64, activity: Rc<Activity>, thread: Rc<Thread>) -> Self {
        thread.open.fetch_add(1, Ordering::Relaxed);
        thread.metrics.opened();
        thread.connections.borrow_mut().insert(id, activity);
        Self { id, thread }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.thread.connections.borrow_mut().remove(&self.id);
        self.thread.open.fetch_sub(1, Ordering::Relaxed);
        self.thread.metrics.ended();
    }
}
