//! What a transaction may cost.

use crate::{
    anchor::{
        fees::{FeeInputs, Fees, Replaced, SpendLimits, compute_fees},
        reason::AnchorReason,
    },
    testing::{for_each_row, law},
};
use proptest::prelude::*;

const PLENTY: SpendLimits = SpendLimits { max_fee: 1_000, daily_budget: 10_000_000, uri_budget: 0 };
const INPUTS: FeeInputs =
    FeeInputs { base_fee: 100, tip: 3, balance: 10_000_000, spent: 0, data_fee: 0 };

/// The signature that is replaced, for the same gas.
fn replaced(gas: u64) -> impl Fn(Fees) -> Replaced {
    move |fees| Replaced { fees, gas }
}

fn fees(max_fee: u128, tip: u128) -> Fees {
    Fees { max_fee, tip }
}

#[test]
fn fees_keep_to_the_ceiling_the_budget_and_the_funds() {
    use AnchorReason::{BudgetSpent, FeeTooHigh, NoFunds};
    let inputs = |change: fn(&mut FeeInputs)| {
        let mut inputs = INPUTS;
        change(&mut inputs);
        inputs
    };
    let allowed = |max_fee, daily_budget| SpendLimits { max_fee, daily_budget, uri_budget: 0 };
    let cases = [
        ("twice the base fee and the tip", None, INPUTS, PLENTY, Ok(fees(203, 3))),
        ("no more than the ceiling", None, INPUTS, allowed(150, 10_000_000), Ok(fees(150, 3))),
        ("a ceiling at the base fee", None, INPUTS, allowed(100, 10_000_000), Ok(fees(100, 3))),
        ("a ceiling below the base fee", None, INPUTS, allowed(99, 10_000_000), Err(FeeTooHigh)),
        (
            "a tip above the ceiling",
            None,
            inputs(|m| m.tip = 5_000),
            PLENTY,
            Ok(fees(1_000, 1_000)),
        ),
        (
            "no base fee and no tip",
            None,
            inputs(|m| (m.base_fee, m.tip) = (0, 0)),
            PLENTY,
            Ok(fees(0, 0)),
        ),
        ("the last wei of the budget", None, INPUTS, allowed(1_000, 203_000), Ok(fees(203, 3))),
        ("one wei over the budget", None, INPUTS, allowed(1_000, 202_999), Err(BudgetSpent)),
        ("what was spent counts", None, inputs(|m| m.spent = 9_797_001), PLENTY, Err(BudgetSpent)),
        ("and no more", None, inputs(|m| m.spent = 9_797_000), PLENTY, Ok(fees(203, 3))),
        (
            "the last wei of the balance",
            None,
            inputs(|m| m.balance = 203_000),
            PLENTY,
            Ok(fees(203, 3)),
        ),
        ("one wei over the balance", None, inputs(|m| m.balance = 202_999), PLENTY, Err(NoFunds)),
        (
            "data that only just can be paid",
            None,
            inputs(|m| (m.balance, m.data_fee) = (203_500, 500)),
            PLENTY,
            Ok(fees(203, 3)),
        ),
        (
            "gas that can be paid, and data that cannot",
            None,
            inputs(|m| (m.balance, m.data_fee) = (203_499, 500)),
            PLENTY,
            Err(NoFunds),
        ),
        (
            "data counts in the budget",
            None,
            inputs(|m| m.data_fee = 1),
            allowed(1_000, 203_000),
            Err(BudgetSpent),
        ),
        ("an eighth more in both", Some(fees(400, 80)), INPUTS, PLENTY, Ok(fees(450, 90))),
        ("an eighth, rounded up", Some(fees(401, 81)), INPUTS, PLENTY, Ok(fees(452, 92))),
        (
            "an eighth of nothing is one",
            Some(fees(300, 0)),
            inputs(|m| m.tip = 0),
            PLENTY,
            Ok(fees(338, 1)),
        ),
        (
            "more than an eighth where the market asks it",
            Some(fees(8, 1)),
            INPUTS,
            PLENTY,
            Ok(fees(203, 3)),
        ),
        ("the ceiling is met", Some(fees(888, 8)), INPUTS, PLENTY, Ok(fees(999, 9))),
        ("the ceiling is passed", Some(fees(889, 8)), INPUTS, PLENTY, Err(FeeTooHigh)),
        // The tip must rise too, and cannot pass the whole fee.
        (
            "a tip that has no room",
            Some(fees(88, 888)),
            inputs(|m| m.base_fee = 1),
            allowed(100, 10_000_000),
            Err(FeeTooHigh),
        ),
        (
            "only the difference is new",
            Some(fees(400, 80)),
            inputs(|m| m.spent = 400_000),
            allowed(1_000, 450_000),
            Ok(fees(450, 90)),
        ),
        (
            "one wei over with it",
            Some(fees(400, 80)),
            inputs(|m| m.spent = 400_000),
            allowed(1_000, 449_999),
            Err(BudgetSpent),
        ),
        (
            "the whole must be there",
            Some(fees(400, 80)),
            inputs(|m| m.balance = 449_999),
            PLENTY,
            Err(NoFunds),
        ),
    ];
    for_each_row(cases, |(name, last, inputs, limits, expected)| {
        assert_eq!(
            compute_fees(1_000, last.map(replaced(1_000)), &inputs, &limits),
            expected,
            "{name}"
        );
    });
}

#[test]
fn the_largest_numbers_never_overflow_into_a_low_price() {
    const MAX: u128 = u128::MAX;
    let boundless = SpendLimits { max_fee: MAX, daily_budget: MAX, uri_budget: 0 };
    let market = FeeInputs { base_fee: MAX, tip: MAX, balance: MAX, spent: 0, data_fee: 0 };
    assert_eq!(compute_fees(u64::MAX, None, &market, &boundless), Ok(fees(MAX, MAX)));
    let spent = FeeInputs { spent: MAX, ..market };
    let limited = SpendLimits { max_fee: MAX, daily_budget: MAX - 1, uri_budget: 0 };
    assert_eq!(compute_fees(1, None, &spent, &limited), Err(AnchorReason::BudgetSpent));
    let poor = FeeInputs { balance: MAX - 1, ..market };
    assert_eq!(compute_fees(u64::MAX, None, &poor, &boundless), Err(AnchorReason::NoFunds));
    // Nothing is an eighth more than the most.
    for last in [fees(MAX, 1), fees(MAX - 1, 1), fees(1, MAX)] {
        let refused = compute_fees(1, Some(replaced(1)(last)), &market, &boundless);
        assert_eq!(refused, Err(AnchorReason::FeeTooHigh), "{last:?}");
    }
}

fn amounts() -> impl Strategy<Value = u128> {
    prop_oneof![4 => 0_u128..40, 1 => (u128::MAX - 3)..=u128::MAX]
}

proptest! {
    #![proptest_config(law(4_096))]

    #[test]
    fn what_is_accepted_keeps_every_limit_and_a_replacement_raises_both_fees(
        gas in 0_u64..4,
        last in prop::option::of((amounts(), amounts())),
        market in [amounts(), amounts(), amounts(), amounts(), amounts()],
        allowed in [amounts(), amounts()],
    ) {
        let [base_fee, tip, balance, spent, data_fee] = market;
        let [ceiling, daily_budget] = allowed;
        let last = last.map(|(max_fee, tip)| fees(max_fee, tip));
        let market = FeeInputs { base_fee, tip, balance, spent, data_fee };
        let before = last.map(replaced(gas));
        let limits = SpendLimits { max_fee: ceiling, daily_budget, uri_budget: 0 };
        let Ok(paid) = compute_fees(gas, before, &market, &limits) else {
            return Ok(());
        };
        prop_assert!(paid.tip <= paid.max_fee && base_fee <= paid.max_fee && paid.max_fee <= ceiling);
        let cost = |fee: u128| fee.saturating_mul(gas.into());
        let before = last.map_or(0, |last| cost(last.max_fee));
        prop_assert!(cost(paid.max_fee).saturating_add(data_fee) <= balance);
        // The data of a replacement is paid for once.
        let data = if last.is_none() { data_fee } else { 0 };
        let added = cost(paid.max_fee).saturating_sub(before).saturating_add(data);
        prop_assert!(spent.saturating_add(added) <= daily_budget);
        if let Some(last) = last {
            for (old, new) in [(last.max_fee, paid.max_fee), (last.tip, paid.tip)] {
                prop_assert!(new > old && new - old >= old / 8 + u128::from(old % 8 > 0), "{} to {}", old, new);
            }
        }
    }
}

#[test]
fn funds_last_as_many_days_as_the_budget_goes_into_them() {
    let budget = |daily_budget| SpendLimits { max_fee: 1, daily_budget, uri_budget: 0 };
    for (balance, daily, days) in [(100, 40, 2.5), (0, 40, 0.0), (7, 0, 7.0)] {
        assert_eq!(budget(daily).days_of(balance), days, "{balance} by {daily}");
    }
}
