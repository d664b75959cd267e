//! Clients that are slow or silent are cut, and cost the others nothing.

use tokio::io::Interest;

use crate::support::{
    process::eventually,
    wire::{Wire, frame, get_block, preface, status},
};

use super::ground::{WELL_KNOWN, is_served, measured, offers, serve};

const CLIENTS: usize = 2_000;

#[tokio::test]
async fn clients_that_say_nothing_or_half_a_request_are_cut_and_others_are_served() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let openings = [
        "",
        "G",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut wire = Wire::to(&server.public).await;
        wire.send(openings[number % openings.len()]).await;
        clients.push(wire);
    }
    is_served(&server).await;
    for wire in &mut clients {
        assert!(wire.is_closed().await, "a client is still connected");
    }
    is_served(&server).await;
    let cut =
        "registrar_http_connections_closed_total{listener=\"public\",reason=\"first-request\"}";
    assert_eq!(measured(&server, cut).await, CLIENTS as u64);
}

#[tokio::test]
async fn a_second_request_that_comes_byte_by_byte_is_cut() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut wire = Wire::to(&server.public).await;
        wire.send(format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(wire.response().await.0.split(' ').nth(1), Some("200"));
        clients.push(wire);
    }
    // Each client sends another byte whenever the server has not closed yet.
    let cut = "registrar_http_connections_closed_total{listener=\"public\",reason=\"slow-head\"}";
    eventually("all are cut", async || {
        for wire in &mut clients {
            wire.send("G").await;
        }
        measured(&server, cut).await >= 50
    })
    .await;
    is_served(&server).await;
}

#[tokio::test]
async fn clients_that_do_not_read_are_cut() {
    let dir = offers(500);
    let server = serve(&dir, &[]).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let wire = Wire::to(&server.public).await;
        let request = format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n\r\n");
        // More than all buffers between us hold.
        for _ in 0..400 {
            wire.0.ready(Interest::WRITABLE).await.unwrap();
            let _ = wire.0.try_write(request.as_bytes());
        }
        clients.push(wire);
    }
    let cut =
        "registrar_http_connections_closed_total{listener=\"public\",reason=\"stalled-write\"}";
    eventually("all are cut", async || measured(&server, cut).await >= 20).await;
    is_served(&server).await;
}

#[tokio::test]
async fn a_client_that_comes_back_after_a_while_is_answered_on_its_connection() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let mut wire = Wire::to(&server.public).await;
    let request = format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n\r\n");
    wire.send(&request).await;
    let first = wire.response().await;
    // The buffers of the connection are given up after 2 s; another one is opened and cut after 5.
    let mut silent = Wire::to(&server.public).await;
    assert!(silent.is_closed().await);
    for half in [request.split_at(7).0, request.split_at(7).1] {
        wire.send(half).await;
    }
    assert_eq!(wire.response().await.1, first.1);
    wire.send(format!("{request}{request}")).await;
    assert_eq!(wire.response().await.1, first.1, "pipelined");
    assert_eq!(wire.response().await.1, first.1, "pipelined");
}

#[tokio::test]
async fn a_connection_without_a_request_ends_after_a_minute_whoever_served_it() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let mut clients = Vec::new();
    for path in [WELL_KNOWN, "/"] {
        let mut wire = Wire::to(&server.public).await;
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(status(&wire.response().await.0), 200);
        clients.push(wire);
    }
    let mut wire = Wire::to(&server.public).await;
    wire.send([preface(), frame(1, 0x5, 1, &get_block(WELL_KNOWN))].concat()).await;
    const DATA: u8 = 0;
    while wire.frame().await.0 != DATA {}
    clients.push(wire);
    let idle = "registrar_http_connections_closed_total{listener=\"public\",reason=\"idle\"}";
    for wire in &mut clients {
        // Each of these waits for a minute.
        let is_closed = wire.is_closed().await || wire.is_closed().await || wire.is_closed().await;
        assert!(is_closed, "a client is still connected");
    }
    assert_eq!(measured(&server, idle).await, 3);
}
