//! Why an offer is or is not published: a closed list, the same everywhere.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::offer::{EntryCode, OfferId, Timestamp, print_seconds};

/// How an offer stands. Published and draining offers are listed in documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OfferState {
    /// Listed, taking work.
    Published,
    /// Listed with `available: false` until its end.
    Draining,
    /// Its drain has ended.
    Drained,
    /// Not listed.
    Unpublished,
}

/// The first reason that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The object is being deleted.
    Deleting,
    /// The object cannot be decoded.
    Undecodable,
    /// Its path is malformed.
    InvalidPath,
    /// Its host is unusable.
    InvalidHostname,
    /// Its path belongs to the service.
    ReservedPath,
    /// Its host is the public URL's own.
    ReservedHost,
    /// An earlier offer holds its host.
    HostConflict,
    /// An earlier offer holds its path.
    PathConflict,
    /// Its drain has no usable end.
    InvalidDrain,
    /// `registration.enabled` is not true.
    Disabled,
    /// Its drain has ended.
    Drained,
    /// A required condition is not `True`.
    ConditionMissing,
    /// Published, but cut from the full aggregate document.
    DocumentFull,
    /// Published, and winding down.
    Draining,
    /// Published.
    Published,
}

impl OfferState {
    /// All states.
    pub(crate) const ALL: [Self; 4] =
        [Self::Published, Self::Draining, Self::Drained, Self::Unpublished];

    /// The state as it is printed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Unpublished => "unpublished",
        }
    }

    #[cfg(test)]
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Published => "Listed in documents and taking work.",
            Self::Draining => "Listed in documents with available: false until its drain ends.",
            Self::Drained => "Its drain has ended. Not listed.",
            Self::Unpublished => "Not listed, for the reason given.",
        }
    }

    /// Whether documents list the offer.
    #[cfg(test)]
    pub(crate) fn is_listed(self) -> bool {
        matches!(self, Self::Published | Self::Draining)
    }
}

impl Reason {
    /// All reasons, in the order in which they apply.
    pub(crate) const ALL: [Self; 15] = [
        Self::Deleting,
        Self::Undecodable,
        Self::InvalidPath,
        Self::InvalidHostname,
        Self::ReservedPath,
        Self::ReservedHost,
        Self::HostConflict,
        Self::PathConflict,
        Self::InvalidDrain,
        Self::Disabled,
        Self::Drained,
        Self::ConditionMissing,
        Self::DocumentFull,
        Self::Draining,
        Self::Published,
    ];

    /// The reason as it is printed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Deleting => "Deleting",
            Self::Undecodable => "Undecodable",
            Self::InvalidPath => "InvalidPath",
            Self::InvalidHostname => "InvalidHostname",
            Self::ReservedPath => "ReservedPath",
            Self::ReservedHost => "ReservedHost",
            Self::HostConflict => "HostConflict",
            Self::PathConflict => "PathConflict",
            Self::InvalidDrain => "InvalidDrain",
            Self::Disabled => "Disabled",
            Self::Drained => "Drained",
            Self::ConditionMissing => "ConditionMissing",
            Self::DocumentFull => "DocumentFull",
            Self::Draining => "Draining",
            Self::Published => "Published",
        }
    }

    /// What is the case, as one fixed sentence that repeats nothing an offer says: documentation and public answers
    /// carry it.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Deleting => "The object is being deleted.",
            Self::Undecodable => "A field of the object has the wrong type.",
            Self::InvalidPath => "spec.path is not a valid path.",
            Self::InvalidHostname => "spec.hostname is not a public DNS name.",
            Self::ReservedPath => "spec.path is reserved for the service itself.",
            Self::ReservedHost => "spec.hostname is the public URL's own host.",
            Self::HostConflict => "An older offer holds the same host.",
            Self::PathConflict => "An older offer holds the same path.",
            Self::InvalidDrain => "spec.drainAt or spec.drainGracePeriod cannot be read.",
            Self::Disabled => "spec.registration.enabled is not true.",
            Self::Drained => "The drain has ended.",
            Self::ConditionMissing => "A required condition is not True.",
            Self::DocumentFull => {
                "The offer is published, but the aggregate document is full and does not list it."
            }
            Self::Draining => "The offer is draining.",
            Self::Published => "The offer is published.",
        }
    }

    /// What the operator can do about it.
    pub(crate) fn fix(self) -> &'static str {
        match self {
            Self::Deleting => {
                "Nothing, unless a finalizer holds the object: see its metadata.finalizers."
            }
            Self::Undecodable => {
                "Correct the named field; kubectl explain serviceoffer.spec shows its type."
            }
            Self::InvalidPath => {
                "Set spec.path to letters, digits, / _ . and -, with no empty, . or .. segment."
            }
            Self::InvalidHostname => {
                "Set spec.hostname to a DNS name of the internet with a dot, such as audit.example."
            }
            Self::ReservedPath => {
                "Choose another spec.path; the named one belongs to the service itself."
            }
            Self::ReservedHost => {
                "Remove spec.hostname: the public URL's own host serves the default agent."
            }
            Self::HostConflict => {
                "Choose another spec.hostname, or delete the offer that holds it."
            }
            Self::PathConflict => "Choose another spec.path, or delete the offer that holds it.",
            Self::InvalidDrain => {
                "Set spec.drainAt to an RFC 3339 time and spec.drainGracePeriod to a Go duration such as 30m, or remove both."
            }
            Self::Disabled => "Set spec.registration.enabled to true.",
            Self::Drained => {
                "To sell again, remove spec.drainAt (registrar undrain NAMESPACE/NAME)."
            }
            Self::ConditionMissing => {
                "See status.conditions of the offer; the controller sets them. --required-conditions changes which count."
            }
            Self::DocumentFull => {
                "Raise --max-document-bytes, or publish fewer or shorter entries; its own documents are complete."
            }
            Self::Draining => {
                "Nothing; to keep selling, remove spec.drainAt (registrar undrain NAMESPACE/NAME)."
            }
            Self::Published => "Nothing.",
        }
    }
}

impl fmt::Display for OfferState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for OfferState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One offer's state and reason, as `explain --json` and `/debug/offers` print it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    /// The offer.
    #[serde(flatten)]
    pub(crate) id: OfferId,
    /// How it stands.
    pub(crate) state: OfferState,
    /// The first reason that applies.
    pub(crate) reason: Reason,
    /// What is the case, in sentences.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) fix: &'static str,
    /// When its drain ends or ended, if it has a readable one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    pub(crate) drain_ends_at: Option<Timestamp>,
    /// Entries that were left out of its documents.
    pub(crate) dropped_services: Vec<DroppedService>,
    /// Whether `registration.enabled` was read as true: only then the reason is told in public.
    #[serde(skip)]
    pub(crate) enabled: bool,
}

/// An entry that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DroppedService {
    /// Its place in `registration.services`, from 0; null for a generated entry.
    pub(crate) index: Option<usize>,
    /// Its name as written.
    pub(crate) name: String,
    /// Its endpoint as written.
    pub(crate) endpoint: String,
    /// Why.
    pub(crate) code: EntryCode,
    /// Why, as a sentence.
    pub(crate) message: &'static str,
}

fn seconds<S: Serializer>(instant: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match instant {
        Some(instant) => serializer.serialize_str(&print_seconds(*instant)),
        None => serializer.serialize_none(),
    }
}
