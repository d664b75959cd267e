//! What an agent's document says besides services and ids: an offer's own profile, the default
//! agent's, and that of an agent without offers.

use std::{borrow::Cow, collections::BTreeMap};

use super::{AgentProfile, Rules};
use crate::offer::{Offer, OfferId, Origin};

/// The profile of one offer, in its own document and in its host's.
pub(super) fn of_offer(id: &OfferId, offer: &Offer, public_url: &Origin) -> AgentProfile {
    let registration = &offer.registration;
    AgentProfile {
        name: name(id, offer).to_owned(),
        description: description(id, offer).into_owned(),
        image: match &registration.image {
            Some(image) => image.to_string(),
            None => default_image(public_url),
        },
        supported_trust: registration.supported_trust.to_vec(),
        metadata: registration.metadata.clone(),
        provenance: registration.provenance.clone(),
    }
}

/// The name of one offer.
pub(super) fn name<'a>(id: &'a OfferId, offer: &'a Offer) -> &'a str {
    offer.registration.name.as_deref().unwrap_or(&id.name)
}

/// The description of one offer.
pub(super) fn description<'a>(id: &OfferId, offer: &'a Offer) -> Cow<'a, str> {
    let written = offer.registration.description.as_deref().map(Cow::Borrowed);
    written.unwrap_or_else(|| generated_description(id, offer).into())
}

/// The default agent takes the profile of the oldest published offer, and each field that the
/// operator overrides.
pub(super) fn of_default_agent(
    oldest: Option<&AgentProfile>,
    public_url: &Origin,
    rules: &Rules,
) -> AgentProfile {
    let overrides = rules.profile.clone();
    let Some(oldest) = oldest.cloned() else {
        let image = overrides.image.unwrap_or_else(|| default_image(public_url));
        return inactive(overrides.name.as_deref().unwrap_or(&rules.agent_name), image);
    };
    AgentProfile {
        name: overrides.name.unwrap_or(oldest.name),
        description: overrides.description.unwrap_or(oldest.description),
        image: overrides.image.unwrap_or(oldest.image),
        supported_trust: overrides.supported_trust.unwrap_or(oldest.supported_trust),
        metadata: overrides.metadata.unwrap_or(oldest.metadata),
        provenance: overrides.provenance.unwrap_or(oldest.provenance),
    }
}

/// The profile of an agent without published offers.
pub(super) fn inactive(name: &str, image: String) -> AgentProfile {
    AgentProfile {
        name: name.to_owned(),
        description: format!("Agent {name} (deactivated)"),
        image,
        supported_trust: Vec::new(),
        metadata: BTreeMap::new(),
        provenance: BTreeMap::new(),
    }
}

pub(super) fn default_image(public_url: &Origin) -> String {
    format!("{public_url}/agent-icon.png")
}

fn generated_description(id: &OfferId, offer: &Offer) -> String {
    match &offer.model {
        Some(model) if &*offer.kind == "inference" => {
            format!("{model} inference via x402 micropayments")
        }
        Some(_) | None => format!("x402 payment-gated {} service: {}", offer.kind, id.name),
    }
}
