//! Drains: an announced end, computed once when it is parsed.

use super::{
    grace::{GraceError, GracePeriod},
    instant::{Timestamp, parse_timestamp, whole_seconds},
};

/// A wind-down with an end. It is announced from the moment it is set, even if `drainAt` lies in the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drain {
    ends_at: Timestamp,
}

/// Why `drainAt` and `drainGracePeriod` make no drain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DrainError {
    /// `drainAt` is no RFC 3339 time.
    #[error("spec.drainAt {0:?} is no RFC 3339 time such as 2026-05-24T14:00:00Z")]
    At(String),
    /// `drainGracePeriod` is no usable duration.
    #[error("spec.drainGracePeriod {text:?} {error}")]
    Grace {
        /// The text as written.
        text: String,
        /// What is wrong with it.
        error: GraceError,
    },
    /// The end cannot be printed as RFC 3339.
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

    /// Reads the two fields as they stand in a ServiceOffer.
    pub(super) fn parse(at: &str, grace: Option<&str>) -> Result<Self, DrainError> {
        let start = parse_timestamp(at).ok_or_else(|| DrainError::At(at.to_owned()))?;
        let grace = match grace {
            None => GracePeriod::DEFAULT,
            Some(text) => GracePeriod::parse(text)
                .map_err(|error| DrainError::Grace { text: text.to_owned(), error })?,
        };
        Self::new(start, grace)
    }

    /// The first instant at which the offer is gone, whole seconds.
    pub(crate) fn ends_at(self) -> Timestamp {
        self.ends_at
    }
}

/// What an offer says of its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WindDown {
    /// No `drainAt`.
    None,
    /// A readable drain, running or over.
    Drain(Drain),
    /// A `drainAt` is set, but no end can be computed.
    Unreadable(DrainError),
}

#[cfg(test)]
mod tests;
