//! Reads an untyped ServiceOffer, so that a wrong field costs only that offer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Claims, Conditions, Drain, DrainError, Fields, GracePeriod, Hostname, Offer, OfferId,
    ParsedOffer, PathError, Payee, PublishedFields, Registration, Rejection, Service, ServicePath,
    Timestamp, WrongTypeError, endpoint::is_short_list, is_image, look_alike, parse_timestamp,
    payment::payables,
};

impl ParsedOffer {
    pub(crate) fn parse(id: &OfferId, resource: &Value) -> Self {
        let metadata = Fields::of(resource.get("metadata"), "metadata");
        let spec = Fields::of(resource.get("spec"), "spec");
        let created = metadata
            .as_ref()
            .ok()
            .and_then(|fields| fields.text("creationTimestamp").ok().flatten());
        let location = spec.as_ref().map(|spec| Location::read(id, spec)).unwrap_or_default();
        Self {
            created: created.and_then(parse_timestamp),
            deleting: metadata.is_ok_and(|fields| fields.raw("deletionTimestamp").is_some()),
            enabled: resource.pointer("/spec/registration/enabled") == Some(&Value::Bool(true)),
            claims: location.claims(),
            verdict: validate(id, resource, location),
        }
    }
}

/// The path and host, read on their own: an offer claims them even if the rest of it is invalid.
/// Each is `None` if its field has the wrong type, and the host also if it is not set.
#[derive(Default)]
struct Location {
    path: Option<Result<ServicePath, PathError>>,
    host: Option<Result<Hostname, String>>,
}

impl Location {
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

/// Returns the offer, or the rejection that comes first: undecodable, invalid path, invalid host,
/// reserved path.
fn validate(id: &OfferId, resource: &Value, location: Location) -> Result<Offer, Rejection> {
    let draft = Draft::read(id, resource)?;
    let path = match location.path {
        None => return Err(Rejection::Undecodable("spec.path cannot be read".to_owned())),
        Some(Err(PathError::Invalid(path))) => return Err(Rejection::InvalidPath(path)),
        Some(Err(PathError::Reserved(path))) => Err(Rejection::ReservedPath(path)),
        Some(Ok(path)) => Ok(path),
    };
    let host = location.host.transpose().map_err(Rejection::InvalidHostname)?;
    // The controller owns `payment`, so nothing in it refuses an offer.
    let payment = |field: &str| resource.pointer(&format!("/spec/payment/{field}"))?.as_str();
    Ok(Offer {
        path: path?,
        host,
        kind: draft.kind,
        model: draft.model,
        paused: draft.paused,
        accepts_x402: payment("method") != Some("card"),
        drain: draft.drain,
        conditions: draft.conditions,
        registration: draft.registration,
        pay_to: payment("payTo").map(Payee::parse),
        payables: payables(resource.get("spec").unwrap_or(&Value::Null)),
        written: written(resource),
        warnings: draft.warnings,
    })
}

/// When an object was last written, its status apart: the latest time in `metadata.managedFields`,
/// else its creation.
fn written(resource: &Value) -> Option<Timestamp> {
    let metadata = resource.get("metadata")?;
    let time = |from: &Value, key: &str| from.get(key)?.as_str().and_then(parse_timestamp);
    let managers = metadata.get("managedFields").and_then(Value::as_array);
    let managers = managers.into_iter().flatten();
    let spec = managers.filter(|manager| manager.get("subresource").is_none_or(is_blank));
    let latest = spec.filter_map(|manager| time(manager, "time")).max();
    latest.max(time(metadata, "creationTimestamp"))
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value == ""
}

/// Every field of an offer except its path and host.
struct Draft {
    kind: Box<str>,
    model: Option<Box<str>>,
    paused: bool,
    drain: Result<Option<Drain>, DrainError>,
    conditions: Conditions,
    registration: Registration,
    warnings: Vec<String>,
}

impl Draft {
    fn read(id: &OfferId, resource: &Value) -> Result<Self, Rejection> {
        if !id.is_valid() {
            let what = OfferId::RULE;
            return Err(Rejection::Undecodable(what.to_owned()));
        }
        let metadata = Fields::of(resource.get("metadata"), "metadata")?;
        if let Some(created) = metadata.text("creationTimestamp")?
            && parse_timestamp(created).is_none()
        {
            let what = format!("metadata.creationTimestamp {created:?} is not an RFC 3339 time");
            return Err(Rejection::Undecodable(what));
        }
        let spec = Fields::of(resource.get("spec"), "spec")?;
        // `Location` reads the values of these two; here only their types are checked.
        spec.text("path")?;
        let host = spec.text("hostname")?;
        let mut warnings = Vec::new();
        warnings.extend(host.and_then(|host| look_alike::warn_host("spec.hostname", host)));
        let kind = PublishedFields::of(spec, &mut warnings).text("type")?;
        let model = Fields::of(spec.raw("model"), "spec.model")?;
        let model = PublishedFields::of(model, &mut warnings).text("name")?;
        Ok(Self {
            kind: kind.filter(|kind| !kind.is_empty()).unwrap_or("http").into(),
            model: model.filter(|name| !name.is_empty()).map(Into::into),
            paused: spec.flag("paused")?.unwrap_or_default(),
            drain: drain(&spec, &mut warnings)?,
            conditions: conditions(resource)?,
            registration: registration(&spec, &mut warnings)?,
            warnings,
        })
    }
}

impl From<WrongTypeError> for Rejection {
    fn from(error: WrongTypeError) -> Self {
        Self::Undecodable(error.to_string())
    }
}

fn drain(
    spec: &Fields<'_>,
    warnings: &mut Vec<String>,
) -> Result<Result<Option<Drain>, DrainError>, WrongTypeError> {
    let Some(at) = spec.text("drainAt")? else {
        // Without drainAt the grace period has no effect, so an invalid one is only a warning.
        let valid = match spec.text("drainGracePeriod") {
            Ok(text) => text.is_none_or(|text| GracePeriod::parse(text).is_ok()),
            Err(_) => false,
        };
        if !valid {
            warnings.push(
                "spec.drainGracePeriod is not a valid Go duration. It has no effect without \
                 spec.drainAt; with one, the offer would not be published."
                    .to_owned(),
            );
        }
        return Ok(Ok(None));
    };
    Ok(Drain::parse(at, spec.text("drainGracePeriod")?).map(Some))
}

fn conditions(resource: &Value) -> Result<Conditions, WrongTypeError> {
    let mut first = BTreeMap::new();
    for condition in Fields::of(resource.get("status"), "status")?.list("conditions")? {
        let condition = Fields::of(Some(condition), "status.conditions[]")?;
        if let Some(kind) = condition.text("type")? {
            let is_true = condition.text("status")? == Some("True");
            first.entry(kind).or_insert(is_true);
        }
    }
    Ok(first.into_iter().filter_map(|(kind, is_true)| is_true.then_some(kind)).collect())
}

fn registration(
    spec: &Fields<'_>,
    warnings: &mut Vec<String>,
) -> Result<Registration, WrongTypeError> {
    let fields = Fields::of(spec.raw("registration"), "spec.registration")?;
    fields.flag("enabled")?;
    let services = fields.list("services")?.iter().enumerate();
    let services = services
        .map(|(index, entry)| service(index, entry, warnings))
        .collect::<Result<Vec<_>, WrongTypeError>>()?;
    let image = fields.text("image")?.filter(|image| !image.is_empty());
    if image.is_some_and(|image| !is_image(image)) {
        warnings.push(
            "spec.registration.image is not a public https, ipfs:// or data:image/ URL, so \
             documents show the default image."
                .to_owned(),
        );
    }
    let provenance = PublishedFields::of(*spec, warnings).text_map("provenance")?;
    let name = fields.text("name")?.unwrap_or_default();
    warnings.extend(look_alike::warn("spec.registration.name", name));
    let mut fields = PublishedFields::of(fields, warnings);
    Ok(Registration {
        name: fields.text("name")?.filter(|name| !name.trim().is_empty()).map(Into::into),
        description: fields.text("description")?.filter(|text| !text.is_empty()).map(Into::into),
        image: image.filter(|image| is_image(image)).map(Into::into),
        services: services.into(),
        supported_trust: fields.texts("supportedTrust")?.into(),
        skills: fields.texts("skills")?.into(),
        domains: fields.texts("domains")?.into(),
        metadata: fields.text_map("metadata")?,
        provenance,
    })
}

fn service(
    index: usize,
    entry: &Value,
    warnings: &mut Vec<String>,
) -> Result<Service, WrongTypeError> {
    let entry = Fields::of(Some(entry), "spec.registration.services[]")?;
    let text = |key| entry.text(key).map(Option::unwrap_or_default);
    let service = Service::new(text("name")?, text("endpoint")?, text("version")?);
    let mut short_list = |key| {
        let list = entry.texts(key).ok().filter(|items| is_short_list(items));
        if list.is_none() {
            warnings.push(format!(
                "spec.registration.services[{index}].{key} is not a list of at most 64 strings of at \
                 most 64 bytes without control characters, so documents leave it out."
            ));
        }
        list.unwrap_or_default()
    };
    let (mcp_tools, a2a_skills) = (short_list("mcpTools"), short_list("a2aSkills"));
    Ok(Service { mcp_tools, a2a_skills, ..service })
}
