//! Which custom service entries and images may be published.

use std::fmt;

use serde::{Serialize, Serializer};
use url::{Host, Url};

use super::place::{Hostname, is_under};

const NAME_BYTES: usize = 64;
const ENDPOINT_BYTES: usize = 2_048;
const VERSION_BYTES: usize = 64;
/// Host endings that no reader on the internet can reach.
const PRIVATE_ENDINGS: [&str; 5] = ["svc", "cluster.local", "internal", "local", "localhost"];

/// One entry of `registration.services`, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// The entry's name; missing is blank.
    pub(crate) name: String,
    /// The entry's endpoint; missing is blank.
    pub(crate) endpoint: String,
    /// The entry's version; missing or empty is left out of documents.
    pub(crate) version: String,
    /// Why the public URL's documents leave it out, if they do.
    pub(crate) refusal: Option<EntryCode>,
}

/// Why an entry is left out of a document. The list is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryCode {
    /// No name.
    BlankName,
    /// No endpoint.
    BlankEndpoint,
    /// Name, endpoint or version is over its cap.
    TooLong,
    /// A control or bidi character in name, endpoint or version.
    ControlCharacter,
    /// Named `ENS`, but no `.eth` name.
    InvalidEns,
    /// Named `DID`, but does not begin `did:`.
    InvalidDid,
    /// Named `email`, but no address.
    InvalidEmail,
    /// No https URL.
    NotHttps,
    /// An https URL with user-info.
    UserInfo,
    /// An https URL whose host no reader on the internet can reach.
    NotPublicHost,
    /// A name that `--service-names` does not list.
    NameNotListed,
}

impl EntryCode {
    /// All codes, in the order in which they apply.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 11] = [
        Self::BlankName,
        Self::BlankEndpoint,
        Self::TooLong,
        Self::ControlCharacter,
        Self::InvalidEns,
        Self::InvalidDid,
        Self::InvalidEmail,
        Self::NotHttps,
        Self::UserInfo,
        Self::NotPublicHost,
        Self::NameNotListed,
    ];

    /// The code as it is printed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BlankName => "BlankName",
            Self::BlankEndpoint => "BlankEndpoint",
            Self::TooLong => "TooLong",
            Self::ControlCharacter => "ControlCharacter",
            Self::InvalidEns => "InvalidEns",
            Self::InvalidDid => "InvalidDid",
            Self::InvalidEmail => "InvalidEmail",
            Self::NotHttps => "NotHttps",
            Self::UserInfo => "UserInfo",
            Self::NotPublicHost => "NotPublicHost",
            Self::NameNotListed => "NameNotListed",
        }
    }

    /// A sentence for the operator.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::BlankName => "The entry has no name.",
            Self::BlankEndpoint => "The entry has no endpoint.",
            Self::TooLong => {
                "Name (64 bytes), endpoint (2,048 bytes) or version (64 bytes) is too long."
            }
            Self::ControlCharacter => {
                "Name, endpoint or version holds a control or bidi character."
            }
            Self::InvalidEns => "An ENS entry needs a lower-case name ending in .eth.",
            Self::InvalidDid => "A DID entry needs an endpoint that begins with did:.",
            Self::InvalidEmail => "An email entry needs an address such as help@agents.example.",
            Self::NotHttps => {
                "The endpoint is no absolute https URL without white space or backslashes."
            }
            Self::UserInfo => "The endpoint holds user-info before its host.",
            Self::NotPublicHost => {
                "The endpoint's host is no public domain name (an IP address, a single label, or a name under svc, \
                 cluster.local, internal, local or localhost)."
            }
            Self::NameNotListed => "--service-names does not list this name.",
        }
    }
}

impl Serialize for EntryCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for EntryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Service {
    /// An entry as written, checked.
    pub(crate) fn new(name: &str, endpoint: &str, version: &str) -> Self {
        let (name, endpoint, version) = (name.to_owned(), endpoint.to_owned(), version.to_owned());
        let unchecked = Self { name, endpoint, version, refusal: None };
        Self { refusal: unchecked.check().err(), ..unchecked }
    }

    fn check(&self) -> Result<(), EntryCode> {
        if self.name.trim().is_empty() {
            return Err(EntryCode::BlankName);
        }
        if self.endpoint.trim().is_empty() {
            return Err(EntryCode::BlankEndpoint);
        }
        if self.name.len() > NAME_BYTES
            || self.endpoint.len() > ENDPOINT_BYTES
            || self.version.len() > VERSION_BYTES
        {
            return Err(EntryCode::TooLong);
        }
        if [&self.name, &self.endpoint, &self.version]
            .into_iter()
            .any(|text| text.chars().any(is_unprintable))
        {
            return Err(EntryCode::ControlCharacter);
        }
        match self.name.as_str() {
            "ENS" => is_ens(&self.endpoint).then_some(()).ok_or(EntryCode::InvalidEns),
            "DID" => self.endpoint.starts_with("did:").then_some(()).ok_or(EntryCode::InvalidDid),
            "email" => is_email(&self.endpoint).then_some(()).ok_or(EntryCode::InvalidEmail),
            _ => public_https(&self.endpoint).map(drop),
        }
    }

    /// The entry as it stands in `host`'s own document: on that origin, a path resolved against it; else `None`.
    pub(crate) fn at_host(&self, host: &Hostname) -> Option<Self> {
        if matches!(self.name.as_str(), "ENS" | "DID" | "email") {
            return None;
        }
        let is_path = self.endpoint.starts_with('/') && !self.endpoint.starts_with("//");
        let entry = if is_path {
            Self::new(&self.name, &format!("{}{}", host.origin(), self.endpoint), &self.version)
        } else {
            self.clone()
        };
        let url = public_https(&entry.endpoint).ok()?;
        let same_origin = url.host_str() == Some(host.as_str()) && url.port().is_none();
        (same_origin && entry.refusal.is_none()).then_some(entry)
    }
}

/// Whether an image may stand in a document: a public https URL, `ipfs://…` or `data:image/…`.
pub(crate) fn is_image(text: &str) -> bool {
    let embedded = text.starts_with("ipfs://") || text.starts_with("data:image/");
    let https = || text.len() <= ENDPOINT_BYTES && public_https(text).is_ok();
    !text.chars().any(is_unprintable) && (embedded || https())
}

fn public_https(text: &str) -> Result<Url, EntryCode> {
    let scheme = text.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://"));
    if scheme.is_none() || text.chars().any(|c| c.is_whitespace() || c == '\\') {
        return Err(EntryCode::NotHttps);
    }
    // WHATWG parsers drop an empty user-info silently and skip further slashes, so the text is looked at too.
    let authority = text[8..].trim_start_matches('/').split(['/', '?', '#']).next();
    let authority = authority.unwrap_or_default();
    if authority.contains('@') {
        return Err(EntryCode::UserInfo);
    }
    let url = Url::parse(text).map_err(|_| EntryCode::NotHttps)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EntryCode::UserInfo);
    }
    match url.host() {
        Some(Host::Domain(domain)) if is_public_domain(domain) => Ok(url),
        Some(_) | None => Err(EntryCode::NotPublicHost),
    }
}

fn is_public_domain(domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
        && !is_under(domain, &PRIVATE_ENDINGS)
}

/// Control characters (Unicode Cc) and those that reorder text for display.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_ens(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.strip_suffix(".eth").is_some_and(|name| name.split('.').all(label))
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let dotted = domain.char_indices().any(|(at, c)| c == '.' && at > 0 && at + 1 < domain.len());
    let plain = !text.chars().any(char::is_whitespace) && !domain.contains('@');
    !local.is_empty() && plain && dotted
}

#[cfg(test)]
mod tests;
