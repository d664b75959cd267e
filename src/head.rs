//! The heads of simple requests and of their answers, as they stand in HTTP/1.1 (RFC 9112).

use std::{mem::MaybeUninit, ops::Range};

use http::{HeaderName, HeaderValue, StatusCode};
use httparse::Header;

/// An answer of this size or less is written in one piece: copying it costs less than what the system
/// does for each list of pieces.
pub(crate) const ONE_PIECE: usize = 4 * 1_024;

/// Fields of a request head that is taken here; hyper takes up to 100.
const FIELDS: usize = 32;

/// Besides `Connection`, the fields that can change how the connection of their request goes on, or
/// announce a body.
const ABOUT_THE_CONNECTION: [&str; 9] = [
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Where the fields of a request are noted while it is answered.
pub(crate) struct Lines<'a>([MaybeUninit<Header<'a>>; FIELDS]);

impl Lines<'_> {
    pub(crate) const fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; FIELDS])
    }
}

/// A request that asks for something and nothing more: a complete HTTP/1.1 GET or HEAD with a path of
/// slashes and unreserved characters (RFC 3986, section 2.3), without a query, without a body, and
/// with no field that is about the connection.
#[derive(Debug)]
pub(crate) struct SimpleRequest<'a> {
    pub(crate) is_head: bool,
    pub(crate) path: &'a str,
    fields: &'a [Header<'a>],
}

impl<'a> SimpleRequest<'a> {
    /// Reads a request from the beginning of what has arrived, and returns how long it is.
    ///
    /// `None` says nothing about what the bytes are: hyper reads them from their beginning, with the
    /// same parser.
    pub(crate) fn parse(input: &'a [u8], lines: &'a mut Lines<'a>) -> Option<(Self, usize)> {
        let mut head = httparse::Request::new(&mut []);
        let status = head.parse_with_uninit_headers(input, &mut lines.0).ok()?;
        let httparse::Status::Complete(length) = status else { return None };
        let is_head = match head.method? {
            "GET" => false,
            "HEAD" => true,
            _ => return None,
        };
        let path = head.path.filter(|path| path.starts_with('/') && path.bytes().all(is_plain))?;
        let fields: &[Header<'_>] = head.headers;
        if head.version != Some(1) || fields.iter().any(is_about_the_connection) {
            return None;
        }
        Some((Self { is_head, path, fields }, length))
    }

    /// The values of a field, in the order of its lines.
    pub(crate) fn values<'n>(&'n self, name: &'n HeaderName) -> impl Iterator<Item = &'n [u8]> {
        let lines = self.fields.iter();
        lines.filter(|line| line.name.eq_ignore_ascii_case(name.as_str())).map(|line| line.value)
    }
}

fn is_plain(byte: u8) -> bool {
    byte == b'/' || is_unreserved(byte)
}

/// Whether a character never needs percent-encoding (RFC 3986, section 2.3).
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_about_the_connection(line: &Header<'_>) -> bool {
    match line.name.eq_ignore_ascii_case("connection") {
        true => !line.value.eq_ignore_ascii_case(b"keep-alive"),
        false => ABOUT_THE_CONNECTION.iter().any(|name| line.name.eq_ignore_ascii_case(name)),
    }
}

/// The head of an answer, which is written from its beginning to its end.
#[derive(Debug)]
pub(crate) struct AnswerHead<'a> {
    to: &'a mut Vec<u8>,
    /// The value of `Date`.
    date: &'a str,
    /// Where the entity tag stands.
    tag: Range<usize>,
}

impl<'a> AnswerHead<'a> {
    /// Appends a head to these bytes.
    pub(crate) fn new(to: &'a mut Vec<u8>, date: &'a str) -> Self {
        Self { to, date, tag: 0..0 }
    }

    /// The first line.
    pub(crate) fn status(&mut self, status: StatusCode) {
        self.to.extend_from_slice(b"HTTP/1.1 ");
        self.to.extend_from_slice(status.as_str().as_bytes());
        self.to.push(b' ');
        self.to.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        self.to.extend_from_slice(b"\r\n");
    }

    pub(crate) fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.line(name.as_str(), value.as_bytes());
    }

    /// The entity tag, with its quotes.
    pub(crate) fn etag(&mut self, tag: &[u8]) {
        self.line("etag", tag);
        let end = self.to.len() - b"\r\n".len();
        self.tag = end - tag.len()..end;
    }

    /// Appends the body behind the end of the head, if both are small enough to be sent in one piece.
    pub(crate) fn small_body(&mut self, body: &[u8]) -> bool {
        let is_small = self.to.len() + body.len() <= ONE_PIECE;
        if is_small {
            self.to.extend_from_slice(body);
        }
        is_small
    }

    /// Where the entity tag of the answer stands; empty if it has none.
    pub(crate) fn tag(self) -> Range<usize> {
        self.tag
    }

    /// The last lines. A 304 has no length (RFC 9110, section 8.6).
    pub(crate) fn end(&mut self, length: Option<usize>) {
        self.line("date", self.date.as_bytes());
        if let Some(length) = length {
            self.line("content-length", itoa::Buffer::new().format(length).as_bytes());
        }
        self.to.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.to.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests;
