//! The endpoint of a service.

use url::Url;

use super::{
    code::LintCode,
    finding::{Findings, quoted},
};
use crate::offer::{EntryCode, Service};

/// Checks the endpoint of the service at `path`. `protocol` is the known name of the service.
pub(super) fn check_endpoint(
    path: &str,
    protocol: Option<&str>,
    endpoint: &str,
    findings: &mut Findings,
) {
    let at = format!("{path}.endpoint");
    let url = Url::parse(endpoint).ok();
    let mut add = |code| {
        let message = format!("{at} is {}.", quoted(endpoint));
        findings.add(code, &at, message);
    };
    match protocol {
        Some("agentWallet" | "wallet") => {
            add(LintCode::AgentWalletEntry);
            if !is_caip10(endpoint) {
                add(LintCode::AgentWalletForm);
            }
            return;
        }
        Some("ENS" | "email") if url.is_none() => add(LintCode::EndpointIsName),
        Some("A2A") if !endpoint.contains("/.well-known/") => add(LintCode::AgentCardPath),
        Some(_) | None => {}
    }
    if let Some(code) = problem(protocol, endpoint, url.as_ref()) {
        add(code);
    }
}

/// What is wrong with the text of an endpoint: the rules for offers, without their length limits.
fn problem(protocol: Option<&str>, endpoint: &str, url: Option<&Url>) -> Option<LintCode> {
    match Service::new(protocol.unwrap_or("web"), endpoint, "").refusal? {
        EntryCode::ControlCharacter => Some(LintCode::ControlCharacter),
        EntryCode::Placeholder => Some(LintCode::EndpointPlaceholder),
        EntryCode::InvalidEns => Some(LintCode::EnsForm),
        EntryCode::InvalidDid => Some(LintCode::DidForm),
        EntryCode::InvalidEmail => Some(LintCode::EmailForm),
        EntryCode::UserInfo => Some(LintCode::EndpointUserInfo),
        EntryCode::NotPublicHost => Some(LintCode::EndpointNotPublic),
        EntryCode::NotHttps => match url.map(Url::scheme) {
            None => Some(LintCode::EndpointNotUrl),
            // Content addresses and accounts are as good as https.
            Some("ipfs" | "ipns" | "ar" | "did" | "eip155" | "solana") => None,
            Some(_) => Some(LintCode::EndpointNotHttps),
        },
        EntryCode::TooLong
        | EntryCode::BlankName
        | EntryCode::BlankEndpoint
        | EntryCode::NameNotListed
        | EntryCode::NotOnHost => None,
    }
}

/// Whether a text is a CAIP-10 account.
pub(super) fn is_caip10(text: &str) -> bool {
    let mut parts = text.split(':');
    let (namespace, chain, account) = (parts.next(), parts.next(), parts.next());
    let all = |part: Option<&str>, sizes: std::ops::RangeInclusive<usize>, more: &[u8]| {
        part.is_some_and(|part| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || more.contains(&b);
            sizes.contains(&part.len()) && part.bytes().all(fits)
        })
    };
    let is_lower = |part: Option<&str>| part.is_some_and(|part| part == part.to_ascii_lowercase());
    let is_evm = namespace == Some("eip155");
    parts.next().is_none()
        && all(namespace, 3..=8, b"-")
        && is_lower(namespace)
        && all(chain, 1..=32, b"-_")
        && all(account, 1..=128, b"-.%")
        && (!is_evm || is_evm_account(chain.unwrap_or_default(), account.unwrap_or_default()))
}

fn is_evm_account(chain: &str, account: &str) -> bool {
    let is_chain = chain.bytes().all(|b| b.is_ascii_digit()) && chain.parse::<u64>().is_ok();
    let digits = account.strip_prefix("0x").unwrap_or_default();
    is_chain && digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}
