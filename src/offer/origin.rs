//! The public URL.

use std::{fmt, net::IpAddr};

use url::Url;

use super::Hostname;

/// The origin of the public URL: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    text: String,
    host: String,
}

/// Why a text is not an origin. Written to follow the name of what was parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OriginError {
    #[error("is not an http or https URL")]
    NotHttp,
    #[error("has {0}, but only scheme, host and port are allowed, as in https://agents.example")]
    Extra(&'static str),
}

impl Origin {
    /// Reads an http or https URL. Trailing slashes are dropped.
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
            return Err(OriginError::Extra("userinfo"));
        }
        if url.path().chars().any(|c| c != '/') {
            return Err(OriginError::Extra("a path"));
        }
        Ok(Self { text: url.origin().ascii_serialization(), host: host.to_owned() })
    }

    /// Scheme, host and port, without a trailing slash.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_https(&self) -> bool {
        self.text.starts_with("https://")
    }

    /// Whether its host is `localhost` or a loopback address.
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Whether `host` is this URL's host, on any port.
    pub(crate) fn is_at(&self, host: &Hostname) -> bool {
        self.host.strip_suffix('.').unwrap_or(&self.host) == host.as_str()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
