//! The list of services.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    code::LintCode,
    document::check_characters,
    endpoint::check_endpoint,
    finding::{Findings, quoted, shown},
    oasf,
};
use crate::offer::parse_timestamp;

/// Service names that ERC-8004 or its readers define.
const KNOWN: [&str; 9] =
    ["web", "A2A", "MCP", "OASF", "ENS", "DID", "email", "agentWallet", "wallet"];
/// Names of which agents have one service.
const SINGLE: [&str; 7] = ["A2A", "MCP", "OASF", "ENS", "DID", "email", "agentWallet"];
/// The names that agent0-py 1.7.1 knows.
const AGENT0_PY: [&str; 7] = ["MCP", "A2A", "ENS", "DID", "wallet", "OASF", "agentWallet"];
/// Members of a service that are lists of strings.
const LISTS: [&str; 6] =
    ["skills", "domains", "mcpTools", "mcpPrompts", "mcpResources", "a2aSkills"];
/// How many names a message lists.
const LISTED_NAMES: usize = 5;

/// Checks `services`, or `endpoints` where that is what the document has.
pub(super) fn check_services(members: &Map<String, Value>, findings: &mut Findings) {
    let set = |key: &str| members.get(key).filter(|value| !value.is_null());
    let (list, value) = match (set("services"), set("endpoints")) {
        (None, None) => {
            findings.add(LintCode::ServicesMissing, "services", "services is missing.");
            return;
        }
        (Some(services), None) => ("services", services),
        (Some(services), Some(_)) => {
            let message = "The document has both services and endpoints.";
            findings.add(LintCode::ServicesTwice, "endpoints", message);
            ("services", services)
        }
        (None, Some(endpoints)) => {
            let message = "The document has endpoints instead of services.";
            findings.add(LintCode::LegacyEndpoints, "endpoints", message);
            ("endpoints", endpoints)
        }
    };
    let Some(entries) = value.as_array() else {
        let message = format!("{list} is {}, not a list.", shown(value));
        findings.add(LintCode::ServicesNotList, list, message);
        return;
    };
    if entries.is_empty() {
        findings.add(LintCode::ServicesEmpty, list, format!("{list} is empty."));
    }
    let mut names = Names::default();
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{list}[{index}]");
        match entry.as_object() {
            Some(entry) => check_service(&path, entry, &mut names, findings),
            None => {
                let message = format!("{path} is {}, not an object.", shown(entry));
                findings.add(LintCode::ServiceNotObject, &path, message);
            }
        }
    }
    names.report(list, findings);
}

/// The names of all services, each with the paths at which it occurs.
#[derive(Default)]
struct Names<'a>(BTreeMap<&'a str, Vec<String>>);

impl<'a> Names<'a> {
    fn note(&mut self, name: &'a str, path: &str) {
        self.0.entry(name).or_default().push(path.to_owned());
    }

    fn report(&self, list: &str, findings: &mut Findings) {
        for (name, paths) in &self.0 {
            let first = paths.first().map_or(list, String::as_str);
            match known(name) {
                Some(known) if known == *name => {}
                Some(known) => {
                    let message = format!("{first} is {}, not {known}.", quoted(name));
                    findings.add(LintCode::ServiceNameCase, first, message);
                }
                None => {
                    let message = format!("The name {} is a custom one.", quoted(name));
                    findings.add(LintCode::CustomServiceName, first, message);
                }
            }
        }
        let mut by_meaning: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for (name, paths) in &self.0 {
            by_meaning.entry(known(name).unwrap_or(name)).or_default().extend(paths);
        }
        for (name, paths) in by_meaning.into_iter().filter(|(_, paths)| paths.len() > 1) {
            let is_single = SINGLE.contains(&name);
            let code =
                if is_single { LintCode::RepeatedServiceName } else { LintCode::RepeatedWeb };
            let message = format!("{} services have the name {}.", paths.len(), quoted(name));
            findings.add(code, paths.get(1).map_or(list, |path| path), message);
        }
        let unknown: Vec<_> =
            self.0.keys().copied().filter(|name| !AGENT0_PY.contains(name)).collect();
        if !unknown.is_empty() {
            let listed: Vec<_> =
                unknown.iter().take(LISTED_NAMES).map(|name| quoted(name)).collect();
            let more = if unknown.len() > LISTED_NAMES { " and others" } else { "" };
            let message = format!("agent0-py does not know {}{more}.", listed.join(", "));
            findings.add(LintCode::NamesUnknownToAgent0Py, list, message);
        }
    }
}

/// The name that is meant, in any case.
fn known(name: &str) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

fn check_service<'a>(
    path: &str,
    entry: &'a Map<String, Value>,
    names: &mut Names<'a>,
    findings: &mut Findings,
) {
    let name = required_text(path, "name", entry, findings);
    let endpoint = required_text(path, "endpoint", entry, findings);
    if let Some(name) = name {
        check_characters(&format!("{path}.name"), name, findings);
        names.note(name, &format!("{path}.name"));
    }
    let protocol = name.and_then(known);
    if let Some(endpoint) = endpoint {
        check_endpoint(path, protocol, endpoint, findings);
    }
    let version = check_version(path, protocol, entry.get("version"), findings);
    if set(entry, "type").is_some() && set(entry, "value").is_some() {
        let message = format!("{path} has both type and value.");
        findings.add(LintCode::ServiceTypeAndValue, path, message);
    }
    check_lists(path, entry, findings);
    if protocol == Some("OASF") {
        oasf::check(path, entry, version, findings);
    }
    check_availability(path, entry, findings);
}

fn set<'a>(entry: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    entry.get(key).filter(|value| !value.is_null())
}

/// The text of `name` or `endpoint`; a missing, empty or wrong one is reported.
fn required_text<'a>(
    path: &str,
    key: &str,
    entry: &'a Map<String, Value>,
    findings: &mut Findings,
) -> Option<&'a str> {
    let (missing, not_text) = match key {
        "name" => (LintCode::ServiceNameMissing, LintCode::ServiceNameNotText),
        _ => (LintCode::ServiceEndpointMissing, LintCode::ServiceEndpointNotText),
    };
    let at = format!("{path}.{key}");
    match set(entry, key) {
        Some(Value::String(text)) if !text.trim().is_empty() => return Some(text),
        None => findings.add(missing, &at, format!("{path} has no {key}.")),
        Some(Value::String(_)) => {
            findings.add(missing, &at, format!("{path} has no {key}: it is empty."));
        }
        Some(value) => {
            findings.add(not_text, &at, format!("{at} is {}, not a string.", shown(value)));
        }
    }
    None
}

fn check_version<'a>(
    path: &str,
    protocol: Option<&str>,
    value: Option<&'a Value>,
    findings: &mut Findings,
) -> Option<&'a str> {
    let at = format!("{path}.version");
    let has_version = matches!(protocol, Some("MCP" | "A2A" | "OASF"));
    match value {
        None if has_version => {
            let message = format!("{path} has no version.");
            findings.add(LintCode::ServiceVersionMissing, &at, message);
            None
        }
        None => None,
        Some(Value::String(version)) => {
            let digits = version.strip_prefix('v').unwrap_or(version);
            let fits = match protocol {
                Some("MCP") => fits(version, "dddd-dd-dd"),
                Some("A2A") => is_numbers(version, 3..=3),
                Some("OASF") => is_numbers(digits, 2..=3),
                Some(_) | None => true,
            };
            if !fits {
                let message = format!("{at} is {}.", quoted(version));
                findings.add(LintCode::ServiceVersionForm, &at, message);
            }
            Some(version)
        }
        Some(value) => {
            let message = format!("{at} is {}, not a string.", shown(value));
            findings.add(LintCode::ServiceVersionNotText, &at, message);
            None
        }
    }
}

/// Whether each `d` of `shape` is a digit of `text`, and the rest is the same.
fn fits(text: &str, shape: &str) -> bool {
    let same = |(byte, shape): (u8, u8)| {
        if shape == b'd' { byte.is_ascii_digit() } else { byte == shape }
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(same)
}

/// Whether a text is that many numbers, separated by dots.
fn is_numbers(text: &str, count: std::ops::RangeInclusive<usize>) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    count.contains(&text.split('.').count()) && text.split('.').all(is_number)
}

fn check_lists(path: &str, entry: &Map<String, Value>, findings: &mut Findings) {
    for key in LISTS {
        let Some(value) = entry.get(key) else { continue };
        let is_texts = value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
        if !is_texts {
            let at = format!("{path}.{key}");
            let message = format!("{at} is not a list of strings.");
            findings.add(LintCode::ListForm, &at, message);
        }
    }
}

fn check_availability(path: &str, entry: &Map<String, Value>, findings: &mut Findings) {
    let is_time = |value: &Value| value.as_str().and_then(parse_timestamp).is_some();
    let (available, ends_at) = (entry.get("available"), entry.get("drainEndsAt"));
    let wrong = [
        ("available", available.filter(|value| !value.is_boolean())),
        ("drainEndsAt", ends_at.filter(|value| !is_time(value))),
    ];
    for (key, value) in wrong {
        let Some(value) = value else { continue };
        let at = format!("{path}.{key}");
        findings.add(LintCode::AvailabilityForm, &at, format!("{at} is {}.", shown(value)));
    }
}
