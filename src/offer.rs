//! ServiceOffers: parsed once from untyped objects, with their claims to paths and hosts resolved.

mod claims;
mod closed_list;
mod conditions;
mod drain;
mod endpoint;
mod fields;
mod grace;
mod grants;
mod hostname;
mod instant;
mod look_alike;
mod origin;
mod parse;
mod payment;
mod service_path;
#[cfg(test)]
mod tests;
mod text;

use std::{collections::BTreeMap, fmt, sync::Arc};

use alloy::primitives::Address;
use serde::Serialize;

#[cfg(test)]
pub(crate) use self::payment::NETWORKS;
pub(crate) use self::{
    claims::{ClaimOutcome, DecidedByName, ResolvedClaims, resolve_claims},
    closed_list::closed_list,
    conditions::Conditions,
    drain::{Drain, DrainError},
    endpoint::{EntryCode, Service, is_image},
    fields::{Fields, WrongTypeError},
    grace::GracePeriod,
    grants::{Grants, Ungranted},
    hostname::{Hostname, host_of, is_dns_name},
    instant::{Timestamp, parse_timestamp, print_seconds},
    origin::Origin,
    payment::{Payable, PaymentOption, TransferMethod, Unlisted},
    service_path::{PathError, ServicePath},
    text::{PublishedFields, is_unprintable},
};

/// The namespace and name of an object. Ordered by namespace, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct OfferId {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// Every offer of the source, including those that cannot be published. Copies share what did not
/// change, and a comparison looks at nothing else.
pub(crate) type Offers = imbl::OrdMap<OfferId, Arc<ParsedOffer>>;

/// The order of offers: oldest first, those without a creation time last; then by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age {
    is_undated: bool,
    pub(crate) created: Option<Timestamp>,
    pub(crate) id: OfferId,
}

/// What could be read of one ServiceOffer. Even a rejected offer keeps the claims that could be
/// read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParsedOffer {
    /// `metadata.creationTimestamp`, if it is a valid time.
    pub(crate) created: Option<Timestamp>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub(crate) deleting: bool,
    /// Whether `spec.registration.enabled` is true.
    pub(crate) enabled: bool,
    pub(crate) claims: Claims,
    pub(crate) verdict: Result<Offer, Rejection>,
}

/// The path and host that an offer claims, each if it is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) path: Option<ServicePath>,
    pub(crate) host: Option<Hostname>,
}

/// A valid offer. Whether it is published also depends on its claims, its drain and the rules.
///
/// Its texts and lists have no spare room: a process keeps every offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Its path on the public URL.
    pub(crate) path: ServicePath,
    /// The host that it names, if any; see [`Self::own_host`].
    pub(crate) host: Option<Hostname>,
    /// `spec.type`. If absent it is `http`, the default of the CRD.
    pub(crate) kind: Box<str>,
    /// `spec.model.name`.
    pub(crate) model: Option<Box<str>>,
    /// `spec.paused`.
    pub(crate) paused: bool,
    /// Whether `spec.payment.method` is anything but `card`.
    pub(crate) accepts_x402: bool,
    /// The drain that `spec.drainAt` announces, or why its end cannot be computed.
    pub(crate) drain: Result<Option<Drain>, DrainError>,
    /// The types of the status conditions that are `True`. If a type is repeated, its first entry
    /// counts.
    pub(crate) conditions: Conditions,
    pub(crate) registration: Registration,
    /// `spec.payment.payTo`, if it is a string. No document depends on it.
    pub(crate) pay_to: Option<Payee>,
    /// What the x402 lists say of it: at least one URL, or why it is left out.
    pub(crate) payables: Result<Arc<[Payable]>, Unlisted>,
    /// When the object was last written, its status apart; `None` if it does not say.
    pub(crate) written: Option<Timestamp>,
    /// Sentences about settings that have no effect.
    pub(crate) warnings: Vec<String>,
}

/// Who is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payee {
    Account(Address),
    /// What is no address, or zero.
    Other(Box<str>),
}

impl Payee {
    fn parse(text: &str) -> Self {
        payment::address(text).map_or_else(|| Self::Other(text.into()), Self::Account)
    }
}

impl fmt::Display for Payee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => account.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// `spec.registration` and `spec.provenance`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registration {
    /// Not set if blank.
    pub(crate) name: Option<Box<str>>,
    /// Not set if empty.
    pub(crate) description: Option<Box<str>>,
    /// Not set if it must not be published.
    pub(crate) image: Option<Box<str>>,
    /// Every custom entry, including those that must not be published.
    pub(crate) services: Box<[Service]>,
    pub(crate) supported_trust: Box<[String]>,
    /// OASF skills.
    pub(crate) skills: Box<[String]>,
    /// OASF domains.
    pub(crate) domains: Box<[String]>,
    /// Trimmed, without blank keys and values.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Trimmed, without blank keys and values.
    pub(crate) provenance: BTreeMap<String, String>,
}

/// Why an object is not a valid offer. A rejection takes precedence over any lost claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A field has the wrong JSON type, or an unusable value that none of the other cases covers.
    /// Carries the explanation; the other cases carry the value.
    Undecodable(String),
    InvalidPath(String),
    InvalidHostname(String),
    ReservedPath(String),
}

impl OfferId {
    /// What [`Self::is_valid`] checks, for messages.
    pub(crate) const RULE: &str = "metadata.namespace and metadata.name must be RFC 1123 names";

    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Reads `NAMESPACE/NAME`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        Some(Self::new(namespace, name)).filter(Self::is_valid)
    }

    /// Whether a cluster accepts an object with this namespace and name.
    pub(crate) fn is_valid(&self) -> bool {
        is_dns_name(&self.namespace) && is_dns_name(&self.name)
    }
}

impl fmt::Display for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Offer {
    /// Its own host, if it has one. The public URL's host is the default agent's.
    pub(crate) fn own_host(&self, public_url: &Origin) -> Option<&Hostname> {
        self.host.as_ref().filter(|host| !public_url.is_at(host))
    }
}

impl ParsedOffer {
    pub(crate) fn age(&self, id: &OfferId) -> Age {
        Age { is_undated: self.created.is_none(), created: self.created, id: id.clone() }
    }
}
