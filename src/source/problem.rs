//! What can be wrong with a source as a whole: a closed list of codes, each with what it means.

use std::fmt;

use serde::Serialize;

use super::Scope;
use crate::{
    offer::closed_list,
    registration::{Identity, IdentityProblem},
};

closed_list! {
    /// What kind of problem a source has. The second text says what is published meanwhile.
    SourceProblemCode: #[cfg(test)] [2]
    #[cfg(test)]
    ALL
    NotListed = "NotListed":
        "A kind of object was not listed yet, since it is not installed, access is forbidden, or \
         the API server does not answer.",
        "Nothing: responses are 503 and name it.";
    WatchInterrupted = "WatchInterrupted":
        "A request to the API server failed and will be repeated. The message says why.",
        "What was last read.";
    StaleSource = "StaleSource":
        "What is published was not confirmed for more than 35 seconds.",
        "What was last read; documents have the header Registrar-Source-Age.";
    NoPublicUrl = "NoPublicUrl":
        "The tunnel's ConfigMap has no valid public URL.",
        "Documents with the last valid URL; without one, responses are 503.";
    NothingFound = "NothingFound":
        "No ServiceOffer was read. The message says what was looked at, and what was passed over \
         and why.",
        "No offer.";
    ShrinkBrake = "ShrinkBrake":
        "More than ten offers and more than half of all disappeared at once.",
        "All of them, until a second complete reading, 10 to 30 seconds later, agrees, or until \
         POST /debug/release-brake.";
    BrokenFile = "BrokenFile":
        "A file has a syntax error, is not UTF-8, is larger than 256 MiB, or cannot be opened.",
        "Its last valid content. If there is none, as at the start, responses are 503 and name \
         the file and the line: half of the offers would withdraw the other half. explain and \
         render exit 1.";
    HalfWritten = "HalfWritten":
        "A file has none of the objects that it had, or less than half of them.",
        "Its last content, until the file has been the same for 5 seconds.";
    UnreadablePath = "UnreadablePath":
        "A folder or a link cannot be read, or an entry named like a manifest is a FIFO, a socket \
         or a device.",
        "What was last read there.";
    RefusedObject = "RefusedObject":
        "An object has no kind or no valid name. The message names its line. YAML reads an \
         unquoted n, no, y, yes, on or off as a boolean.",
        "The other objects. explain exits 1.";
    DuplicateObject = "DuplicateObject":
        "Two objects in files have the same kind, namespace and name.",
        "The one with the first path.";
    PassedOver = "PassedOver":
        "An object of our kinds has another group or version.",
        "The other objects.";
    IdentityUndecodable = "IdentityUndecodable":
        "A field of the AgentIdentity, or one of its registrations, has the wrong type.",
        "Documents with the other ids.";
    UnknownChain = "UnknownChain":
        "The AgentIdentity names a chain without a known registry.",
        "Documents with the other ids.";
    UnreadableId = "UnreadableId":
        "An agentId in the AgentIdentity is not an integer from 0 to 2^256 - 1.",
        "Documents with the other ids.";
    IdConflict = "IdConflict":
        "The AgentIdentity names two ids for one registry.",
        "The id that the message names.";
    LargeDocument = "LargeDocument":
        "A document is larger than 65,536 bytes, which is the most that some readers accept.",
        "The document as it is.";
}

impl SourceProblemCode {
    /// When there is this problem.
    #[cfg(test)]
    pub(crate) fn meaning(self) -> &'static str {
        let [meaning, _] = self.texts();
        meaning
    }

    /// What is published while there is this problem.
    #[cfg(test)]
    pub(crate) fn published(self) -> &'static str {
        let [_, published] = self.texts();
        published
    }
}

impl From<&IdentityProblem> for SourceProblemCode {
    fn from(problem: &IdentityProblem) -> Self {
        match problem {
            IdentityProblem::Undecodable(_) => Self::IdentityUndecodable,
            IdentityProblem::UnknownChain(_) => Self::UnknownChain,
            IdentityProblem::UnreadableId { .. } => Self::UnreadableId,
            IdentityProblem::IdConflict { .. } => Self::IdConflict,
        }
    }
}

/// Something wrong with a source that does not belong to one offer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct SourceProblem {
    pub(crate) code: SourceProblemCode,
    /// The file, object or kind that has the problem.
    pub(crate) about: String,
    /// What is wrong, and what to do about it.
    pub(crate) message: String,
}

impl SourceProblem {
    pub(crate) fn new(
        code: SourceProblemCode,
        about: impl fmt::Display,
        message: impl Into<String>,
    ) -> Self {
        Self { code, about: about.to_string(), message: message.into() }
    }
}

impl fmt::Display for SourceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.code, self.about, self.message)
    }
}

/// What is wrong with the AgentIdentity of a scope.
pub(super) fn identity_problems(scope: &Scope, identity: &Identity) -> Vec<SourceProblem> {
    let about = scope.identity.as_ref().map(|id| format!("AgentIdentity {id}")).unwrap_or_default();
    let problem =
        |problem: &IdentityProblem| SourceProblem::new(problem.into(), &about, problem.to_string());
    identity.problems.iter().map(problem).collect()
}
