//! Custom service entries and images, and which of them may be published.

use url::{Host, Url};

use super::{
    closed_list::closed_list,
    hostname::{Hostname, is_under},
};

const NAME_BYTES: usize = 64;
const ENDPOINT_BYTES: usize = 2_048;
const VERSION_BYTES: usize = 64;
/// Suffixes of hosts that cannot be reached from the internet.
const PRIVATE_SUFFIXES: [&str; 5] = ["svc", "cluster.local", "internal", "local", "localhost"];

/// One entry of `registration.services`, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// Empty if absent.
    pub(crate) name: String,
    /// Empty if absent.
    pub(crate) endpoint: String,
    /// Empty if absent, which documents omit.
    pub(crate) version: String,
    /// Why documents leave it out, besides `--service-names`. A host's own document resolves paths
    /// first.
    pub(crate) refusal: Option<EntryCode>,
}

closed_list! {
    /// Why documents leave out a service entry: the first code that applies, in the order of this
    /// list.
    EntryCode: [1]
    #[cfg(test)]
    ALL
    BlankName = "BlankName": "The entry has no name.";
    BlankEndpoint = "BlankEndpoint": "The entry has no endpoint.";
    TooLong = "TooLong":
        "The name is longer than 64 bytes, the endpoint than 2,048, or the version than 64.";
    ControlCharacter = "ControlCharacter":
        "The name, endpoint or version contains a control or bidirectional formatting character.";
    InvalidEns = "InvalidEns":
        "The endpoint of an ENS entry must be a lower-case name that ends in .eth.";
    InvalidDid = "InvalidDid": "The endpoint of a DID entry must start with did:.";
    InvalidEmail = "InvalidEmail":
        "The endpoint of an email entry must be an address such as help@agents.example.";
    NotHttps = "NotHttps":
        "The endpoint is not an absolute https URL without white space and backslashes.";
    UserInfo = "UserInfo": "The endpoint has a user name or password before its host.";
    NotPublicHost = "NotPublicHost":
        "The host of the endpoint is not a public domain name. IP addresses, single labels, and \
         names under svc, cluster.local, internal, local and localhost are not public.";
    NameNotListed = "NameNotListed": "--service-names does not list the name of the entry.";
}

impl EntryCode {
    pub(crate) fn message(self) -> &'static str {
        let [message] = self.texts();
        message
    }
}

impl Service {
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

    /// The entry for the own document of `host`, with a path resolved against that origin. Returns
    /// `None` for an entry on another origin.
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

/// Whether a document may show this image: a public https URL, `ipfs://…` or `data:image/…`.
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
    // WHATWG parsers silently drop an empty userinfo and skip extra slashes, so the text is checked
    // as well.
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
        && !is_under(domain, &PRIVATE_SUFFIXES)
}

/// Whether `c` is a control character (Unicode Cc) or changes the direction of displayed text.
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
