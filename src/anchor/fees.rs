//! What a transaction may cost: fees, bumps, the ceiling and the daily budget. Pure.

use alloy::primitives::U256;
use serde::{Deserialize, Serialize};

use super::reason::AnchorReason;

/// What the operator allows on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpendLimits {
    /// `--max-fee-gwei`, in wei per gas.
    pub(crate) max_fee: u128,
    /// `--daily-budget-ether`, in wei per UTC day.
    pub(crate) daily_budget: u128,
    /// `--agent-uri-budget-ether`, in wei per UTC day; 0 where no `data:` URI is written.
    pub(crate) uri_budget: u128,
}

/// What a transaction counts against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Budget {
    #[default]
    Daily,
    /// That of `data:` URIs, which are renewed: they never take from what mints need.
    AgentUri,
}

/// The fees of one signature, wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    /// maxFeePerGas
    pub(crate) max_fee: u128,
    /// maxPriorityFeePerGas
    pub(crate) tip: u128,
}

/// What fees are computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FeeInputs {
    /// The newest block's base fee, wei per gas.
    pub(crate) base_fee: u128,
    /// The priority fee that the node suggests, wei per gas.
    pub(crate) tip: u128,
    /// The account's balance, wei.
    pub(crate) balance: u128,
    /// The worst-case fee of what was signed today and counts against the same budget, wei.
    pub(crate) spent: u128,
    /// What the transaction's data costs on the chain below, in addition to its gas, wei.
    pub(crate) data_fee: u128,
}

/// The signature that another one replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) fees: Fees,
    /// Its gas limit.
    pub(crate) gas: u64,
}

impl SpendLimits {
    /// The limits of a transaction that counts against one budget.
    pub(crate) fn within(&self, budget: Budget) -> Self {
        match budget {
            Budget::Daily => *self,
            Budget::AgentUri => Self { daily_budget: self.uri_budget, ..*self },
        }
    }

    /// For how many days a balance lasts if both budgets are spent.
    pub(crate) fn days_of(&self, balance: u128) -> f64 {
        let both = self.daily_budget.saturating_add(self.uri_budget);
        let (balance, budget) = (U256::from(balance), U256::from(both.max(1)));
        f64::from(balance) / f64::from(budget)
    }
}

impl Budget {
    /// For serde.
    pub(crate) fn is_daily(&self) -> bool {
        *self == Self::Daily
    }
}

impl Fees {
    /// The most that a call of `gas` can cost, wei.
    pub(crate) fn cost(&self, gas: u64) -> u128 {
        self.max_fee.saturating_mul(u128::from(gas))
    }

    /// What a signature adds to the worst case, data included. A replacement takes the place of
    /// `before`, so only the difference counts, and its data not again.
    pub(crate) fn added_cost(&self, gas: u64, data_fee: u128, before: Option<Replaced>) -> u128 {
        match before {
            None => self.cost(gas).saturating_add(data_fee),
            Some(before) => self.cost(gas).saturating_sub(before.fees.cost(before.gas)),
        }
    }
}

/// The fees for a call of `gas`, or why it is not signed now.
///
/// A replacement pays at least one eighth more in both fields than `last`, which every known client
/// accepts.
pub(crate) fn compute_fees(
    gas: u64,
    last: Option<Replaced>,
    inputs: &FeeInputs,
    limits: &SpendLimits,
) -> Result<Fees, AnchorReason> {
    let target = target_fee(inputs.base_fee, inputs.tip);
    let lowest = last.map_or(Some((0, 0)), |Replaced { fees: last, .. }| {
        raised(last.max_fee).zip(raised(last.tip))
    });
    let (lowest_fee, lowest_tip) = lowest.ok_or(AnchorReason::FeeTooHigh)?;
    let max_fee = target.min(limits.max_fee).max(lowest_fee);
    let fees = Fees { max_fee, tip: inputs.tip.max(lowest_tip).min(max_fee) };
    if max_fee > limits.max_fee || lowest_tip > max_fee || inputs.base_fee > max_fee {
        return Err(AnchorReason::FeeTooHigh);
    }
    let added = fees.added_cost(gas, inputs.data_fee, last);
    if inputs.spent.saturating_add(added) > limits.daily_budget {
        return Err(AnchorReason::BudgetSpent);
    }
    if fees.cost(gas).saturating_add(inputs.data_fee) > inputs.balance {
        return Err(AnchorReason::NoFunds);
    }
    Ok(fees)
}

/// The fee per gas that lasts for a while, wei: the base fee rises at most 12.5 % per block, so
/// doubling it covers about six.
pub(crate) fn target_fee(base_fee: u128, tip: u128) -> u128 {
    base_fee.saturating_mul(2).saturating_add(tip)
}

/// One eighth more, rounded up and at least 1 more; `None` on overflow.
fn raised(fee: u128) -> Option<u128> {
    fee.checked_add(fee.div_ceil(8).max(1))
}

#[cfg(test)]
mod tests;
