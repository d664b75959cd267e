//! What a transaction may cost: fees, bumps, the ceiling, the day's budget. Pure.

use super::reason::AnchorReason;

/// What the operator allows on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpendLimits {
    /// `--max-fee-gwei`, wei per gas.
    pub(crate) max_fee: u128,
    /// `--daily-budget-ether`, wei.
    pub(crate) daily_budget: u128,
}

/// The fees of one signature, wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    /// `maxFeePerGas`.
    pub(crate) max_fee: u128,
    /// `maxPriorityFeePerGas`.
    pub(crate) tip: u128,
}

/// What a price is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FeeInputs {
    /// The newest block's base fee, wei per gas.
    pub(crate) base_fee: u128,
    /// The tip that the node suggests, wei per gas.
    pub(crate) tip: u128,
    /// The account's balance, wei.
    pub(crate) balance: u128,
    /// What was signed today, worst case, wei.
    pub(crate) spent: u128,
}

/// The fees for a call of `gas`, or why it is not signed now.
///
/// A replacement pays at least one eighth more in both fields than `last`, which every known client accepts.
pub(crate) fn compute_fees(
    gas: u64,
    last: Option<Fees>,
    market: &FeeInputs,
    allowed: &SpendLimits,
) -> Result<Fees, AnchorReason> {
    // A base fee rises by an eighth a block at most: twice of it lasts for six blocks.
    let wanted = market.base_fee.saturating_mul(2).saturating_add(market.tip);
    let lowest = last.map_or(Some((0, 0)), |last| raised(last.max_fee).zip(raised(last.tip)));
    let (lowest_fee, lowest_tip) = lowest.ok_or(AnchorReason::FeeTooHigh)?;
    let max_fee = wanted.min(allowed.max_fee).max(lowest_fee);
    let tip = market.tip.max(lowest_tip).min(max_fee);
    if max_fee > allowed.max_fee || lowest_tip > max_fee || market.base_fee > max_fee {
        return Err(AnchorReason::FeeTooHigh);
    }
    // A replacement takes the place of what was signed before: only the difference is new.
    let cost = |fee: u128| fee.saturating_mul(u128::from(gas));
    let added = cost(max_fee).saturating_sub(last.map_or(0, |last| cost(last.max_fee)));
    if market.spent.saturating_add(added) > allowed.daily_budget {
        return Err(AnchorReason::BudgetSpent);
    }
    if cost(max_fee) > market.balance {
        return Err(AnchorReason::NoFunds);
    }
    Ok(Fees { max_fee, tip })
}

/// One eighth more, rounded up, and never the same; `None` where no number is as high.
fn raised(fee: u128) -> Option<u128> {
    fee.checked_add(fee.div_ceil(8).max(1))
}

#[cfg(test)]
mod tests;
