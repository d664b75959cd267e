//! One watch, kept alive: the library's state machine with our deadlines, backoff and relist rule around it.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use kube::{
    Error,
    core::Selector,
    runtime::watcher::{self, Event},
};
use tokio::{sync::mpsc, time::Instant};

use super::{
    TUNNEL,
    access::{Access, Kind, RawObject, api, connect_heard, tell},
    id_of, tunnel_of,
};
use crate::{
    error_chain::with_causes,
    offer::{OfferId, ParsedOffer},
    registration::Identity,
    source::{Scope, SourceHealth},
};

/// Watches end after this long and are opened again, seconds. The library gives a silent one up 5 s later.
const WATCH_SECONDS: u32 = 25;
/// After this many failures in a row without an event the resourceVersion is given up and everything listed again: a
/// proxy may answer 410 as an HTTP status, which the library would retry at the same version for ever.
const FAILURES_BEFORE_RELIST: usize = 3;

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WatchTarget {
    /// ServiceOffers of a namespace, or of all.
    Offers(Option<String>),
    /// The AgentIdentity.
    Identity,
    /// The tunnel ConfigMap.
    Tunnel,
}

/// Something that one watch has to say.
pub(super) struct Report {
    pub(super) target: WatchTarget,
    pub(super) at: Instant,
    pub(super) watched: WatchUpdate,
}

/// What it says. Objects are parsed here, so that raw ones are never kept.
pub(super) enum WatchUpdate {
    Offer(Event<(OfferId, Arc<ParsedOffer>)>),
    Identity(Event<(OfferId, Arc<Identity>)>),
    Tunnel(Event<(OfferId, Option<String>)>),
    /// The server answered; nothing changed.
    Responded,
    /// The watch failed and will be tried again.
    Interrupted(String),
}

impl fmt::Display for WatchTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offers(None) => f.write_str("ServiceOffers"),
            Self::Offers(Some(namespace)) => write!(f, "ServiceOffers in {namespace}"),
            Self::Identity => f.write_str("AgentIdentity"),
            Self::Tunnel => write!(f, "ConfigMap {}/{}", TUNNEL.0, TUNNEL.1),
        }
    }
}

impl WatchTarget {
    fn kind(&self) -> Kind {
        match self {
            Self::Offers(_) => Kind::ServiceOffer,
            Self::Identity => Kind::AgentIdentity,
            Self::Tunnel => Kind::ConfigMap,
        }
    }

    /// The namespace to watch, and what to choose there. Single objects are chosen by name, so that rights to that one
    /// name are enough.
    fn choice(&self, scope: &Scope) -> (Option<String>, watcher::Config) {
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let single = |namespace: &str, name: &str| {
            (Some(namespace.to_owned()), config.clone().fields(&format!("metadata.name={name}")))
        };
        match self {
            Self::Offers(namespace) => {
                let label_selector = scope.selector.as_ref().map(Selector::to_string);
                (namespace.clone(), watcher::Config { label_selector, ..config })
            }
            Self::Identity => match &scope.identity {
                Some(id) => single(&id.namespace, &id.name),
                None => (None, config),
            },
            Self::Tunnel => single(TUNNEL.0, TUNNEL.1),
        }
    }
}

/// Watches one target until nobody listens any more.
pub(super) async fn watch(
    access: Access,
    target: WatchTarget,
    scope: Scope,
    reports: mpsc::Sender<Report>,
    vitals: SourceHealth,
) -> WatchTarget {
    let answered = Arc::new(AtomicBool::new(false));
    let mut retries = Retries::new(Arc::clone(&answered));
    // A server that is gone for an hour is worth a line, not one a second.
    let mut logged = String::new();
    while !reports.is_closed() {
        let heard = {
            let (target, reports, vitals) = (target.clone(), reports.clone(), vitals.clone());
            let answered = Arc::clone(&answered);
            move || {
                vitals.responded();
                answered.store(true, Ordering::Relaxed);
                // A full channel means that events are on their way, which say the same.
                let _ = reports.try_send(Report::now(&target, WatchUpdate::Responded));
            }
        };
        let client = match connect_heard(&access, heard).await {
            Ok(client) => client,
            Err(error) => {
                let _ = reports
                    .send(Report::now(&target, WatchUpdate::Interrupted(with_causes(&error))))
                    .await;
                retries.wait().await;
                continue;
            }
        };
        let (namespace, config) = target.choice(&scope);
        let mut events =
            pin!(watcher::watcher(api(client, target.kind(), namespace.as_deref()), config));
        retries.forget_version();
        while let Some(event) = events.next().await {
            let watched = match event {
                Ok(event) => parse(event, &target),
                Err(error) => {
                    let why = explain(&error, &target);
                    if logged != why {
                        tracing::warn!(watch.target = %target, watch.error = why, "The watch of {target} was interrupted");
                        logged.clone_from(&why);
                    }
                    let interrupted = Report::now(&target, WatchUpdate::Interrupted(why));
                    if reports.send(interrupted).await.is_err() {
                        return target;
                    }
                    let relist = retries.should_relist(&error);
                    retries.wait().await;
                    if relist {
                        break;
                    }
                    continue;
                }
            };
            if reports.send(Report::now(&target, watched)).await.is_err() {
                return target;
            }
        }
    }
    target
}

impl Report {
    fn now(target: &WatchTarget, watched: WatchUpdate) -> Self {
        Self { target: target.clone(), at: Instant::now(), watched }
    }
}

/// When to try again, and when to give up a resourceVersion.
struct Retries {
    answered: Arc<AtomicBool>,
    delays: backon::ExponentialBackoff,
    refusals: usize,
}

impl Retries {
    fn new(answered: Arc<AtomicBool>) -> Self {
        Self { answered, delays: Self::delays(), refusals: 0 }
    }

    fn delays() -> backon::ExponentialBackoff {
        let builder =
            ExponentialBuilder::new().with_min_delay(Duration::from_millis(200)).with_jitter();
        builder.with_max_delay(Duration::from_secs(1)).without_max_times().build()
    }

    fn forget_version(&mut self) {
        self.refusals = 0;
    }

    /// Whether the server has now refused this watch too often in a row.
    fn should_relist(&mut self, error: &watcher::Error) -> bool {
        if self.answered.swap(false, Ordering::Relaxed) {
            *self = Self::new(Arc::clone(&self.answered));
        }
        // An answer that is no success, or no answer of an API server at all. A server that cannot be reached says
        // nothing about the version.
        let refused = matches!(
            error,
            watcher::Error::WatchStartFailed(Error::Api(_) | Error::SerdeError(_))
                | watcher::Error::WatchFailed(Error::SerdeError(_))
                | watcher::Error::WatchError(_)
        );
        self.refusals += usize::from(refused);
        self.refusals >= FAILURES_BEFORE_RELIST
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.delays.next().unwrap_or(Duration::from_secs(1))).await;
    }
}

fn explain(error: &watcher::Error, target: &WatchTarget) -> String {
    let kind = format!("{:?}", target.kind());
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => tell(error, &kind),
        watcher::Error::WatchError(status) => {
            format!("the API server answers {}: {}", status.code, status.message)
        }
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

fn parse(event: Event<RawObject>, target: &WatchTarget) -> WatchUpdate {
    match target {
        WatchTarget::Offers(_) => WatchUpdate::Offer(map(event, |id, object| {
            Arc::new(ParsedOffer::parse(id, object.value()))
        })),
        WatchTarget::Identity => {
            WatchUpdate::Identity(map(event, |_, object| Arc::new(Identity::parse(object.value()))))
        }
        WatchTarget::Tunnel => {
            WatchUpdate::Tunnel(map(event, |_, object| tunnel_of(object.value())))
        }
    }
}

fn map<T>(
    event: Event<RawObject>,
    read: impl Fn(&OfferId, &RawObject) -> T,
) -> Event<(OfferId, T)> {
    let read = |object: &RawObject| {
        let id = id_of(object);
        let value = read(&id, object);
        (id, value)
    };
    match event {
        Event::Apply(object) => Event::Apply(read(&object)),
        Event::Delete(object) => Event::Delete(read(&object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(read(&object)),
        Event::InitDone => Event::InitDone,
    }
}
