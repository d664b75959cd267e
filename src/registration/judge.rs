//! Decides the state of one offer at one instant, and explains it.

use super::{
    Availability, Explanation, OfferState, Reason, Rules, X402Listing, document::Cut, entries,
};
use crate::offer::{
    ClaimOutcome, DecidedByName, Drain, OfferId, Origin, ParsedOffer, Rejection, Timestamp,
    print_seconds,
};

/// The state of one offer, and why.
pub(super) struct Judgment {
    pub(super) state: OfferState,
    pub(super) reason: Reason,
    /// One or more sentences for the operator.
    message: String,
    /// How documents list the offer; `None` if they do not.
    pub(super) listed: Option<Availability>,
    /// The first instant at which the clock alone changes this judgment.
    pub(super) until: Option<Timestamp>,
}

impl Judgment {
    fn unpublished(reason: Reason, message: String) -> Self {
        Self { state: OfferState::Unpublished, reason, message, listed: None, until: None }
    }

    /// Records that the offer is published, but that the aggregate document has no room for it.
    pub(super) fn cut_from_aggregate(&mut self, cut: Cut) {
        let (reason, message) = match cut {
            Cut::TooLarge => (
                Reason::OfferTooLarge,
                " The aggregate document is full and does not list it: its entries take more than \
                 --max-offer-bytes.",
            ),
            Cut::Full => {
                (Reason::DocumentFull, " The aggregate document is full and does not list it.")
            }
        };
        self.reason = reason;
        self.message += message;
    }
}

/// Judges one offer by the first reason that applies. `outcome` is `None` only for an offer that is
/// being deleted.
pub(super) fn judge(
    parsed: &ParsedOffer,
    outcome: Option<&ClaimOutcome>,
    rules: &Rules,
    now: Timestamp,
) -> Judgment {
    let Some(outcome) = outcome else {
        return Judgment::unpublished(Reason::Deleting, "The offer is being deleted.".to_owned());
    };
    let offer = match &parsed.verdict {
        Ok(offer) => offer,
        Err(rejection) => return rejected(rejection),
    };
    if let Some(judgment) = without_claims(outcome) {
        return judgment;
    }
    let drain = match &offer.drain {
        Ok(drain) => *drain,
        Err(error) => {
            return Judgment::unpublished(Reason::InvalidDrain, format!("Invalid drain: {error}."));
        }
    };
    if !parsed.enabled {
        let message = "spec.registration.enabled is not true.".to_owned();
        return Judgment::unpublished(Reason::Disabled, message);
    }
    if offer.paused {
        return Judgment::unpublished(Reason::Paused, "spec.paused is true.".to_owned());
    }
    let required = rules.required_conditions.iter().map(String::as_str);
    let missing: Vec<&str> = required.filter(|kind| !offer.conditions.contains(kind)).collect();
    match drain {
        Some(drain) if now >= drain.ends_at() => drained(drain),
        Some(drain) if missing.is_empty() || !rules.drop_unready_drains => {
            draining(drain, &missing)
        }
        Some(_) | None if !missing.is_empty() => not_ready(drain, &missing),
        Some(_) | None => published(),
    }
}

fn rejected(rejection: &Rejection) -> Judgment {
    let (reason, message) = match rejection {
        Rejection::Undecodable(what) => (Reason::Undecodable, format!("Invalid object: {what}.")),
        Rejection::InvalidPath(path) => {
            (Reason::InvalidPath, format!("The path {path:?} is not valid."))
        }
        Rejection::InvalidHostname(host) => {
            (Reason::InvalidHostname, format!("The host {host:?} is not a public DNS name."))
        }
        Rejection::ReservedPath(path) => {
            (Reason::ReservedPath, format!("The path {path:?} is reserved for the service itself."))
        }
    };
    Judgment::unpublished(reason, message)
}

fn without_claims(outcome: &ClaimOutcome) -> Option<Judgment> {
    let (reason, message) = match outcome {
        ClaimOutcome::Holds => return None,
        ClaimOutcome::NotGranted(claim) => {
            (Reason::NotGranted, format!("--grants does not allow the namespace to claim {claim}."))
        }
        ClaimOutcome::HostConflict { holder } => {
            (Reason::HostConflict, format!("The older offer {holder} holds the same host."))
        }
        ClaimOutcome::PathConflict { holder } => {
            (Reason::PathConflict, format!("The older offer {holder} holds the same path."))
        }
    };
    Some(Judgment::unpublished(reason, message))
}

fn drained(drain: Drain) -> Judgment {
    let message = format!("The drain ended at {}.", print_seconds(drain.ends_at()));
    Judgment { state: OfferState::Drained, ..Judgment::unpublished(Reason::Drained, message) }
}

fn draining(drain: Drain, missing: &[&str]) -> Judgment {
    let ends_at = drain.ends_at();
    let mut message = format!("The offer drains until {}.", print_seconds(ends_at));
    if !missing.is_empty() {
        message += &format!(" Its upstream is not ready: not True: {}.", missing.join(", "));
    }
    Judgment {
        state: OfferState::Draining,
        reason: Reason::Draining,
        message,
        listed: Some(Availability::Draining { ends_at }),
        until: Some(ends_at),
    }
}

/// The end of a drain changes the reason to `Drained`.
fn not_ready(drain: Option<Drain>, missing: &[&str]) -> Judgment {
    let message = format!("Not True in status.conditions: {}.", missing.join(", "));
    Judgment {
        until: drain.map(Drain::ends_at),
        ..Judgment::unpublished(Reason::ConditionMissing, message)
    }
}

fn published() -> Judgment {
    Judgment {
        state: OfferState::Published,
        reason: Reason::Published,
        message: "The offer is published.".to_owned(),
        listed: Some(Availability::Open),
        until: None,
    }
}

/// Builds the operator-facing explanation, including warnings and dropped entries.
pub(super) fn explain(
    id: &OfferId,
    parsed: &ParsedOffer,
    judgment: Judgment,
    by_name: Option<&DecidedByName>,
    rules: &Rules,
    public_url: &Origin,
) -> Explanation {
    let offer = parsed.verdict.as_ref().ok();
    let drain = offer.and_then(|offer| offer.drain.as_ref().ok().copied().flatten());
    let listed = offer.filter(|_| judgment.listed.is_some());
    let mut sentences = vec![judgment.message];
    sentences.extend(offer.into_iter().flat_map(|offer| offer.warnings.iter().cloned()));
    sentences.extend(host_is_public(parsed, public_url));
    sentences.extend(by_name.map(|decision| claim_by_name(id, decision)));
    Explanation {
        id: id.clone(),
        state: judgment.state,
        reason: judgment.reason,
        message: sentences.join(" "),
        fix: judgment.reason.fix(),
        drain_ends_at: drain.map(Drain::ends_at),
        dropped_services: offer
            .map(|offer| entries::dropped(offer, public_url, rules))
            .unwrap_or_default(),
        x402: listed.map(|offer| X402Listing::new(offer.payables.as_ref().err().copied())),
        enabled: parsed.enabled,
    }
}

fn host_is_public(parsed: &ParsedOffer, public_url: &Origin) -> Option<String> {
    let host = parsed.claims.host.as_ref().filter(|host| public_url.is_at(host))?;
    Some(format!(
        "HostIsPublic: spec.hostname {host} is the public URL's own host, which serves the default \
         agent, so the offer has no document of its own there. To silence this warning, remove \
         spec.hostname."
    ))
}

fn claim_by_name(id: &OfferId, decision: &DecidedByName) -> String {
    let DecidedByName { holder, loser } = decision;
    let (other, verb) = if id == holder { (loser, "holds") } else { (holder, "lost") };
    format!(
        "ClaimByName: {other} claims the same host or path and has the same creation time, or \
         neither has one. The claim was decided by name, and this offer {verb} it. To decide it \
         yourself, grant it to one namespace with --grants."
    )
}

#[cfg(test)]
mod tests;
