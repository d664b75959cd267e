//! The publisher on virtual time.

use std::{sync::Arc, time::Duration};

use crate::{
    catalog::{Catalog, Shared},
    clock::Clock,
    publish,
    registration::Identity,
    source::{Observation, SourceProblem, SourceProblemCode, World},
    telemetry::Metrics,
    testing::{Resource, at, offer, offers, public_url, rules},
};
use tokio::{sync::watch, task::JoinSet};

const START: &str = "2026-05-24T14:00:00Z";

/// A running publisher, the channel that feeds it, and the catalogs that it publishes.
struct Publisher {
    world: watch::Sender<Observation>,
    catalog: watch::Receiver<Shared>,
    clock: Clock,
    tasks: JoinSet<()>,
}

impl Publisher {
    fn start(observed: Observation) -> Self {
        let (world, worlds) = watch::channel(observed);
        let (catalogs, catalog) = watch::channel(None);
        let outputs = publish::Outputs { catalog: catalogs, agents: watch::Sender::new(None) };
        let clock = Clock::starting_at(at(START));
        let mut tasks = JoinSet::new();
        let (_facts, on_chain) = watch::channel(Default::default());
        tasks.spawn(publish::run(worlds, on_chain, rules(), clock, outputs, Metrics::new()));
        Self { world, catalog, clock, tasks }
    }

    /// Advances the virtual time and lets everything that is due happen.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// The catalog once everything that is due has happened.
    async fn published(&self) -> Arc<Catalog> {
        self.pass(Duration::from_millis(1)).await;
        self.catalog.borrow().clone().unwrap()
    }

    fn feed(&self, observed: Observation) {
        self.world.send_replace(observed);
    }
}

fn seen(resources: &[Resource]) -> Observation {
    let world = World {
        offers: offers(resources).into(),
        identity: Arc::new(Identity::default()),
        public_url: public_url(),
    };
    Observation { world: Some(world), ..Observation::default() }
}

fn text(catalog: &Catalog) -> &str {
    std::str::from_utf8(&catalog.default.identity.body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_before_there_is_a_world() {
    let missing = vec![SourceProblem::new(SourceProblemCode::BrokenFile, "a.yaml", "line 2: x")];
    let publisher = Publisher::start(Observation { missing, ..Observation::default() });
    publisher.pass(Duration::from_secs(3_600)).await;
    assert!(publisher.catalog.borrow().is_none());
    publisher.feed(seen(&[]));
    assert!(
        text(&*publisher.published().await).contains(r#""active":false"#),
        "a world without offers is a world"
    );
}

#[tokio::test(start_paused = true)]
async fn an_ended_drain_disappears_without_an_event() {
    let chat = offer("llm/chat").draining(START, "90s").host("chat.example");
    let publisher = Publisher::start(seen(&[chat, offer("llm/other")]));
    let first = publisher.published().await;
    assert!(text(&first).contains(r#""available":false,"drainEndsAt":"2026-05-24T14:01:30Z""#));
    assert_eq!(first.valid_until, Some(at("2026-05-24T14:01:30Z")));
    publisher.pass(Duration::from_millis(89_998)).await;
    let before = publisher.catalog.borrow().clone().unwrap();
    assert!(
        publisher.clock.now() < at("2026-05-24T14:01:30Z")
            && before.holds_at(publisher.clock.now())
    );
    assert!(text(&before).contains("/services/chat"));
    publisher.pass(Duration::from_millis(2)).await;
    let after = publisher.published().await;
    assert!(!first.holds_at(at("2026-05-24T14:01:30Z")), "the end is inclusive");
    assert!(!text(&after).contains("/services/chat") && text(&after).contains("/services/other"));
    assert_eq!((after.valid_until, after.offers.len()), (None, 1));
    assert!(after.holds_at(at("9999-12-31T23:59:59Z")));
    let host = after.hosts.values().next().unwrap();
    assert!(std::str::from_utf8(&host.identity.body).unwrap().contains("(deactivated)"));
}

#[tokio::test(start_paused = true)]
async fn drains_end_one_after_the_other() {
    let drains = ["1s", "2s", "1h", "26h"];
    let resources: Vec<_> = drains
        .iter()
        .enumerate()
        .map(|(at, grace)| offer(&format!("llm/o{at}")).draining(START, grace))
        .collect();
    let publisher = Publisher::start(seen(&resources));
    let mut left = Vec::new();
    for wait in [0, 1_000, 1_000, 3_598_000, 25 * 3_600_000] {
        publisher.pass(Duration::from_millis(wait)).await;
        left.push(publisher.published().await.offers.len());
    }
    assert_eq!(left, [4, 3, 2, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_world_is_published_at_once() {
    let publisher = Publisher::start(seen(&[]));
    publisher.published().await;
    publisher.feed(seen(&[offer("llm/chat")]));
    assert!(text(&*publisher.published().await).contains("/services/chat"));
    publisher.feed(seen(&[offer("llm/chat").draining(START, "1h")]));
    assert!(text(&*publisher.published().await).contains("drainEndsAt"));
    publisher.feed(seen(&[offer("llm/chat")]));
    assert!(
        !text(&*publisher.published().await).contains("drainEndsAt"),
        "a cleared drainAt brings it back"
    );
}

#[tokio::test(start_paused = true)]
async fn pages_that_did_not_change_are_the_same_bytes_in_memory() {
    let chat = offer("llm/chat").host("chat.example");
    let other = offer("llm/other").host("other.example");
    let publisher = Publisher::start(seen(&[chat.clone(), other.clone()]));
    let first = publisher.published().await;
    publisher.feed(seen(&[chat.clone(), other.clone().set("/spec/registration/name", "Other")]));
    let second = publisher.published().await;
    let is_same = |id: &Resource| {
        let page = |catalog: &Catalog| catalog.offers[&id.id()].clone();
        let host = |catalog: &Catalog| {
            let holder = id.parsed().claims.host.unwrap();
            catalog.hosts[&holder].clone()
        };
        let same = |one: crate::catalog::Page, two: crate::catalog::Page| {
            let identity = one.identity.body.as_ptr() == two.identity.body.as_ptr();
            identity && one.gzip.body.as_ptr() == two.gzip.body.as_ptr()
        };
        (same(page(&first), page(&second)), same(host(&first), host(&second)))
    };
    assert_eq!(is_same(&chat), (true, true));
    assert_eq!(is_same(&other), (false, false));
    assert_eq!(first.default.identity.body.as_ptr(), second.default.identity.body.as_ptr());
    assert_eq!(first.default.identity.etag, second.default.identity.etag);
    let tags = |catalog: &Catalog| catalog.offers[&other.id()].identity.etag.clone();
    assert_ne!(tags(&first), tags(&second));
}

#[tokio::test(start_paused = true)]
async fn changed_at_moves_with_the_bytes_alone() {
    let publisher = Publisher::start(seen(&[offer("llm/chat"), offer("llm/off").disabled()]));
    assert_eq!(publisher.published().await.changed_at, at(START));
    publisher.pass(Duration::from_secs(100)).await;
    assert_eq!(publisher.published().await.changed_at, at(START), "time alone changes nothing");
    publisher.feed(seen(&[offer("llm/chat"), offer("llm/off").path("bad")]));
    assert_eq!(
        publisher.published().await.changed_at,
        at(START),
        "another reason does not change the bytes"
    );
    publisher.feed(seen(&[offer("llm/chat").path("/chat")]));
    let changed = publisher.clock.now();
    assert_eq!(publisher.published().await.changed_at, changed);
    assert!(changed > at("2026-05-24T14:01:40Z"));
}

#[tokio::test(start_paused = true)]
async fn the_publisher_ends_with_its_source() {
    let Publisher { world, mut tasks, catalog, .. } = Publisher::start(seen(&[]));
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(world);
    assert!(tasks.join_next().await.unwrap().is_ok());
    assert!(catalog.borrow().is_some(), "what was published stays");
}
