//! Checks a registration document against ERC-8004 and against what its readers reject.
//!
//! Everything here is a function of bytes. Fetching is done by whoever asks.

pub(crate) mod address;
pub(crate) mod agent_uri;
mod code;
mod document;
mod endpoint;
mod finding;
mod json;
mod oasf;
mod registrations;
mod services;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    code::{LintCode, Severity},
    finding::{Finding, LintReport, Verdict},
};
use self::{document::check_root, finding::Findings};

/// The largest document that every reader accepts, in bytes.
pub(crate) const EVERY_READER_BYTES: usize = 65_536;
/// The largest document that most readers accept, in bytes.
const MOST_READERS_BYTES: usize = 524_288;

/// Checks the bytes of a document. `before` is what was found on the way to them.
pub(crate) fn lint(bytes: &[u8], before: Vec<Finding>) -> LintReport {
    let mut findings = Findings::default();
    before.into_iter().for_each(|finding| findings.push(finding));
    check_size(bytes, &mut findings);
    let shape = check_bytes(bytes, &mut findings);
    findings.into_report(shape)
}

/// The report of an agentURI whose document cannot be decoded.
pub(crate) fn undecodable(found: Vec<Finding>) -> LintReport {
    let mut findings = Findings::default();
    found.into_iter().for_each(|finding| findings.push(finding));
    findings.into_report(Shape::Full)
}

/// What a document without errors is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A registration file.
    Full,
    /// A list of registrations only, which proves a domain.
    DomainProof,
}

fn check_size(bytes: &[u8], findings: &mut Findings) {
    let size = bytes.len();
    if size > MOST_READERS_BYTES {
        findings.add(LintCode::VeryLargeDocument, "", format!("The document has {size} bytes."));
    } else if size > EVERY_READER_BYTES {
        findings.add(LintCode::LargeDocument, "", format!("The document has {size} bytes."));
    }
}

fn check_bytes(bytes: &[u8], findings: &mut Findings) -> Shape {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            findings.add(LintCode::NotUtf8, "", format!("Byte {at} is not UTF-8."));
            return Shape::Full;
        }
    };
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => {
            let message = "The document begins with a byte order mark.".to_owned();
            findings.add(LintCode::ByteOrderMark, "", message);
            rest
        }
        None => text,
    };
    if text.trim_start().starts_with('<') {
        let message = "The document begins with <, as a page for browsers does.".to_owned();
        findings.add(LintCode::Html, "", message);
        return Shape::Full;
    }
    let parsed = match json::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            findings.add(LintCode::NotJson, "", format!("The JSON cannot be read: {error}."));
            return Shape::Full;
        }
    };
    for path in parsed.repeated_keys {
        let message = format!("{path} occurs more than once in its object.");
        findings.add(LintCode::RepeatedKey, &path, message);
    }
    if let Some(path) = parsed.too_deep {
        let message = format!("{path} is nested more than {} deep.", json::DEPTH_LIMIT);
        findings.add(LintCode::TooDeep, &path, message);
    }
    check_root(&parsed.value, findings)
}
