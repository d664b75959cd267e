//! The publisher on virtual time.

use std::{sync::Arc, time::Duration};

use crate::{
    catalog::{Catalog, CurrentCatalog},
    clock::Clock,
    page::Page,
    publish,
    registration::{Identity, OnChainFacts, TransitionKind, chains::KnownRegistries},
    source::{Observation, SourceProblem, SourceProblemCode, World},
    telemetry::Metrics,
    testing::{Resource, at, catalog, offer, offers, public_url, rules, text_of},
};
use serde_json::json;
use tokio::{
    sync::{broadcast, watch},
    task::JoinSet,
};

const START: &str = "2026-05-24T14:00:00Z";

/// A running publisher, the channel that feeds it, and the catalogs that it publishes.
struct Publisher {
    world: watch::Sender<Observation>,
    catalog: CurrentCatalog,
    steps: broadcast::Sender<Arc<publish::Step>>,
    clock: Clock,
    tasks: JoinSet<()>,
}

impl Publisher {
    fn start(observed: Observation) -> Self {
        let (world, worlds) = watch::channel(observed);
        let outputs = publish::Outputs::new();
        let (catalog, steps) = (outputs.catalog.clone(), outputs.steps.clone());
        let clock = Clock::starting_at(at(START));
        let mut tasks = JoinSet::new();
        let (_facts, on_chain) = watch::channel(Default::default());
        tasks.spawn(publish::run(worlds, on_chain, rules(), clock, outputs, Metrics::new()));
        Self { world, catalog, steps, clock, tasks }
    }

    /// Advances the virtual time and lets everything that is due happen.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// The catalog once everything that is due has happened.
    async fn published(&self) -> Arc<Catalog> {
        self.pass(Duration::from_millis(1)).await;
        self.catalog.load().unwrap()
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

fn text(catalog: &Catalog) -> String {
    text_of(catalog.projection.default())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_before_there_is_a_world() {
    let missing = vec![SourceProblem::new(SourceProblemCode::BrokenFile, "a.yaml", "line 2: x")];
    let publisher = Publisher::start(Observation { missing, ..Observation::default() });
    publisher.pass(Duration::from_secs(3_600)).await;
    assert!(publisher.catalog.load().is_none());
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
    let before = publisher.catalog.load().unwrap();
    assert!(
        publisher.clock.now() < at("2026-05-24T14:01:30Z")
            && before.holds_at(publisher.clock.now())
    );
    assert!(text(&before).contains("/services/chat"));
    publisher.pass(Duration::from_millis(2)).await;
    let after = publisher.published().await;
    assert!(!first.holds_at(at("2026-05-24T14:01:30Z")), "the end is inclusive");
    assert!(!text(&after).contains("/services/chat") && text(&after).contains("/services/other"));
    assert_eq!((after.valid_until, after.projection.published_count()), (None, 1));
    assert!(after.holds_at(at("9999-12-31T23:59:59Z")));
    let host = after.projection.hosts().values().next().unwrap();
    assert!(text_of(&host.page).contains("(deactivated)"));
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
        left.push(publisher.published().await.projection.published_count());
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
        let page = |catalog: &Catalog| catalog.projection.offer(&id.id()).unwrap().clone();
        let host = |catalog: &Catalog| {
            let holder = id.parsed().claims.host.unwrap();
            catalog.projection.hosts()[&holder].page.clone()
        };
        let same = |one: Page, two: Page| {
            let at = |page: &Page| {
                [page.identity(), page.gzip()].map(|form| form.body.to_bytes().as_ptr())
            };
            at(&one) == at(&two)
        };
        (same(page(&first), page(&second)), same(host(&first), host(&second)))
    };
    assert_eq!(is_same(&chat), (true, true));
    assert_eq!(is_same(&other), (false, false));
    let default = |catalog: &Catalog| catalog.projection.default().identity();
    assert_eq!(default(&first).body.to_bytes().as_ptr(), default(&second).body.to_bytes().as_ptr());
    assert_eq!(default(&first).etag, default(&second).etag);
    let tags = |catalog: &Catalog| catalog.projection.offer(&other.id()).unwrap().identity().etag;
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
    assert!(catalog.load().is_some(), "what was published stays");
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_each_offer_is_told_once() {
    let publisher = Publisher::start(seen(&[offer("llm/first")]));
    publisher.published().await;
    let mut steps = publisher.steps.subscribe();
    let chat = || offer("llm/chat").host("chat.example");
    publisher.feed(seen(&[offer("llm/first"), chat()]));
    publisher.published().await;
    publisher.feed(seen(&[offer("llm/first"), chat().draining(START, "90s")]));
    let draining = publisher.published().await;
    publisher.pass(Duration::from_secs(120)).await;
    publisher.feed(seen(&[chat().draining(START, "90s")]));
    publisher.published().await;
    let mut told = Vec::new();
    while let Ok(step) = steps.try_recv() {
        assert_eq!(step.public_url, public_url());
        for change in &step.transitions {
            let end = change.drain_ends_at.map(|end| (end - at(START)).num_seconds());
            let host = change.host.as_ref().map(ToString::to_string).unwrap_or_default();
            let seconds = (step.at - at(START)).num_seconds();
            told.push((seconds, change.id.to_string(), format!("{:?}", change.kind), host, end));
            if change.kind == TransitionKind::Draining {
                let page = draining.projection.offer(&change.id).unwrap();
                assert!(change.page.as_ref().unwrap().is_same(page));
            }
        }
    }
    let row = |seconds, id: &str, kind: &str, host: &str, end| {
        (seconds, id.to_owned(), kind.to_owned(), host.to_owned(), end)
    };
    let expected = [
        row(0, "llm/chat", "Published", "chat.example", None),
        row(0, "llm/chat", "Draining", "chat.example", Some(90)),
        row(90, "llm/chat", "Drained", "chat.example", Some(90)),
        row(120, "llm/first", "Withdrawn", "", None),
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_change_shortly_before_a_drain_ends_is_part_of_what_comes_next() {
    let chat = || offer("llm/chat").draining(START, "10s");
    let publisher = Publisher::start(seen(&[chat(), offer("llm/other")]));
    publisher.pass(Duration::from_millis(9_500)).await;
    publisher.feed(seen(&[chat(), offer("llm/other"), offer("llm/third")]));
    assert!(text(&*publisher.published().await).contains("/services/third"));
    let mut steps = publisher.steps.subscribe();
    publisher.pass(Duration::from_millis(600)).await;
    let after = publisher.published().await;
    assert!(!text(&after).contains("/services/chat") && text(&after).contains("/services/third"));
    let ended = steps.try_recv().unwrap();
    assert_eq!(ended.transitions.len(), 1);
    assert_eq!(ended.at, at("2026-05-24T14:00:10Z"), "a swap at its instant");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_cleared_shortly_before_its_end_does_not_end() {
    let publisher = Publisher::start(seen(&[offer("llm/chat").draining(START, "10s")]));
    publisher.pass(Duration::from_millis(9_500)).await;
    publisher.feed(seen(&[offer("llm/chat")]));
    publisher.pass(Duration::from_secs(1)).await;
    let after = publisher.published().await;
    assert!(text(&after).contains("/services/chat"));
    assert_eq!(after.valid_until, None);
}

#[tokio::test(start_paused = true)]
async fn other_ids_of_a_large_world_are_published_once_it_is_projected_anew() {
    let resources: Vec<_> = (0..4_200).map(|at| offer(&format!("llm/o{at}"))).collect();
    let mut large = seen(&resources);
    let publisher = Publisher::start(large.clone());
    publisher.published().await;
    let world = large.world.as_mut().unwrap();
    let status = json!({ "status": { "registrations": [{ "chain": "base", "agentId": "7" }] } });
    world.identity = Arc::new(Identity::parse(&status, &KnownRegistries::default()));
    publisher.feed(large.clone());
    publisher.pass(Duration::from_millis(1)).await;
    // A change that comes while the world is projected on another thread.
    let world = large.world.as_mut().unwrap();
    let late = offer("llm/late").path("/late");
    Arc::make_mut(&mut world.offers).insert(late.id(), Arc::new(late.parsed()));
    publisher.feed(large.clone());
    publisher.pass(Duration::from_millis(1)).await;
    assert!(publisher.published().await.listed(&late.id()).is_some(), "it does not wait");
    let began = std::time::Instant::now();
    let published = loop {
        let published = publisher.published().await;
        if !published.projection.ids().default.is_empty() {
            break published;
        }
        assert!(began.elapsed() < Duration::from_secs(60));
    };
    let world = large.world.unwrap();
    let identity = &world.identity.registrations;
    let facts = OnChainFacts::default();
    let cold = catalog(&world.offers, identity, &facts, &rules(), None, at(START));
    assert_eq!(text(&published), text(&cold));
    assert!(published.projection.default().is_same(cold.projection.default()));
    let own = |catalog: &Catalog| catalog.projection.offer(&late.id()).unwrap().clone();
    assert!(own(&published).is_same(&own(&cold)));
}
