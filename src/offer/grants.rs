//! Which hosts and paths the offers of each namespace may claim, as the operator grants them.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use serde_json::Value;

use super::{Claims, Hostname, PathError, ServicePath, hostname::is_under, is_dns_name};

/// The grants of every namespace. A namespace without grants may claim nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grants(BTreeMap<String, NamespaceGrant>);

/// What the offers of one namespace may claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamespaceGrant {
    #[serde(default)]
    hosts: Vec<HostPattern>,
    #[serde(default)]
    paths: Vec<PathPrefix>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum HostPattern {
    Exactly(Hostname),
    /// Every host that ends in a dot and this name.
    Below(String),
}

/// A path without a final slash. It grants itself and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct PathPrefix(String);

/// A claim that its namespace is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ungranted {
    Host(Hostname),
    Path(ServicePath),
}

impl Grants {
    /// Reads a map from namespaces to `hosts` and `paths`. The error names the namespace.
    pub(crate) fn parse(document: &Value) -> Result<Self, String> {
        let namespaces = document
            .as_object()
            .ok_or("must be a map from namespaces to the hosts and paths that they may claim")?;
        let grant = |(namespace, grant): (&String, &Value)| {
            if !is_dns_name(namespace) {
                return Err(format!("{namespace:?} is not a valid namespace name"));
            }
            let grant = NamespaceGrant::deserialize(grant);
            let grant = grant.map_err(|error| format!("namespace {namespace}: {error}"))?;
            Ok((namespace.clone(), grant))
        };
        namespaces.iter().map(grant).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the first claim of an offer, the host before the path, that its namespace is not
    /// granted.
    pub(crate) fn first_ungranted(
        &self,
        namespace: &str,
        host: Option<&Hostname>,
        claims: &Claims,
    ) -> Option<Ungranted> {
        let grant = self.0.get(namespace);
        let granted_host = |host: &Hostname| {
            grant.is_some_and(|grant| grant.hosts.iter().any(|pattern| pattern.grants(host)))
        };
        let granted_path = |path: &ServicePath| {
            grant.is_some_and(|grant| grant.paths.iter().any(|prefix| prefix.grants(path)))
        };
        let host = host.filter(|host| !granted_host(host)).cloned().map(Ungranted::Host);
        let path = claims.path.as_ref().filter(|path| !granted_path(path));
        host.or_else(|| path.cloned().map(Ungranted::Path))
    }
}

impl HostPattern {
    fn grants(&self, host: &Hostname) -> bool {
        match self {
            Self::Exactly(name) => name == host,
            Self::Below(suffix) => {
                host.as_str() != suffix && is_under(host.as_str(), &[suffix.as_str()])
            }
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let below = text.strip_prefix("*.").map(str::to_ascii_lowercase);
        match below {
            Some(suffix) if is_dns_name(&suffix) => Ok(Self::Below(suffix)),
            Some(_) => Err(format!("{text:?} is not a suffix such as *.shop.example")),
            None => Hostname::parse(&text).map(Self::Exactly).ok_or_else(|| {
                format!("{text:?} is not a public DNS name, or a suffix such as *.shop.example")
            }),
        }
    }
}

impl PathPrefix {
    fn grants(&self, path: &ServicePath) -> bool {
        let below = path.key().strip_prefix(&*self.0);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl TryFrom<String> for PathPrefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match ServicePath::parse(&text) {
            // Nobody can claim a reserved path, but the paths below / and /services are free.
            Ok(_) | Err(PathError::Reserved(_)) => {
                Ok(Self(text.strip_suffix('/').unwrap_or(&text).to_owned()))
            }
            Err(PathError::Invalid(_)) => {
                Err(format!("{text:?} is not a path such as /services/shop"))
            }
        }
    }
}

impl fmt::Display for Ungranted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "the host {host}"),
            Self::Path(path) => write!(f, "the path {}", path.as_str()),
        }
    }
}

#[cfg(test)]
mod tests;
