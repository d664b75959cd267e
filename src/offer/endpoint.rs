//! Custom service entries and images, and which of them may be published.

use url::{Host, Url};

use super::{
    closed_list::closed_list,
    hostname::{Hostname, is_under},
    text::is_unprintable,
};

const NAME_BYTES: usize = 64;
const ENDPOINT_BYTES: usize = 2_048;
const VERSION_BYTES: usize = 64;
const LIST_ITEMS: usize = 64;
const LIST_ITEM_BYTES: usize = 64;
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
    /// The names of the tools of an MCP server. Documents omit an empty list.
    pub(crate) mcp_tools: Vec<String>,
    /// The skills of an A2A agent. Documents omit an empty list.
    pub(crate) a2a_skills: Vec<String>,
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
    Placeholder = "Placeholder":
        "The endpoint still contains a placeholder, such as {id}, <id>, $ID or /:id.";
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
    NotOnHost = "NotOnHost":
        "The document of the offer's own host lists only endpoints on that host.";
}

impl EntryCode {
    pub(crate) fn message(self) -> &'static str {
        let [message] = self.texts();
        message
    }
}

impl Service {
    pub(crate) fn new(name: &str, endpoint: &str, version: &str) -> Self {
        let unchecked = Self {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            version: version.to_owned(),
            mcp_tools: Vec::new(),
            a2a_skills: Vec::new(),
            refusal: None,
        };
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
        if has_placeholder(&self.endpoint) {
            return Err(EntryCode::Placeholder);
        }
        match self.name.as_str() {
            "ENS" => is_ens(&self.endpoint).then_some(()).ok_or(EntryCode::InvalidEns),
            "DID" => self.endpoint.starts_with("did:").then_some(()).ok_or(EntryCode::InvalidDid),
            "email" => is_email(&self.endpoint).then_some(()).ok_or(EntryCode::InvalidEmail),
            _ => public_https(&self.endpoint).map(drop),
        }
    }

    /// The entry for the own document of `host`, with a path resolved against that origin, or why
    /// that document leaves it out.
    pub(crate) fn at_host(&self, host: &Hostname) -> Result<Self, EntryCode> {
        let is_path = self.endpoint.starts_with('/') && !self.endpoint.starts_with("//");
        let entry = if is_path {
            let endpoint = format!("{}{}", host.origin(), self.endpoint);
            Self {
                mcp_tools: self.mcp_tools.clone(),
                a2a_skills: self.a2a_skills.clone(),
                ..Self::new(&self.name, &endpoint, &self.version)
            }
        } else {
            self.clone()
        };
        if let Some(code) = entry.refusal {
            return Err(code);
        }
        // Such as https://chat.example/a@b.example, which is a valid email endpoint.
        let is_url = !matches!(entry.name.as_str(), "ENS" | "DID" | "email");
        let is_at_host = |url: Url| url.host_str() == Some(host.as_str()) && url.port().is_none();
        let same_origin = is_url && public_https(&entry.endpoint).is_ok_and(is_at_host);
        same_origin.then_some(entry).ok_or(EntryCode::NotOnHost)
    }
}

/// Whether an entry may show this list of short strings.
pub(super) fn is_short_list(items: &[String]) -> bool {
    let is_short =
        |item: &String| item.len() <= LIST_ITEM_BYTES && !item.chars().any(is_unprintable);
    items.len() <= LIST_ITEMS && items.iter().all(is_short)
}

/// Whether a document may show this image: a public https URL, `ipfs://…` or `data:image/…`.
pub(crate) fn is_image(text: &str) -> bool {
    let embedded = text.starts_with("ipfs://") || text.starts_with("data:image/");
    let https =
        || text.len() <= ENDPOINT_BYTES && !has_placeholder(text) && public_https(text).is_ok();
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

/// Whether an endpoint contains a template variable that nobody filled in.
fn has_placeholder(endpoint: &str) -> bool {
    let upper = endpoint.to_ascii_uppercase();
    let braced = endpoint.contains(['{', '}', '<', '>'])
        || ["%7B", "%7D", "%3C", "%3E"].iter().any(|encoded| upper.contains(encoded));
    let is_variable =
        |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '{' | '('));
    let before_query = endpoint.split(['?', '#']).next().unwrap_or_default();
    let path = match before_query.split_once("://") {
        Some((_, place)) => {
            place.trim_start_matches('/').split_once('/').map_or("", |(_, path)| path)
        }
        None => before_query,
    };
    let is_parameter = |segment: &str| {
        segment
            .strip_prefix(':')
            .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    braced || endpoint.split('$').skip(1).any(is_variable) || path.split('/').any(is_parameter)
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
