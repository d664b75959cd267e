//! What RFC 9110 and 9112 ask of the bytes on the wire, which tests without a socket cannot see.

use crate::support::{
    process::PATIENCE,
    rows::for_each_row_async,
    wire::{Wire, field, status},
};

use super::ground::{OFFER, WELL_KNOWN, offers, serve};

/// Sends a request with these fields, and returns the head of its answer.
async fn ask(wire: &mut Wire, method: &str, path: &str, fields: &str) -> String {
    wire.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
    if method == "GET" { wire.response().await.0 } else { wire.head().await }
}

#[tokio::test]
async fn a_request_has_one_valid_host_or_is_refused() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let rows = [
        ("GET {} HTTP/1.1\r\nHost: seller.example\r\n\r\n", 200),
        ("GET {} HTTP/1.1\r\nhost:seller.example:80\r\n\r\n", 200),
        ("GET http://seller.example{} HTTP/1.1\r\nHost: other.example\r\n\r\n", 200),
        ("GET {} HTTP/1.0\r\n\r\n", 200),
        ("GET {} HTTP/1.1\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET http://seller.example{} HTTP/1.1\r\n\r\n", 400),
        ("GET {} HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204),
        ("OPTIONS /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /%2Ewell-known/agent%2Dregistration.json HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET {}?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /offers?limits=1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
        (
            "GET {} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
            200,
        ),
        ("GET /\u{fc} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("BREW {} HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("get {} HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("GET {} HTTP/1.1\r\nHost: a\r\nIf-Match: \"a\"\r\n\r\n", 412),
    ];
    for_each_row_async(rows, async |(request, expected)| {
        let mut wire = Wire::to(&server.public).await;
        wire.send(request.replace("{}", WELL_KNOWN)).await;
        let head = wire.head().await;
        assert_eq!(status(&head), expected, "{request:?}: {head}");
    })
    .await;
}

#[tokio::test]
async fn a_304_and_a_204_have_no_length_and_head_has_that_of_get() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let mut wire = Wire::to(&server.public).await;
    for path in [WELL_KNOWN, "/offers", "/agents", "/openapi.yaml", "/agent-icon.png"] {
        let mut ask = async |method, fields: &str| ask(&mut wire, method, path, fields).await;
        let get = ask("GET", "").await;
        let head = ask("HEAD", "").await;
        assert_eq!(field(&head, "content-length"), field(&get, "content-length"), "{path}");
        let known = format!("If-None-Match: {}\r\n", field(&get, "etag").unwrap());
        for method in ["GET", "HEAD"] {
            let answer = ask(method, &known).await;
            assert_eq!(status(&answer), 304, "{method} {path}");
            assert_eq!(field(&answer, "content-length"), None, "{method} {path}");
            assert_eq!(field(&answer, "etag"), field(&get, "etag"), "{method} {path}");
        }
        let options = ask("OPTIONS", "").await;
        assert_eq!((status(&options), field(&options, "content-length")), (204, None), "{path}");
    }
}

#[tokio::test]
async fn a_precondition_is_about_the_tag_of_the_coding_that_is_sent() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let mut wire = Wire::to(&server.public).await;
    for path in [WELL_KNOWN, OFFER, "/"] {
        // Those that hyper reads are answered by other code.
        for more in ["", "TE: trailers\r\n"] {
            let mut ask = async |method, coding: &str, fields: &str| {
                let fields = format!("Accept-Encoding: {coding}\r\n{more}{fields}");
                ask(&mut wire, method, path, &fields).await
            };
            let tag = |head: String| field(&head, "etag").unwrap().to_owned();
            let tags = [tag(ask("GET", "identity", "").await), tag(ask("GET", "gzip", "").await)];
            assert_ne!(tags[0], tags[1], "{path}");
            for (coding, own, other) in
                [("identity", &tags[0], &tags[1]), ("gzip", &tags[1], &tags[0])]
            {
                let rows = [
                    (format!("If-None-Match: {own}\r\n"), 304),
                    (format!("If-None-Match: \"a\", W/{own}\r\n"), 304),
                    ("If-None-Match: *\r\n".to_owned(), 304),
                    (format!("If-None-Match: {other}\r\n"), 200),
                    (format!("If-Match: \"a\",{own}\r\n"), 200),
                    ("If-Match: *\r\n".to_owned(), 200),
                    (format!("If-Match: {other}\r\n"), 412),
                    (format!("If-Match: W/{own}\r\n"), 412),
                    (format!("If-Match: {other}\r\nIf-None-Match: {own}\r\n"), 412),
                    (format!("If-Match: {own}\r\nIf-None-Match: {own}\r\n"), 304),
                    ("If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n".to_owned(), 200),
                ];
                for (fields, expected) in rows {
                    for method in ["GET", "HEAD"] {
                        let head = ask(method, coding, &fields).await;
                        let case = format!("{method} {path} {coding} {fields}{more}{head}");
                        assert_eq!(status(&head), expected, "{case}");
                        let is_told = expected != 412;
                        assert_eq!(field(&head, "etag"), is_told.then_some(own.as_str()), "{case}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn no_spelling_of_a_path_but_its_own_is_answered() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let tricks = [
        "/..",
        "/../",
        "//",
        "/./",
        "/;",
        "/%2e%2e/",
        "/%2e%2e%2f",
        "/..%2f",
        "/%2f",
        "/%5c",
        "/\\",
        "/.%00",
        "/%00",
        "/%c0%ae%c0%ae/",
        "/%c0%af",
        "/%e0%80%af",
        "/%252e%252e/",
        "/..;/",
        "/;x=1/",
        "/.;/",
        "/%20",
        "/%09",
        "/%0d%0a",
        "/%3f",
        "/%23",
        "/%2e%2e%5c",
        "/..\\",
        "/%uff0e/",
        "/%c0%2e/",
        "/%ef%bc%8f",
    ];
    let targets = [
        ".well-known/agent-registration.json",
        "offers",
        "offers/llm/n0/agent-registration.json",
        "agents",
        "schema/offer.schema.json",
    ];
    let mut paths = Vec::new();
    for trick in tricks {
        for target in targets {
            let (first, rest) = target.split_at(target.find('/').unwrap_or(target.len()));
            paths.push(format!("{trick}{target}"));
            paths.push(format!("/{first}{trick}{rest}"));
            paths.push(format!("/{target}{trick}"));
        }
    }
    let files = ["/etc/passwd", "/../../../../etc/passwd", "/offers/../../Cargo.toml"];
    paths.extend(files.map(str::to_owned));
    assert!(paths.len() > 300, "{}", paths.len());
    for path in paths {
        let mut wire = Wire::to(&server.public).await;
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let answer = String::from_utf8_lossy(&wire.rest().await).into_owned();
        assert!((400..500).contains(&status(&answer)), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_is_refused_unread_and_the_answer_reaches_a_client_that_still_sends() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let rows = [
        ("GET", "Content-Length: 1073741824\r\nContent-Encoding: gzip\r\n", 413),
        ("GET", "Transfer-Encoding: chunked\r\n", 413),
        ("POST", "Content-Length: 1073741824\r\n", 405),
        ("GET", "Content-Length: 1073741824\r\nExpect: 100-continue\r\n", 413),
    ];
    for_each_row_async(rows, async |(method, fields, expected)| {
        let mut wire = Wire::to(&server.public).await;
        wire.send(format!("{method} {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        let piece = [b'0'; 16_384];
        let mut sent = 0_u64;
        // A server that reads on would take all of it.
        while sent < 64 << 20 {
            match tokio::time::timeout(PATIENCE, wire.0.writable()).await {
                Ok(Ok(())) => {}
                _ => break,
            }
            match wire.0.try_write(&piece) {
                Ok(count) => sent += count as u64,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        assert!(sent < 64 << 20, "{method} {fields}: all of it was taken");
        let answer = String::from_utf8_lossy(&wire.rest().await).into_owned();
        if !answer.is_empty() {
            assert_eq!(status(&answer), expected, "{answer}");
            assert_eq!(field(&answer, "connection"), Some("close"), "{answer}");
        }
        // A client that sends little, as most do, reads the answer in any case.
        let mut wire = Wire::to(&server.public).await;
        wire.send(format!("{method} {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        wire.send([b'0'; 10_000]).await;
        let answer = String::from_utf8_lossy(&wire.rest().await).into_owned();
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(!answer.contains("100 Continue"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn hostile_text_in_a_request_stays_within_its_log_line() {
    let dir = offers(1);
    let mut command = crate::support::process::serving(&[
        "--log-format",
        "json",
        "--offers",
        dir.path().to_str().unwrap(),
        "--public-url",
        "https://seller.example",
    ]);
    command.env("RUST_LOG", "debug");
    let server = crate::support::process::Server::launch(command).await;
    for hostile in ["%0a%0d%1b[31m", "\u{1b}[31m", "\u{9b}", "\"}\\n{\"level\":\"ERROR\"", "%00"] {
        let mut wire = Wire::to(&server.public).await;
        wire.send(format!("GET /{hostile} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        wire.rest().await;
        let mut wire = Wire::to(&server.public).await;
        wire.send("GET /offers HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: ").await;
        wire.send(format!("{hostile}\r\nX-Request-Id: {hostile}\r\n\r\n")).await;
        wire.rest().await;
    }
    server.signal("-INT");
    let log = server.log_after_end().await.stderr;
    assert!(log.lines().count() > 5, "{log}");
    for line in log.lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["level"].is_string(), "{line}");
    }
}
