//! Hostnames of offers, and the DNS rules behind them.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    net::IpAddr,
    sync::Arc,
};

/// The host of an offer that has one of its own: a lower-case DNS name with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hostname(Arc<str>);

/// Suffixes that resolve only inside a cluster.
const CLUSTER_SUFFIXES: [&str; 2] = ["svc", "cluster.local"];

impl Hostname {
    /// Reads a host in any case. Returns `None` unless it is a DNS name with a dot outside `.svc`
    /// and `.cluster.local`, and not an IP address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let host = lower_case(text);
        let named = is_dns_name(&host) && host.contains('.') && !ends_in_number(&host);
        (named && !is_under(&host, &CLUSTER_SUFFIXES)).then(|| Self((*host).into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// `https://HOST`, without a trailing slash.
    pub(crate) fn origin(&self) -> String {
        format!("https://{}", self.0)
    }
}

/// The host in an HTTP `Host` header, as a [`Hostname`] is written: in lower case, without port and
/// final dot. It is read for every request to look it up, and may be no hostname at all.
pub(crate) fn host_of(authority: &str) -> Cow<'_, str> {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    lower_case(host.strip_suffix('.').unwrap_or(host))
}

fn lower_case(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

/// Whether a text is a lower-case RFC 1123 subdomain, the form of Kubernetes object names.
pub(crate) fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Whether `host` equals one of `suffixes` or is a subdomain of one.
pub(super) fn is_under(host: &str, suffixes: &[&str]) -> bool {
    suffixes.iter().any(|suffix| {
        host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// WHATWG URL parsers read a host as an IPv4 address if its last label is a number, `0x…` included.
fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let hex =
        last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    last.bytes().all(|b| b.is_ascii_digit()) || hex || host.parse::<IpAddr>().is_ok()
}

impl Borrow<str> for Hostname {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
