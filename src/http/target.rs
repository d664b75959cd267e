//! What a request is for: the rules of RFC 9112 and 9113 for its host, and of RFC 3986 for its path.

use std::{borrow::Cow, net::Ipv6Addr};

use http::{Uri, Version, header, uri::PathAndQuery};

use super::fields::Fields;
use crate::head::is_unreserved;

/// Checks the fields that name the host of a request.
///
/// HTTP/1.1 requires exactly one valid `Host` (RFC 9112, section 3.2), whatever the form of the
/// target. HTTP/1.0 requires none. HTTP/2 requires an authority or a `Host`, and the same host in
/// both (RFC 9113, section 8.3.1).
///
/// # Errors
///
/// A sentence that tells what is wrong.
pub(super) fn check_host(
    version: Version,
    authority: Option<&str>,
    fields: &impl Fields,
) -> Result<(), &'static str> {
    let mut fields = fields.values(&header::HOST);
    let (field, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err("The request has more than one Host field.");
    }
    let authority = authority.map(str::as_bytes);
    if field.is_some_and(|field| !is_host(field)) || authority.is_some_and(|it| !is_host(it)) {
        return Err("The host of the request is not a valid host name or address.");
    }
    let is_http_2 = version == Version::HTTP_2;
    match (authority, field) {
        (None, None) if version == Version::HTTP_11 || is_http_2 => {
            Err("The request does not name its host.")
        }
        (Some(_), None) if version == Version::HTTP_11 => Err("The request has no Host field."),
        (Some(authority), Some(field)) if is_http_2 && !authority.eq_ignore_ascii_case(field) => {
            Err("The authority and the Host field of the request differ.")
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

/// `uri-host [ ":" port ]` of RFC 9110, section 7.2, with a host that is not empty (section 4.2.1).
fn is_host(text: &[u8]) -> bool {
    let digits = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    if let Some(literal) = text.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|byte| *byte == b']') else { return false };
        let (address, after) = literal.split_at(end);
        let port = after.strip_prefix(b"]").unwrap_or_default();
        let is_address = std::str::from_utf8(address)
            .is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok() || is_future(address));
        return is_address && (port.is_empty() || port.strip_prefix(b":").is_some_and(digits));
    }
    let colon = text.iter().position(|byte| *byte == b':');
    let (name, port) = text.split_at(colon.unwrap_or(text.len()));
    !name.is_empty() && is_reg_name(name) && port.strip_prefix(b":").is_none_or(digits)
}

/// `IPvFuture` of RFC 3986, section 3.2.2.
fn is_future(address: &str) -> bool {
    let Some((version, rest)) =
        address.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    let is_hex = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    let allowed = |byte: u8| is_unreserved(byte) || is_sub_delimiter(byte) || byte == b':';
    is_hex && !rest.is_empty() && rest.bytes().all(allowed)
}

/// `reg-name` of RFC 3986, section 3.2.2, of which IPv4 addresses are a part.
fn is_reg_name(mut name: &[u8]) -> bool {
    while let Some((first, rest)) = name.split_first() {
        name = match (first, rest) {
            (b'%', [high, low, rest @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest
            }
            (byte, rest) if is_unreserved(*byte) || is_sub_delimiter(*byte) => rest,
            (_, _) => return false,
        };
    }
    true
}

fn is_sub_delimiter(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// The path with percent-encoded unreserved characters decoded, which is equivalent (RFC 3986,
/// section 6.2.2.2). Nothing else is: other encoded characters stay as they are, and a path with
/// `.`, `..` or empty segments names nothing.
pub(super) fn decoded_path(path: &str) -> Cow<'_, str> {
    let mut parts = path.split('%');
    let first = parts.next().unwrap_or_default();
    if first.len() == path.len() {
        return Cow::Borrowed(path);
    }
    let mut decoded = String::with_capacity(path.len());
    decoded.push_str(first);
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match byte.filter(|byte| is_unreserved(*byte)) {
            Some(byte) => {
                decoded.push(char::from(byte));
                decoded.push_str(part.get(2..).unwrap_or_default());
            }
            None => {
                decoded.push('%');
                decoded.push_str(part);
            }
        }
    }
    Cow::Owned(decoded)
}

/// The same target with its path decoded; see [`decoded_path`].
pub(super) fn decoded(uri: Uri) -> Uri {
    let Cow::Owned(path) = decoded_path(uri.path()) else { return uri };
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let Ok(target) = target.parse::<PathAndQuery>() else { return uri };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).unwrap_or(uri)
}

#[cfg(test)]
mod tests;
