//! One offer's state and reason at one instant.

use super::{Availability, Explanation, OfferState, Reason, Rules, entries};
use crate::offer::{
    ClaimOutcome, Drain, OfferId, Origin, ParsedOffer, Rejection, Timestamp, WindDown,
    print_seconds,
};

/// What was decided about one offer.
pub(super) struct Judged {
    state: OfferState,
    reason: Reason,
    message: String,
    /// How documents list it, if they do.
    pub(super) listed: Option<Availability>,
    /// The first instant at which the clock alone changes this.
    pub(super) until: Option<Timestamp>,
}

impl Judged {
    fn refused(reason: Reason, message: String) -> Self {
        Self { state: OfferState::Unpublished, reason, message, listed: None, until: None }
    }
}

/// Decides, by the first reason that applies. `standing` is `None` only for an offer that is being deleted.
pub(super) fn judge(
    seen: &ParsedOffer,
    standing: Option<&ClaimOutcome>,
    rules: &Rules,
    now: Timestamp,
) -> Judged {
    let refused = Judged::refused;
    let Some(standing) = standing else {
        return refused(Reason::Deleting, "The offer is being deleted.".to_owned());
    };
    let offer = match &seen.verdict {
        Ok(offer) => offer,
        Err(rejection) => return reject(rejection),
    };
    match standing {
        ClaimOutcome::Holds => {}
        ClaimOutcome::ReservedHost(host) => {
            return refused(
                Reason::ReservedHost,
                format!("The host {host} is the public URL's own."),
            );
        }
        ClaimOutcome::HostConflict { holder } => {
            return refused(
                Reason::HostConflict,
                format!("The older offer {holder} holds the same host."),
            );
        }
        ClaimOutcome::PathConflict { holder } => {
            return refused(
                Reason::PathConflict,
                format!("The older offer {holder} holds the same path."),
            );
        }
    }
    let drain = match &offer.wind_down {
        WindDown::None => None,
        WindDown::Drain(drain) => Some(*drain),
        WindDown::Unreadable(error) => {
            return refused(Reason::InvalidDrain, format!("The drain is refused: {error}."));
        }
    };
    if !seen.enabled {
        return refused(Reason::Disabled, "spec.registration.enabled is not true.".to_owned());
    }
    let missing: Vec<&str> =
        rules.required_conditions.difference(&offer.conditions).map(String::as_str).collect();
    match drain {
        Some(drain) if now >= drain.ends_at() => Judged {
            state: OfferState::Drained,
            ..refused(
                Reason::Drained,
                format!("The drain ended at {}.", print_seconds(drain.ends_at())),
            )
        },
        Some(drain) if missing.is_empty() || !rules.drop_unready_drains => {
            draining(drain, &missing)
        }
        Some(_) | None if !missing.is_empty() => Judged {
            until: drain.map(Drain::ends_at),
            ..refused(
                Reason::ConditionMissing,
                format!("Not True in status.conditions: {}.", missing.join(", ")),
            )
        },
        Some(_) | None => Judged {
            state: OfferState::Published,
            reason: Reason::Published,
            message: "The offer is published.".to_owned(),
            listed: Some(Availability::Open),
            until: None,
        },
    }
}

fn draining(drain: Drain, missing: &[&str]) -> Judged {
    let ends_at = drain.ends_at();
    let mut message = format!("The offer is winding down until {}.", print_seconds(ends_at));
    if !missing.is_empty() {
        message += &format!(" Its upstream is not ready: {} not True.", missing.join(", "));
    }
    Judged {
        state: OfferState::Draining,
        reason: Reason::Draining,
        message,
        listed: Some(Availability::Draining { ends_at }),
        until: Some(ends_at),
    }
}

fn reject(rejection: &Rejection) -> Judged {
    let (reason, message) = match rejection {
        Rejection::Undecodable(what) => {
            (Reason::Undecodable, format!("The object cannot be decoded: {what}."))
        }
        Rejection::InvalidPath(path) => {
            (Reason::InvalidPath, format!("The path {path:?} is malformed."))
        }
        Rejection::InvalidHostname(host) => {
            (Reason::InvalidHostname, format!("The host {host:?} is no DNS name of the internet."))
        }
        Rejection::ReservedPath(path) => {
            (Reason::ReservedPath, format!("The path {path:?} belongs to the service."))
        }
    };
    Judged::refused(reason, message)
}

/// Says it for people, with what was left out of the offer's documents.
pub(super) fn explain(
    id: &OfferId,
    seen: &ParsedOffer,
    judged: Judged,
    rules: &Rules,
    public_url: &Origin,
) -> Explanation {
    let offer = seen.verdict.as_ref().ok();
    let drain_ends_at = offer.and_then(|offer| match offer.wind_down {
        WindDown::Drain(drain) => Some(drain.ends_at()),
        WindDown::None | WindDown::Unreadable(_) => None,
    });
    let notes = offer.map(|offer| offer.notes.as_slice()).unwrap_or_default();
    let message = std::iter::once(judged.message.as_str()).chain(notes.iter().map(String::as_str));
    Explanation {
        id: id.clone(),
        state: judged.state,
        reason: judged.reason,
        message: message.collect::<Vec<_>>().join(" "),
        fix: judged.reason.fix(),
        drain_ends_at,
        dropped_services: offer
            .map(|offer| entries::dropped(offer, public_url, rules))
            .unwrap_or_default(),
        enabled: seen.enabled,
    }
}

/// Marks an offer that is published, but not in the aggregate document.
pub(super) fn cut_from_aggregate(explanation: &mut Explanation) {
    explanation.reason = Reason::DocumentFull;
    explanation.fix = Reason::DocumentFull.fix();
    explanation.message += " The aggregate document is full and was cut before it.";
}

#[cfg(test)]
mod tests;
