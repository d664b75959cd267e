//! Keeps one target up to date: lists, watches, and lists again when the rules of `progress` say so.
//!
//! kube's own watcher is not used: it reports neither bookmarks nor the end of a watch, so a watch
//! that delivers nothing cannot be told from one that works. ARCHITECTURE.md has the details.

use std::{pin::pin, time::Duration};

use futures::TryStreamExt;
use kube::{
    Api, Client, Resource,
    api::{ListParams, VersionMatch, WatchEvent, WatchParams},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    access::{Access, RawObject, api, connect},
    failure::WatchFailure,
    pages::{PagesError, read_pages},
    progress::{Cause, Request, SILENCE_LIMIT, WatchProgress},
    target::{TargetChange, WatchTarget},
};
use crate::{
    error_chain::with_causes,
    source::{Observation, Scope},
};

/// A watch ends after this many seconds and is opened again. An API server sends a bookmark shortly
/// before.
const WATCH_SECONDS: u32 = 25;
/// A watch that lasts for this long did not end early.
const WHOLE_WATCH: Duration = Duration::from_secs(20);
/// A server that answers with a lower resourceVersion than before for this long was restored from an
/// older snapshot. Until then it may be a replica that lags.
const RESTORED_AFTER: Duration = Duration::from_secs(10);

pub(super) struct WatchReport {
    pub(super) target: WatchTarget,
    pub(super) at: Instant,
    pub(super) update: WatchUpdate,
}

pub(super) enum WatchUpdate {
    /// The watch delivered a change.
    Changed(TargetChange),
    /// The watch delivered a bookmark: nothing changed.
    Unchanged,
    /// A complete list.
    Listed {
        change: TargetChange,
        /// Whether the list shows what the watch should have delivered, so that every difference
        /// was missed by it.
        is_check: bool,
    },
    /// A request failed for this reason and will be repeated.
    Interrupted { why: String, request: Request, cause: Cause },
}

/// What every watch task needs.
#[derive(Clone)]
pub(super) struct WatchSettings {
    pub(super) access: Access,
    pub(super) scope: Scope,
    pub(super) reports: mpsc::Sender<WatchReport>,
    /// What is published, so that a list shares what it has in common with it.
    pub(super) observed: watch::Receiver<Observation>,
    /// Changes when everything is to be listed.
    pub(super) list_orders: watch::Receiver<u64>,
    /// How often a list checks what the watch delivered.
    pub(super) resync: Duration,
}

/// The receiver of the reports is gone.
struct ReceiverClosed;

/// Why a request came to its end before the server's answer did.
enum Interruption {
    Failed(WatchFailure),
    ReceiverClosed,
}

struct WatchTask {
    settings: WatchSettings,
    target: WatchTarget,
    /// `None` after a failure: the next one reads credentials from disk again.
    client: Option<Client>,
    progress: WatchProgress,
    /// The resourceVersion up to which changes are known; empty before the first list.
    version: String,
    /// Since when the server's lists are older than what is known.
    older_since: Option<Instant>,
    resync_at: Instant,
    /// Whether the next list is to check what the watch delivered.
    check: bool,
    /// The last error that was logged. A server that is down for an hour is logged once.
    logged: String,
}

/// Watches one target until the receiver of the reports is gone. Returns the target.
pub(super) async fn watch(settings: WatchSettings, target: WatchTarget) -> WatchTarget {
    let mut task = WatchTask {
        settings,
        target,
        client: None,
        progress: WatchProgress::default(),
        version: String::new(),
        older_since: None,
        resync_at: Instant::now(),
        check: false,
        logged: String::new(),
    };
    while task.step().await.is_ok() {}
    task.target
}

impl WatchTask {
    /// One request, and what follows from it.
    async fn step(&mut self) -> Result<(), ReceiverClosed> {
        let (request, at) = self.progress.next(Instant::now());
        sleep_until(at).await;
        self.progress.began(Instant::now());
        let done = match request {
            Request::List => self.list().await,
            Request::Watch => self.watch().await,
        };
        match done {
            Ok(()) => Ok(()),
            Err(Interruption::ReceiverClosed) => Err(ReceiverClosed),
            Err(Interruption::Failed(failure)) => self.interrupted(request, failure).await,
        }
    }

    /// Reads everything and reports it at once.
    async fn list(&mut self) -> Result<(), Interruption> {
        let api = self.api().await?;
        let is_check = std::mem::take(&mut self.check) && !self.version.is_empty();
        let exactly = is_check.then(|| self.version.clone());
        let (change, version) = match self.read_pages(&api, exactly).await {
            // Not every server can list the past.
            Err(_) if is_check => {
                self.progress.plan_list();
                return Ok(());
            }
            read => read?,
        };
        self.accept(&version)?;
        self.version = version;
        self.progress.listed(Instant::now());
        // Replicas that started together do not list together forever.
        self.resync_at = Instant::now() + self.settings.resync.mul_f64(0.9 + 0.2 * fastrand::f64());
        self.logged.clear();
        self.report(WatchUpdate::Listed { change, is_check }).await
    }

    /// All pages of the target's objects, at the resourceVersion `exactly` or as they are now.
    async fn read_pages(
        &self,
        api: &Api<RawObject>,
        exactly: Option<String>,
    ) -> Result<(TargetChange, String), Interruption> {
        let filter = self.target.filter(&self.settings.scope);
        let params = ListParams {
            label_selector: filter.labels,
            field_selector: filter.fields,
            version_match: exactly.is_some().then_some(VersionMatch::Exact),
            resource_version: exactly,
            ..ListParams::default()
        };
        let known = self.settings.observed.borrow().world.clone();
        let mut listing = self.target.listing(known.map(|world| world.offers).unwrap_or_default());
        let read = read_pages(api, params, |object| listing.add(object, &self.settings.scope));
        let version = read.await.map_err(|error| match error {
            PagesError::Request(error) => self.failure(&error),
            PagesError::Slow => failed(Cause::Unreachable, error.to_string()),
            PagesError::Endless | PagesError::NoVersion => {
                failed(Cause::Refused, error.to_string())
            }
        })?;
        Ok((listing.complete(), version))
    }

    /// Refuses a list that is older than what is known, until it is clear that the server was
    /// restored and will not catch up.
    fn accept(&mut self, version: &str) -> Result<(), Interruption> {
        if !is_older(version, &self.version) {
            self.older_since = None;
            return Ok(());
        }
        let known = &self.version;
        let since = *self.older_since.get_or_insert_with(Instant::now);
        if since.elapsed() < RESTORED_AFTER {
            return Err(went_back(known, version));
        }
        tracing::warn!(
            watch.target = %self.target,
            "The API server went back from resourceVersion {known} to {version}. It seems to have \
             been restored from an older snapshot, which is published now"
        );
        self.older_since = None;
        Ok(())
    }

    /// Reports changes from the last resourceVersion on, until the watch ends.
    async fn watch(&mut self) -> Result<(), Interruption> {
        let api = self.api().await?;
        let filter = self.target.filter(&self.settings.scope);
        let params = WatchParams {
            label_selector: filter.labels,
            field_selector: filter.fields,
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            ..WatchParams::default()
        };
        let opened = Instant::now();
        let silent_at = self.progress.silent_at(opened);
        let stream = timeout_at(silent_at, api.watch(&params, &self.version)).await;
        let stream = stream.map_err(|_| silent())?.map_err(|error| self.failure(&error))?;
        let mut stream = pin!(stream);
        let mut delivered = false;
        loop {
            let silent_at = self.progress.silent_at(opened);
            let event = tokio::select! {
                event = timeout_at(silent_at, stream.try_next()) => event.map_err(|_| silent())?,
                ordered = self.settings.list_orders.changed() => {
                    ordered.map_err(|_| Interruption::ReceiverClosed)?;
                    self.progress.plan_list();
                    return Ok(());
                }
                () = sleep_until(self.resync_at) => {
                    self.progress.plan_list();
                    self.check = true;
                    // If the list fails, the watch goes on until the next time.
                    self.resync_at = Instant::now() + self.settings.resync;
                    return Ok(());
                }
            };
            match event.map_err(|error| self.failure(&error))? {
                Some(event) => self.take(event).await?,
                None if delivered || opened.elapsed() >= WHOLE_WATCH => return Ok(()),
                None => {
                    let why = "the API server ended a watch early and sent nothing";
                    return Err(failed(Cause::Ended, why));
                }
            }
            delivered = true;
        }
    }

    async fn take(&mut self, event: WatchEvent<RawObject>) -> Result<(), Interruption> {
        let (version, update) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => (
                version_of(&object),
                WatchUpdate::Changed(self.target.applied(&object, &self.settings.scope)),
            ),
            WatchEvent::Deleted(object) => {
                (version_of(&object), WatchUpdate::Changed(self.target.removed(&object)))
            }
            WatchEvent::Bookmark(bookmark) => {
                (bookmark.metadata.resource_version, WatchUpdate::Unchanged)
            }
            WatchEvent::Error(status) => {
                return Err(Interruption::Failed(WatchFailure::of_status(&status)));
            }
        };
        if version.is_empty() {
            return Err(failed(Cause::Refused, "the API server sent an event without a version"));
        }
        if is_older(&version, &self.version) {
            return Err(went_back(&self.version, &version));
        }
        self.version = version;
        self.progress.delivered(Instant::now());
        self.logged.clear();
        self.report(update).await
    }

    async fn interrupted(
        &mut self,
        request: Request,
        failure: WatchFailure,
    ) -> Result<(), ReceiverClosed> {
        let WatchFailure { cause, why } = failure;
        self.client = None;
        let now = Instant::now();
        self.progress.failed(cause, now, fastrand::f64());
        if self.progress.is_passing(cause, now) {
            tracing::debug!(watch.target = %self.target, watch.error = why, "A watch broke off");
            return Ok(());
        }
        if self.logged != why {
            let target = &self.target;
            tracing::warn!(
                watch.target = %target,
                watch.error = why,
                "The watch of {target} was interrupted"
            );
            self.logged.clone_from(&why);
        }
        let update = WatchUpdate::Interrupted { why, request, cause };
        self.report(update).await.map_err(|_| ReceiverClosed)
    }

    async fn api(&mut self) -> Result<Api<RawObject>, Interruption> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => {
                let client = connect(&self.settings.access).await;
                client.map_err(|error| failed(Cause::Unreachable, with_causes(&error)))?
            }
        };
        self.client = Some(client.clone());
        let filter = self.target.filter(&self.settings.scope);
        Ok(api(client, self.target.kind(), filter.namespace.as_deref()))
    }

    fn failure(&self, error: &kube::Error) -> Interruption {
        Interruption::Failed(WatchFailure::of(error, &self.target))
    }

    async fn report(&self, update: WatchUpdate) -> Result<(), Interruption> {
        let report = WatchReport { target: self.target.clone(), at: Instant::now(), update };
        self.settings.reports.send(report).await.map_err(|_| Interruption::ReceiverClosed)
    }
}

fn failed(cause: Cause, why: impl Into<String>) -> Interruption {
    Interruption::Failed(WatchFailure::new(cause, why))
}

fn silent() -> Interruption {
    let why = format!("the watch was silent for {} s", SILENCE_LIMIT.as_secs());
    failed(Cause::Unreachable, why)
}

fn went_back(known: &str, version: &str) -> Interruption {
    let why = format!("the API server went back from resourceVersion {known} to {version}");
    failed(Cause::Expired, why)
}

fn version_of(object: &RawObject) -> String {
    object.meta().resource_version.clone().unwrap_or_default()
}

/// Whether a resourceVersion is older than a known one. They are decimal numbers of any length;
/// others cannot be compared.
fn is_older(version: &str, known: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number(version) && is_number(known) && (version.len(), version) < (known.len(), known)
}
