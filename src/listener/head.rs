//! The heads of simple requests, and of their answers.

use std::{io::Write, mem::MaybeUninit};

use bytes::BytesMut;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header, response,
};

/// Fields of a request head that is taken here; hyper takes up to 100.
const FIELDS: usize = 32;

/// Reads a request that asks for something and nothing more: a complete HTTP/1.1 GET or HEAD with a
/// path, without a body, and with no field that is about the connection. Returns how long it is.
///
/// `None` says nothing about what the bytes are: hyper reads them from their beginning, with the same
/// parser. `fields` is empty; its memory is used for the request, and so is that of `heads`, again and
/// again once requests before it are dropped.
pub(super) fn parse(
    input: &[u8],
    mut fields: HeaderMap,
    heads: &mut BytesMut,
) -> Option<(Request<()>, usize)> {
    let mut lines = [const { MaybeUninit::uninit() }; FIELDS];
    let mut head = httparse::Request::new(&mut []);
    let status = head.parse_with_uninit_headers(input, &mut lines).ok()?;
    let httparse::Status::Complete(length) = status else { return None };
    let method = match head.method? {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        _ => return None,
    };
    let path = head.path.filter(|path| path.starts_with('/'))?;
    if head.version != Some(1) {
        return None;
    }
    // One copy, which the target and the fields share.
    heads.extend_from_slice(input.get(..length)?);
    let bytes = heads.split().freeze();
    let shared = |part: &[u8]| {
        let start = (part.as_ptr() as usize).checked_sub(input.as_ptr() as usize)?;
        (start + part.len() <= length).then(|| bytes.slice(start..start + part.len()))
    };
    let target = Uri::from_maybe_shared(shared(path.as_bytes())?).ok()?;
    for line in head.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        if is_about_the_connection(&name, line.value) {
            return None;
        }
        let value = match line.value {
            [] => HeaderValue::from_static(""),
            value => HeaderValue::from_maybe_shared(shared(value)?).ok()?,
        };
        fields.append(name, value);
    }
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = target;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = fields;
    Some((request, length))
}

/// Whether a field can change how the request's connection goes on, or announces a body.
fn is_about_the_connection(name: &HeaderName, value: &[u8]) -> bool {
    match *name {
        header::CONNECTION => !value.eq_ignore_ascii_case(b"keep-alive"),
        header::CONTENT_LENGTH
        | header::EXPECT
        | header::TE
        | header::TRAILER
        | header::TRANSFER_ENCODING
        | header::UPGRADE => true,
        _ => matches!(name.as_str(), "http2-settings" | "keep-alive" | "proxy-connection"),
    }
}

/// Appends the head of an answer with a body of this length.
pub(super) fn write(answer: &response::Parts, length: u64, date: &str, to: &mut Vec<u8>) {
    to.extend_from_slice(b"HTTP/1.1 ");
    to.extend_from_slice(answer.status.as_str().as_bytes());
    to.push(b' ');
    to.extend_from_slice(answer.status.canonical_reason().unwrap_or_default().as_bytes());
    to.extend_from_slice(b"\r\n");
    let mut field = |name: &str, value: &[u8]| {
        to.extend_from_slice(name.as_bytes());
        to.extend_from_slice(b": ");
        to.extend_from_slice(value);
        to.extend_from_slice(b"\r\n");
    };
    for (name, value) in &answer.headers {
        field(name.as_str(), value.as_bytes());
    }
    // RFC 9110, section 8.6: neither a 204 nor a 304 has one of its own.
    let has_length = !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    field("date", date.as_bytes());
    if has_length && !answer.headers.contains_key(header::CONTENT_LENGTH) {
        let _ = write!(to, "content-length: {length}\r\n");
    }
    to.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
