//! Every check passes on sound facts, and each has facts with which it does not.

mod anchoring;
mod cluster;
mod diff;
mod offers;
mod public;
mod routes;
mod server;

use std::{collections::BTreeSet, fs, path::Path};

use super::*;

/// A status that one check must have with changed facts.
type Row = (CheckId, Status, Report);

fn at(text: &str) -> Timestamp {
    crate::offer::parse_timestamp(text).unwrap()
}

fn now() -> Timestamp {
    at("2026-06-01T12:00:00Z")
}

/// The report of a judgment.
fn judged(judge: impl FnOnce(&mut Report)) -> Report {
    let mut report = Report::default();
    judge(&mut report);
    report
}

/// The checks of a group that did not pass.
fn troubles(report: Report, group: &str) -> Vec<CheckResult> {
    let results = report.into_results().into_iter();
    results.filter(|result| result.id.group() == group && result.status != Status::Pass).collect()
}

fn rows() -> Vec<Row> {
    [
        anchoring::rows(),
        cluster::rows(),
        offers::rows(),
        public::rows(),
        routes::rows(),
        server::rows(),
    ]
    .concat()
}

#[test]
fn every_check_has_facts_with_which_it_fails() {
    let rows = rows();
    // The command finds it out before there are facts; a test of the binary covers it.
    let mut covered = BTreeSet::from([CheckId::ClusterConfigured]);
    let mut wrong = Vec::new();
    for (id, status, report) in rows {
        let results = report.into_results();
        let result = results.iter().find(|result| result.id == id).unwrap().clone();
        if result.status != status {
            wrong.push(format!("{id} should be {}: {result:?}", status.as_str()));
        }
        if matches!(status, Status::Fail | Status::Warn) {
            covered.insert(id);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let missing: Vec<_> = CheckId::ALL.iter().filter(|id| !covered.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_check_has_one_result_even_if_nothing_could_be_asked() {
    let mut report = Report::default();
    report.skip_rest_of("cluster", "There is no cluster.");
    report.skip_rest_of("cluster", "A later reason.");
    let results = report.into_results();
    let ids: Vec<_> = results.iter().map(|result| result.id).collect();
    assert_eq!(ids, CheckId::ALL);
    assert!(results.len() >= 40, "{}", results.len());
    assert!(results.iter().all(|result| result.status == Status::Skip));
    assert_eq!(results[0].message, "There is no cluster.");
}

#[test]
fn the_json_of_a_result_has_the_documented_members() {
    let id = CheckId::PublicEtag;
    let result = CheckResult { id, status: Status::Fail, message: "ETag is missing.".to_owned() };
    let expected = serde_json::json!({
        "id": "public-etag",
        "group": "public",
        "status": "fail",
        "message": "ETag is missing.",
        "fix": "Turn off rewriting or compression of this path in the proxy.",
        "docs": "docs/http.md",
    });
    assert_eq!(serde_json::to_value(result).unwrap(), expected);
}

#[test]
fn every_check_names_a_page_and_a_heading_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let slug = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    let broken: Vec<_> = CheckId::ALL
        .into_iter()
        .map(CheckId::docs)
        .filter(|docs| {
            let (page, heading) = docs.split_once('#').unwrap_or((docs, ""));
            let Ok(text) = fs::read_to_string(root.join(page)) else { return true };
            let mut headings = text.lines().filter(|line| line.starts_with('#'));
            !heading.is_empty() && !headings.any(|line| slug(line) == heading)
        })
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn a_long_list_is_shortened() {
    let many: Vec<String> = (0..7).map(|n| format!("{n}.")).collect();
    assert_eq!(listed(&many), "0. 1. 2. 3. 4. And 2 more.");
}
