//! hyper is the measure: what is taken here, it takes in the same way, and answers are what it writes.

use std::{cell::RefCell, convert::Infallible, rc::Rc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{AnswerHead, Lines, ONE_PIECE, SimpleRequest};

/// What is taken: the path, the fields, and the length.
fn parse(input: &[u8]) -> Option<(String, HeaderMap, usize)> {
    let mut lines = Lines::new();
    let (request, length) = SimpleRequest::parse(input, &mut lines)?;
    let mut fields = HeaderMap::new();
    for line in request.fields {
        let name = HeaderName::from_bytes(line.name.as_bytes()).expect("a field name");
        fields.append(name, HeaderValue::from_bytes(line.value).expect("a field value"));
    }
    for name in fields.keys() {
        let values: Vec<_> = fields.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(request.values(name).collect::<Vec<_>>(), values, "{name}");
    }
    let method = if request.is_head { "HEAD" } else { "GET" };
    assert!(input.trim_ascii_start().starts_with(method.as_bytes()));
    Some((request.path.to_owned(), fields, length))
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
        let all = format!("{input}{rest}");
        let (path, _, length) = parse(all.as_bytes()).unwrap_or_else(|| panic!("{input}"));
        assert_eq!((path.as_str(), length), ("/x", input.len()), "{input}");
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
        "GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET /x%20 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n".into(),
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
        if let Some((path, fields, length)) = parse(&input) {
            let head = &input[..length];
            let (same, _) = now(through_hyper(head, Response::new(Full::default())));
            let same = same.expect("hyper takes the request");
            prop_assert_eq!(same.uri().to_string(), path);
            prop_assert_eq!(same.version(), Version::HTTP_11);
            prop_assert_eq!(&fields, same.headers());
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
            let mut written = Vec::new();
            let mut head = AnswerHead::new(&mut written, "today");
            head.status(status);
            *answer.status_mut() = status;
            let [etag, vary] = ["\"a\"", "Accept-Encoding"].map(HeaderValue::from_static);
            head.etag(etag.as_bytes());
            head.field(&header::VARY, &vary);
            answer.headers_mut().insert(header::ETAG, etag);
            answer.headers_mut().insert(header::VARY, vary);
            head.end((status != StatusCode::NOT_MODIFIED).then(|| body.len()));
            assert!(head.small_body(&body) && !head.small_body(&[0; ONE_PIECE]));
            let tag = head.tag();
            assert_eq!(&written[tag], b"\"a\"");
            let input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            let (_, expected) = now(through_hyper(input, answer));
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
