//! The public URL as it answers here.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta};

use super::{CheckId, Report, Status, compare_clocks};
use crate::{
    lint::{self, EVERY_READER_BYTES, Verdict},
    offer::Timestamp,
};

/// How long a document may be cached.
const LONGEST_MAX_AGE: u64 = 300;
/// The limit of the strictest reader.
const SLOWEST: Duration = Duration::from_millis(1_500);
const CERTIFICATE_DAYS: i64 = 14;

/// How the well-known path of the public URL and of every host answered.
#[derive(Clone, Debug)]
pub(crate) struct PublicFacts {
    /// The URL that was asked.
    pub(crate) url: String,
    /// When it was asked, by the clock of this machine.
    pub(crate) asked_at: Timestamp,
    pub(crate) get: Result<Answer, String>,
    pub(crate) head: Result<Answer, String>,
    /// The status of a GET with the entity tag of the first; `None` if there was no tag.
    pub(crate) conditional: Option<Result<u16, String>>,
    /// What `render` prints for it; `None` if the source cannot be read here.
    pub(crate) expected: Option<Vec<u8>>,
    /// The host of every offer that has one.
    pub(crate) hosts: Vec<HostFacts>,
}

/// How one host answered.
#[derive(Clone, Debug)]
pub(crate) struct HostFacts {
    pub(crate) host: String,
    pub(crate) get: Result<Answer, String>,
    pub(crate) expected: Vec<u8>,
}

/// An answer. Redirects are not followed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names are in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) took: Duration,
    /// When the certificate of the server expires.
    pub(crate) certificate_until: Option<Timestamp>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

pub(crate) fn judge(facts: &PublicFacts, report: &mut Report) {
    let PublicFacts { url, get, .. } = facts;
    let is_https = url.starts_with("https://");
    let message = format!("The public URL is {url}.");
    report.when(CheckId::PublicHttps, is_https, Status::Warn, message);
    judge_hosts(&facts.hosts, report);
    let answer = match get {
        Ok(answer) => answer,
        Err(why) => {
            report.fail(CheckId::PublicReachable, format!("GET {url}: {why}."));
            return report.skip_rest_of("public", "The public URL does not answer.");
        }
    };
    let took = answer.took.as_millis();
    let in_time = answer.took <= SLOWEST;
    report.when(CheckId::PublicSpeed, in_time, Status::Warn, format!("It took {took} ms."));
    let theirs = answer.header("date").and_then(parse_date);
    compare_clocks(report, CheckId::PublicClock, facts.asked_at, theirs, "the public URL");
    judge_certificate(answer, is_https, facts.asked_at, report);
    let status = answer.status;
    let target = answer.header("location").unwrap_or("nowhere");
    let is_redirect = (300..400).contains(&status) && status != 304;
    let message = match is_redirect {
        true => format!("It redirects to {target}."),
        false => "It does not redirect.".to_owned(),
    };
    report.when(CheckId::PublicRedirect, !is_redirect, Status::Fail, message);
    let message = format!("GET {url} answers {status}.");
    report.when(CheckId::PublicReachable, status == 200, Status::Fail, message);
    if status != 200 {
        return report.skip_rest_of("public", "The public URL does not answer with a document.");
    }
    judge_document(facts, answer, report);
    judge_headers(facts, answer, report);
}

fn judge_document(facts: &PublicFacts, answer: &Answer, report: &mut Report) {
    let linted = lint::lint(&answer.body, Vec::new());
    let is_valid = linted.verdict != Verdict::Invalid;
    let first = linted.findings.first().filter(|_| !is_valid);
    let first = first.map(|finding| format!(" {}", finding.message)).unwrap_or_default();
    let message = format!("The document is {}.{first}", linted.verdict);
    report.when(CheckId::PublicDocument, is_valid, Status::Fail, message);
    let size = answer.body.len();
    let fits = size <= EVERY_READER_BYTES;
    report.when(CheckId::PublicSize, fits, Status::Warn, format!("It has {size} bytes."));
    match &facts.expected {
        None => report.skip(CheckId::PublicBytes, "The offers cannot be read here."),
        Some(expected) => {
            let same = *expected == answer.body;
            let message = match same {
                true => "The answer is what render prints.".to_owned(),
                false => format!(
                    "The answer has {size} bytes and differs from what render prints, which has {}.",
                    expected.len()
                ),
            };
            report.when(CheckId::PublicBytes, same, Status::Fail, message);
        }
    }
}

fn judge_headers(facts: &PublicFacts, answer: &Answer, report: &mut Report) {
    match &facts.head {
        Err(why) => report.fail(CheckId::PublicHead, format!("HEAD: {why}.")),
        Ok(head) => {
            let differs: Vec<String> = ["etag", "content-type", "content-length", "cache-control"]
                .into_iter()
                // max-age counts down to the end of a drain.
                .filter(|name| *name != "cache-control" || head.header(name).is_none())
                .filter(|name| head.header(name) != answer.header(name))
                // A GET may be answered in chunks.
                .filter(|name| *name != "content-length" || answer.header(name).is_some())
                .map(|name| {
                    let (get, head) = (answer.header(name), head.header(name));
                    format!("{name} is {get:?} for GET and {head:?} for HEAD.")
                })
                .collect();
            let status = match head.status == answer.status {
                true => vec![],
                false => vec![format!("HEAD answers {}.", head.status)],
            };
            let differs = [status, differs].concat();
            report.none_of(
                CheckId::PublicHead,
                &differs,
                Status::Fail,
                "HEAD answers as GET does.",
            );
        }
    }
    let etag = answer.header("etag");
    let is_strong = etag.is_some_and(|etag| etag.starts_with('"'));
    let message = format!("ETag is {}.", etag.unwrap_or("missing"));
    report.when(CheckId::PublicEtag, is_strong, Status::Fail, message);
    match &facts.conditional {
        None => report.skip(CheckId::PublicConditional, "There is no entity tag."),
        Some(Err(why)) => report.fail(CheckId::PublicConditional, format!("{why}.")),
        Some(Ok(status)) => {
            let message = format!("If-None-Match is answered with {status}.");
            report.when(CheckId::PublicConditional, *status == 304, Status::Fail, message);
        }
    }
    let cache = answer.header("cache-control").unwrap_or("missing");
    let max_age = cache.split(',').find_map(|part| part.trim().strip_prefix("max-age="));
    let max_age = max_age.and_then(|seconds| seconds.parse::<u64>().ok());
    let fits = max_age.is_some_and(|seconds| seconds <= LONGEST_MAX_AGE);
    let message = format!("Cache-Control is {cache}.");
    report.when(CheckId::PublicCaching, fits, Status::Fail, message);
    let media = answer.header("content-type").unwrap_or("missing");
    let is_json = media.split(';').next().is_some_and(|media| media.trim() == "application/json");
    let message = format!("Content-Type is {media}.");
    report.when(CheckId::PublicMediaType, is_json, Status::Fail, message);
    let origin = answer.header("access-control-allow-origin").unwrap_or("missing");
    let message = format!("Access-Control-Allow-Origin is {origin}.");
    report.when(CheckId::PublicCors, origin == "*", Status::Warn, message);
}

fn judge_certificate(answer: &Answer, is_https: bool, now: Timestamp, report: &mut Report) {
    let Some(until) = answer.certificate_until else {
        let why = match is_https {
            true => "The certificate cannot be read.",
            false => "The public URL is not https.",
        };
        return report.skip(CheckId::PublicTls, why);
    };
    let days = (until - now).num_days();
    let lasts = until - now >= TimeDelta::days(CERTIFICATE_DAYS);
    let message = format!("The certificate expires on {until}, in {days} days.");
    report.when(CheckId::PublicTls, lasts, Status::Fail, message);
}

fn judge_hosts(hosts: &[HostFacts], report: &mut Report) {
    if hosts.is_empty() {
        return report.skip(CheckId::PublicHosts, "No offer has a host of its own.");
    }
    let wrong: Vec<String> = hosts
        .iter()
        .filter_map(|HostFacts { host, get, expected }| match get {
            Err(why) => Some(format!("{host}: {why}.")),
            Ok(answer) if answer.status != 200 => {
                Some(format!("{host} answers {}.", answer.status))
            }
            Ok(answer) if answer.body != *expected => {
                Some(format!("{host} answers with another document."))
            }
            Ok(_) => None,
        })
        .collect();
    let fine = format!("{} hosts answer with their documents.", hosts.len());
    report.none_of(CheckId::PublicHosts, &wrong, Status::Fail, &fine);
}

/// Reads the Date of an HTTP answer.
pub(crate) fn parse_date(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc())
}
