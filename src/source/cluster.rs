//! Reads a cluster: watches ServiceOffers, the AgentIdentity and the tunnel ConfigMap, and keeps
//! the last complete world.

mod absence;
mod access;
mod cache;
mod failure;
mod limits;
mod pages;
mod progress;
mod public_url;
mod target;
mod watch_task;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use self::{
    absence::Absence,
    cache::{Cache, Change},
    progress::{Cause, Request},
    public_url::PublicUrl,
    target::{TargetChange, WatchTarget},
    watch_task::{WatchReport, WatchSettings, WatchUpdate},
};
pub(crate) use self::{
    absence::{look_around, nothing_found},
    access::{
        Access, AccessError, RawObject, apply_status, connect, identities_api, offers_api,
        read_identity, read_offer, read_offers, read_tunnel, whoami,
    },
};
use super::{
    BrakeRelease, Observation, Scope, SourceHealth, SourceProblem, SourceProblemCode, World,
    brake::{BrakeChange, Reading, ShrinkBrake},
    identity_problems,
};
use crate::{
    offer::{OfferId, Offers, Origin, ParsedOffer},
    registration::Identity,
    telemetry::Metrics,
};

/// The namespace, ConfigMap and key in which the original system stores the URL of its tunnel.
pub(crate) const TUNNEL: (&str, &str, &str) = ("obol-frontend", "obol-stack-config", "tunnelURL");

/// The most reports that are applied before the world is published, so that a burst of events does
/// not publish once per event.
const MAX_BATCH: usize = 4_096;

/// While the shrink brake is engaged, everything is listed again this often.
const CONFIRM_EVERY: Duration = Duration::from_secs(12);
/// How many names of missed objects a log line has.
const NAMES_LOGGED: usize = 5;

/// Which cluster is read, and what of it.
#[derive(Debug)]
pub(crate) struct ClusterSettings {
    pub(crate) access: Access,
    pub(crate) scope: Scope,
    /// The tunnel ConfigMap supplies the URL if `None`.
    pub(crate) public_url: Option<Origin>,
    pub(crate) resync: Duration,
}

/// Where a running source reports to, and what an operator orders.
#[derive(Clone, Debug)]
pub(crate) struct SourceOutputs {
    pub(crate) observed: watch::Sender<Observation>,
    pub(crate) health: SourceHealth,
    pub(crate) metrics: Metrics,
    pub(crate) release: BrakeRelease,
}

/// What is known of one cluster.
struct ClusterState {
    scope: Scope,
    /// One cache for each watched namespace, or one with the key `None` for all namespaces.
    offers: BTreeMap<Option<String>, Cache<Arc<ParsedOffer>>>,
    identity: Option<Cache<Arc<Identity>>>,
    public_url: PublicUrl,
    /// Why the last request of each interrupted target failed.
    interruptions: BTreeMap<WatchTarget, Interrupted>,
    /// When a list, an event or a bookmark last confirmed what is known of each target.
    confirmed: BTreeMap<WatchTarget, Instant>,
    brake: ShrinkBrake,
    /// The targets that were listed again since a loss can be confirmed.
    listed_again: BTreeSet<WatchTarget>,
    absence: Absence,
    world: Option<World>,
}

struct Interrupted {
    why: String,
    cause: Cause,
    /// Whether the server refuses to be watched: a list that succeeds does not end that.
    is_watch_refused: bool,
}

/// Watches the cluster until a watch task ends. Returns which one and why.
pub(crate) async fn watch(settings: ClusterSettings, outputs: SourceOutputs) -> String {
    let ClusterSettings { access, scope, public_url, resync } = settings;
    let mut state = ClusterState::new(scope.clone(), public_url);
    let (reports, mut inbox) = mpsc::channel(256);
    let (orders, list_orders) = watch::channel(0);
    let observed = outputs.observed.subscribe();
    let settings =
        WatchSettings { access: access.clone(), scope, reports, observed, list_orders, resync };
    let mut watches = JoinSet::new();
    for target in state.targets() {
        watches.spawn(watch_task::watch(settings.clone(), target));
    }
    let mut ordered_at = None;
    let mut looks = JoinSet::new();
    loop {
        let confirm_at = state.confirm_at(ordered_at);
        let passes_at = state.brake.passes_at();
        if looks.is_empty() && state.begins_to_look(Instant::now()) {
            looks.spawn(look(access.clone(), state.scope.clone()));
        }
        tokio::select! {
            Some(report) = inbox.recv() => {
                state.take(report, &outputs);
                for _ in 0..MAX_BATCH {
                    match inbox.try_recv() {
                        Ok(report) => state.take(report, &outputs),
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
            () = outputs.release.ordered() => {
                if state.brake.release_now().is_some() {
                    tracing::warn!("An operator released the shrink brake");
                }
            }
            Some(Ok(found)) = looks.join_next() => state.take_look(found),
            () = sleep_until(passes_at.unwrap_or_else(Instant::now)), if passes_at.is_some() => {}
            () = sleep_until(confirm_at.unwrap_or_else(Instant::now)), if confirm_at.is_some() => {
                ordered_at = Some(Instant::now());
                orders.send_modify(|order| *order += 1);
            }
        }
        state.publish(&outputs);
    }
}

/// Looks for what was passed over. A cluster that cannot be asked has nothing to say.
async fn look(access: Access, scope: Scope) -> String {
    match connect(&access).await {
        Ok(client) => look_around(&client, &scope).await,
        Err(_) => String::new(),
    }
}

impl ClusterState {
    fn new(scope: Scope, public_url: Option<Origin>) -> Self {
        let namespaces = scope.asked_namespaces().into_iter().map(|name| name.map(str::to_owned));
        Self {
            offers: namespaces.map(|namespace| (namespace, Cache::default())).collect(),
            identity: scope.identity.is_some().then(Cache::default),
            public_url: PublicUrl::new(public_url),
            scope,
            interruptions: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            brake: ShrinkBrake::default(),
            listed_again: BTreeSet::new(),
            absence: Absence::default(),
            world: None,
        }
    }

    fn targets(&self) -> Vec<WatchTarget> {
        let mut targets: Vec<_> = self.offers.keys().cloned().map(WatchTarget::Offers).collect();
        targets.extend(self.identity.is_some().then_some(WatchTarget::Identity));
        targets.extend(self.public_url.is_watched().then_some(WatchTarget::Tunnel));
        targets
    }

    /// Applies a report, and counts what a watch had missed.
    fn take(&mut self, report: WatchReport, outputs: &SourceOutputs) {
        let target = report.target.clone();
        let missed = self.apply(report);
        if missed.is_empty() {
            return;
        }
        outputs.metrics.drifted(missed.len());
        let first: Vec<String> = missed.iter().take(NAMES_LOGGED).map(OfferId::to_string).collect();
        tracing::warn!(
            watch.target = %target,
            "The watch of {target} had missed changes of {} objects, among them {}; a full list \
             corrected them",
            missed.len(),
            first.join(", ")
        );
    }

    /// Applies a report. Returns the objects whose changes a watch had missed.
    fn apply(&mut self, report: WatchReport) -> Vec<OfferId> {
        let WatchReport { target, at, update } = report;
        let missed = match update {
            WatchUpdate::Interrupted { why, request, cause } => {
                let is_refused = matches!(cause, Cause::Refused | Cause::NoKind);
                let is_watch_refused = request == Request::Watch && is_refused;
                self.interruptions.insert(target, Interrupted { why, cause, is_watch_refused });
                return Vec::new();
            }
            WatchUpdate::Unchanged => {
                self.interruptions.remove(&target);
                Vec::new()
            }
            WatchUpdate::Changed(change) => {
                self.interruptions.remove(&target);
                self.change(&target, change, false)
            }
            WatchUpdate::Listed { change, is_check } => {
                if self.interruptions.get(&target).is_some_and(|last| !last.is_watch_refused) {
                    self.interruptions.remove(&target);
                }
                if self.brake.confirmable_at().is_some_and(|confirmable| confirmable <= at) {
                    self.listed_again.insert(target.clone());
                }
                self.change(&target, change, is_check)
            }
        };
        self.confirmed.insert(target, at);
        missed
    }

    fn change(
        &mut self,
        target: &WatchTarget,
        change: TargetChange,
        is_check: bool,
    ) -> Vec<OfferId> {
        match (change, target) {
            (TargetChange::Offers(change), WatchTarget::Offers(namespace)) => {
                let cache = self.offers.get_mut(namespace);
                cache.map(|cache| apply_to(cache, change, is_check)).unwrap_or_default()
            }
            (TargetChange::Identity(change), _) => {
                let cache = self.identity.as_mut();
                cache.map(|cache| apply_to(cache, change, is_check)).unwrap_or_default()
            }
            (TargetChange::Tunnel(change), _) => self.public_url.change(change, is_check),
            (TargetChange::Offers(_), WatchTarget::Identity | WatchTarget::Tunnel) => Vec::new(),
        }
    }

    /// Whether the cluster has no offers for us, or not even their kind.
    fn finds_nothing(&self) -> bool {
        let is_empty = |cache: &Cache<_>| cache.whole().is_some_and(|offers| offers.is_empty());
        let is_missing = |namespace: &Option<String>| {
            let target = WatchTarget::Offers(namespace.clone());
            self.interruptions.get(&target).is_some_and(|last| last.cause == Cause::NoKind)
        };
        self.offers.values().all(is_empty) || self.offers.keys().all(is_missing)
    }

    /// Whether it is time to look for what was passed over.
    fn begins_to_look(&mut self, now: Instant) -> bool {
        if !self.finds_nothing() {
            self.absence.ends();
            return false;
        }
        self.absence.begins_to_look(now)
    }

    /// Takes and logs what was passed over.
    fn take_look(&mut self, found: String) {
        if self.finds_nothing()
            && let Some(message) = self.absence.take(found, &nothing_found(&self.scope, ""))
        {
            tracing::warn!("{message}");
        }
    }

    /// When a list is to be ordered that can confirm a loss.
    fn confirm_at(&self, ordered_at: Option<Instant>) -> Option<Instant> {
        let confirmable = self.brake.confirmable_at()?;
        Some(confirmable.max(ordered_at.map_or(confirmable, |at| at + CONFIRM_EVERY)))
    }

    /// The earliest time at which all targets were confirmed; `None` before the first world.
    fn complete_at(&self) -> Option<Instant> {
        self.world.as_ref()?;
        self.targets().iter().map(|target| self.confirmed.get(target).copied()).min().flatten()
    }

    /// Publishes what is known, if it changed.
    fn publish(&mut self, outputs: &SourceOutputs) {
        for (target, at) in &self.confirmed {
            outputs.health.confirmed(target, *at);
        }
        let (observation, change) = self.observe(Instant::now());
        if let Some(oldest) = self.complete_at() {
            outputs.health.complete_at(oldest);
        }
        match change {
            BrakeChange::None => {}
            BrakeChange::Engaged(retained) => tracing::warn!(
                brake.retained = retained,
                "{retained} offers disappeared at once. They stay published until a second list \
                 confirms the loss, or until POST /debug/release-brake"
            ),
            BrakeChange::Released => {
                tracing::warn!("The shrink brake was released: what the cluster holds is published")
            }
        }
        outputs.observed.send_if_modified(|last| {
            let changed = *last != observation;
            if changed {
                *last = observation;
            }
            changed
        });
    }

    /// Updates the world if everything was listed, and returns what is known.
    fn observe(&mut self, now: Instant) -> (Observation, BrakeChange) {
        let (public_url, tunnel_problem) = self.public_url.current();
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
        let mut change = BrakeChange::None;
        if missing.is_empty()
            && let Some(public_url) = public_url
        {
            let identity = identity.unwrap_or_default();
            let offers;
            (offers, change) = self.brake.observe(&self.merged(), self.reading(), now);
            if self.reading() == Reading::Complete || self.brake.retained() == 0 {
                self.listed_again.clear();
            }
            self.world = Some(World { offers, identity, public_url });
        }
        if missing.is_empty() && self.merged().is_empty() {
            problems.push(nothing_found(&self.scope, self.absence.found()));
        }
        problems.extend(self.brake.problem("ServiceOffers"));
        if self.world.is_some() {
            missing.clear();
        }
        let held_offers = self.brake.retained();
        (Observation { world: self.world.clone(), missing, problems, held_offers }, change)
    }

    /// Whether all offers were listed since a loss can be confirmed.
    fn reading(&self) -> Reading {
        let mut targets = self.offers.keys().cloned().map(WatchTarget::Offers);
        let is_complete = targets.all(|target| self.listed_again.contains(&target));
        if is_complete { Reading::Complete } else { Reading::Changes }
    }

    fn interruption_problems(&self) -> Vec<SourceProblem> {
        let problem = |(target, last): (&WatchTarget, &Interrupted)| {
            let message = format!("{}. What was last read stays published.", last.why);
            SourceProblem::new(SourceProblemCode::WatchInterrupted, target, message)
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
            WatchTarget::Tunnel => self.public_url.is_listed(),
        };
        let problem = |target: WatchTarget| {
            let why = self.interruptions.get(&target).map(|last| last.why.clone());
            let mut why = why.unwrap_or_else(|| "not listed yet".to_owned());
            if matches!(target, WatchTarget::Offers(_)) && !self.absence.found().is_empty() {
                why += &format!(".{}", self.absence.found());
            }
            SourceProblem::new(SourceProblemCode::NotListed, &target, why)
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

/// Applies a change. Returns the objects in which a list that checks the watch differs.
fn apply_to<T: Clone + PartialEq>(
    cache: &mut Cache<T>,
    change: Change<T>,
    is_check: bool,
) -> Vec<OfferId> {
    let missed = if is_check { cache.differences(&change) } else { Vec::new() };
    cache.apply(change);
    missed
}

fn id_of(object: &RawObject) -> OfferId {
    OfferId::new(object.namespace(), object.name())
}

/// The tunnel URL in the ConfigMap `value`, as written.
fn tunnel_of(value: &Value) -> Option<String> {
    value.get("data")?.get(TUNNEL.2)?.as_str().map(str::to_owned)
}
