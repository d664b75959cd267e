//! Decimal prices in whole units of an asset, and amounts in its smallest unit.

use alloy::primitives::U256;

/// The longest price that is read. No amount of a token has more digits.
const MAX_LENGTH: usize = 100;

/// A price as an amount of the smallest unit, exactly; `None` if it is not a decimal number such as
/// `0.01`, not positive, finer than the smallest unit, or too large.
pub(super) fn in_atomic_units(price: &str, decimals: u8) -> Option<U256> {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if price.len() > MAX_LENGTH || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = usize::from(decimals).checked_sub(fraction.len())?;
    let digits = [whole, fraction, &"0".repeat(missing)].concat();
    U256::from_str_radix(&digits, 10).ok().filter(|amount| !amount.is_zero())
}
