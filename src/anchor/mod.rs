//! Having agents on chain, exactly once: one loop of view, decision and act for each chain.

mod evidence;
pub mod evm;
mod fees;
pub mod journal;
mod key;
mod plan;
mod reason;

pub use self::{
    evidence::{Accounts, Adoption, Block, Evidence, Mint, Short, Token, Transfer, View},
    fees::{Allowance, Fees, Market, price},
    key::{AnchorKey, AnchoredAgent, KEY_METADATA, Owner},
    plan::{
        Call, Decision, Head, Intent, PATIENCE, Purpose, Readiness, Reservation, Slot, Step,
        Wanted, next,
    },
    reason::AnchorReason,
};
