//! One publication: what changed since the last one, and what the clock will change next.

use std::{collections::BTreeSet, sync::Arc};

use chrono::TimeDelta;
use imbl::ordmap::DiffItem;

use super::{
    Outputs, Step,
    rebuild::{Frame, Rebuild, is_large, project},
};
use crate::{
    catalog::Catalog,
    clock::Clock,
    offer::{OfferId, Offers, Timestamp},
    registration::{LiveProjection, OfferChange, OnChainFacts, Rules, Transition},
    source::World,
    telemetry::Metrics,
};

/// How long before its instant the next state is prepared.
const PREPARED_AHEAD: TimeDelta = TimeDelta::seconds(3);
/// What was published last, and what comes next.
pub(super) struct Publisher {
    rules: Arc<Rules>,
    clock: Clock,
    outputs: Outputs,
    metrics: Metrics,
    published: Option<Published>,
    /// The projection that will replace the published one.
    rebuild: Option<Rebuild>,
}

struct Published {
    world: World,
    on_chain: Arc<OnChainFacts>,
    frame: Frame,
    projection: LiveProjection,
    catalog: Arc<Catalog>,
    next: Option<Prepared>,
}

/// What is to be published.
struct Wanted {
    world: World,
    on_chain: Arc<OnChainFacts>,
    frame: Frame,
}

/// The state from the next instant on at which the clock changes something.
struct Prepared {
    at: Timestamp,
    projection: LiveProjection,
    /// The offers in which it may differ from the current state.
    touched: BTreeSet<OfferId>,
}

impl Publisher {
    pub(super) fn new(rules: Rules, clock: Clock, outputs: Outputs, metrics: Metrics) -> Self {
        Self { rules: rules.into(), clock, outputs, metrics, published: None, rebuild: None }
    }

    /// Publishes this world at this instant, unless that is published already.
    pub(super) fn publish(&mut self, world: World, on_chain: OnChainFacts) {
        let on_chain = match &self.published {
            Some(published) if *published.on_chain == on_chain => Arc::clone(&published.on_chain),
            Some(_) | None => on_chain.into(),
        };
        let frame = Frame {
            ids: on_chain.ids(&world.identity.registrations),
            public_url: world.public_url.clone(),
        };
        match self.published.take() {
            None => {
                let projection = self.project(&world.offers, frame.clone());
                tracing::info!(
                    offers.seen = projection.offer_count(),
                    "Published the first complete world"
                );
                self.finish(Wanted { world, on_chain, frame }, projection, None);
            }
            Some(last) if last.frame == frame => {
                // What the last frame was to be replaced by is not wanted any more.
                self.rebuild = None;
                self.republish(last, Wanted { world, on_chain, frame });
            }
            Some(last) => self.reframe(last, Wanted { world, on_chain, frame }),
        }
    }

    /// Publishes changes of offers, and what the clock changed.
    fn republish(&mut self, mut last: Published, wanted: Wanted) {
        let changes = differences(&last.world.offers, &wanted.world.offers);
        let now = self.clock.now();
        let is_same_chain = Arc::ptr_eq(&last.on_chain, &wanted.on_chain);
        // Anchoring depends on what cannot be read of an AgentIdentity, too.
        let is_same_identity = last.world.identity == wanted.world.identity;
        let is_same = is_same_chain && is_same_identity;
        if changes.is_empty() && is_same && last.catalog.holds_at(now) {
            self.published = Some(Published { world: wanted.world, ..last });
            return;
        }
        let mut next = last.next.take();
        let mut projection = last.projection.clone();
        let mut touched = BTreeSet::new();
        if let Some(due) = next.take_if(|next| next.at <= now) {
            (projection, touched) = (due.projection, due.touched);
        }
        if let Some(next) = &mut next {
            next.touched.append(&mut next.projection.apply(changes.clone(), next.at));
        }
        touched.append(&mut projection.apply(changes, now));
        let transitions = projection.transitions_since(&last.projection, &touched);
        let refused = projection.refusals_since(&last.projection, &touched);
        self.finish(wanted, projection, Some(&last.catalog));
        if let Some(published) = &mut self.published {
            published.next = next.filter(|next| Some(next.at) == published.catalog.valid_until);
        }
        self.send(Step { at: now, public_url: last.world.public_url, transitions, refused });
    }

    /// Publishes other ids or another public URL. Until a large world is projected anew, changes of
    /// its offers are published with the last ones.
    fn reframe(&mut self, last: Published, wanted: Wanted) {
        let Wanted { world, frame, .. } = &wanted;
        let pending = self.rebuild.take().filter(|rebuild| rebuild.frame == *frame);
        let made = match pending {
            Some(mut rebuild) => rebuild.take().map(|made| (rebuild, made)).ok(),
            None if is_large(&world.offers) => self.start_rebuild(&wanted).map(|new| (new, None)),
            None => None,
        };
        let (now, mut projection) = match made {
            Some((rebuild, None)) => {
                self.rebuild = Some(rebuild);
                let world = World { offers: Arc::clone(&world.offers), ..last.world.clone() };
                let (on_chain, frame) = (Arc::clone(&last.on_chain), last.frame.clone());
                return self.republish(last, Wanted { world, on_chain, frame });
            }
            Some((rebuild, Some(mut made))) => {
                let now = self.clock.now();
                made.apply(differences(&rebuild.offers, &world.offers), now);
                (now, made)
            }
            None => (self.clock.now(), self.project(&world.offers, frame.clone())),
        };
        projection.advance(now);
        let changes = differences(&last.world.offers, &world.offers);
        let mut before = last.projection.clone();
        let touched = before.apply(changes, now);
        let transitions = projection.transitions_since(&last.projection, &touched);
        let refused = projection.refusals_since(&last.projection, &touched);
        let public_url = frame.public_url.clone();
        self.finish(wanted, projection, Some(&last.catalog));
        self.send(Step { at: now, public_url, transitions, refused });
    }

    /// `None` if no thread can be started.
    fn start_rebuild(&self, wanted: &Wanted) -> Option<Rebuild> {
        let started = Rebuild::start(
            wanted.frame.clone(),
            Arc::clone(&wanted.world.offers),
            Arc::clone(&self.rules),
            self.clock.now(),
            self.metrics.clone(),
            self.outputs.catalog.clone(),
        );
        started.ok()
    }

    fn project(&self, offers: &Offers, frame: Frame) -> LiveProjection {
        project(offers, frame, Arc::clone(&self.rules), self.clock.now(), &self.metrics)
    }

    /// Tells what became of which offer.
    fn send(&self, step: Step) {
        for transition in &step.transitions {
            let Transition { kind, id, host, page, drain_ends_at } = transition;
            let etag = page.as_ref().map(|page| page.identity().etag);
            tracing::debug!(
                offer.id = %id,
                offer.host = ?host,
                offer.etag = ?etag,
                offer.drain_ends_at = ?drain_ends_at,
                "{id} is {kind:?}"
            );
        }
        if !step.transitions.is_empty() || !step.refused.is_empty() {
            // Nobody may be listening.
            let _ = self.outputs.steps.send(Arc::new(step));
        }
    }

    fn finish(&mut self, wanted: Wanted, projection: LiveProjection, last: Option<&Catalog>) {
        let Wanted { world, on_chain, frame } = wanted;
        let now = self.clock.now();
        let catalog = Arc::new(Catalog::new(&projection, &on_chain, last, now));
        self.outputs.catalog.replace(Arc::clone(&catalog));
        let agents = projection.agents(&world.identity);
        self.outputs.agents.send_if_modified(|last| {
            let is_news = !last.as_ref().is_some_and(|last| last.is_same(&agents));
            if is_news {
                *last = Some(Arc::new(agents));
            }
            is_news
        });
        self.published =
            Some(Published { world, on_chain, frame, projection, catalog, next: None });
    }

    /// The first instant at which the clock alone changes what is published.
    pub(super) fn next_change(&self) -> Option<Timestamp> {
        self.published.as_ref()?.catalog.valid_until
    }

    /// Prepares what the clock changes next, if that is soon.
    pub(super) fn prepare(&mut self) {
        let now = self.clock.now();
        let Some(published) = &mut self.published else { return };
        let Some(at) = published.catalog.valid_until else { return };
        if published.next.is_none() && now < at && at - now < PREPARED_AHEAD {
            let mut projection = published.projection.clone();
            let touched = projection.advance(at);
            published.next = Some(Prepared { at, projection, touched });
        }
    }
}

/// What changed from one set of offers to another. Looks only at what they do not share.
fn differences(old: &Offers, new: &Offers) -> Vec<OfferChange> {
    old.diff(new)
        .map(|change| match change {
            DiffItem::Add(id, parsed) | DiffItem::Update { new: (id, parsed), .. } => {
                (id.clone(), Some(Arc::clone(parsed)))
            }
            DiffItem::Remove(id, _) => (id.clone(), None),
        })
        .collect()
}
