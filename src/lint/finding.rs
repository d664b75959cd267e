//! What was found, and the verdict that follows from it.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;

use super::{
    Shape,
    code::{LintCode, Severity},
};

/// The result of checking one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LintReport {
    pub(crate) verdict: Verdict,
    /// Errors first, then warnings, then information; within each in the order of the document.
    pub(crate) findings: Vec<Finding>,
}

/// What a document is. A document is `invalid` exactly if it has an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A registration file as ERC-8004 describes it since January 2026.
    Valid,
    /// The same with older spellings or those of an SDK.
    Legacy,
    /// A list of registrations, which proves a domain but describes no agent.
    ValidDomainProofOnly,
    /// A required part is missing, or a part has the wrong type.
    Invalid,
}

/// One thing that a reader may reject or misread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) code: LintCode,
    /// The member of the document, such as `services[0].name`; empty for the whole document.
    pub(crate) path: String,
    /// Sentences that may quote the document, with control characters escaped.
    pub(crate) message: String,
}

/// Collects findings.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Legacy => "legacy",
            Self::ValidDomainProofOnly => "valid-domain-proof-only",
            Self::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Finding {
    pub(crate) fn new(code: LintCode, path: &str, message: impl Into<String>) -> Self {
        Self { code, path: path.to_owned(), message: message.into() }
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut finding = serializer.serialize_struct("Finding", 6)?;
        finding.serialize_field("code", &self.code)?;
        finding.serialize_field("severity", &self.code.severity())?;
        finding.serialize_field("path", &self.path)?;
        finding.serialize_field("message", &self.message)?;
        finding.serialize_field("fix", self.code.fix())?;
        finding.serialize_field("readers", &self.code.readers().collect::<Vec<_>>())?;
        finding.end()
    }
}

impl LintReport {
    /// How many findings have a severity.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.code.severity() == severity).count()
    }
}

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(super) fn add(&mut self, code: LintCode, path: &str, message: impl Into<String>) {
        self.push(Finding::new(code, path, message));
    }

    pub(super) fn into_list(self) -> Vec<Finding> {
        self.0
    }

    pub(super) fn into_report(self, shape: Shape) -> LintReport {
        let Self(mut findings) = self;
        findings.sort_by_key(|finding| finding.code.severity());
        let has = |test: fn(LintCode) -> bool| findings.iter().any(|finding| test(finding.code));
        let verdict = match shape {
            _ if has(|code| code.severity() == Severity::Error) => Verdict::Invalid,
            Shape::DomainProof => Verdict::ValidDomainProofOnly,
            Shape::Full if has(LintCode::is_legacy) => Verdict::Legacy,
            Shape::Full => Verdict::Valid,
        };
        LintReport { verdict, findings }
    }
}

/// How many characters of a document a message quotes.
const QUOTED_CHARS: usize = 80;

/// Text of a document in quotes, shortened and with control characters escaped.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A value of a document as a message names it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(number) => {
            let digits = number.to_string();
            let short: String = digits.chars().take(QUOTED_CHARS).collect();
            format!("the number {short}")
        }
        Value::String(text) => format!("the string {}", quoted(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// The path of a member of the object at `path`.
pub(super) fn member(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-'));
    match (is_plain, path) {
        (true, "") => key.to_owned(),
        (true, _) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{}]", quoted(key)),
    }
}
