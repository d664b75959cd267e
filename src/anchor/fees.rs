//! What a transaction may cost: fees, bumps, the ceiling and the daily budget. Pure.

use alloy::primitives::U256;

use super::reason::AnchorReason;

/// What the operator allows on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpendLimits {
    /// `--max-fee-gwei`, in wei per gas.
    pub(crate) max_fee: u128,
    /// `--daily-budget-ether`, in wei per UTC day.
    pub(crate) daily_budget: u128,
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
    /// The worst-case fee of what was signed today, wei.
    pub(crate) spent: u128,
}

impl SpendLimits {
    /// For how many days a balance lasts if the whole daily budget is spent.
    pub(crate) fn days_of(&self, balance: u128) -> f64 {
        let (balance, budget) = (U256::from(balance), U256::from(self.daily_budget.max(1)));
        f64::from(balance) / f64::from(budget)
    }
}

impl Fees {
    /// The most that a call of `gas` can cost, wei.
    pub(crate) fn cost(&self, gas: u64) -> u128 {
        self.max_fee.saturating_mul(u128::from(gas))
    }

    /// What a signature adds to the worst case. A replacement takes the place of `before`, so only
    /// the difference counts.
    pub(crate) fn added_cost(&self, gas: u64, before: Option<Self>) -> u128 {
        self.cost(gas).saturating_sub(before.map_or(0, |before| before.cost(gas)))
    }
}

/// The fees for a call of `gas`, or why it is not signed now.
///
/// A replacement pays at least one eighth more in both fields than `last`, which every known client
/// accepts.
pub(crate) fn compute_fees(
    gas: u64,
    last: Option<Fees>,
    inputs: &FeeInputs,
    limits: &SpendLimits,
) -> Result<Fees, AnchorReason> {
    // The base fee rises at most 12.5 % per block, so doubling it covers about six.
    let target = inputs.base_fee.saturating_mul(2).saturating_add(inputs.tip);
    let lowest = last.map_or(Some((0, 0)), |last| raised(last.max_fee).zip(raised(last.tip)));
    let (lowest_fee, lowest_tip) = lowest.ok_or(AnchorReason::FeeTooHigh)?;
    let max_fee = target.min(limits.max_fee).max(lowest_fee);
    let fees = Fees { max_fee, tip: inputs.tip.max(lowest_tip).min(max_fee) };
    if max_fee > limits.max_fee || lowest_tip > max_fee || inputs.base_fee > max_fee {
        return Err(AnchorReason::FeeTooHigh);
    }
    if inputs.spent.saturating_add(fees.added_cost(gas, last)) > limits.daily_budget {
        return Err(AnchorReason::BudgetSpent);
    }
    if fees.cost(gas) > inputs.balance {
        return Err(AnchorReason::NoFunds);
    }
    Ok(fees)
}

/// One eighth more, rounded up and at least 1 more; `None` on overflow.
fn raised(fee: u128) -> Option<u128> {
    fee.checked_add(fee.div_ceil(8).max(1))
}

#[cfg(test)]
mod tests;
