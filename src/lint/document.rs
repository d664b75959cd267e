//! The members of the document itself.

use serde_json::{Map, Value};
use url::Url;

use super::{
    Shape,
    code::LintCode,
    finding::{Findings, member, quoted, shown},
    registrations::{check_proof, check_registrations},
    services::check_services,
};
use crate::{offer::is_unprintable, registration::DOCUMENT_TYPE};

/// Members that make a document more than a list of registrations.
const DESCRIBING: [&str; 5] = ["type", "name", "description", "services", "endpoints"];
/// Members that readers know.
const KNOWN: [&str; 14] = [
    "type",
    "name",
    "description",
    "image",
    "services",
    "endpoints",
    "x402Support",
    "x402support",
    "active",
    "registrations",
    "supportedTrust",
    "supportedTrusts",
    "updatedAt",
    "metadata",
];
/// Members that agent0-ts reads from the document although they belong to the registry.
const READ_BY_AGENT0: [&str; 5] =
    ["owners", "operators", "trustModels", "walletAddress", "walletChainId"];
/// Singular names of lists.
const SINGULAR: [&str; 3] = ["service", "endpoint", "registration"];
const TRUST_MODELS: [&str; 3] = ["reputation", "crypto-economic", "tee-attestation"];
/// Later than any useful number of seconds, and earlier than today in milliseconds.
const LAST_SECOND: u64 = 253_402_300_799;

pub(super) fn check_root(root: &Value, findings: &mut Findings) -> Shape {
    let Some(members) = root.as_object() else {
        findings.add(LintCode::RootNotObject, "", format!("The document is {}.", shown(root)));
        return Shape::Full;
    };
    let describes = DESCRIBING.iter().any(|key| members.contains_key(*key));
    if let Some(registrations) = members.get("registrations").filter(|_| !describes) {
        check_proof(registrations, findings);
        return Shape::DomainProof;
    }
    check_type(members.get("type"), findings);
    check_name(members.get("name"), findings);
    check_description(members.get("description"), findings);
    check_image(members.get("image"), findings);
    check_services(members, findings);
    check_active(members.get("active"), findings);
    check_x402_support(members, findings);
    check_registrations(members.get("registrations"), findings);
    check_trust(members, findings);
    check_updated_at(members.get("updatedAt"), findings);
    check_other_members(members, findings);
    Shape::Full
}

/// A text that may be shown to people, with line feeds and tabs.
pub(super) fn check_characters(path: &str, text: &str, findings: &mut Findings) {
    if let Some(c) = text.chars().find(|&c| is_unprintable(c) && !matches!(c, '\t' | '\n' | '\r')) {
        let message = format!("{path} contains U+{:04X}.", u32::from(c));
        findings.add(LintCode::ControlCharacter, path, message);
    }
}

fn check_type(value: Option<&Value>, findings: &mut Findings) {
    match value {
        None | Some(Value::Null) => {
            findings.add(LintCode::TypeMissing, "type", "type is missing.");
        }
        Some(Value::String(text)) if text == DOCUMENT_TYPE => {}
        Some(value) => {
            let message = format!("type is {}, not {DOCUMENT_TYPE}.", shown(value));
            findings.add(LintCode::TypeWrong, "type", message);
        }
    }
}

fn check_name(value: Option<&Value>, findings: &mut Findings) {
    match value {
        None | Some(Value::Null) => {
            findings.add(LintCode::NameMissing, "name", "name is missing.");
        }
        Some(Value::String(name)) if name.trim().is_empty() => {
            findings.add(LintCode::NameMissing, "name", "name is empty.");
        }
        Some(Value::String(name)) => {
            check_characters("name", name, findings);
            let chars = name.chars().count();
            if !(3..=200).contains(&chars) {
                let message = format!("name has {chars} characters.");
                findings.add(LintCode::NameLength, "name", message);
            }
        }
        Some(value) => {
            let message = format!("name is {}, not a string.", shown(value));
            findings.add(LintCode::NameNotText, "name", message);
        }
    }
}

fn check_description(value: Option<&Value>, findings: &mut Findings) {
    let path = "description";
    match value {
        None | Some(Value::Null) => {
            findings.add(LintCode::DescriptionMissing, path, "description is missing.");
        }
        Some(Value::String(text)) if text.trim().is_empty() => {
            findings.add(LintCode::DescriptionMissing, path, "description is empty.");
        }
        Some(Value::String(text)) => {
            check_characters(path, text, findings);
            let chars = text.chars().count();
            if chars < 10 {
                let message = format!("description has {chars} characters.");
                findings.add(LintCode::DescriptionShort, path, message);
            }
        }
        Some(value) => {
            let message = format!("description is {}, not a string.", shown(value));
            findings.add(LintCode::DescriptionNotText, path, message);
        }
    }
}

fn check_image(value: Option<&Value>, findings: &mut Findings) {
    let path = "image";
    match value {
        None => findings.add(LintCode::ImageMissing, path, "image is missing."),
        Some(Value::String(image)) if image.trim().is_empty() => {
            findings.add(LintCode::ImageEmpty, path, "image is empty.");
        }
        Some(Value::String(image)) => {
            check_characters(path, image, findings);
            let url = Url::parse(image);
            match url.as_ref().map(Url::scheme) {
                Ok("http" | "https" | "ipfs" | "ar") => {}
                Ok("data") => findings.add(LintCode::ImageEmbedded, path, "image is a data: URL."),
                Ok(_) | Err(_) => {
                    let message = format!("image is {}.", quoted(image));
                    findings.add(LintCode::ImageNotUrl, path, message);
                }
            }
        }
        Some(value) => {
            let message = format!("image is {}, not a string.", shown(value));
            findings.add(LintCode::ImageNotText, path, message);
        }
    }
}

fn check_active(value: Option<&Value>, findings: &mut Findings) {
    match value {
        None => findings.add(LintCode::ActiveMissing, "active", "active is missing."),
        Some(Value::Bool(_)) => {}
        Some(value) => {
            let message = format!("active is {}, not a boolean.", shown(value));
            findings.add(LintCode::ActiveNotBoolean, "active", message);
        }
    }
}

fn check_x402_support(members: &Map<String, Value>, findings: &mut Findings) {
    let (current, legacy) = (members.get("x402Support"), members.get("x402support"));
    for (path, value) in [("x402Support", current), ("x402support", legacy)] {
        if let Some(value) = value.filter(|value| !value.is_boolean()) {
            let message = format!("{path} is {}, not a boolean.", shown(value));
            findings.add(LintCode::X402SupportNotBoolean, path, message);
        }
    }
    if legacy.is_some() {
        let message = "x402support stands for x402Support.";
        findings.add(LintCode::LegacyX402Support, "x402support", message);
    }
    match (current, legacy) {
        (None, None) => {
            let message = "x402Support is missing.";
            findings.add(LintCode::X402SupportMissing, "x402Support", message);
        }
        (Some(_), Some(_)) => {
            let message = "The document has both x402Support and x402support.";
            findings.add(LintCode::X402SupportTwice, "x402support", message);
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
}

fn check_trust(members: &Map<String, Value>, findings: &mut Findings) {
    if members.contains_key("supportedTrusts") {
        let message = "supportedTrusts stands for supportedTrust.";
        findings.add(LintCode::LegacySupportedTrusts, "supportedTrusts", message);
    }
    for path in ["supportedTrust", "supportedTrusts"] {
        let Some(value) = members.get(path) else { continue };
        let texts = value
            .as_array()
            .and_then(|models| models.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let Some(models) = texts else {
            let message = match value.as_array() {
                Some(_) => format!("{path} has an entry that is not a string."),
                None => format!("{path} is {}, not a list.", shown(value)),
            };
            findings.add(LintCode::SupportedTrustNotList, path, message);
            continue;
        };
        if models.is_empty() {
            findings.add(LintCode::SupportedTrustEmpty, path, format!("{path} is empty."));
        }
        for (index, model) in models.iter().enumerate() {
            if !TRUST_MODELS.contains(model) {
                let path = format!("{path}[{index}]");
                let message = format!("{path} is {}.", quoted(model));
                findings.add(LintCode::UnknownTrustModel, &path, message);
            }
        }
    }
}

fn check_updated_at(value: Option<&Value>, findings: &mut Findings) {
    if let Some(value) = value
        && value.as_u64().is_none_or(|seconds| seconds > LAST_SECOND)
    {
        let message = format!("updatedAt is {}, not unix seconds.", shown(value));
        findings.add(LintCode::UpdatedAtForm, "updatedAt", message);
    }
}

fn check_other_members(members: &Map<String, Value>, findings: &mut Findings) {
    let plain = |key: &str| key.to_ascii_lowercase().replace(['_', '-'], "");
    for key in members.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
        // The usual places for comments, schemas and private extensions.
        if key.starts_with(['_', '$', '@']) || key.starts_with("x-") {
            continue;
        }
        let path = member("", key);
        let meant = KNOWN.iter().find(|known| plain(known) == plain(key));
        let (code, message) = if READ_BY_AGENT0.contains(&key.as_str()) {
            (LintCode::ReadByAgent0, format!("agent0-ts reads {path} from the document."))
        } else if SINGULAR.contains(&key.as_str()) {
            (LintCode::SingularMember, format!("{path} is not a member of ERC-8004."))
        } else if let Some(meant) = meant {
            (LintCode::MisspelledMember, format!("{path} is not read; {meant} is."))
        } else {
            (LintCode::ExtraMember, format!("ERC-8004 does not define {path}."))
        };
        findings.add(code, &path, message);
    }
}
