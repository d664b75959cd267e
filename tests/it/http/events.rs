//! `/events` over a real socket, from files that change.

use std::fs;

use tokio::{io::AsyncReadExt, time::timeout};

use crate::support::{process::PATIENCE, wire::Wire};

use super::ground::{is_served, offers, serve};

/// Reads until a text has arrived.
async fn until(wire: &mut Wire, text: &str) -> String {
    let mut heard = String::new();
    while !heard.contains(text) {
        let mut bytes = [0; 4_096];
        let read = timeout(PATIENCE, wire.0.read(&mut bytes)).await;
        let count = read.unwrap_or_else(|_| panic!("no {text:?} in {heard}")).unwrap();
        assert_ne!(count, 0, "closed after {heard}");
        heard.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    heard
}

#[tokio::test]
async fn a_change_is_heard_by_every_subscriber_and_the_end_of_the_process_too() {
    let dir = offers(2);
    let server = serve(&dir, &[]).await;
    let mut subscribers = Vec::new();
    for query in ["", "?offer=llm/n0", "?agent=default"] {
        let mut wire = Wire::to(&server.public).await;
        wire.send(format!("GET /events{query} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let began = until(&mut wire, "id: ").await;
        assert!(began.contains("content-type: text/event-stream"), "{began}");
        subscribers.push(wire);
    }
    fs::remove_file(dir.path().join("n0.yaml")).unwrap();
    for wire in &mut subscribers {
        let heard = until(wire, "event: withdrawn").await;
        let rest = if heard.contains("\"etag\"") { heard } else { until(wire, "\"etag\"").await };
        assert!(rest.contains("\"offer\":\"llm/n0\""), "{rest}");
    }
    is_served(&server).await;
    server.signal("-INT");
    for wire in &mut subscribers {
        assert!(wire.is_closed().await);
    }
    assert_eq!(server.log_after_end().await.code, Some(0));
}
