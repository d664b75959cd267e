//! Alerts, and everything else that names metrics: only metrics and labels that a scrape has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    anchor::{AnchorReason, Attention},
    http::tests::scraped::{Families, full_scrape, scraped},
    tests::docs::{check, code, table},
};

/// Labels that Prometheus gives to every series of a target.
const TARGET_LABELS: [&str; 4] = ["instance", "job", "namespace", "pod"];
/// Labels whose values are closed lists that a scrape has in full.
const CLOSED_LABELS: [&str; 4] = ["listener", "reason", "result", "state"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&read(path)).unwrap()
}

/// The members of an array.
fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_else(|| panic!("{key} is missing: {of}"))
}

fn rules() -> Vec<Value> {
    let file = yaml("deploy/alerts/registrar.yaml");
    list(&file, "groups").iter().flat_map(|group| list(group, "rules")).cloned().collect()
}

/// The words of a text that are names of metrics, without `registrar_anchor_*` and the like.
fn metric_words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    words.filter(|word| word.starts_with("registrar_") && !word.ends_with('_'))
}

/// A metric's entry by the name of one of its samples.
fn family<'a>(
    metrics: &'a Families,
    sample: &str,
) -> Option<&'a BTreeMap<String, BTreeSet<String>>> {
    let histogram =
        ["_bucket", "_sum", "_count"].into_iter().find_map(|end| sample.strip_suffix(end));
    let known = metrics.get(sample).or_else(|| {
        histogram.and_then(|name| metrics.get(name)).filter(|metric| metric.kind == "histogram")
    });
    known.map(|metric| &metric.labels)
}

/// The matchers of a selector, from behind its brace: label and text of the value.
fn matchers(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((label, value)) = rest.split_once('"') {
        let (value, after) = value.split_once('"').unwrap();
        found.push((label.trim_matches([' ', ',', '=', '~', '!']).to_owned(), value.to_owned()));
        rest = after;
        if after.trim_start().starts_with('}') {
            break;
        }
    }
    found
}

/// The labels of `by (…)` and `without (…)`, and those that a template shows.
fn grouped(expression: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for clause in ["by (", "without ("] {
        for rest in expression.split(clause).skip(1) {
            let inside = rest.split(')').next().unwrap();
            labels.extend(inside.split(',').map(|label| label.trim().to_owned()));
        }
    }
    for rest in expression.split("$labels.").skip(1) {
        let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap();
        labels.insert(rest[..end].to_owned());
    }
    labels
}

/// What an expression names that does not exist.
fn unknown(metrics: &Families, expression: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut labels: BTreeSet<String> = TARGET_LABELS.map(str::to_owned).into();
    labels.insert("le".to_owned());
    for name in metric_words(expression) {
        let Some(known) = family(metrics, name) else {
            wrong.push(name.to_owned());
            continue;
        };
        labels.extend(known.keys().cloned());
        for rest in expression.split(&format!("{name}{{")).skip(1) {
            for (label, value) in matchers(rest) {
                if !known.contains_key(&label) && !TARGET_LABELS.contains(&label.as_str()) {
                    wrong.push(format!("{name}{{{label}}}"));
                } else if CLOSED_LABELS.contains(&label.as_str()) {
                    let values = value.split('|').filter(|value| !known[&label].contains(*value));
                    wrong.extend(values.map(|value| format!("{name}{{{label}={value}}}")));
                }
            }
        }
    }
    wrong.extend(grouped(expression).into_iter().filter(|label| !labels.contains(label)));
    wrong
}

#[tokio::test(start_paused = true)]
async fn an_expression_that_names_what_does_not_exist_is_found() {
    let text = full_scrape().await;
    let metrics = scraped(&text);
    let cases = [
        ("registrar_ready == 0", ""),
        ("registrar_reddy == 0", "registrar_reddy"),
        ("registrar_ready_bucket", "registrar_ready_bucket"),
        ("rate(registrar_http_request_duration_seconds_bucket{listener=\"public\"}[5m])", ""),
        ("registrar_ready{job=\"a\", colour=\"red\"}", "registrar_ready{colour}"),
        ("registrar_offers{state=~\"drained|sold\"}", "registrar_offers{state=sold}"),
        ("sum by (job, color) (registrar_ready)", "color"),
        ("{{ $labels.chain }} registrar_anchor_funds_days", ""),
        ("{{ $labels.chain }} registrar_ready", "chain"),
    ];
    for (expression, expected) in cases {
        assert_eq!(unknown(&metrics, expression).join(" "), expected, "{expression}");
    }
}

#[tokio::test(start_paused = true)]
async fn alerts_name_only_metrics_and_labels_that_exist() {
    let text = full_scrape().await;
    let metrics = scraped(&text);
    for rule in rules() {
        let annotations = list_of_texts(&rule["annotations"]);
        let all = format!("{} {}", text_of(&rule, "expr"), annotations.join(" "));
        assert_eq!(unknown(&metrics, &all), [""; 0], "{}", text_of(&rule, "alert"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_board_names_only_metrics_and_labels_that_exist() {
    let text = full_scrape().await;
    let metrics = scraped(&text);
    let board: Value = serde_json::from_str(&read("deploy/grafana/registrar.json")).unwrap();
    let panels = list(&board, "panels").iter();
    let targets = panels.flat_map(|panel| list(panel, "targets"));
    let variables = list(&board["templating"], "list").iter();
    let definitions = variables.filter_map(|variable| variable["definition"].as_str());
    let queries = targets.map(|target| text_of(target, "expr"));
    for query in queries.chain(definitions.map(str::to_owned)) {
        assert_eq!(unknown(&metrics, &query), [""; 0], "{query}");
    }
    let shown = read("deploy/grafana/registrar.json");
    let shown: BTreeSet<&str> = metric_words(&shown).collect();
    let is_shown = |name: &&String| shown.iter().any(|word| word.starts_with(name.as_str()));
    let missing: Vec<&String> = metrics.keys().filter(|name| !is_shown(name)).collect();
    assert!(missing.is_empty(), "the board does not show {missing:?}");
}

fn text_of(rule: &Value, key: &str) -> String {
    text(rule, key).to_owned()
}

fn list_of_texts(of: &Value) -> Vec<String> {
    of.as_object().unwrap().values().map(|value| value.as_str().unwrap().to_owned()).collect()
}

fn pages(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

#[tokio::test(start_paused = true)]
async fn pages_name_only_metrics_that_exist() {
    let text = full_scrape().await;
    let metrics = scraped(&text);
    for page in ["docs", "docs/runbooks", "."].into_iter().flat_map(pages) {
        let content = fs::read_to_string(&page).unwrap();
        let unknown: Vec<&str> =
            metric_words(&content).filter(|word| family(&metrics, word).is_none()).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", page.display());
    }
}

#[test]
fn every_reason_that_holds_anchoring_has_an_alert() {
    let alternatives = |alert: &str| -> BTreeSet<String> {
        let rule = rules().into_iter().find(|rule| rule["alert"] == alert).unwrap();
        let (_, value) = matchers(text(&rule, "expr").split_once('{').unwrap().1).remove(0);
        value.split('|').map(str::to_owned).collect()
    };
    let with = |attention| -> BTreeSet<String> {
        let all = AnchorReason::ALL.iter().filter(|reason| reason.attention() == attention);
        all.map(ToString::to_string).collect()
    };
    let mut person = with(Attention::Person);
    // It has an alert of its own, which does not wait.
    assert!(person.remove("DuplicateMint"));
    assert_eq!(alternatives("RegistrarAnchoringHeld"), person);
    // It has one as well, which does not wait for a day.
    let mut retry = with(Attention::Retry);
    assert!(retry.remove("SignerUnreachable"));
    assert_eq!(alternatives("RegistrarAnchoringDelayed"), retry);
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_its_metrics_are_fine() {
    let file = yaml("deploy/alerts/registrar_test.yaml");
    let cases = list(&file, "tests");
    let expected = |case: &Value| -> Vec<String> {
        let checks = list(case, "promql_expr_test").iter();
        let samples = checks.flat_map(|check| list(check, "exp_samples").to_vec());
        samples.map(|sample| matchers(text(&sample, "labels")).remove(0).1).collect()
    };
    let day = yaml("deploy/alerts/registrar_day_test.yaml");
    let all = cases.iter().chain(list(&day, "tests"));
    let fired: BTreeSet<String> = all.flat_map(expected).collect();
    let rules = rules();
    let alerts = rules.iter().map(|rule| text(rule, "alert").to_owned()).collect();
    assert_eq!(fired, alerts);
    assert!(rules.len() >= 12, "{}", rules.len());

    let healthy = &cases[0];
    assert_eq!((text(healthy, "name"), expected(healthy).len()), ("nothing is wrong", 0));
    let series: Vec<&str> =
        list(healthy, "input_series").iter().map(|series| text(series, "series")).collect();
    for rule in &rules {
        for name in metric_words(text(rule, "expr")) {
            let has = series.iter().any(|series| series.starts_with(&format!("{name}{{")));
            assert!(has, "{}: the healthy case has no {name}", text(rule, "alert"));
        }
    }
}

#[test]
fn generated_table_of_alerts_is_the_file_and_each_has_a_runbook() {
    let rows = rules().into_iter().map(|rule| {
        let alert = text(&rule, "alert");
        let runbook = text(&rule["annotations"], "runbook");
        assert!(read(runbook).contains(&format!("`{alert}`")), "{runbook} does not name {alert}");
        let expression = text(&rule, "expr").split_whitespace().collect::<Vec<_>>().join(" ");
        let severity = text(&rule["labels"], "severity").to_owned();
        let after = rule["for"].as_str().unwrap_or("at once").to_owned();
        let runbook = runbook.trim_start_matches("docs/");
        vec![format!("[{alert}]({runbook})"), severity, after, code(&expression)]
    });
    check("docs/metrics.md", "alerts", &table(&["alert", "severity", "after", "expression"], rows));
}
