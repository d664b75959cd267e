//! Having agents on chain, exactly once: one loop of read, decide, record and send for each chain.

pub(crate) mod account;
pub(crate) mod desired;
pub(crate) mod evidence;
pub(crate) mod evm;
pub(crate) mod facts;
pub(crate) mod fees;
pub(crate) mod journal;
pub(crate) mod key;
mod plan;
mod reason;
pub(crate) mod reconcile;
pub(crate) mod run;
pub(crate) mod signer;
#[cfg(test)]
mod testing;

pub(crate) use self::{
    plan::Retirement,
    reason::{AnchorReason, Attention},
};
