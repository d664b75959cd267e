//! Reads manifests again when the file system reports a change, and now and then without a report.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use super::{FileId, Manifests};
use crate::source::{BrakeRelease, Observation, SourceHealth};

/// How often files are checked where changes are reported. A network mount reports those of other
/// hosts late or never.
const SLOW: Duration = Duration::from_secs(10);
/// How often files are checked where changes are not reported, or the path cannot be read.
const FAST: Duration = Duration::from_millis(500);
/// A change usually comes with others, which are read together.
const BURST: Duration = Duration::from_millis(200);

/// Reads the manifests again and again until the receiver is gone.
pub(crate) async fn watch(
    mut manifests: Manifests,
    sender: watch::Sender<Observation>,
    health: SourceHealth,
    release: BrakeRelease,
) {
    let mut reports = ChangeReports::new();
    while !sender.is_closed() {
        let began = Instant::now();
        // The folder may be large, and reading it must not block the tasks that answer requests.
        let read = tokio::task::spawn_blocking(move || {
            let observed = manifests.read(began);
            let is_complete = observed.is_ok() && reports.follow(&manifests.folders);
            (manifests, reports, observed, is_complete)
        });
        let Ok((returned, followed, observed, is_complete)) = read.await else { return };
        (manifests, reports) = (returned, followed);
        let observation = match observed {
            Ok(observation) => {
                health.responded();
                if manifests.is_current() {
                    health.complete_at(began);
                }
                observation
            }
            Err(error) => manifests.unreadable_root(&error),
        };
        publish(&sender, observation);
        let check = began + if is_complete { SLOW } else { FAST };
        let next =
            manifests.next_change().map_or(check, |change| change.clamp(began + FAST, check));
        tokio::select! {
            () = sender.closed() => return,
            () = sleep_until(next) => {}
            () = release.ordered() => {
                if manifests.release_brake() {
                    tracing::warn!("An operator released the shrink brake");
                }
            }
            () = reports.changed.notified() => tokio::time::sleep(BURST).await,
        }
    }
}

/// Sends an observation that differs from the last, and logs the problems that are new.
fn publish(sender: &watch::Sender<Observation>, observation: Observation) {
    sender.send_if_modified(|last| {
        let changed = *last != observation;
        if changed {
            let known: std::collections::BTreeSet<_> = last.problems.iter().collect();
            for problem in observation.problems.iter().filter(|problem| !known.contains(problem)) {
                tracing::warn!(problem.code = problem.code.as_str(), "{problem}");
            }
            *last = observation;
        }
        changed
    });
}

/// The reports of changes in the folders that were read.
struct ChangeReports {
    /// `None` if the system offers none.
    watcher: Option<RecommendedWatcher>,
    followed: BTreeMap<PathBuf, FileId>,
    changed: Arc<Notify>,
}

impl ChangeReports {
    fn new() -> Self {
        let changed = Arc::new(Notify::new());
        let notifier = Arc::clone(&changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_err() || event.is_ok_and(|event| is_change(event.kind)) {
                notifier.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!("Changes of files are not reported, so files are polled: {error}");
        }
        Self { watcher: watcher.ok(), followed: BTreeMap::new(), changed }
    }

    /// Follows these folders and no others. Returns whether changes in all of them are reported.
    fn follow(&mut self, folders: &BTreeMap<PathBuf, FileId>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        self.followed.retain(|path, id| {
            let stays = folders.get(path) == Some(id);
            if !stays {
                // The watch of a removed folder is gone already.
                let _gone = watcher.unwatch(path);
            }
            stays
        });
        let mut complete = true;
        for (path, id) in folders {
            if self.followed.contains_key(path) {
                continue;
            }
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.followed.insert(path.clone(), *id);
                    // It may have changed since it was read.
                    self.changed.notify_one();
                }
                Err(error) => {
                    tracing::debug!("Changes in {} are not reported: {error}", path.display());
                    complete = false;
                }
            }
        }
        complete
    }
}

/// Whether an event may change what a file contains. Reading files causes events too.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(event::AccessKind::Close(event::AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

#[cfg(test)]
mod tests;
