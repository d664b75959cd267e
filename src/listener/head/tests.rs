//! hyper is the measure: what is taken here, it takes in the same way, and answers are what it writes.

use std::{cell::RefCell, convert::Infallible, rc::Rc};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::write;

fn parse(input: &[u8]) -> Option<(Request<()>, usize)> {
    super::parse(input, HeaderMap::new(), &mut BytesMut::new())
}

/// What hyper makes of bytes: the first request, and its output when the request is answered so.
async fn through_hyper(
    input: &[u8],
    answer: Response<Full<Bytes>>,
) -> (Option<Request<()>>, Vec<u8>) {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    client.write_all(input).await.unwrap();
    client.shutdown().await.unwrap();
    let seen = Rc::new(RefCell::new(None));
    let service = service_fn(|request: Request<Incoming>| {
        let (parts, _) = request.into_parts();
        seen.borrow_mut().get_or_insert(Request::from_parts(parts, ()));
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    let builder = builder.header_read_timeout(None).half_close(true);
    let _ = builder.serve_connection(TokioIo::new(server), service).await;
    let mut output = Vec::new();
    client.read_to_end(&mut output).await.unwrap();
    let request = seen.borrow_mut().take();
    (request, output)
}

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn only_requests_that_ask_for_something_and_nothing_more_are_taken() {
    let get = "GET /x HTTP/1.1\r\nHost: a\r\n";
    let taken = [
        "",
        "Accept-Encoding: gzip\r\nIf-None-Match: \"a\"\r\n",
        "Connection: keep-alive\r\n",
        "Connection: Keep-Alive\r\nX: \r\n",
        "Host: b\r\n",
        "X: \u{e9}\r\n",
    ];
    for fields in taken {
        let input = format!("{get}{fields}\r\n");
        let rest = "GET /y HTTP/1.1\r\n\r\n";
        let (request, length) =
            parse(format!("{input}{rest}").as_bytes()).unwrap_or_else(|| panic!("{input}"));
        assert_eq!((request.uri().path(), length), ("/x", input.len()), "{input}");
    }
    let left = [
        "Connection: close\r\n",
        "Connection: keep-alive, upgrade\r\n",
        "Connection: X\r\n",
        "Connection:\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding: identity\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: h2c\r\n",
        "HTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "TE: trailers\r\n",
        "Trailer: X\r\n",
        "Keep-Alive: timeout=5\r\n",
        "Proxy-Connection: keep-alive\r\n",
        "X : y\r\n",
        " folded: y\r\n",
        "X: \u{0}\r\n",
        "no colon\r\n",
    ];
    for fields in left {
        let input = format!("{get}{fields}\r\n");
        assert!(parse(input.as_bytes()).is_none(), "{input}");
    }
    let many: String = (0..32).map(|number| format!("X{number}: y\r\n")).collect();
    let whole = [
        get.to_owned(),
        format!("{get}{many}\r\n"),
        "POST /x HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "get /x HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET /x HTTP/1.0\r\nHost: a\r\n\r\n".into(),
        "GET /x HTTP/1.2\r\nHost: a\r\n\r\n".into(),
        "GET /x\r\n\r\n".into(),
        "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET x HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
    ];
    for input in whole {
        assert!(parse(input.as_bytes()).is_none(), "{input}");
    }
}

/// Requests of pieces that are right, and of pieces that are nearly right.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let one = |texts: &'static [&'static str]| prop::sample::select(texts);
    let line = one(&[
        "GET / HTTP/1.1\r\n",
        "HEAD /x HTTP/1.1\r\n",
        "\r\nGET /x?a=%20 HTTP/1.1\r\n",
        "GET /\u{e9} HTTP/1.1\r\n",
        "GET /a#b HTTP/1.1\n",
        "GET //a/../b HTTP/1.1\r\n",
        "GET  /x HTTP/1.1\r\n",
        "GET /x  HTTP/1.1\r\n",
        "GET /{}|\"<> HTTP/1.1\r\n",
        "GET /x HTTP/1.1 \r\n",
        "GET /\t HTTP/1.1\r\n",
    ]);
    let field = one(&[
        "Host: a\r\n",
        "host:b:80  \r\n",
        "Host:\r\n",
        "X:  y\tz \n",
        "X:\u{e9}\r\n",
        "Accept-Encoding: gzip, *;q=0\r\n",
        "If-None-Match: \"a\", W/\"b\"\r\n",
        "If-None-Match: *\r\n",
        "Connection: keep-alive\r\n",
        "X\u{7f}: y\r\n",
        "X: y\rz\r\n",
        " X: y\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 1\r\n",
        "Connection: close\r\n",
    ]);
    let end = one(&["\r\n", "\n", "\r\n\r\n", "", "\r", "\r\nGET / HTTP/1.1\r\n\r\n"]);
    (line, prop::collection::vec(field, 0..6), end)
        .prop_map(|(line, fields, end)| [line, &fields.concat(), end].concat().into_bytes())
}

proptest! {
    #[test]
    fn what_is_taken_hyper_takes_in_the_same_way(input in requests()) {
        if let Some((request, length)) = parse(&input) {
            let head = &input[..length];
            let (same, _) = now(through_hyper(head, Response::new(Full::default())));
            let same = same.expect("hyper takes the request");
            prop_assert_eq!(request.method(), same.method());
            prop_assert_eq!(request.uri(), same.uri());
            prop_assert_eq!(request.version(), same.version());
            prop_assert_eq!(request.headers(), same.headers());
            let half = &input[..length - 1];
            prop_assert!(parse(half).is_none(), "a part was taken");
        }
    }
}

#[test]
fn answers_are_what_hyper_writes() {
    let statuses = [
        StatusCode::OK,
        StatusCode::NOT_MODIFIED,
        StatusCode::BAD_REQUEST,
        StatusCode::NOT_FOUND,
        StatusCode::PRECONDITION_FAILED,
        StatusCode::INTERNAL_SERVER_ERROR,
    ];
    for status in statuses {
        for body in [Bytes::new(), Bytes::from_static(b"body")] {
            let body = if status == StatusCode::NOT_MODIFIED { Bytes::new() } else { body };
            let mut answer = Response::new(Full::new(body.clone()));
            *answer.status_mut() = status;
            let etag = HeaderValue::from_static("\"a\"");
            answer.headers_mut().insert(header::ETAG, etag);
            let vary = HeaderValue::from_static("Accept-Encoding");
            answer.headers_mut().insert(header::VARY, vary);
            let input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            let (_, expected) = now(through_hyper(input, answer.clone()));
            let (parts, _) = answer.into_parts();
            let mut written = Vec::new();
            write(&parts, body.len() as u64, "today", &mut written);
            written.extend_from_slice(&body);
            assert_eq!(lines(&written), lines(&expected), "{status}");
        }
    }
}

/// The lines of a head in one order and without the date, and what follows.
fn lines(answer: &[u8]) -> (Vec<String>, String) {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.split("\r\n").map(str::to_owned).collect();
    let before = lines.len();
    lines.retain(|line| !line.starts_with("date: "));
    assert_eq!(lines.len(), before - 1, "one date: {head}");
    lines.sort();
    (lines, body.to_owned())
}
