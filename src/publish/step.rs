//! One publication: what changed since the last one, and what the clock will change next.

use std::{collections::BTreeSet, sync::Arc};

use chrono::TimeDelta;
use imbl::ordmap::DiffItem;

use super::{Outputs, Step};
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
/// After this many offers the publisher shows that it is alive.
const BATCH: usize = 4_096;

/// What was published last, and what comes next.
pub(super) struct Publisher {
    rules: Arc<Rules>,
    clock: Clock,
    outputs: Outputs,
    metrics: Metrics,
    published: Option<Published>,
}

struct Published {
    world: World,
    on_chain: Arc<OnChainFacts>,
    projection: LiveProjection,
    catalog: Arc<Catalog>,
    next: Option<Prepared>,
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
        Self { rules: rules.into(), clock, outputs, metrics, published: None }
    }

    /// Publishes this world at this instant, unless that is published already.
    pub(super) fn publish(&mut self, world: World, on_chain: OnChainFacts) {
        match self.published.take() {
            None => {
                let now = self.clock.now();
                let on_chain = Arc::new(on_chain);
                let projection = self.project(&world, &on_chain, now);
                tracing::info!(
                    offers.seen = projection.offer_count(),
                    "Published the first complete world"
                );
                self.finish(world, on_chain, projection, None);
            }
            Some(published) => self.republish(published, world, on_chain),
        }
    }

    fn republish(&mut self, mut last: Published, world: World, on_chain: OnChainFacts) {
        let is_same_chain = *last.on_chain == on_chain;
        let is_same_frame = last.world.public_url == world.public_url
            && last.world.identity.registrations == world.identity.registrations
            && (is_same_chain
                || last.on_chain.ids(&world.identity.registrations)
                    == on_chain.ids(&world.identity.registrations));
        let changes = differences(&last.world.offers, &world.offers);
        let now = self.clock.now();
        if changes.is_empty() && is_same_chain && is_same_frame && last.catalog.holds_at(now) {
            // Other facts of the world, such as problems of the AgentIdentity, are not published.
            self.published = Some(Published { world, ..last });
            return;
        }
        let mut next = last.next.take().filter(|_| is_same_frame);
        let mut projection = last.projection.clone();
        let mut touched = BTreeSet::new();
        if let Some(due) = next.take_if(|next| next.at <= now) {
            (projection, touched) = (due.projection, due.touched);
        }
        if let Some(next) = &mut next {
            next.touched.append(&mut next.projection.apply(changes.clone(), next.at));
        }
        touched.append(&mut projection.apply(changes, now));
        let on_chain = if is_same_chain { Arc::clone(&last.on_chain) } else { on_chain.into() };
        if !is_same_frame {
            projection = self.project(&world, &on_chain, now);
        }
        let transitions = projection.transitions_since(&last.projection, &touched);
        self.finish(world, on_chain, projection, Some(&last.catalog));
        if let Some(published) = &mut self.published {
            published.next = next.filter(|next| Some(next.at) == published.catalog.valid_until);
        }
        for transition in &transitions {
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
        if !transitions.is_empty() {
            let public_url = last.world.public_url;
            // Nobody may be listening.
            let _ = self.outputs.steps.send(Arc::new(Step { at: now, public_url, transitions }));
        }
    }

    /// The projection of a whole world.
    fn project(&self, world: &World, on_chain: &OnChainFacts, now: Timestamp) -> LiveProjection {
        let ids = on_chain.ids(&world.identity.registrations).into();
        let rules = Arc::clone(&self.rules);
        let mut projection = LiveProjection::new(rules, ids, world.public_url.clone(), now);
        let mut offers = world.offers.iter().peekable();
        while offers.peek().is_some() {
            let batch = offers.by_ref().take(BATCH);
            let batch = batch.map(|(id, parsed)| (id.clone(), Some(Arc::clone(parsed))));
            projection.apply(batch, now);
            self.metrics.heartbeat();
        }
        projection
    }

    fn finish(
        &mut self,
        world: World,
        on_chain: Arc<OnChainFacts>,
        projection: LiveProjection,
        last: Option<&Catalog>,
    ) {
        let now = self.clock.now();
        let catalog = Arc::new(Catalog::new(&projection, &on_chain, last, now));
        self.outputs.catalog.replace(Arc::clone(&catalog));
        let agents = projection.agents(&world.identity.registrations);
        self.outputs.agents.send_if_modified(|last| {
            let is_news = last.as_deref() != Some(&agents);
            if is_news {
                *last = Some(Arc::new(agents));
            }
            is_news
        });
        self.published = Some(Published { world, on_chain, projection, catalog, next: None });
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
