//! What a failed request of a watch means, and how it is described.

use std::time::Duration;

use kube::{Error, core::Status};

use super::{
    access::{describe_error, shortened},
    limits::is_too_large,
    progress::Cause,
    target::WatchTarget,
};

/// A failed request of one target.
#[derive(Debug)]
pub(super) struct WatchFailure {
    pub(super) cause: Cause,
    /// What happened, and what to do about it.
    pub(super) why: String,
}

impl WatchFailure {
    pub(super) fn new(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, why: why.into() }
    }

    /// A request or a stream that failed.
    pub(super) fn of(error: &Error, target: &WatchTarget) -> Self {
        let why = describe_error(error, &format!("{:?}", target.kind()));
        let cause = if let Error::Api(status) = error {
            cause_of(status)
        } else if matches!(error, Error::SerdeError(_) | Error::FromUtf8(_)) || is_too_large(error)
        {
            Cause::Refused
        } else {
            Cause::Unreachable
        };
        Self { cause, why }
    }

    /// An error inside of a watch.
    pub(super) fn of_status(status: &Status) -> Self {
        let message = shortened(&status.message);
        let why = format!("the API server answered {}: {message}", status.code);
        Self { cause: cause_of(status), why }
    }
}

fn cause_of(status: &Status) -> Cause {
    let message = status.message.to_ascii_lowercase();
    let is_expired = status.code == 410
        || ["Expired", "Gone"].contains(&status.reason.as_str())
        || ["too old resource version", "has been compacted", "future revision"]
            .iter()
            .any(|text| message.contains(text));
    match (is_expired, status.code) {
        (true, _) => Cause::Expired,
        (false, 429) => {
            let asked = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            Cause::Throttled(Duration::from_secs(asked.into()))
        }
        (false, 404) => Cause::NoKind,
        (false, _) => Cause::Refused,
    }
}

#[cfg(test)]
mod tests;
