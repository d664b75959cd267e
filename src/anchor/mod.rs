//! Having agents on chain, exactly once: one loop of view, decision and act for each chain.

mod evidence;
pub mod evm;
pub mod facts;
mod fees;
pub mod journal;
mod key;
pub mod lane;
mod plan;
mod reason;
pub mod run;
pub mod signer;
mod wanted;

pub use self::{
    evidence::{Accounts, Adoption, Block, Evidence, Mint, Short, Token, Transfer, View},
    fees::{Allowance, Fees, Market, price},
    key::{AnchorKey, AnchoredAgent, KEY_METADATA, Owner},
    plan::{
        Call, Decision, Head, Intent, PAID_FAILURES, PATIENCE, Purpose, Readiness, Reservation,
        Slot, Step, Wanted, next,
    },
    reason::AnchorReason,
    wanted::Anchored,
};
