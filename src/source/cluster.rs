//! Cluster in: watches ServiceOffers, the AgentIdentity and the tunnel ConfigMap, and keeps the last complete world.

mod access;
mod cache;
mod watching;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

pub(crate) use self::access::{
    Access, RawObject, connect, offers_api, read_identity, read_offers, read_tunnel, whoami,
};
use self::{
    cache::Cache,
    watching::{Report, WatchTarget, WatchUpdate},
};
use super::{Observation, Scope, SourceHealth, SourceProblem, World, identity_problems};
use crate::{
    offer::{OfferId, Offers, Origin, ParsedOffer},
    registration::Identity,
};

/// Where the original system keeps the URL that its tunnel got: namespace, ConfigMap, key.
pub(crate) const TUNNEL: (&str, &str, &str) = ("obol-frontend", "obol-stack-config", "tunnelURL");

/// How many reports are taken in before the world is published, so that a burst is published a few times, not once an
/// event.
const BATCH: usize = 4_096;

/// Everything that one cluster has told us.
struct ClusterState {
    scope: Scope,
    /// One cache a watched namespace; a single one for all of them.
    offers: BTreeMap<Option<String>, Cache<Arc<ParsedOffer>>>,
    identity: Option<Cache<Arc<Identity>>>,
    public_url: PublicUrl,
    /// What last went wrong with each watch, until it speaks again.
    interruptions: BTreeMap<WatchTarget, String>,
    heard: BTreeMap<WatchTarget, Instant>,
    world: Option<World>,
}

enum PublicUrl {
    Given(Origin),
    Tunnel { cache: Cache<Option<String>>, last: Option<Origin> },
}

/// Watches the cluster for as long as somebody listens; ends only when a watch task does, with its name.
pub(crate) async fn watch(
    access: Access,
    scope: Scope,
    public_url: Option<Origin>,
    sender: watch::Sender<Observation>,
    vitals: SourceHealth,
) -> String {
    let mut state = ClusterState::new(scope, public_url);
    let (reports, mut inbox) = mpsc::channel(256);
    let mut watches = JoinSet::new();
    for target in state.targets() {
        watches.spawn(watching::watch(
            access.clone(),
            target,
            state.scope.clone(),
            reports.clone(),
            vitals.clone(),
        ));
    }
    loop {
        tokio::select! {
            Some(report) = inbox.recv() => {
                state.take(report);
                for _ in 0..BATCH {
                    match inbox.try_recv() {
                        Ok(report) => state.take(report),
                        Err(_) => break,
                    }
                }
            }
            Some(ended) = watches.join_next() => {
                return ended.map_or_else(|error| format!("a watch ended: {error}"), |target| format!("the watch of {target} ended"));
            }
        }
        if let Some(oldest) = state.complete_at() {
            vitals.complete_at(oldest);
        }
        let observation = state.observe();
        sender.send_if_modified(|last| {
            let changed = *last != observation;
            if changed {
                *last = observation;
            }
            changed
        });
    }
}

impl ClusterState {
    fn new(scope: Scope, public_url: Option<Origin>) -> Self {
        let namespaces: Vec<Option<String>> = match scope.namespaces.is_empty() {
            true => vec![None],
            false => scope.namespaces.iter().cloned().map(Some).collect(),
        };
        Self {
            offers: namespaces.into_iter().map(|namespace| (namespace, Cache::default())).collect(),
            identity: scope.identity.is_some().then(Cache::default),
            public_url: match public_url {
                Some(origin) => PublicUrl::Given(origin),
                None => PublicUrl::Tunnel { cache: Cache::default(), last: None },
            },
            scope,
            interruptions: BTreeMap::new(),
            heard: BTreeMap::new(),
            world: None,
        }
    }

    fn targets(&self) -> Vec<WatchTarget> {
        let mut targets: Vec<_> = self.offers.keys().cloned().map(WatchTarget::Offers).collect();
        targets.extend(self.identity.is_some().then_some(WatchTarget::Identity));
        targets.extend(
            matches!(self.public_url, PublicUrl::Tunnel { .. }).then_some(WatchTarget::Tunnel),
        );
        targets
    }

    fn take(&mut self, report: Report) {
        let Report { target, at, watched } = report;
        match watched {
            WatchUpdate::Interrupted(why) => {
                self.interruptions.insert(target, why);
                return;
            }
            WatchUpdate::Responded => {}
            WatchUpdate::Offer(event) => {
                if let WatchTarget::Offers(namespace) = &target
                    && let Some(cache) = self.offers.get_mut(namespace)
                {
                    cache.take(event);
                }
            }
            WatchUpdate::Identity(event) => {
                if let Some(cache) = &mut self.identity {
                    cache.take(event);
                }
            }
            WatchUpdate::Tunnel(event) => {
                if let PublicUrl::Tunnel { cache, last } = &mut self.public_url {
                    cache.take(event);
                    let said = tunnel_text(cache).and_then(|text| Origin::parse(text).ok());
                    // Once known, a blank or unreadable URL keeps the last one.
                    *last = said.or_else(|| last.take());
                }
            }
        }
        self.interruptions.remove(&target);
        self.heard.insert(target, at);
    }

    /// When the watch that has been silent longest was last heard; `None` until all were, or while one is interrupted.
    fn complete_at(&self) -> Option<Instant> {
        let whole = self.interruptions.is_empty() && self.world.is_some();
        whole
            .then(|| {
                self.targets().iter().map(|target| self.heard.get(target).copied()).min().flatten()
            })
            .flatten()
    }

    fn observe(&mut self) -> Observation {
        let mut missing = Vec::new();
        let mut problems = Vec::new();
        for (target, why) in &self.interruptions {
            problems.push(SourceProblem::new(
                "WatchInterrupted",
                target,
                format!("{why}. What was last seen stays."),
            ));
        }
        let unseen = |target: WatchTarget| {
            let why = self.interruptions.get(&target).cloned();
            let why = why.unwrap_or_else(|| "has not been listed yet".to_owned());
            SourceProblem::new("NotListed", &target, why)
        };
        for (namespace, _) in self.offers.iter().filter(|(_, cache)| cache.whole().is_none()) {
            missing.push(unseen(WatchTarget::Offers(namespace.clone())));
        }
        if self.identity.as_ref().is_some_and(|cache| cache.whole().is_none()) {
            missing.push(unseen(WatchTarget::Identity));
        }
        let public_url = match &self.public_url {
            PublicUrl::Given(origin) => Some(origin.clone()),
            PublicUrl::Tunnel { cache, .. } if cache.whole().is_none() => {
                missing.push(unseen(WatchTarget::Tunnel));
                None
            }
            PublicUrl::Tunnel { cache, last } => {
                let problem = tunnel_problem(cache);
                if last.is_none() {
                    missing.extend(problem.clone());
                }
                problems.extend(problem);
                last.clone()
            }
        };
        let identity = self
            .identity
            .as_ref()
            .and_then(Cache::whole)
            .map(|objects| objects.values().next().map_or_else(Arc::default, Arc::clone));
        problems
            .extend(identity.iter().flat_map(|identity| identity_problems(&self.scope, identity)));
        if missing.is_empty()
            && let Some(public_url) = public_url
        {
            let identity = identity.unwrap_or_default();
            self.world = Some(World { offers: self.merged(), identity, public_url });
        }
        if self.world.is_some() {
            missing.clear();
        }
        Observation { world: self.world.clone(), missing, problems }
    }

    fn merged(&self) -> Arc<Offers> {
        let mut caches = self.offers.values().filter_map(Cache::whole);
        match (caches.next(), caches.next()) {
            (Some(only), None) => Arc::clone(only),
            (Some(first), Some(second)) => {
                let objects =
                    [first, second].into_iter().chain(caches).flat_map(|cache| cache.iter());
                Arc::new(objects.map(|(id, seen)| (id.clone(), Arc::clone(seen))).collect())
            }
            (None, _) => Arc::default(),
        }
    }
}

fn tunnel_text(cache: &Cache<Option<String>>) -> Option<&str> {
    let text = cache.whole()?.values().next()?.as_deref()?;
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn tunnel_problem(cache: &Cache<Option<String>>) -> Option<SourceProblem> {
    let (namespace, name, key) = TUNNEL;
    let about = format!("ConfigMap {namespace}/{name}");
    let hint = "The last known public URL stays, if there was one; --public-url does without the ConfigMap.";
    let problem =
        |what: String| Some(SourceProblem::new("NoPublicUrl", &about, format!("{what}. {hint}")));
    match tunnel_text(cache) {
        None => problem(format!("has no {key}")),
        Some(text) => match Origin::parse(text) {
            Ok(_) => None,
            Err(error) => problem(format!("{key} {text:?} {error}")),
        },
    }
}

/// The id of a watched object.
fn id_of(object: &RawObject) -> OfferId {
    OfferId::new(object.namespace(), object.name())
}

/// The tunnel URL as a ConfigMap holds it.
fn tunnel_of(value: &Value) -> Option<String> {
    value.get("data")?.get(TUNNEL.2)?.as_str().map(str::to_owned)
}
