//! What a scrape holds, read back; for the tests of metrics, and of the alerts and boards that name
//! them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    anchor::AnchorReason,
    http::tests::site::{Site, WELL_KNOWN, ask, request},
    listener::Closed,
    source::{SourceProblem, SourceProblemCode},
    telemetry::ChainStats,
    testing::{NOON, offer},
};

/// What a scrape shows of one metric besides its values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) kind: String,
    /// The labels, and the values that they have in the scrape.
    pub(super) labels: BTreeMap<String, BTreeSet<String>>,
    pub(super) help: String,
}

/// Metrics by the name of their samples.
pub(super) type Families = BTreeMap<String, Metric>;

/// One line of a scrape: name, labels in order, value.
pub(super) fn sample(line: &str) -> (&str, Vec<(&str, &str)>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value = value.parse().unwrap();
    let Some((name, labels)) = series.split_once('{') else { return (series, Vec::new(), value) };
    let labels = labels.strip_suffix("\"}").unwrap().split("\",");
    (name, labels.map(|label| label.split_once("=\"").unwrap()).collect(), value)
}

/// What a scrape holds, checked line by line as OpenMetrics text.
pub(super) fn scraped(text: &str) -> Families {
    let text = text.strip_suffix("# EOF\n").unwrap();
    let (mut metrics, mut explained) = (Families::new(), BTreeMap::new());
    let mut family = ("", "");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, meaning) = help.split_once(' ').unwrap();
            assert!(meaning.ends_with('.'), "{line}");
            assert_eq!(explained.insert(name, meaning), None, "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            family = kind.split_once(' ').unwrap();
            assert!(explained.contains_key(family.0), "{line}");
        } else {
            let (name, labels, _) = sample(line);
            // The samples of a histogram have three names, and one label more.
            let known = match family.1 {
                "counter" => name.strip_suffix("_total"),
                "info" => name.strip_suffix("_info"),
                "histogram" => ["_bucket", "_sum", "_count"]
                    .into_iter()
                    .find_map(|suffix| name.strip_suffix(suffix)),
                _ => Some(name),
            };
            assert_eq!(known, Some(family.0), "{line}");
            let stored = if family.1 == "histogram" { family.0 } else { name };
            let labels: Vec<_> = labels.into_iter().filter(|(label, _)| *label != "le").collect();
            let metric = metrics.entry(stored.to_owned()).or_insert_with(|| Metric {
                kind: family.1.to_owned(),
                labels: labels
                    .iter()
                    .map(|(label, _)| ((*label).to_owned(), BTreeSet::new()))
                    .collect(),
                help: explained[family.0].to_owned(),
            });
            assert_eq!(metric.labels.len(), labels.len(), "{line}");
            for (label, value) in labels {
                let values = metric.labels.get_mut(label).unwrap_or_else(|| panic!("{line}"));
                values.insert(value.to_owned());
            }
        }
    }
    metrics
}

pub(super) async fn scrape(site: &Site) -> String {
    let fields = [("host", "127.0.0.1"), ("accept", "application/openmetrics-text")];
    let answer = ask(site.admin(), request("GET", "/metrics", &fields)).await;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, media_type));
    answer.text().to_owned()
}

/// A chain on which one agent is anchored.
pub(super) fn anchored() -> ChainStats {
    let count = |reason: AnchorReason| usize::from(reason == AnchorReason::Anchored);
    ChainStats {
        chain: "eip155:8453".to_owned(),
        reasons: AnchorReason::ALL.iter().map(|reason| (reason.as_str(), count(*reason))).collect(),
        days_of_funds: 12.5,
        foreign_nonces: 1,
        duplicate_mints: 2,
        settled_nonces: 7,
        endpoints: 3,
    }
}

/// A site with offers in every state, and two problems.
pub(super) fn troubled() -> Site {
    let site = Site::of(
        NOON,
        &[
            offer("demo/chat"),
            offer("demo/audit").draining(NOON, "10m"),
            offer("demo/drained").draining("2026-05-24T10:00:00Z", "1h"),
            offer("demo/disabled").disabled(),
        ],
    );
    site.observed.send_modify(|observed| {
        observed.problems.push(SourceProblem::new(
            SourceProblemCode::BrokenFile,
            "a.yaml",
            "line 3",
        ));
        observed.problems.push(SourceProblem::new(
            SourceProblemCode::BrokenFile,
            "b.yaml",
            "line 4",
        ));
    });
    site
}

/// A scrape with a sample of every metric.
pub(super) async fn full_scrape() -> String {
    let site = troubled();
    let metrics = &site.admin.reader.metrics;
    metrics.listener("public", Closed::ALL.map(Closed::as_str));
    site.get(WELL_KNOWN).await;
    metrics.anchored(&anchored());
    let health = [("node.example (endpoint 1)".to_owned(), true)];
    metrics.endpoints_answered("eip155:8453", &health);
    metrics.history_read("eip155:8453", 7);
    scrape(&site).await
}
