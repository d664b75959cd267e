//! What subscribers hear, under paused time.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use super::{EventFeed, HEARTBEAT, follow};
use crate::{
    clock::Clock,
    http::{
        CatalogReader, Front,
        tests::site::{Site, WELL_KNOWN, ask, document_of, is, request},
    },
    offer::Offers,
    publish,
    source::{Observation, World},
    telemetry::Metrics,
    testing::{NOON, Resource, at, offer, offers, public_url, rules},
};

/// A publisher, the feed that follows it, and a front to subscribe at.
struct Stage {
    feed: EventFeed,
    front: Front,
    observed: watch::Sender<Observation>,
    _tasks: JoinSet<()>,
}

impl Stage {
    async fn of(resources: &[Resource]) -> Self {
        let observed = watch::Sender::new(Observation::default());
        let outputs = publish::Outputs::new();
        let clock = Clock::starting_at(at(NOON));
        let feed = EventFeed::new("epoch".to_owned());
        let site = Site::empty(NOON);
        let reader = CatalogReader {
            catalog: outputs.catalog.clone(),
            clock,
            events: feed.clone(),
            ..site.admin.reader.clone()
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(outputs.steps.subscribe(), feed.clone()));
        let (_, on_chain) = watch::channel(Default::default());
        let world = observed.subscribe();
        tasks.spawn(publish::run(world, on_chain, rules(), clock, outputs, Metrics::new()));
        let front = crate::http::public(reader);
        let stage = Self { feed, front, observed, _tasks: tasks };
        stage.publish(resources).await;
        stage
    }

    async fn publish(&self, resources: &[Resource]) {
        let offers: Offers = offers(resources);
        let identity = Default::default();
        let world = World { offers: offers.into(), identity, public_url: public_url() };
        self.observed.send_modify(|observed| observed.world = Some(world));
        settle().await;
    }

    async fn subscribe(&self, query: &str, last: &str) -> Body {
        let uri = format!("/events{query}");
        let fields = [("last-event-id", last)];
        let fields = if last.is_empty() { &[][..] } else { &fields };
        let response = self.front.answer(request("GET", &uri, fields)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Body::new(response)
    }
}

/// Lets the publisher and the feed do what they have to do.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Everything that a subscriber has to read at this moment.
async fn heard(body: &mut Body) -> String {
    let mut text = String::new();
    loop {
        let next =
            std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context));
        match tokio::time::timeout(Duration::from_millis(5), next).await {
            Ok(Some(frame)) => {
                let bytes = frame.unwrap().into_data().unwrap();
                text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            Ok(None) => return text + "END",
            Err(_) => return text,
        }
    }
}

/// Names and data of the events in a text.
fn events(text: &str) -> Vec<(String, Value)> {
    let events = text.split("\n\n").filter(|event| event.starts_with("event: "));
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned()
    };
    events
        .map(|event| {
            (field(event, "event: "), serde_json::from_str(&field(event, "data: ")).unwrap())
        })
        .collect()
}

fn names(text: &str) -> Vec<String> {
    events(text).into_iter().map(|(name, data)| format!("{name} {}", data["offer"])).collect()
}

#[tokio::test(start_paused = true)]
async fn each_change_of_state_is_told_with_the_document_that_it_led_to() {
    let stage = Stage::of(&[offer("demo/chat")]).await;
    let mut body = stage.subscribe("", "").await;
    assert_eq!(heard(&mut body).await, "id: epoch-0\n\n");
    let chat = || offer("demo/chat");
    stage.publish(&[chat(), offer("demo/new").host("new.example")]).await;
    let etag = ask(stage.front.clone(), request("GET", &document_of("demo/new"), &[])).await;
    let document = "https://seller.example/offers/demo/new/agent-registration.json";
    let published = json!({
        "agent": "host:new.example",
        "offer": "demo/new",
        "document": document,
        "etag": etag.etag(),
        "at": NOON,
    });
    assert_eq!(events(&heard(&mut body).await), [("published".to_owned(), published)]);

    stage.publish(&[chat().draining(NOON, "1m")]).await;
    let text = heard(&mut body).await;
    assert_eq!(names(&text), ["draining \"demo/chat\"", "withdrawn \"demo/new\""]);
    assert_eq!(events(&text)[0].1["drainEndsAt"], "2026-05-24T12:01:00Z");
    assert_eq!(events(&text)[1].1["etag"], Value::Null);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let text = heard(&mut body).await;
    assert_eq!(names(&text), ["drained \"demo/chat\""]);
    stage.publish(&[chat()]).await;
    assert_eq!(names(&heard(&mut body).await), ["restored \"demo/chat\""]);
    // A change of the document alone is none of the state.
    stage.publish(&[chat().set("/spec/registration/description", "other")]).await;
    assert_eq!(heard(&mut body).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_resumes_where_it_was_or_learns_that_it_cannot() {
    let stage = Stage::of(&[]).await;
    let all: Vec<_> = (1..=5).map(|number| offer(&format!("demo/n{number}"))).collect();
    for count in 1..=5 {
        stage.publish(&all[..count]).await;
    }
    let rows = [
        ("epoch-5", "id: epoch-5\n\n", 0),
        ("epoch-2", "event: published\nid: epoch-3\n", 3),
        ("epoch-0", "event: published\nid: epoch-1\n", 5),
        ("epoch-6", "event: reset\nid: epoch-5\n", 0),
        ("other-2", "event: reset\nid: epoch-5\n", 0),
        ("garbage", "event: reset\nid: epoch-5\n", 0),
        ("-", "event: reset\nid: epoch-5\n", 0),
    ];
    for (last, begins, replayed) in rows {
        let mut body = stage.subscribe("", last).await;
        let text = heard(&mut body).await;
        assert!(text.starts_with(begins), "{last}: {text}");
        assert_eq!(text.matches("event: published").count(), replayed, "{last}: {text}");
    }
    // The ring forgets the oldest.
    for _ in 0..600 {
        stage.publish(&all[..4]).await;
        stage.publish(&all).await;
    }
    assert!(heard(&mut stage.subscribe("", "epoch-5").await).await.starts_with("event: reset\n"));
    let recent = heard(&mut stage.subscribe("", "epoch-200").await).await;
    assert_eq!(recent.matches("event: ").count(), 1_005);
}

#[tokio::test(start_paused = true)]
async fn a_filter_selects_by_agent_and_by_offer() {
    let stage = Stage::of(&[]).await;
    let rows = [
        ("", 2),
        ("?agent=default", 2),
        ("?agent=host:a.example", 1),
        ("?agent=host:b.example", 0),
        ("?offer=demo/plain", 1),
        ("?offer=demo/hosted&agent=host:a.example", 1),
        ("?offer=demo/plain&agent=host:a.example", 0),
    ];
    let mut bodies = Vec::new();
    for (query, _) in rows {
        bodies.push(stage.subscribe(query, "").await);
    }
    stage.publish(&[offer("demo/plain"), offer("demo/hosted").host("a.example")]).await;
    for ((query, count), body) in rows.into_iter().zip(&mut bodies) {
        assert_eq!(events(&heard(body).await).len(), count, "{query}");
        let replayed = heard(&mut stage.subscribe(query, "epoch-0").await).await;
        assert_eq!(events(&replayed).len(), count, "{query}");
    }
    for bad in ["?agent=", "?agent=host:", "?agent=chat", "?offer=", "?offer=demo", "?offer=a/B"] {
        let answer = ask(stage.front.clone(), request("GET", &format!("/events{bad}"), &[])).await;
        assert_eq!(answer.problem(), is(400, "InvalidQuery"), "{bad}");
    }
    let incomplete = Site::empty(NOON).get("/events").await;
    assert_eq!(incomplete.problem(), is(503, "Incomplete"));
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_hears_something_every_15_seconds_and_the_end() {
    let stage = Stage::of(&[offer("demo/chat")]).await;
    let mut body = stage.subscribe("", "").await.into_data_stream();
    let began = tokio::time::Instant::now();
    assert_eq!(body.next().await.unwrap().unwrap(), "id: epoch-0\n\n");
    for count in 1..=3 {
        assert_eq!(body.next().await.unwrap().unwrap(), ": still here\n\n");
        assert_eq!(began.elapsed().as_secs(), count * HEARTBEAT.as_secs());
    }
    stage.feed.end();
    assert!(body.next().await.is_none());
    assert_eq!(ask(stage.front.clone(), request("GET", WELL_KNOWN, &[])).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_is_too_far_behind_is_disconnected() {
    let stage = Stage::of(&[]).await;
    let mut slow = stage.subscribe("", "").await;
    assert_eq!(heard(&mut slow).await, "id: epoch-0\n\n");
    let many: Vec<_> = (0..300).map(|number| offer(&format!("demo/n{number}"))).collect();
    stage.publish(&many).await;
    assert_eq!(heard(&mut slow).await, "END");
}
