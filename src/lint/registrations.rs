//! The list of registrations.

use std::{collections::BTreeMap, str::FromStr};

use alloy::primitives::{Address, U256, address};
use serde_json::{Map, Value};

use super::{
    code::{LintCode, Severity},
    endpoint::is_caip10,
    finding::{Finding, Findings, quoted, shown},
};
use crate::registration::{
    AgentId, AgentRegistry,
    chains::{CHAINS, MAINNET_REGISTRY, TESTNET_REGISTRY},
};

/// 2^53-1, the largest integer that every JSON parser reads exactly.
const LARGEST_EXACT: u64 = 9_007_199_254_740_991;
/// Test deployments from before version 1 of the contracts, which documents still name.
const RETIRED: [Address; 7] = [
    address!("0x8004a6090Cd10A7288092483047B097295Fb8847"),
    address!("0x8004AA63c570c570eBF15376c0dB199918BFe9Fb"),
    address!("0x8004aa7C931bCE1233973a0C6A667f73F66282e7"),
    address!("0x8004ad19E14B9e0654f73353e8a0B600D46C2898"),
    address!("0x4c74ebd72921d537159ed2053f46c12a7d8e5923"),
    address!("0x8004A9560C0edce880cbD24Ba19646470851C986"),
    address!("0x7177a6867296406881E20d6647232314736Dd09A"),
];

/// Checks the registrations of a registration file.
pub(super) fn check_registrations(value: Option<&Value>, findings: &mut Findings) {
    let path = "registrations";
    match value {
        None => findings.add(LintCode::RegistrationsMissing, path, "registrations is missing."),
        Some(Value::Array(entries)) if entries.is_empty() => {
            findings.add(LintCode::RegistrationsEmpty, path, "registrations is empty.");
        }
        Some(Value::Array(entries)) => {
            check_entries(entries).into_iter().for_each(|finding| findings.push(finding));
        }
        Some(value) => {
            let message = format!("registrations is {}, not a list.", shown(value));
            findings.add(LintCode::RegistrationsNotList, path, message);
        }
    }
}

/// Checks a file that only lists registrations. An entry that names no agent proves nothing, but
/// the others do.
pub(super) fn check_proof(value: &Value, findings: &mut Findings) {
    let Some(entries) = value.as_array() else {
        return check_registrations(Some(value), findings);
    };
    if entries.is_empty() {
        return check_registrations(Some(value), findings);
    }
    for finding in check_entries(entries) {
        let Finding { code, path, message } = finding;
        let is_error = code.severity() == Severity::Error;
        let code = if is_error { LintCode::ProofEntryUnusable } else { code };
        findings.push(Finding { code, path, message });
    }
}

fn check_entries(entries: &[Value]) -> Vec<Finding> {
    let mut found = Findings::default();
    let mut registries: BTreeMap<AgentRegistry, usize> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("registrations[{index}]");
        let Some(entry) = entry.as_object() else {
            let message = format!("{path} is {}, not an object.", shown(entry));
            found.add(LintCode::RegistrationNotObject, &path, message);
            continue;
        };
        check_id(&path, entry, &mut found);
        let Some(registry) = check_registry(&path, entry, &mut found) else { continue };
        match registries.get(&registry) {
            Some(first) => {
                let message = format!("{path} names the same registry as registrations[{first}].");
                found.add(LintCode::SeveralIdsInRegistry, &path, message);
            }
            None => drop(registries.insert(registry, index)),
        }
    }
    found.into_list()
}

fn check_id(path: &str, entry: &Map<String, Value>, found: &mut Findings) {
    let at = format!("{path}.agentId");
    let value = entry.get("agentId");
    let id = match value {
        None => {
            found.add(LintCode::AgentIdMissing, &at, format!("{at} is missing."));
            None
        }
        Some(Value::Null) => {
            found.add(LintCode::AgentIdMissing, &at, format!("{at} is null."));
            None
        }
        Some(Value::Number(number)) => AgentId::parse(&number.to_string()),
        Some(Value::String(text)) => AgentId::parse(text),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    match (id, value) {
        (_, None | Some(Value::Null)) => {}
        (None, Some(value)) => {
            let message = format!("{at} is {}, not a whole number from 0.", shown(value));
            found.add(LintCode::AgentIdInvalid, &at, message);
        }
        (Some(id), Some(value)) => {
            if value.is_string() {
                let message = format!("{at} is {}, not a number.", shown(value));
                found.add(LintCode::AgentIdText, &at, message);
            }
            if id.number() > U256::from(LARGEST_EXACT) {
                found.add(LintCode::AgentIdImprecise, &at, format!("{at} is {id}."));
            }
        }
    }
}

/// The registry of an entry, if it is one of an EVM chain.
fn check_registry(
    path: &str,
    entry: &Map<String, Value>,
    found: &mut Findings,
) -> Option<AgentRegistry> {
    let at = format!("{path}.agentRegistry");
    let text = match entry.get("agentRegistry") {
        None | Some(Value::Null) => {
            found.add(LintCode::AgentRegistryMissing, &at, format!("{at} is missing."));
            return None;
        }
        Some(Value::String(text)) if text.trim().is_empty() => {
            found.add(LintCode::AgentRegistryMissing, &at, format!("{at} is empty."));
            return None;
        }
        Some(Value::String(text)) => text,
        Some(value) => {
            let message = format!("{at} is {}, not a string.", shown(value));
            found.add(LintCode::AgentRegistryInvalid, &at, message);
            return None;
        }
    };
    if !is_caip10(text) {
        let message = format!("{at} is the string {}, not namespace:chain:address.", quoted(text));
        found.add(LintCode::AgentRegistryInvalid, &at, message);
        return None;
    }
    let Some(registry) = AgentRegistry::parse(text) else {
        let message = format!("{at} is {}.", quoted(text));
        found.add(LintCode::RegistryNamespace, &at, message);
        return None;
    };
    check_address(&at, text, &registry, found);
    Some(registry)
}

fn check_address(at: &str, text: &str, registry: &AgentRegistry, found: &mut Findings) {
    let written = text.rsplit(':').next().unwrap_or_default();
    let digits = written.strip_prefix("0x").unwrap_or(written);
    let is_mixed = digits.bytes().any(|b| b.is_ascii_lowercase())
        && digits.bytes().any(|b| b.is_ascii_uppercase());
    if is_mixed && Address::from_str(written).is_ok_and(|a| a.to_checksum(None) != written) {
        let right = registry.address.to_checksum(None);
        let message = format!("{at} is {}; in EIP-55 it is {right}.", quoted(text));
        found.add(LintCode::RegistryChecksum, at, message);
    }
    let deployment = CHAINS.iter().find(|chain| chain.id == registry.chain_id);
    let is_shared = [MAINNET_REGISTRY, TESTNET_REGISTRY].contains(&registry.address);
    let (code, message) = match deployment {
        _ if RETIRED.contains(&registry.address) => {
            (LintCode::RegistryRetired, format!("{at} is {registry}."))
        }
        Some(deployment) if deployment.registry == registry.address => return,
        Some(deployment) if is_shared => {
            let right = AgentRegistry::from(deployment);
            (LintCode::RegistryOfOtherNetwork, format!("{at} is {registry}, not {right}."))
        }
        None if is_shared => return,
        Some(_) | None => (LintCode::RegistryNotListed, format!("{at} is {registry}.")),
    };
    found.add(code, at, message);
}
