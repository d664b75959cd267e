//! How the values of anchoring settings are written: chains, amounts, and values that belong to one
//! chain.
//!
//! No error repeats the text: clap does, without URLs, which may contain API keys.

use std::{fmt, str::FromStr};

use alloy::primitives::Address;

use crate::{
    anchor::evm::Finality,
    offer::Hostname,
    registration::{AgentId, AgentName, chains},
};

/// A value for one chain: `CHAIN=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ForChain<T> {
    pub(in crate::cli) chain: ChainId,
    pub(in crate::cli) value: T,
}

/// A value for one chain or for all: `[CHAIN=]VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PerChain<T> {
    pub(super) chain: Option<ChainId>,
    pub(super) value: T,
}

/// An EIP-155 chain id, given by CAIP-2 id, decimal id or alias. The chain need not be in the
/// table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) struct ChainId(pub(in crate::cli) u64);

/// A registry's address, and the block at which its history begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct RegistryPlace {
    pub(in crate::cli) address: Address,
    pub(super) first_block: u64,
}

/// An agent on one chain: `CHAIN[/HOST]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct AgentOnChain {
    pub(in crate::cli) chain: ChainId,
    pub(in crate::cli) agent: AgentName,
}

/// An existing token for one agent: `CHAIN[/HOST]=ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AdoptedToken {
    pub(super) of: AgentOnChain,
    pub(super) id: AgentId,
}

/// An exact amount with up to `DECIMALS` decimal places, in its smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount<const DECIMALS: usize>(pub(super) u128);

impl FromStr for ChainId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(known) = chains::find(text) {
            return Ok(Self(known.id));
        }
        let name = text.trim().to_ascii_lowercase();
        let id = name.strip_prefix("eip155:").unwrap_or(&name).parse();
        id.map(Self)
            .map_err(|_| "does not name a chain, such as base-sepolia or eip155:84532".to_owned())
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eip155:{}", self.0)
    }
}

impl<T: FromStr<Err: fmt::Display>> FromStr for ForChain<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (chain, value) =
            text.split_once('=').ok_or_else(|| "must be CHAIN=VALUE".to_owned())?;
        let chain = chain.parse()?;
        let value = value.parse().map_err(|error: T::Err| error.to_string())?;
        Ok(Self { chain, value })
    }
}

impl<T: FromStr<Err: fmt::Display>> FromStr for PerChain<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('=') {
            let ForChain { chain, value } = text.parse()?;
            return Ok(Self { chain: Some(chain), value });
        }
        let value = text.parse().map_err(|error: T::Err| error.to_string())?;
        Ok(Self { chain: None, value })
    }
}

impl FromStr for RegistryPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, block) = text.split_once('@').unwrap_or((text, "0"));
        let parsed = address.parse().ok().zip(block.parse().ok());
        let (address, first_block) = parsed.ok_or("must be CHAIN=0x…[@BLOCK]")?;
        Ok(Self { address, first_block })
    }
}

impl FromStr for AgentOnChain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (chain, agent) = match text.split_once('/') {
            Some((chain, host)) => (chain, Hostname::parse(host).map(AgentName::Host)),
            None => (text, Some(AgentName::Default)),
        };
        let parsed = chain.parse().ok().zip(agent);
        let (chain, agent) = parsed.ok_or_else(|| "must be CHAIN[/HOST]".to_owned())?;
        Ok(Self { chain, agent })
    }
}

impl FromStr for AdoptedToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('=')
            .and_then(|(of, id)| Some(Self { of: of.parse().ok()?, id: AgentId::parse(id)? }));
        parsed.ok_or_else(|| "must be CHAIN[/HOST]=ID".to_owned())
    }
}

impl FromStr for Finality {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("depth:").and_then(|depth| depth.parse().ok())) {
            ("finalized", _) => Ok(Self::Finalized),
            ("safe", _) => Ok(Self::Safe),
            (_, Some(0)) => {
                Err("depth:0 is not a finality rule: the newest block may be undone".to_owned())
            }
            (_, Some(depth)) => Ok(Self::Depth(depth)),
            _ => Err("must be CHAIN=finalized, CHAIN=safe or CHAIN=depth:N".to_owned()),
        }
    }
}

impl<const DECIMALS: usize> FromStr for Amount<DECIMALS> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let amount = || {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            let missing = DECIMALS.checked_sub(fraction.len())?;
            if !digits(whole) || !digits(fraction) || whole.is_empty() && fraction.is_empty() {
                return None;
            }
            format!("{whole}{fraction}{}", "0".repeat(missing)).parse().ok()
        };
        amount()
            .map(Self)
            .ok_or_else(|| format!("must be an amount with at most {DECIMALS} decimal places"))
    }
}

/// The value for a chain of a list in which each chain has at most one.
pub(super) fn for_chain<T>(settings: &[ForChain<T>], chain: ChainId) -> Option<&T> {
    settings.iter().rev().find(|setting| setting.chain == chain).map(|setting| &setting.value)
}

/// The chain's own value, else the one for all chains. Two values for one chain are an error: a
/// decimal comma reads as two amounts, and neither is the one that was meant.
pub(super) fn per_chain<T: Copy>(
    settings: &[PerChain<T>],
    chain: ChainId,
) -> Result<Option<T>, &'static str> {
    let values = |of: Option<ChainId>| settings.iter().filter(move |setting| setting.chain == of);
    if values(Some(chain)).count() > 1 || values(None).count() > 1 {
        return Err("names two amounts for one chain");
    }
    let value = values(Some(chain)).chain(values(None)).next();
    Ok(value.map(|setting| setting.value))
}
