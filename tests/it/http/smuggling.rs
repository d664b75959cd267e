//! Requests whose end two readers could see in two places: none may hide a second one.

use crate::support::wire::{Wire, status};

use super::ground::{is_served, offers, serve};

/// What a smuggled request would look like. It names a path that nothing else here names.
const HIDDEN: &str = "GET /agents?smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Header fields that make the end of a body doubtful.
fn framings() -> Vec<String> {
    let codings = [
        "Transfer-Encoding: chunked",
        "Transfer-Encoding:chunked",
        "Transfer-Encoding: Chunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: chunked ",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding:\u{b}chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "Transfer_Encoding: chunked",
        "Transfer-Encoding\u{0}: chunked",
    ];
    let lengths = [
        "Content-Length: 5",
        "Content-Length: 0",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5, 5",
        "Content-Length: 5, 6",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 6\r\nContent-Length: 5",
        "Content-Length : 5",
        "Content-Length: 5 ",
        "Content-Length:\t5",
        "Content-Length: 99999999999999999999",
        "Content-Length: 18446744073709551616",
        "Content-Length: ",
        "Content-Length: five",
        "Content-Length:\r\n 5",
    ];
    let mut all: Vec<String> = codings.iter().chain(&lengths).map(ToString::to_string).collect();
    for coding in codings.iter().take(10) {
        for length in lengths.iter().take(10) {
            all.push(format!("{coding}\r\n{length}"));
            all.push(format!("{length}\r\n{coding}"));
        }
    }
    all
}

/// Bodies that one reader ends before [`HIDDEN`] and another after it.
fn bodies() -> [String; 6] {
    [
        format!("0\r\n\r\n{HIDDEN}"),
        format!("5\r\nhello\r\n0\r\n\r\n{HIDDEN}"),
        format!("0;\n\r\n{HIDDEN}"),
        format!("0\n\n{HIDDEN}"),
        format!("hello{HIDDEN}"),
        format!("ffffffffffffffff1\r\nx\r\n0\r\n\r\n{HIDDEN}"),
    ]
}

/// Requests that are followed by [`HIDDEN`], which no reader may take for a request.
pub fn vectors() -> Vec<String> {
    let mut vectors = Vec::new();
    for (number, framing) in framings().into_iter().enumerate() {
        let bodies = bodies();
        for method in ["GET", "POST"] {
            let body = &bodies[number % bodies.len()];
            vectors
                .push(format!("{method} /offers HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}"));
        }
    }
    let lines = [
        "GET /offers HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello",
        "GET /offers HTTP/1.1\r\nHost: a\r\nX: y\rContent-Length: 5\r\n\r\nhello",
        "GET /offers\r\n HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "GET  /offers  HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "GET /offers HTTP/1.1 \r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "GET /offers HTTP/1.10\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "GET /offers HTTP/0.9\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "GET http://a/offers HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello",
        "GET /offers HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "\r\n\r\n\r\nGET /offers HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    ];
    vectors.extend(lines.map(|vector| format!("{vector}{HIDDEN}")));
    assert!(vectors.len() > 400, "{}", vectors.len());
    vectors
}

#[tokio::test]
async fn no_request_hides_in_the_body_of_another() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    // What is not answered at once is cut after seconds, so all are sent at the same time.
    let answers = vectors().into_iter().map(async |vector| {
        let mut wire = Wire::to(&server.public).await;
        wire.send(&vector).await;
        let has_no_body =
            vector.contains("Transfer_Encoding") || vector.contains("Content-Length: 0\r\n\r\n");
        // Then the second request is one, and its connection goes on.
        let answer = match has_no_body {
            true => wire.head().await,
            false => String::from_utf8_lossy(&wire.rest().await).into_owned(),
        };
        (vector, has_no_body, answer)
    });
    for (vector, has_no_body, answer) in futures::future::join_all(answers).await {
        if has_no_body {
            assert_ne!(status(&answer), 0, "{vector:?}: {answer}");
            continue;
        }
        // The hidden request would be answered by 400 `InvalidQuery` that names its parameter.
        let answered = answer.matches("HTTP/1.1 ").count();
        assert!(answered <= 1, "{vector:?} was answered {answered} times: {answer}");
        assert!(!answer.contains("smuggled"), "{vector:?}: {answer}");
        assert!(answer.is_empty() || status(&answer) >= 400, "{vector:?}: {answer}");
    }
    is_served(&server).await;
}
