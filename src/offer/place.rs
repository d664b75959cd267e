//! Where an offer is sold: its path on the public URL, its own host, and the public URL itself.

use std::{fmt, net::IpAddr};

use url::Url;

/// A path on the public URL, checked: `^/[A-Za-z0-9/_.-]*$` without `//`, `.` or `..` segments, and not reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServicePath(String);

/// A host that an offer is sold at besides its path: a DNS name with a dot, lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hostname(String);

/// The public URL: scheme, host and port, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    text: String,
    host: String,
}

/// Why a text is no usable path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    /// Not of the form above.
    Invalid(String),
    /// It belongs to the service itself or to the original system.
    Reserved(String),
}

/// Why a text is no public URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OriginError {
    /// Not an absolute http or https URL.
    #[error("is no http or https URL")]
    NotHttp,
    /// It has a part besides scheme, host and port.
    #[error("has {0}, but only scheme, host and port are allowed, as in https://agents.example")]
    Extra(&'static str),
}

/// Paths that no offer may have, exactly.
const RESERVED_EXACTLY: [&str; 2] = ["/", "/services"];
/// Paths that no offer may have, nor anything below them.
const RESERVED_ROOTS: [&str; 13] = [
    "/api",
    "/openapi.json",
    "/skill.md",
    "/rpc",
    "/.well-known",
    "/offers",
    "/agents",
    "/events",
    "/docs",
    "/schema",
    "/openapi.yaml",
    "/agent-icon.png",
    "/discovery",
];
/// Host endings that never leave a cluster.
const CLUSTER_ENDINGS: [&str; 2] = ["svc", "cluster.local"];

impl ServicePath {
    /// Checks a path.
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.' | '-');
        let clean = text.starts_with('/')
            && text.chars().all(allowed)
            && !text.contains("//")
            && !text.split('/').any(|segment| matches!(segment, "." | ".."));
        if !clean {
            return Err(PathError::Invalid(text.to_owned()));
        }
        let path = Self(text.to_owned());
        let key = path.key();
        let below = |root: &str| {
            key.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if RESERVED_EXACTLY.contains(&key) || RESERVED_ROOTS.into_iter().any(below) {
            return Err(PathError::Reserved(text.to_owned()));
        }
        Ok(path)
    }

    /// The path as written; documents print it so.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What two paths are compared by: one trailing slash removed.
    pub(crate) fn key(&self) -> &str {
        match self.0.strip_suffix('/') {
            Some("") | None => &self.0,
            Some(shorter) => shorter,
        }
    }
}

impl Hostname {
    /// Checks a host; `None` when it is no DNS name with a dot, an IP address, or under `.svc` or `.cluster.local`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let host = text.to_ascii_lowercase();
        let named = is_dns_name(&host) && host.contains('.') && !ends_in_number(&host);
        (named && !is_under(&host, &CLUSTER_ENDINGS)).then_some(Self(host))
    }

    /// Reads what a client sent as `Host`: case, port and a final dot are ignored.
    pub(crate) fn from_authority(authority: &str) -> Option<Self> {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            Some(_) | None => authority,
        };
        Self::parse(host.strip_suffix('.').unwrap_or(host))
    }

    /// The host in lower case.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// `https://HOST`, without a final slash.
    pub(crate) fn origin(&self) -> String {
        format!("https://{}", self.0)
    }
}

impl Origin {
    /// Checks a public URL. Final slashes are dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text.trim()).map_err(|_| OriginError::NotHttp)?;
        let host = url
            .host_str()
            .filter(|_| matches!(url.scheme(), "http" | "https"))
            .ok_or(OriginError::NotHttp)?;
        if url.query().is_some() {
            return Err(OriginError::Extra("a query"));
        }
        if url.fragment().is_some() {
            return Err(OriginError::Extra("a fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::Extra("user-info"));
        }
        if url.path().chars().any(|c| c != '/') {
            return Err(OriginError::Extra("a path"));
        }
        Ok(Self { text: url.origin().ascii_serialization(), host: host.to_owned() })
    }

    /// Scheme, host and port, without a final slash.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is an https URL.
    pub(crate) fn is_https(&self) -> bool {
        self.text.starts_with("https://")
    }

    /// Whether its host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Whether `host` is this URL's own host; the port plays no part.
    pub(crate) fn is_at(&self, host: &Hostname) -> bool {
        self.host.strip_suffix('.').unwrap_or(&self.host) == host.as_str()
    }
}

/// Whether a text is an RFC 1123 subdomain in lower case, as names of Kubernetes objects are.
pub(crate) fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Whether `host` is one of `endings` or a name below it.
pub(super) fn is_under(host: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| {
        host.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// WHATWG URL parsers read a host as an IPv4 address when its last label is a number, also as `0x…`.
fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let hex =
        last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    last.bytes().all(|b| b.is_ascii_digit()) || hex || host.parse::<IpAddr>().is_ok()
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
