//! The offers, as `explain` sees them, the agent's ids and the public URL.

use std::collections::{BTreeMap, BTreeSet};

use super::{CheckId, Report, Status};
use crate::{
    lint::{self, Severity},
    offer::OfferId,
    registration::{Explanation, OfferState, Reason},
};

/// What was read of the source, judged at one instant.
#[derive(Clone, Debug)]
pub(crate) struct OfferFacts {
    pub(crate) explanations: Vec<Explanation>,
    pub(crate) required_conditions: BTreeSet<String>,
    /// How many offers have each condition set to True.
    pub(crate) conditions: BTreeMap<String, usize>,
    /// The default agent's document.
    pub(crate) document: Vec<u8>,
    /// Objects that belong to no offer and are not valid.
    pub(crate) has_refused: bool,
}

/// What was read of the AgentIdentity.
#[derive(Clone, Debug)]
pub(crate) struct IdentityFacts {
    /// Whether the object exists; `None` if it is not read.
    pub(crate) exists: Option<bool>,
    /// What is wrong in its status, a sentence each.
    pub(crate) problems: Vec<String>,
    pub(crate) public_url: Option<String>,
}

pub(crate) fn judge(facts: &OfferFacts, report: &mut Report) {
    let all = &facts.explanations;
    let read = format!("{} offers were read.", all.len());
    match facts.has_refused {
        true => report.fail(CheckId::OffersRead, format!("{read} Other objects are not valid.")),
        false => report.pass(CheckId::OffersRead, &*read),
    }
    if all.is_empty() {
        report.warn(CheckId::OffersFound, "There is no offer.");
        report.skip_rest_of("offers", "There is no offer.");
        return;
    }
    report.pass(CheckId::OffersFound, read);
    let listed = |explanation: &&Explanation| {
        matches!(explanation.state, OfferState::Published | OfferState::Draining)
    };
    let published = all.iter().filter(listed).count();
    let message = format!("{published} of {} offers are published.", all.len());
    report.when(CheckId::OffersPublished, published > 0, Status::Warn, message);
    let with = |reasons: &[Reason]| -> Vec<String> {
        let wrong = all.iter().filter(|explanation| reasons.contains(&explanation.reason));
        wrong.map(|e| format!("{} is {}: {}", e.id, e.reason, e.message)).collect()
    };
    let broken = [
        Reason::Undecodable,
        Reason::InvalidPath,
        Reason::InvalidHostname,
        Reason::ReservedPath,
        Reason::InvalidDrain,
    ];
    let fine = "All offers are decoded.";
    report.none_of(CheckId::OffersDecodable, &with(&broken), Status::Fail, fine);
    let lost = [Reason::HostConflict, Reason::PathConflict, Reason::NotGranted];
    report.none_of(CheckId::OffersClaims, &with(&lost), Status::Fail, "No claim is lost.");
    let cut = [Reason::OfferTooLarge, Reason::DocumentFull];
    report.none_of(CheckId::OffersSize, &with(&cut), Status::Warn, "No offer is left out.");
    judge_conditions(facts, report);
    let dropped: Vec<String> = all
        .iter()
        .flat_map(|explanation| {
            let entries = explanation.dropped_services.iter();
            entries.map(|entry| (&explanation.id, entry.name.as_str(), entry.code))
        })
        .map(|(id, name, code): (&OfferId, &str, _)| format!("{id} entry {name:?}: {code}."))
        .collect();
    report.none_of(CheckId::OffersEntries, &dropped, Status::Warn, "No entry is left out.");
    judge_document(&facts.document, report);
}

fn judge_conditions(facts: &OfferFacts, report: &mut Report) {
    let unset: Vec<String> = facts
        .required_conditions
        .iter()
        .filter(|condition| !facts.conditions.contains_key(*condition))
        .map(|condition| format!("No offer has the condition {condition} set to True."))
        .collect();
    let fine = match facts.required_conditions.len() {
        0 => "No condition is required.",
        _ => "Each required condition is True somewhere.",
    };
    report.none_of(CheckId::OffersConditions, &unset, Status::Fail, fine);
}

fn judge_document(document: &[u8], report: &mut Report) {
    let linted = lint::lint(document, Vec::new());
    let found = |severity| -> Vec<String> {
        let found = linted.findings.iter().filter(|f| f.code.severity() == severity);
        found.map(|finding| format!("{}: {}", finding.code, finding.message)).collect()
    };
    let (errors, warnings) = (found(Severity::Error), found(Severity::Warning));
    let otherwise = if errors.is_empty() { Status::Warn } else { Status::Fail };
    let fine = "The document has no error and no warning.";
    report.none_of(CheckId::OffersDocument, &[errors, warnings].concat(), otherwise, fine);
}

pub(crate) fn judge_identity(facts: &IdentityFacts, report: &mut Report) {
    match facts.exists {
        None => report.skip(CheckId::IdentityFound, "No AgentIdentity is read."),
        Some(true) => report.pass(CheckId::IdentityFound, "The AgentIdentity exists."),
        Some(false) => report.warn(CheckId::IdentityFound, "The AgentIdentity does not exist."),
    }
    if facts.exists == Some(true) {
        let fine = "Every entry is readable.";
        report.none_of(CheckId::IdentityReadable, &facts.problems, Status::Fail, fine);
    } else {
        report.skip(CheckId::IdentityReadable, "There is no AgentIdentity.");
    }
    match &facts.public_url {
        Some(url) => report.pass(CheckId::PublicUrlKnown, format!("The public URL is {url}.")),
        None => report.fail(CheckId::PublicUrlKnown, "There is no public URL."),
    }
}
