//! Having agents on chain, exactly once: one loop of view, decision and act for each chain.

mod evidence;
pub(crate) mod evm;
pub(crate) mod facts;
mod fees;
pub(crate) mod journal;
mod key;
pub(crate) mod lane;
mod plan;
mod reason;
pub(crate) mod run;
pub(crate) mod signer;
mod wanted;

pub(crate) use self::{
    evidence::Accounts,
    fees::SpendLimits,
    key::{AnchoredAgent, Owner},
    plan::{Purpose, Step},
    reason::AnchorReason,
    wanted::AnchorPolicy,
};
