//! What may be signed at all, whoever asks for it: one of the registrar's own calls on the
//! configured registry, within the operator's limits. Pure.

use alloy::{
    consensus::{Transaction, TypedTransaction},
    eips::Typed2718,
    primitives::Address,
};

use crate::anchor::evm::is_own_call;

/// What may be signed on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SigningPolicy {
    pub(crate) chain_id: u64,
    pub(crate) registry: Address,
    /// `--max-fee-gwei`, in wei per gas.
    pub(crate) max_fee: u128,
    /// The most that one transaction may cost, wei: what may be spent on a day.
    pub(crate) max_cost: u128,
}

/// Why a transaction may not be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyBreach {
    #[error("nothing is anchored on chain {0}")]
    UnknownChain(u64),
    #[error("it is for another chain than {0}")]
    OtherChain(u64),
    #[error("it does not call the registry {0}")]
    OtherContract(Address),
    #[error("it sends a value, has an access list, or delegates the account")]
    MoreThanACall,
    #[error(
        "it is not one of the calls register, setAgentURI and setMetadata as they are made here"
    )]
    OtherCall,
    #[error("its fee per gas is above --max-fee-gwei")]
    Fee,
    #[error("it may cost more than the budget of a day")]
    Cost,
}

impl SigningPolicy {
    pub(super) fn check(&self, transaction: &TypedTransaction) -> Result<(), PolicyBreach> {
        let is_call = transaction.is_legacy() || transaction.is_eip1559();
        let has_access = transaction.access_list().is_some_and(|list| !list.is_empty());
        let max_fee = transaction.max_fee_per_gas();
        let cost = max_fee.checked_mul(u128::from(transaction.gas_limit()));
        if transaction.chain_id() != Some(self.chain_id) {
            Err(PolicyBreach::OtherChain(self.chain_id))
        } else if transaction.to() != Some(self.registry) {
            Err(PolicyBreach::OtherContract(self.registry))
        } else if !is_call || has_access || !transaction.value().is_zero() {
            Err(PolicyBreach::MoreThanACall)
        } else if !is_own_call(transaction.input()) {
            Err(PolicyBreach::OtherCall)
        } else if max_fee > self.max_fee {
            Err(PolicyBreach::Fee)
        } else if cost.is_none_or(|cost| cost > self.max_cost) {
            Err(PolicyBreach::Cost)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
