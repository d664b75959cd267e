//! When an offer is looked at, and when it is tried again.

use super::*;
use crate::testing::{Resource, at, offer, offers};

fn drained(id: &str) -> Resource {
    offer(id).set("/spec/drainAt", "2026-05-24T12:00:00Z").set("/spec/drainGracePeriod", "1h")
}

fn looked_at(world: &Offers, attempts: &mut BTreeMap<OfferId, Attempt>, now: &str) -> Vec<String> {
    due(world, attempts, at(now)).into_iter().map(|(id, _)| id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_offer_is_looked_at_when_its_drain_ends_when_it_changes_and_once_in_a_while() {
    let world = offers([&drained("llm/chat"), &offer("llm/other")]);
    let mut attempts = BTreeMap::new();
    let metrics = Metrics::new();
    assert_eq!(looked_at(&world, &mut attempts, "2026-05-24T12:59:59Z"), [""; 0]);
    assert_eq!(looked_at(&world, &mut attempts, "2026-05-24T13:00:00Z"), ["llm/chat"]);
    let (id, parsed) = due(&world, &mut attempts, at("2026-05-24T13:00:00Z")).remove(0);
    settle(&mut attempts, id, parsed, Ok(Done::default()), &metrics);
    assert_eq!(looked_at(&world, &mut attempts, "2026-05-24T13:00:01Z"), [""; 0]);

    let changed = offers([&drained("llm/chat").set("/spec/paused", true)]);
    assert_eq!(looked_at(&changed, &mut attempts, "2026-05-24T13:00:02Z"), ["llm/chat"]);
    tokio::time::advance(RECHECK).await;
    assert_eq!(looked_at(&world, &mut attempts, "2026-05-24T13:10:00Z"), ["llm/chat"]);

    // A drain that is taken back is forgotten, so its next end is a first one.
    let restored = offers([&offer("llm/chat")]);
    assert_eq!(looked_at(&restored, &mut attempts, "2026-05-24T13:11:00Z"), [""; 0]);
    assert!(attempts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_ever_later_up_to_a_minute() {
    let world = offers([&drained("llm/chat")]);
    let mut attempts = BTreeMap::new();
    let metrics = Metrics::new();
    for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
        let (id, parsed) = due(&world, &mut attempts, at("2026-05-24T13:00:00Z")).remove(0);
        settle(&mut attempts, id, parsed, Err(EnforceError::Conflict), &metrics);
        let wait = attempts.values().next().unwrap().next - Instant::now();
        assert_eq!(wait, Duration::from_secs(expected));
        tokio::time::advance(wait).await;
    }
}
