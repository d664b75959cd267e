//! Grace periods, in Go's duration notation.

use std::time::Duration;

/// How long after `drainAt` an offer is still listed: zero to about 292 years, the range of Go's
/// `time.Duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GracePeriod(Duration);

/// Why a text is not a grace period. Written to follow the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GraceError {
    #[error("is not a Go duration such as 30m, 1h30m or 0s")]
    Invalid,
    #[error("is negative")]
    Negative,
}

impl GracePeriod {
    /// One hour, for an offer that sets no grace period.
    pub(crate) const DEFAULT: Self = Self(Duration::from_secs(3_600));

    /// Reads what Go's `time.ParseDuration` accepts: `1h30m`, decimals, a sign, a bare `0`.
    ///
    /// Rounds fractions down to the nanosecond, exactly.
    pub(crate) fn parse(text: &str) -> Result<Self, GraceError> {
        let (negative, parts) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) | None => (false, text),
        };
        let nanos =
            if parts == "0" { 0 } else { sum_of_parts(parts).ok_or(GraceError::Invalid)? };
        let limit = i64::MAX.unsigned_abs() + u64::from(negative);
        let nanos =
            u64::try_from(nanos).ok().filter(|nanos| *nanos <= limit).ok_or(GraceError::Invalid)?;
        if negative && nanos > 0 {
            return Err(GraceError::Negative);
        }
        Ok(Self(Duration::from_nanos(nanos)))
    }

    pub(crate) fn duration(self) -> Duration {
        self.0
    }
}

fn sum_of_parts(mut rest: &str) -> Option<u128> {
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit = nanos_of(unit)?;
        let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
        total = total.checked_add(u128::from(whole) * unit + floor_of_fraction(fraction, unit))?;
        rest = after;
    }
    Some(total)
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// `floor(0.d1d2d3… × unit)`. Dividing from the last digit on is exact for any number of digits.
fn floor_of_fraction(digits: &str, unit: u128) -> u128 {
    digits.bytes().rev().fold(0, |below, digit| (u128::from(digit - b'0') * unit + below) / 10)
}

fn nanos_of(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        // U+00B5 micro sign and U+03BC Greek mu, both accepted by Go.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
