//! Most requests are answered without hyper, the others through it, on the same connections. A client
//! cannot tell: `TE: trailers`, which asks for nothing here, leaves a request to hyper.

use std::{collections::BTreeSet, process::Command};

use tempfile::TempDir;

use crate::support::{
    process::{Server, eventually, serving, unset},
    rows::for_each_row_async,
    wire::{Wire, field, status},
};

use super::ground::{OFFER, WELL_KNOWN, describe, measured, offers, serve};

#[tokio::test]
async fn an_answer_is_the_same_whether_or_not_hyper_reads_its_request() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let mut wire = Wire::to(&server.public).await;
    wire.send(format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    let (head, _) = wire.response().await;
    let etag = field(&head, "etag").unwrap().to_owned();
    let hosts = ["Host: a\r\n", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", ""];
    let fields = [
        String::new(),
        "Accept-Encoding: gzip, deflate, br\r\nUser-Agent: x\r\nAccept: */*\r\n".to_owned(),
        "Accept-Encoding: gzip;q=0.1\r\nAccept-Encoding: identity\r\n".to_owned(),
        format!("If-None-Match: W/{etag}\r\n"),
        format!("If-None-Match: \"x\"\r\nIf-None-Match: {etag}\r\n"),
        "If-None-Match: *\r\nAccept-Encoding: gzip\r\n".to_owned(),
        "If-Match: \"x\"\r\n".to_owned(),
        format!("If-Match: {etag}\r\nRange: bytes=0-1\r\n"),
        "Origin: https://elsewhere.example\r\nConnection: keep-alive\r\n".to_owned(),
    ];
    let paths = [
        WELL_KNOWN,
        OFFER,
        "/%2Ewell-known/agent-registration.json",
        "/.well-known/agent-registration.json?",
        "/.well-known/agent-registration.json?x=1",
        "/offers/llm/none/agent-registration.json",
        "/offers/LLM/n0/agent-registration.json",
        "/\u{fc}",
        "/",
        "/nothing",
    ];
    let mut rows = Vec::new();
    for method in ["GET", "HEAD"] {
        for path in paths {
            rows.extend(fields.iter().map(|fields| (method, path, "Host: a\r\n", fields.as_str())));
            rows.extend(hosts.iter().map(|host| (method, path, *host, "")));
        }
    }
    for_each_row_async(rows, async |(method, path, host, fields)| {
        let mut answers = Vec::new();
        for more in ["", "TE: trailers\r\n"] {
            let mut wire = Wire::to(&server.public).await;
            wire.send(format!("{method} {path} HTTP/1.1\r\n{host}{fields}{more}\r\n")).await;
            let (head, body) = match method {
                "HEAD" => (wire.head().await, Vec::new()),
                _ => wire.response().await,
            };
            let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
            // An id of the router's answers, and the time.
            lines.retain(|line| !line.starts_with("date: ") && !line.starts_with("x-request-id: "));
            lines.sort();
            answers.push((lines, body));
        }
        assert_eq!(answers[0], answers[1]);
    })
    .await;
    // All but those that are about the connection were counted once.
    let series = format!("registrar_http_requests_total{{route=\"{WELL_KNOWN}\",status=\"412\"}}");
    // Two methods, three spellings of the path, twice each.
    assert_eq!(measured(&server, &series).await, 12);
}

#[tokio::test]
async fn requests_of_all_kinds_follow_each_other_on_one_connection_however_they_are_cut() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let kinds = [
        (format!("GET {OFFER} HTTP/1.1\r\nHost: a\r\n\r\n"), 200),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 200),
        (format!("DELETE {OFFER} HTTP/1.1\r\nHost: a\r\n\r\n"), 405),
        (
            "GET /offers/llm/none/agent-registration.json HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            404,
        ),
    ];
    let count = kinds.len();
    for number in 0..count.pow(3) {
        let chosen = [number / count / count, number / count % count, number % count];
        let requests: String = chosen.iter().map(|at| kinds[*at].0.as_str()).collect();
        let mut wire = Wire::to(&server.public).await;
        // Every sequence is cut elsewhere.
        let (first, second) = requests.split_at(1 + number * (requests.len() - 2) / 64);
        wire.send(first).await;
        tokio::task::yield_now().await;
        wire.send(second).await;
        for at in chosen {
            let (head, _) = wire.response().await;
            assert_eq!(status(&head), kinds[at].1, "{at} of {chosen:?}, cut after {first:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_late_gets_every_byte_of_every_answer() {
    // The second document is sent as a file.
    for count in [400, 800] {
        let dir = offers(count);
        let server = serve(&dir, &[]).await;
        let mut wire = Wire::to(&server.public).await;
        let request = format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n\r\n");
        wire.send(&request).await;
        let (_, body) = wire.response().await;
        // More than the buffers of both sides hold, so that answers are written in parts.
        let times = 16_000_000 / body.len();
        wire.send(request.repeat(times)).await;
        for time in 0..times {
            let (head, again) = wire.response().await;
            assert_eq!(status(&head), 200, "{time}");
            assert!(again == body, "{time}: {} bytes", again.len());
        }
    }
}

/// Writes an offer whose document is large in either coding, so that it is sent as a file.
fn write_large(dir: &TempDir, seed: u64) {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
    };
    describe(dir, 0, &(0..80_000).map(|_| next()).collect::<String>());
}

/// A request for that document, and one for its head.
fn twice(coding: &str) -> String {
    ["GET", "HEAD"]
        .map(|method| {
            format!("{method} {OFFER} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n")
        })
        .concat()
}

/// The tag of the document in the answers to both, which is made of the bytes.
async fn tag(wire: &mut Wire) -> String {
    let (head, body) = wire.response().await;
    let tag = format!("\"{}\"", &blake3::hash(&body).to_hex()[..32]);
    assert_eq!(field(&head, "etag"), Some(tag.as_str()));
    assert!(body.len() > 40_000, "{}", body.len());
    let length = field(&head, "content-length").map(str::to_owned);
    let head = wire.head().await;
    assert_eq!(field(&head, "content-length").map(str::to_owned), length);
    tag
}

#[tokio::test]
async fn a_large_document_is_the_same_however_often_it_is_sent_until_it_changes() {
    let dir = offers(0);
    write_large(&dir, 1);
    let server = serve(&dir, &["--max-offer-bytes", "200000"]).await;
    let mut wire = Wire::to(&server.public).await;
    let mut before = BTreeSet::new();
    for seed in [1, 2] {
        write_large(&dir, seed);
        let mut now = BTreeSet::new();
        for coding in ["identity", "gzip"] {
            eventually("the document has changed", async || {
                wire.send(twice(coding)).await;
                !before.contains(&tag(&mut wire).await)
            })
            .await;
            wire.send(twice(coding).repeat(20)).await;
            for _ in 0..20 {
                now.insert(tag(&mut wire).await);
            }
        }
        assert_eq!(now.len(), 2, "one for each coding: {now:?}");
        before = now;
    }
}

/// Runs a program that gets EPERM from a system call: its number on x86-64 and on arm64.
const WITHOUT: &str = "\
import ctypes, os, struct, sys
number = int(sys.argv[1 if os.uname().machine == 'x86_64' else 2])
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(steps), ctypes.addressof(code)))
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[3], sys.argv[3:])
";

#[tokio::test]
async fn a_system_that_refuses_files_in_memory_or_to_send_them_gets_copies() {
    let dir = offers(0);
    write_large(&dir, 1);
    let offers = ["--offers", dir.path().to_str().unwrap(), "--max-offer-bytes", "200000"];
    let arguments = [&offers[..], &["--public-url", "https://seller.example"]].concat();
    for [call, x86_64, arm64] in [["memfd_create", "319", "279"], ["sendfile", "40", "71"]] {
        let served = serving(&arguments);
        let mut command = unset(Command::new("python3"));
        command.args(["-c", WITHOUT, x86_64, arm64]);
        command.arg(served.get_program()).args(served.get_args());
        let server = Server::launch(command).await;
        let mut tags = BTreeSet::new();
        let mut wire = Wire::to(&server.public).await;
        eventually("it serves", async || server.admin("/readyz").await.status() == 200).await;
        wire.send(twice("identity").repeat(20)).await;
        for _ in 0..20 {
            tags.insert(tag(&mut wire).await);
        }
        assert_eq!(tags.len(), 1, "{call}");
    }
}
