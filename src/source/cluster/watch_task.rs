//! Keeps one watch alive: kube's watcher with our deadlines, backoff and relist rule around it.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use kube::{Client, Error, runtime::watcher};
use tokio::{sync::mpsc, time::Instant};

use super::{
    access::{Access, AccessError, api, connect_with, describe_error},
    target::{WatchTarget, WatchUpdate},
};
use crate::{
    error_chain::with_causes,
    source::{Scope, SourceHealth},
};

/// After this many refusals in a row without an event, the resourceVersion is dropped and
/// everything is listed again: a proxy may answer 410 as an HTTP status, which the library would
/// retry with the same version forever.
const REFUSALS_BEFORE_RELIST: usize = 3;

pub(super) struct WatchReport {
    pub(super) target: WatchTarget,
    pub(super) at: Instant,
    pub(super) update: WatchUpdate,
}

/// The receiver of the reports is gone.
struct ReceiverClosed;

/// One watch and everything that outlives its single connections.
struct WatchTask {
    access: Access,
    target: WatchTarget,
    scope: Scope,
    reports: mpsc::Sender<WatchReport>,
    health: SourceHealth,
    /// Whether the server answered a request with success since the last failure.
    answered: Arc<AtomicBool>,
    retries: Retries,
    /// The last error that was logged. A server that is down for an hour is logged once.
    logged: String,
}

/// Watches one target until the receiver of the reports is gone. Returns the target.
pub(super) async fn watch(
    access: Access,
    target: WatchTarget,
    scope: Scope,
    reports: mpsc::Sender<WatchReport>,
    health: SourceHealth,
) -> WatchTarget {
    let answered = Arc::default();
    let (retries, logged) = (Retries::new(), String::new());
    let mut task = WatchTask { access, target, scope, reports, health, answered, retries, logged };
    while !task.reports.is_closed() {
        let session = match task.connect().await {
            Ok(client) => task.session(client).await,
            Err(error) => {
                let sent = task.report(WatchUpdate::Interrupted(with_causes(&error))).await;
                task.retries.wait().await;
                sent
            }
        };
        if session.is_err() {
            break;
        }
    }
    task.target
}

impl WatchTask {
    async fn connect(&self) -> Result<Client, AccessError> {
        let (target, reports, health) =
            (self.target.clone(), self.reports.clone(), self.health.clone());
        let answered = Arc::clone(&self.answered);
        let on_success = move || {
            health.responded();
            answered.store(true, Ordering::Relaxed);
            // If the channel is full, the reports in it show that the server responded.
            let update = WatchUpdate::Responded;
            let _ = reports.try_send(WatchReport {
                target: target.clone(),
                at: Instant::now(),
                update,
            });
        };
        connect_with(&self.access, on_success).await
    }

    /// Lists and watches until everything has to be listed again.
    async fn session(&mut self, client: Client) -> Result<(), ReceiverClosed> {
        let (namespace, config) = self.target.filter(&self.scope);
        let api = api(client, self.target.kind(), namespace.as_deref());
        let mut events = pin!(watcher::watcher(api, config));
        self.retries.reset_refusals();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.report(self.target.parse(event, &self.scope)).await?,
                Err(error) => {
                    self.interrupted(&error).await?;
                    let relist = self.should_relist(&error);
                    self.retries.wait().await;
                    if relist {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    async fn interrupted(&mut self, error: &watcher::Error) -> Result<(), ReceiverClosed> {
        let why = describe(error, &self.target);
        if self.logged != why {
            let target = &self.target;
            tracing::warn!(
                watch.target = %target,
                watch.error = why,
                "The watch of {target} was interrupted"
            );
            self.logged.clone_from(&why);
        }
        self.report(WatchUpdate::Interrupted(why)).await
    }

    /// Counts a failure. Returns whether the server has refused this watch too often in a row.
    fn should_relist(&mut self, error: &watcher::Error) -> bool {
        if self.answered.swap(false, Ordering::Relaxed) {
            self.retries = Retries::new();
        }
        self.retries.count(error);
        self.retries.refusals >= REFUSALS_BEFORE_RELIST
    }

    async fn report(&self, update: WatchUpdate) -> Result<(), ReceiverClosed> {
        let report = WatchReport { target: self.target.clone(), at: Instant::now(), update };
        self.reports.send(report).await.map_err(|_| ReceiverClosed)
    }
}

struct Retries {
    delays: backon::ExponentialBackoff,
    /// Refusals by the server in a row.
    refusals: usize,
}

impl Retries {
    fn new() -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(1))
            .with_jitter()
            .without_max_times()
            .build();
        Self { delays, refusals: 0 }
    }

    fn reset_refusals(&mut self) {
        self.refusals = 0;
    }

    /// Counts an error status, and an answer that no API server gives, as a refusal. A server that
    /// cannot be reached does not refuse the resourceVersion.
    fn count(&mut self, error: &watcher::Error) {
        let refused = matches!(
            error,
            watcher::Error::WatchStartFailed(Error::Api(_) | Error::SerdeError(_))
                | watcher::Error::WatchFailed(Error::SerdeError(_))
                | watcher::Error::WatchError(_)
        );
        self.refusals += usize::from(refused);
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.delays.next().unwrap_or(Duration::from_secs(1))).await;
    }
}

fn describe(error: &watcher::Error, target: &WatchTarget) -> String {
    let kind = format!("{:?}", target.kind());
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => describe_error(error, &kind),
        watcher::Error::WatchError(status) => {
            format!("the API server answered {}: {}", status.code, status.message)
        }
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}
