//! Judges an installation: facts that were gathered in, one result for every check out.
//!
//! Gathering the facts is the command's part; everything here is a function of them.

pub(crate) mod anchoring;
pub(crate) mod cluster;
pub(crate) mod diff;
mod id;
pub(crate) mod offers;
pub(crate) mod public;
pub(crate) mod routes;
pub(crate) mod server;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Serialize, Serializer, ser::SerializeStruct};

pub(crate) use self::id::CheckId;
use crate::offer::Timestamp;

/// How far two clocks may differ.
const SKEW_LIMIT: TimeDelta = TimeDelta::seconds(5);
/// How many names a message lists.
const LISTED: usize = 5;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Pass,
    /// Not wrong, or not proven to be.
    Warn,
    Fail,
    /// It could not be made; the message says why.
    Skip,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckResult {
    pub(crate) id: CheckId,
    pub(crate) status: Status,
    /// What was seen, or why the check was skipped.
    pub(crate) message: String,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

impl CheckResult {
    /// What to do; empty if there is nothing to do.
    pub(crate) fn fix(&self) -> &'static str {
        match self.status {
            Status::Pass => "",
            Status::Warn | Status::Fail | Status::Skip => self.id.fix(),
        }
    }
}

impl Serialize for CheckResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut result = serializer.serialize_struct("CheckResult", 6)?;
        result.serialize_field("id", self.id.as_str())?;
        result.serialize_field("group", self.id.group())?;
        result.serialize_field("status", self.status.as_str())?;
        result.serialize_field("message", &self.message)?;
        result.serialize_field("fix", self.fix())?;
        result.serialize_field("docs", self.id.docs())?;
        result.end()
    }
}

/// Collects results. Every check has exactly one in the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    results: BTreeMap<CheckId, (Status, String)>,
    /// Why the checks of a group that were not made are skipped.
    skipped: BTreeMap<&'static str, String>,
}

impl Report {
    pub(crate) fn add(&mut self, id: CheckId, status: Status, message: impl Into<String>) {
        self.results.insert(id, (status, message.into()));
    }

    fn pass(&mut self, id: CheckId, message: impl Into<String>) {
        self.add(id, Status::Pass, message);
    }

    fn fail(&mut self, id: CheckId, message: impl Into<String>) {
        self.add(id, Status::Fail, message);
    }

    fn warn(&mut self, id: CheckId, message: impl Into<String>) {
        self.add(id, Status::Warn, message);
    }

    fn skip(&mut self, id: CheckId, message: impl Into<String>) {
        self.add(id, Status::Skip, message);
    }

    /// Passes if `holds`, and has this status if not.
    fn when(&mut self, id: CheckId, holds: bool, otherwise: Status, message: impl Into<String>) {
        self.add(id, if holds { Status::Pass } else { otherwise }, message);
    }

    /// Passes with `fine` if nothing is wrong; otherwise lists what is.
    fn none_of(&mut self, id: CheckId, wrong: &[String], otherwise: Status, fine: &str) {
        match wrong {
            [] => self.pass(id, fine),
            wrong => self.add(id, otherwise, listed(wrong)),
        }
    }

    /// Says why the checks of a group that have no result are skipped. The first reason counts.
    pub(crate) fn skip_rest_of(&mut self, group: &'static str, why: impl Into<String>) {
        self.skipped.entry(group).or_insert_with(|| why.into());
    }

    /// One result for every check, in the order of the list.
    pub(crate) fn into_results(mut self) -> Vec<CheckResult> {
        let result = |id: CheckId| {
            let (status, message) = self.results.remove(&id).unwrap_or_else(|| {
                let why = self.skipped.get(id.group()).cloned();
                (Status::Skip, why.unwrap_or_else(|| "It was not made.".to_owned()))
            });
            CheckResult { id, status, message }
        };
        CheckId::ALL.into_iter().map(result).collect()
    }
}

/// The first few of several sentences.
fn listed(sentences: &[String]) -> String {
    let shown: Vec<&str> = sentences.iter().take(LISTED).map(String::as_str).collect();
    let more = sentences.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" And {more} more.") } else { String::new() };
    format!("{}{more}", shown.join(" "))
}

/// Compares another clock with ours. `theirs` is exact to the second.
fn compare_clocks(
    report: &mut Report,
    id: CheckId,
    ours: Timestamp,
    theirs: Option<Timestamp>,
    whose: &str,
) {
    let Some(theirs) = theirs else {
        return report.skip(id, format!("{whose} sent no Date."));
    };
    let skew = (ours - theirs).abs();
    let seconds = skew.num_seconds();
    let message = format!("The clocks of this machine and of {whose} differ by {seconds} s.");
    report.when(id, skew < SKEW_LIMIT, Status::Fail, message);
}
