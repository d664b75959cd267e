//! Drains: an offer announces its end, which is computed once, at parsing.

use super::{
    grace::{GraceError, GracePeriod},
    instant::{Timestamp, parse_timestamp, whole_seconds},
};

/// An offer drains from the moment `drainAt` is set, even if that time is in the future, until the
/// end of the drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drain {
    ends_at: Timestamp,
}

/// Why the end of a drain cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DrainError {
    #[error("spec.drainAt {0:?} is not an RFC 3339 time such as 2026-05-24T14:00:00Z")]
    At(String),
    #[error("spec.drainGracePeriod {text:?} {error}")]
    Grace { text: String, error: GraceError },
    /// RFC 3339 cannot express the end.
    #[error("the drain would end outside the years 0 to 9999")]
    OutOfRange,
}

impl Drain {
    /// A drain that begins at `at` and ends `grace` later, cut to whole seconds.
    pub(crate) fn new(at: Timestamp, grace: GracePeriod) -> Result<Self, DrainError> {
        let end = chrono::TimeDelta::from_std(grace.duration())
            .ok()
            .and_then(|grace| at.checked_add_signed(grace));
        let ends_at = end.and_then(whole_seconds).ok_or(DrainError::OutOfRange)?;
        Ok(Self { ends_at })
    }

    /// Reads `spec.drainAt` and `spec.drainGracePeriod`.
    pub(super) fn parse(at: &str, grace: Option<&str>) -> Result<Self, DrainError> {
        let start = parse_timestamp(at).ok_or_else(|| DrainError::At(at.to_owned()))?;
        let grace = match grace {
            None => GracePeriod::DEFAULT,
            Some(text) => GracePeriod::parse(text)
                .map_err(|error| DrainError::Grace { text: text.to_owned(), error })?,
        };
        Self::new(start, grace)
    }

    /// The first instant, in whole seconds, at which documents do not list the offer.
    pub(crate) fn ends_at(self) -> Timestamp {
        self.ends_at
    }
}

#[cfg(test)]
mod tests;
