//! The state of an offer and the reason for it.

use serde::{Serialize, Serializer};

use crate::offer::{EntryCode, OfferId, Timestamp, Unlisted, closed_list, print_seconds};

closed_list! {
    /// Published and draining offers are listed in documents.
    OfferState: #[cfg(test)] [1]
    ALL
    Published = "published": "Listed in documents and taking work.";
    Draining = "draining": "Listed in documents with available: false until its drain ends.";
    Drained = "drained": "Its drain has ended. Not listed.";
    Unpublished = "unpublished": "Not listed, for the reason given.";
}

closed_list! {
    /// Why an offer is in its state: the first reason that applies, in the order of this list.
    Reason: [2]
    ALL
    Deleting = "Deleting":
        "The object is being deleted.",
        "Nothing, unless a finalizer blocks the deletion: see metadata.finalizers of the object.";
    Undecodable = "Undecodable":
        "A field of the object has the wrong type or an unusable value.",
        "Correct the field that the message names; kubectl explain serviceoffer.spec shows its \
         type.";
    InvalidPath = "InvalidPath":
        "spec.path is not a valid path.",
        "Set spec.path to a path that starts with / and contains only letters, digits, /, _, . \
         and -, without empty, . or .. segments.";
    InvalidHostname = "InvalidHostname":
        "spec.hostname is not a public DNS name.",
        "Set spec.hostname to a public DNS name with a dot, such as audit.example.";
    ReservedPath = "ReservedPath":
        "spec.path is reserved for the service itself.",
        "Choose another spec.path.";
    NotGranted = "NotGranted":
        "The namespace of the offer may not claim its host or path.",
        "Grant it to the namespace in the file of --grants and restart, or change spec.hostname or \
         spec.path.";
    HostConflict = "HostConflict":
        "An older offer holds the same host.",
        "Choose another spec.hostname, or delete the offer that holds it.";
    PathConflict = "PathConflict":
        "An older offer holds the same path.",
        "Choose another spec.path, or delete the offer that holds it.";
    InvalidDrain = "InvalidDrain":
        "The end of the drain cannot be computed from spec.drainAt and spec.drainGracePeriod.",
        "Set spec.drainAt to an RFC 3339 time and spec.drainGracePeriod to a Go duration such as \
         30m, or remove both.";
    Disabled = "Disabled":
        "spec.registration.enabled is not true.",
        "Set spec.registration.enabled to true.";
    Paused = "Paused":
        "spec.paused is true.",
        "Nothing. To publish the offer, set spec.paused to false.";
    Drained = "Drained":
        "The drain has ended.",
        "To publish the offer again, remove spec.drainAt (registrar undrain NAMESPACE/NAME).";
    ConditionMissing = "ConditionMissing":
        "A required condition is not True.",
        "Check status.conditions of the offer, which the controller sets. --required-conditions \
         sets which of them are required.";
    OfferTooLarge = "OfferTooLarge":
        "The offer is published, but the aggregate document is full and does not list it, because \
         its entries are too large.",
        "Publish fewer or shorter entries, or raise --max-offer-bytes or --max-document-bytes. The \
         offer's own documents are complete.";
    DocumentFull = "DocumentFull":
        "The offer is published, but the aggregate document is full and does not list it.",
        "Raise --max-document-bytes, or publish fewer or shorter entries. The offer's own documents \
         are complete.";
    Draining = "Draining":
        "The offer is draining.",
        "Nothing. To keep the offer published, remove spec.drainAt (registrar undrain \
         NAMESPACE/NAME).";
    Published = "Published":
        "The offer is published.",
        "Nothing.";
}

impl OfferState {
    #[cfg(test)]
    pub(crate) fn meaning(self) -> &'static str {
        let [meaning] = self.texts();
        meaning
    }

    #[cfg(test)]
    pub(crate) fn is_listed(self) -> bool {
        matches!(self, Self::Published | Self::Draining)
    }
}

impl Reason {
    /// A fixed sentence. It contains nothing from the offer, so public answers may carry it.
    pub(crate) fn meaning(self) -> &'static str {
        let [meaning, _] = self.texts();
        meaning
    }

    /// What the operator can do about it.
    pub(crate) fn fix(self) -> &'static str {
        let [_, fix] = self.texts();
        fix
    }
}

/// One offer's state and reason, as `explain --json` and `/debug/offers` print it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    #[serde(flatten)]
    pub(crate) id: OfferId,
    pub(crate) state: OfferState,
    pub(crate) reason: Reason,
    /// One or more sentences, which may quote the offer.
    pub(crate) message: String,
    pub(crate) fix: &'static str,
    /// When the drain ends or ended, if the offer has a valid one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    pub(crate) drain_ends_at: Option<Timestamp>,
    /// Entries that are left out of its documents.
    pub(crate) dropped_services: Vec<DroppedService>,
    /// What the x402 lists say of it; absent if it is not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) x402: Option<X402Listing>,
    /// Whether `registration.enabled` is true. Public answers give the reason only then.
    #[serde(skip)]
    pub(crate) enabled: bool,
}

/// Whether the lists of `--x402-discovery` can name a published offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct X402Listing {
    pub(crate) listed: bool,
    /// Why not, with what can be done about it.
    #[serde(flatten)]
    pub(crate) problem: Option<X402Problem>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct X402Problem {
    pub(crate) code: Unlisted,
    pub(crate) message: &'static str,
    pub(crate) fix: &'static str,
}

impl X402Listing {
    /// `problem` says why the offer is left out, if it is.
    pub(super) fn new(problem: Option<Unlisted>) -> Self {
        let problem =
            problem.map(|code| X402Problem { code, message: code.meaning(), fix: code.fix() });
        Self { listed: problem.is_none(), problem }
    }
}

/// A service entry that is left out of documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DroppedService {
    /// The index in `registration.services`, from 0; null for a generated entry.
    pub(crate) index: Option<usize>,
    /// As written.
    pub(crate) name: String,
    /// As written.
    pub(crate) endpoint: String,
    pub(crate) code: EntryCode,
    pub(crate) message: &'static str,
    /// The documents that leave it out.
    pub(crate) documents: Vec<DocumentKind>,
}

/// The documents that list the entries of an offer. The offer's own document is as the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocumentKind {
    Aggregate,
    /// That of the offer's own host.
    Host,
}

impl DocumentKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Aggregate => "aggregate",
            Self::Host => "host",
        }
    }
}

impl Serialize for DocumentKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

fn seconds<S: Serializer>(instant: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match instant {
        Some(instant) => serializer.serialize_str(&print_seconds(*instant)),
        None => serializer.serialize_none(),
    }
}
