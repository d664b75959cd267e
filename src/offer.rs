//! One untyped ServiceOffer in, what was seen of it out: parsed once, never checked again.

mod claims;
mod drain;
mod endpoint;
mod fields;
mod grace;
mod instant;
mod place;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde::Serialize;
use serde_json::Value;

pub(crate) use self::{
    claims::{ClaimOutcome, resolve_claims},
    drain::{Drain, WindDown},
    endpoint::{EntryCode, Service, is_image},
    fields::{Fields, WrongTypeError},
    grace::GracePeriod,
    instant::{Timestamp, parse_timestamp, print_seconds},
    place::{Hostname, Origin, PathError, ServicePath, is_dns_name},
};

/// Which object: every map, order and tie goes by namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct OfferId {
    /// The object's namespace.
    pub(crate) namespace: Arc<str>,
    /// The object's name.
    pub(crate) name: Arc<str>,
}

/// All offers seen, by id.
pub(crate) type Offers = BTreeMap<OfferId, Arc<ParsedOffer>>;

/// What was seen of one resource. Even a rejected offer keeps the claims that could be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ParsedOffer {
    /// When the object was created, if it says so.
    pub(crate) created: Option<Timestamp>,
    /// Whether the object is being deleted.
    pub(crate) deleting: bool,
    /// Whether `spec.registration.enabled` was read as true.
    pub(crate) enabled: bool,
    /// The path and host that it lays claim to.
    pub(crate) claims: Claims,
    /// The offer, or why there is none.
    pub(crate) verdict: Result<Offer, Rejection>,
}

/// The places that an offer lays claim to, as far as they could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The path on the public URL.
    pub(crate) path: Option<ServicePath>,
    /// The host of its own.
    pub(crate) host: Option<Hostname>,
}

/// One paid service, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offer {
    /// Its path on the public URL.
    pub(crate) path: ServicePath,
    /// Its own host, if it has one.
    pub(crate) host: Option<Hostname>,
    /// `spec.type`; absent is `http`, the CRD's default.
    pub(crate) kind: String,
    /// `spec.model.name`, if set.
    pub(crate) model: Option<String>,
    /// What it says of its end.
    pub(crate) wind_down: WindDown,
    /// The condition types whose first entry says `True`.
    pub(crate) conditions: BTreeSet<String>,
    /// What it says for the registration document.
    pub(crate) registration: Registration,
    /// `spec.payment.payTo`, if it is a text. Nothing that is published depends on it.
    pub(crate) pay_to: Option<String>,
    /// Settings that were read but have no effect, as sentences.
    pub(crate) notes: Vec<String>,
}

/// `spec.registration`, and `spec.provenance` beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registration {
    /// The agent's name; blank is not set.
    pub(crate) name: Option<String>,
    /// The description; empty is not set.
    pub(crate) description: Option<String>,
    /// The image, if it may be published.
    pub(crate) image: Option<String>,
    /// Custom entries as written, each with its verdict.
    pub(crate) services: Vec<Service>,
    /// Trust models, verbatim.
    pub(crate) supported_trust: Vec<String>,
    /// OASF skills.
    pub(crate) skills: Vec<String>,
    /// OASF domains.
    pub(crate) domains: Vec<String>,
    /// Free metadata, cleaned.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Where the offer comes from, cleaned.
    pub(crate) provenance: BTreeMap<String, String>,
}

/// Why a resource is no offer. These come before any question of claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A field we read has the wrong JSON type, or an unusable value with no rule of its own.
    Undecodable(String),
    /// The path is malformed.
    InvalidPath(String),
    /// The host is no DNS name of the internet.
    InvalidHostname(String),
    /// The path belongs to the service itself.
    ReservedPath(String),
}

impl OfferId {
    /// An id from its two parts.
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Reads `NAMESPACE/NAME`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        (is_dns_name(namespace) && is_dns_name(name)).then(|| Self::new(namespace, name))
    }
}

impl fmt::Display for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl ParsedOffer {
    /// Checks a resource, or says why it can't be published.
    pub(crate) fn parse(id: &OfferId, resource: &Value) -> Self {
        let metadata = Fields::of(resource.get("metadata"), "metadata");
        let spec = Fields::of(resource.get("spec"), "spec");
        let created = metadata
            .as_ref()
            .ok()
            .and_then(|fields| fields.text("creationTimestamp").ok().flatten());
        let place = spec.as_ref().map(|spec| Place::read(id, spec)).unwrap_or_default();
        Self {
            created: created.and_then(parse_timestamp),
            deleting: metadata.is_ok_and(|fields| fields.raw("deletionTimestamp").is_some()),
            enabled: resource.pointer("/spec/registration/enabled") == Some(&Value::Bool(true)),
            claims: place.claims(),
            verdict: read(id, resource, place),
        }
    }

    /// The key of every order among offers: oldest first, those without a time last.
    pub(crate) fn age<'a>(&self, id: &'a OfferId) -> (bool, Option<Timestamp>, &'a OfferId) {
        (self.created.is_none(), self.created, id)
    }
}

/// Path and host as far as they can be read, whatever the rest of the resource looks like.
#[derive(Default)]
struct Place {
    path: Option<Result<ServicePath, PathError>>,
    host: Option<Result<Hostname, String>>,
}

impl Place {
    fn read(id: &OfferId, spec: &Fields<'_>) -> Self {
        let path = spec.text("path").ok().map(|path| match path {
            Some(path) if !path.is_empty() => ServicePath::parse(path),
            Some(_) | None => ServicePath::parse(&format!("/services/{}", id.name)),
        });
        let host = spec.text("hostname").ok().flatten().filter(|host| !host.is_empty());
        Self { path, host: host.map(|host| Hostname::parse(host).ok_or_else(|| host.to_owned())) }
    }

    fn claims(&self) -> Claims {
        Claims {
            path: self.path.as_ref().and_then(|path| path.as_ref().ok()).cloned(),
            host: self.host.as_ref().and_then(|host| host.as_ref().ok()).cloned(),
        }
    }
}

fn read(id: &OfferId, resource: &Value, place: Place) -> Result<Offer, Rejection> {
    let draft = Draft::read(id, resource).map_err(Rejection::Undecodable)?;
    let reserved = match place.path {
        None => return Err(Rejection::Undecodable("spec.path cannot be read".to_owned())),
        Some(Err(PathError::Invalid(path))) => return Err(Rejection::InvalidPath(path)),
        Some(Err(PathError::Reserved(path))) => Err(Rejection::ReservedPath(path)),
        Some(Ok(path)) => Ok(path),
    };
    let host = place.host.transpose().map_err(Rejection::InvalidHostname)?;
    Ok(Offer {
        path: reserved?,
        host,
        kind: draft.kind,
        model: draft.model,
        wind_down: draft.wind_down,
        conditions: draft.conditions,
        registration: draft.registration,
        pay_to: resource.pointer("/spec/payment/payTo").and_then(Value::as_str).map(str::to_owned),
        notes: draft.notes,
    })
}

/// Every field of an offer besides its place.
struct Draft {
    kind: String,
    model: Option<String>,
    wind_down: WindDown,
    conditions: BTreeSet<String>,
    registration: Registration,
    notes: Vec<String>,
}

impl Draft {
    fn read(id: &OfferId, resource: &Value) -> Result<Self, String> {
        if !is_dns_name(&id.namespace) || !is_dns_name(&id.name) {
            return Err("metadata.namespace and metadata.name must be RFC 1123 names".to_owned());
        }
        Self::typed(resource).map_err(|wrong| wrong.to_string())?
    }

    fn typed(resource: &Value) -> Result<Result<Self, String>, WrongTypeError> {
        let metadata = Fields::of(resource.get("metadata"), "metadata")?;
        if let Some(created) = metadata.text("creationTimestamp")?
            && parse_timestamp(created).is_none()
        {
            return Ok(Err(format!("metadata.creationTimestamp {created:?} is no RFC 3339 time")));
        }
        let spec = Fields::of(resource.get("spec"), "spec")?;
        // Read here for their types; what they say is `Place`'s.
        spec.text("path")?;
        spec.text("hostname")?;
        let model = Fields::of(spec.raw("model"), "spec.model")?;
        let mut notes = Vec::new();
        Ok(Ok(Self {
            kind: spec.text("type")?.filter(|kind| !kind.is_empty()).unwrap_or("http").to_owned(),
            model: model.text("name")?.filter(|name| !name.is_empty()).map(str::to_owned),
            wind_down: wind_down(&spec, &mut notes)?,
            conditions: conditions(resource)?,
            registration: registration(&spec, &mut notes)?,
            notes,
        }))
    }
}

fn wind_down(spec: &Fields<'_>, notes: &mut Vec<String>) -> Result<WindDown, WrongTypeError> {
    let Some(at) = spec.text("drainAt")? else {
        // Without a drainAt the grace period has no effect, so a bad one is worth a word and no more.
        let usable = match spec.text("drainGracePeriod") {
            Ok(None) => true,
            Ok(Some(text)) => GracePeriod::parse(text).is_ok(),
            Err(_) => false,
        };
        if !usable {
            notes.push("spec.drainGracePeriod is no Go duration; with a drainAt the offer would be refused.".to_owned());
        }
        return Ok(WindDown::None);
    };
    let grace = spec.text("drainGracePeriod")?;
    Ok(match Drain::parse(at, grace) {
        Ok(drain) => WindDown::Drain(drain),
        Err(error) => WindDown::Unreadable(error),
    })
}

fn conditions(resource: &Value) -> Result<BTreeSet<String>, WrongTypeError> {
    let mut first = BTreeMap::new();
    for condition in Fields::of(resource.get("status"), "status")?.list("conditions")? {
        let condition = Fields::of(Some(condition), "status.conditions[]")?;
        if let Some(kind) = condition.text("type")? {
            let holds = condition.text("status")? == Some("True");
            first.entry(kind.to_owned()).or_insert(holds);
        }
    }
    Ok(first.into_iter().filter_map(|(kind, holds)| holds.then_some(kind)).collect())
}

fn registration(
    spec: &Fields<'_>,
    notes: &mut Vec<String>,
) -> Result<Registration, WrongTypeError> {
    let fields = Fields::of(spec.raw("registration"), "spec.registration")?;
    fields.flag("enabled")?;
    let mut services = Vec::new();
    for entry in fields.list("services")? {
        let entry = Fields::of(Some(entry), "spec.registration.services[]")?;
        let text = |key| entry.text(key).map(Option::unwrap_or_default);
        services.push(Service::new(text("name")?, text("endpoint")?, text("version")?));
    }
    let image = fields.text("image")?.filter(|image| !image.is_empty());
    if image.is_some_and(|image| !is_image(image)) {
        notes.push(
            "spec.registration.image is no public https URL, ipfs:// or data:image/, so the default stands in."
                .to_owned(),
        );
    }
    Ok(Registration {
        name: fields.text("name")?.filter(|name| !name.trim().is_empty()).map(str::to_owned),
        description: fields.text("description")?.filter(|text| !text.is_empty()).map(str::to_owned),
        image: image.filter(|image| is_image(image)).map(str::to_owned),
        services,
        supported_trust: fields.texts("supportedTrust")?,
        skills: fields.texts("skills")?,
        domains: fields.texts("domains")?,
        metadata: fields.text_map("metadata")?,
        provenance: spec.text_map("provenance")?,
    })
}
