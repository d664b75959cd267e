//! Reads a cluster: watches ServiceOffers, the AgentIdentity and the tunnel ConfigMap, and keeps
//! the last complete world.

mod access;
mod cache;
mod target;
mod watch_task;

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
    target::{WatchTarget, WatchUpdate},
    watch_task::WatchReport,
};
use super::{Observation, Scope, SourceHealth, SourceProblem, World, identity_problems};
use crate::{
    offer::{OfferId, Offers, Origin, ParsedOffer},
    registration::Identity,
};

/// The namespace, ConfigMap and key in which the original system stores the URL of its tunnel.
pub(crate) const TUNNEL: (&str, &str, &str) = ("obol-frontend", "obol-stack-config", "tunnelURL");

/// The most reports that are applied before the world is published, so that a burst of events does
/// not publish once per event.
const MAX_BATCH: usize = 4_096;

/// What is known of one cluster.
struct ClusterState {
    scope: Scope,
    /// One cache for each watched namespace, or one with the key `None` for all namespaces.
    offers: BTreeMap<Option<String>, Cache<Arc<ParsedOffer>>>,
    identity: Option<Cache<Arc<Identity>>>,
    public_url: PublicUrl,
    /// Why each interrupted watch failed, until its server responds.
    interruptions: BTreeMap<WatchTarget, String>,
    last_response: BTreeMap<WatchTarget, Instant>,
    world: Option<World>,
}

enum PublicUrl {
    Configured(Origin),
    /// From the tunnel ConfigMap, with the last valid URL of it.
    Tunnel {
        cache: Cache<Option<String>>,
        last: Option<Origin>,
    },
}

/// Watches the cluster until a watch task ends. Returns which one and why.
pub(crate) async fn watch(
    access: Access,
    scope: Scope,
    public_url: Option<Origin>,
    sender: watch::Sender<Observation>,
    health: SourceHealth,
) -> String {
    let mut state = ClusterState::new(scope, public_url);
    let (reports, mut inbox) = mpsc::channel(256);
    let mut watches = JoinSet::new();
    for target in state.targets() {
        watches.spawn(watch_task::watch(
            access.clone(),
            target,
            state.scope.clone(),
            reports.clone(),
            health.clone(),
        ));
    }
    loop {
        tokio::select! {
            Some(report) = inbox.recv() => {
                state.apply(report);
                for _ in 0..MAX_BATCH {
                    match inbox.try_recv() {
                        Ok(report) => state.apply(report),
                        Err(_) => break,
                    }
                }
            }
            Some(ended) = watches.join_next() => {
                return match ended {
                    Ok(target) => format!("the watch of {target} ended"),
                    Err(error) => format!("a watch failed: {error}"),
                };
            }
        }
        if let Some(oldest) = state.complete_at() {
            health.complete_at(oldest);
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
                Some(origin) => PublicUrl::Configured(origin),
                None => PublicUrl::Tunnel { cache: Cache::default(), last: None },
            },
            scope,
            interruptions: BTreeMap::new(),
            last_response: BTreeMap::new(),
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

    fn apply(&mut self, report: WatchReport) {
        let WatchReport { target, at, update } = report;
        match update {
            WatchUpdate::Interrupted(why) => {
                self.interruptions.insert(target, why);
                return;
            }
            WatchUpdate::Responded => {}
            WatchUpdate::Offer(event) => {
                if let WatchTarget::Offers(namespace) = &target
                    && let Some(cache) = self.offers.get_mut(namespace)
                {
                    cache.apply(event);
                }
            }
            WatchUpdate::Identity(event) => {
                if let Some(cache) = &mut self.identity {
                    cache.apply(event);
                }
            }
            WatchUpdate::Tunnel(event) => {
                if let PublicUrl::Tunnel { cache, last } = &mut self.public_url {
                    cache.apply(event);
                    let current = tunnel_text(cache).and_then(|text| Origin::parse(text).ok());
                    // A tunnel that restarts has no URL for a while, so the last one is kept.
                    *last = current.or_else(|| last.take());
                }
            }
        }
        self.interruptions.remove(&target);
        self.last_response.insert(target, at);
    }

    /// The earliest of the last responses of all watches; `None` while a watch has not responded or
    /// is interrupted.
    fn complete_at(&self) -> Option<Instant> {
        let complete = self.interruptions.is_empty() && self.world.is_some();
        complete
            .then(|| {
                self.targets()
                    .iter()
                    .map(|target| self.last_response.get(target).copied())
                    .min()
                    .flatten()
            })
            .flatten()
    }

    /// Updates the world if everything was listed, and returns what is known.
    fn observe(&mut self) -> Observation {
        let (public_url, tunnel_problem) = self.public_url();
        let identity = self
            .identity
            .as_ref()
            .and_then(Cache::whole)
            .map(|objects| objects.values().next().map_or_else(Arc::default, Arc::clone));
        let mut missing = self.not_listed();
        if public_url.is_none() {
            missing.extend(tunnel_problem.clone());
        }
        let mut problems = self.interruption_problems();
        problems.extend(tunnel_problem);
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
        Observation { world: self.world.clone(), missing, problems, held_offers: 0 }
    }

    /// The public URL, if known, and what is wrong with a tunnel ConfigMap that was listed.
    fn public_url(&self) -> (Option<Origin>, Option<SourceProblem>) {
        match &self.public_url {
            PublicUrl::Configured(origin) => (Some(origin.clone()), None),
            PublicUrl::Tunnel { cache, .. } if cache.whole().is_none() => (None, None),
            PublicUrl::Tunnel { cache, last } => (last.clone(), tunnel_problem(cache)),
        }
    }

    fn interruption_problems(&self) -> Vec<SourceProblem> {
        let problem = |(target, why): (&WatchTarget, &String)| {
            let message = format!("{why}. What was last read stays published.");
            SourceProblem::new("WatchInterrupted", target, message)
        };
        self.interruptions.iter().map(problem).collect()
    }

    /// One problem for each target that was never listed completely.
    fn not_listed(&self) -> Vec<SourceProblem> {
        let is_listed = |target: &WatchTarget| match target {
            WatchTarget::Offers(namespace) => {
                self.offers.get(namespace).is_some_and(|cache| cache.whole().is_some())
            }
            WatchTarget::Identity => {
                self.identity.as_ref().is_some_and(|cache| cache.whole().is_some())
            }
            WatchTarget::Tunnel => match &self.public_url {
                PublicUrl::Configured(_) => true,
                PublicUrl::Tunnel { cache, .. } => cache.whole().is_some(),
            },
        };
        let problem = |target: WatchTarget| {
            let why = self.interruptions.get(&target).cloned();
            let why = why.unwrap_or_else(|| "not listed yet".to_owned());
            SourceProblem::new("NotListed", &target, why)
        };
        self.targets().into_iter().filter(|target| !is_listed(target)).map(problem).collect()
    }

    fn merged(&self) -> Arc<Offers> {
        let mut caches = self.offers.values().filter_map(Cache::whole);
        match (caches.next(), caches.next()) {
            (Some(only), None) => Arc::clone(only),
            (Some(first), Some(second)) => {
                let objects =
                    [first, second].into_iter().chain(caches).flat_map(|cache| cache.iter());
                Arc::new(objects.map(|(id, parsed)| (id.clone(), Arc::clone(parsed))).collect())
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
    let hint = "The last valid public URL stays in use, if there was one. With --public-url the \
                ConfigMap is not needed.";
    let problem =
        |what: String| Some(SourceProblem::new("NoPublicUrl", &about, format!("{what}. {hint}")));
    match tunnel_text(cache) {
        None => problem(format!("the ConfigMap has no {key}")),
        Some(text) => match Origin::parse(text) {
            Ok(_) => None,
            Err(error) => problem(format!("{key} {text:?} {error}")),
        },
    }
}

fn id_of(object: &RawObject) -> OfferId {
    OfferId::new(object.namespace(), object.name())
}

/// The tunnel URL in the ConfigMap `value`, as written.
fn tunnel_of(value: &Value) -> Option<String> {
    value.get("data")?.get(TUNNEL.2)?.as_str().map(str::to_owned)
}
