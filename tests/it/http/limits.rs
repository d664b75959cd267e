//! More connections than the limit, forged hosts, and the admin listener beside all of it.

use crate::support::{
    process::{eventually, json},
    wire::{Wire, status},
};

use super::ground::{WELL_KNOWN, is_served, measured, offers, serve};

#[tokio::test]
async fn above_the_limit_the_oldest_idle_connection_makes_room_and_admin_still_answers() {
    let dir = offers(1);
    let server = serve(&dir, &["--max-connections", "100", "--threads", "1"]).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        let mut wire = Wire::to(&server.public).await;
        wire.send(format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(status(&wire.response().await.0), 200);
        idle.push(wire);
    }
    let mut flood = Vec::new();
    for _ in 0..1_000 {
        flood.push(Wire::to(&server.public).await);
    }
    is_served(&server).await;
    assert!(idle[0].is_closed().await, "the oldest was closed");
    let evicted = "registrar_http_connections_closed_total{listener=\"public\",reason=\"evicted\"}";
    eventually("room was made", async || measured(&server, evicted).await >= 900).await;
    let open = "registrar_http_connections{listener=\"public\"}";
    eventually("the limit holds", async || measured(&server, open).await <= 100).await;
    assert_eq!(server.admin("/livez").await.status(), 200);
}

#[tokio::test]
async fn forged_hosts_never_reach_a_document() {
    let dir = offers(2);
    let server = serve(&dir, &[]).await;
    let plain = server.get(WELL_KNOWN).await.text().await.unwrap();
    let forgeries = [
        "Host: evil.example",
        "Host: evil.example:8004",
        "Host: 127.0.0.1",
        "Host: [::1]",
        "Host: evil.example\r\nX-Forwarded-Host: worse.example",
        "Host: evil.example\r\nForwarded: host=worse.example;proto=http",
        "Host: evil.example\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Prefix: /evil",
        "Host: evil.example\r\nX-Original-URL: /agents\r\nX-Rewrite-URL: /agents",
        "Host: evil.example\r\nX-HTTP-Method-Override: POST",
    ];
    for forged in forgeries {
        let mut wire = Wire::to(&server.public).await;
        for path in [WELL_KNOWN, "/offers", "/agents", "/offers/llm/n0", "/nothing"] {
            wire.send(format!("GET {path} HTTP/1.1\r\n{forged}\r\n\r\n")).await;
            let (head, body) = wire.response().await;
            let body = String::from_utf8(body).unwrap();
            for word in ["evil", "worse", "127.0.0.1"] {
                assert!(!head.contains(word) && !body.contains(word), "{forged} {path}: {body}");
            }
            if path == WELL_KNOWN {
                assert_eq!(body, plain, "{forged}");
            }
        }
    }
}

#[tokio::test]
async fn the_public_listener_has_nothing_of_the_admin_listener() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    for path in ["/metrics", "/livez", "/readyz", "/startupz", "/debug/offers", "/debug/pprof/"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(json(answer).await["code"], "NotFound", "{path}");
    }
}

#[tokio::test]
async fn an_unspecified_ipv6_address_answers_on_both_families() {
    let dir = offers(1);
    let args = ["--offers", dir.path().to_str().unwrap(), "--public-url", "https://seller.example"];
    let listen = ["serve", "--listen", "[::]:0", "--admin-listen", "127.0.0.1:0"];
    let more = ["--shutdown-delay", "0", "--threads", "2"];
    let command = crate::support::process::command(&[&listen[..], &more, &args].concat());
    let server = crate::support::process::Server::launch(command).await;
    let port = server.public.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        let mut wire = Wire::to(&format!("http://{host}:{port}")).await;
        wire.send(format!("GET /openapi.yaml HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")).await;
        assert_eq!(status(&wire.response().await.0), 200, "{host}");
    }
}
