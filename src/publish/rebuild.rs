//! A large world is projected anew on another thread: other agent ids and another public URL change
//! every document, and drains have to end meanwhile.

use std::{io, sync::Arc, thread};

use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::{
    catalog::CurrentCatalog,
    offer::{Offers, Origin, Timestamp},
    registration::{Ids, LiveProjection, Rules},
    telemetry::Metrics,
};

/// After this many offers the publisher shows that it is alive.
const BATCH: usize = 4_096;

/// What concerns every document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) ids: Ids,
    pub(super) public_url: Origin,
}

/// A projection that is being made.
pub(super) struct Rebuild {
    pub(super) frame: Frame,
    /// The offers that it has.
    pub(super) offers: Arc<Offers>,
    made: oneshot::Receiver<LiveProjection>,
}

impl Rebuild {
    /// Starts a thread that wakes the publisher at its end.
    pub(super) fn start(
        frame: Frame,
        offers: Arc<Offers>,
        rules: Arc<Rules>,
        now: Timestamp,
        metrics: Metrics,
        publisher: CurrentCatalog,
    ) -> io::Result<Self> {
        let (finished, made) = oneshot::channel();
        let rebuild = Self { frame: frame.clone(), offers: Arc::clone(&offers), made };
        let run = move || {
            // The receiver is gone if yet another frame is wanted.
            let _ = finished.send(project(&offers, frame, rules, now, &metrics));
            publisher.want_another();
        };
        thread::Builder::new().name("rebuild".to_owned()).spawn(run)?;
        Ok(rebuild)
    }

    /// The projection, if it is made; fails if its thread panicked.
    pub(super) fn take(&mut self) -> Result<Option<LiveProjection>, ThreadPanicked> {
        match self.made.try_recv() {
            Ok(projection) => Ok(Some(projection)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Closed) => Err(ThreadPanicked),
        }
    }
}

/// The thread of a rebuild is gone without a projection.
pub(super) struct ThreadPanicked;

/// Whether a world is so large that it is projected on another thread.
pub(super) fn is_large(offers: &Offers) -> bool {
    offers.len() > BATCH
}

/// The projection of a whole world.
pub(super) fn project(
    offers: &Offers,
    frame: Frame,
    rules: Arc<Rules>,
    now: Timestamp,
    metrics: &Metrics,
) -> LiveProjection {
    let Frame { ids, public_url } = frame;
    let mut projection = LiveProjection::new(rules, ids.into(), public_url, now);
    let mut offers = offers.iter().peekable();
    while offers.peek().is_some() {
        let batch = offers.by_ref().take(BATCH);
        let batch = batch.map(|(id, parsed)| (id.clone(), Some(Arc::clone(parsed))));
        projection.apply(batch, now);
        metrics.heartbeat();
    }
    projection
}
