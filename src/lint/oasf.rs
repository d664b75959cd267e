//! The skills and domains of an OASF service, against the taxonomy of OASF 0.8.0.
//!
//! Source of the lists: the paths of the files under schema/skills and schema/domains of
//! agntcy/oasf at tag 0.8.0.

use serde_json::{Map, Value};

use super::{
    code::LintCode,
    finding::{Findings, quoted},
};

const SKILLS: &str = include_str!("../../assets/oasf-0.8.0-skills.txt");
const DOMAINS: &str = include_str!("../../assets/oasf-0.8.0-domains.txt");

pub(super) fn check(
    path: &str,
    entry: &Map<String, Value>,
    version: Option<&str>,
    findings: &mut Findings,
) {
    let is_empty = |key: &str| entry.get(key).and_then(Value::as_array).is_none_or(Vec::is_empty);
    if is_empty("skills") && is_empty("domains") {
        let message = format!("{path} lists neither skills nor domains.");
        findings.add(LintCode::OasfEmpty, path, message);
    }
    // Later versions have other names.
    let version = version.map(|version| version.strip_prefix('v').unwrap_or(version));
    if !version.is_some_and(|version| version == "0.8" || version.starts_with("0.8.")) {
        return;
    }
    let lists =
        [("skills", SKILLS, LintCode::UnknownSkill), ("domains", DOMAINS, LintCode::UnknownDomain)];
    for (key, taxonomy, code) in lists {
        let items = entry.get(key).and_then(Value::as_array).into_iter().flatten();
        for (index, item) in items.enumerate() {
            if let Some(name) = item.as_str().filter(|name| !is_listed(taxonomy, name)) {
                let at = format!("{path}.{key}[{index}]");
                findings.add(code, &at, format!("{at} is {}.", quoted(name)));
            }
        }
    }
}

/// Whether a sorted list of lines has this line.
fn is_listed(taxonomy: &str, name: &str) -> bool {
    taxonomy.lines().any(|line| line == name)
}
