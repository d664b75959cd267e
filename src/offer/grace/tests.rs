//! Grace periods: Go's duration notation, with the rounding cases of Go's own test table.

use crate::{
    offer::grace::{GraceError, GracePeriod},
    testing::{for_each_row, law},
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

fn nanos(text: &str) -> Result<u128, GraceError> {
    GracePeriod::parse(text).map(|grace| grace.duration().as_nanos())
}

#[test]
fn durations_mean_what_they_mean_in_go() {
    let cases = [
        ("a bare zero", "0", 0),
        ("a negative bare zero", "-0", 0),
        ("a positive bare zero", "+0", 0),
        ("zero seconds", "0s", 0),
        ("minus zero seconds", "-0s", 0),
        ("minus less than a nanosecond", "-.4ns", 0),
        ("seconds", "5s", 5 * SECOND),
        ("many seconds", "1478s", 1_478 * SECOND),
        ("a plus sign", "+5s", 5 * SECOND),
        ("leading zeros", "000000000000000000000005s", 5 * SECOND),
        ("a decimal of zero", "5.0s", 5 * SECOND),
        ("a decimal", "5.6s", 5 * SECOND + 600_000_000),
        ("a point without decimals", "5.s", 5 * SECOND),
        ("decimals without a whole", ".5s", 500_000_000),
        ("trailing zeros", "1.0040s", SECOND + 4_000_000),
        ("hundred and a bit", "100.00100s", 100 * SECOND + 1_000_000),
        ("nanoseconds", "10ns", 10),
        ("microseconds in ASCII", "11us", 11_000),
        ("microseconds with a micro sign", "12\u{b5}s", 12_000),
        ("microseconds with a Greek mu", "12\u{3bc}s", 12_000),
        ("milliseconds", "13ms", 13_000_000),
        ("minutes", "15m", 15 * MINUTE),
        ("hours", "16h", 16 * HOUR),
        ("hours and minutes", "3h30m", 3 * HOUR + 30 * MINUTE),
        ("small before large", "10.5s4m", 4 * MINUTE + 10 * SECOND + 500_000_000),
        ("the same unit twice", "1h1h", 2 * HOUR),
        ("every unit", "1h2m3s4ms5us6ns", HOUR + 2 * MINUTE + 3 * SECOND + 4_000_000 + 5_000 + 6),
        ("a mixture", "39h9m14.425s", 39 * HOUR + 9 * MINUTE + 14 * SECOND + 425_000_000),
        ("one and a half hours", "1.5h", 90 * MINUTE),
        ("2^53 + 1, which no double holds", "9007199254740993ns", 9_007_199_254_740_993),
        ("the longest", "9223372036854775807ns", i64::MAX.unsigned_abs()),
        ("the longest as a decimal", "9223372036854775.807us", i64::MAX.unsigned_abs()),
        ("the longest in parts", "9223372036s854ms775us807ns", i64::MAX.unsigned_abs()),
        ("the longest in whole hours", "2562047h", 2_562_047 * HOUR),
        ("a fraction is floored, not rounded", "1.9999999999s", 2 * SECOND - 1),
        ("less than a nanosecond is nothing", "0.9999ns", 0),
        ("two floored fractions do not add up to one", ".5ns.5ns", 0),
        ("a third of an hour is exact, then floored", "0.3333333333333333333h", 20 * MINUTE - 1),
        ("twenty-one decimals", "0.100000000000000000000h", 6 * MINUTE),
        ("decimals past 2^63", "0.830103483285477580700h", 49 * MINUTE + 48 * SECOND + 372_539_827),
        ("forty decimals", "0.0000000000000000000000000000000000000001h", 0),
        ("forty nines", "0.9999999999999999999999999999999999999999h", HOUR - 1),
    ];
    for_each_row(cases, |(case, text, expected)| {
        assert_eq!(nanos(text), Ok(u128::from(expected)), "{case}: {text:?}");
    });
}

#[test]
fn what_go_cannot_read_is_invalid() {
    let cases = [
        ("nothing", ""),
        ("a bare number", "3"),
        ("a bare decimal", "0.0"),
        ("two zeros", "00"),
        ("a sign alone", "-"),
        ("another sign alone", "+"),
        ("two signs", "--0s"),
        ("a unit alone", "s"),
        ("a point alone", "."),
        ("a sign and a point", "-."),
        ("a point and a unit", ".s"),
        ("a sign, a point and a unit", "+.s"),
        ("days", "1d"),
        ("weeks", "2w"),
        ("words", "1 hour"),
        ("a space inside", "1h 30m"),
        ("a space before", " 1h"),
        ("a space after", "1h "),
        ("an upper-case unit", "1H"),
        ("a sign inside", "1h-30m"),
        ("an exponent", "1e3s"),
        ("a comma", "1,5h"),
        ("two points", "1..5s"),
        ("a number after the last unit", "1h30"),
        ("an underscore", "1_000s"),
        ("hexadecimal", "0x1s"),
        ("digits of another script", "\u{661}s"),
        ("a unit of another script", "1\u{441}"),
        ("a replacement character", "\u{fffd}"),
        ("the first one too long", "9223372036854775808ns"),
        ("one more", "9223372036854775810ns"),
        ("microseconds too long", "9223372036854776us"),
        ("a decimal too long", "9223372036854775.808us"),
        ("parts too long", "9223372036854ms775us808ns"),
        ("hours too long", "3000000h"),
        ("the first hour too long", "2562048h"),
        ("twenty digits", "99999999999999999999h"),
        ("forty digits", "9999999999999999999999999999999999999999ns"),
        ("many parts that overflow together", "2562047h2562047h"),
        ("the first one too negative", "-9223372036854775809ns"),
    ];
    for_each_row(cases, |(case, text)| {
        assert_eq!(nanos(text), Err(GraceError::Invalid), "{case}: {text:?}");
    });
}

#[test]
fn negative_durations_are_reported_as_negative_down_to_gos_minimum() {
    let lasting = ["-5s", "-1ns", "-.5s", "-2m3.4s", "-1h", "-9223372036854775808ns"];
    let last = ["-9223372036854775.808us", "-9223372036s854ms775us808ns"];
    for_each_row(lasting.into_iter().chain(last).chain(["-2562047h47m16.854775808s"]), |text| {
        assert_eq!(nanos(text), Err(GraceError::Negative), "{text:?}");
    });
}

#[test]
fn the_default_grace_is_one_hour() {
    assert_eq!(GracePeriod::parse("1h"), Ok(GracePeriod::DEFAULT));
}

proptest! {
    #![proptest_config(law(512))]

    #[test]
    fn any_text_is_a_duration_or_an_error(text in any::<String>()) {
        let _never_panics = GracePeriod::parse(&text);
    }

    #[test]
    fn a_sign_changes_the_sign_and_nothing_else(text in "[0-9.hmsnu\u{b5}]{0,12}") {
        prop_assert_eq!(nanos(&format!("+{text}")), nanos(&text));
        let expected = match nanos(&text) {
            Ok(0) => Ok(0),
            Ok(_) => Err(GraceError::Negative),
            Err(error) => Err(error),
        };
        prop_assert_eq!(nanos(&format!("-{text}")), expected);
    }

    #[test]
    fn parts_add_up(
        hours in 0..1_000_u64, minutes in 0..1_000_u64, seconds in 0..1_000_u64, below in 0..SECOND,
    ) {
        let text = format!("{hours}h{minutes}m{seconds}.{below:09}s");
        let expected = hours * HOUR + minutes * MINUTE + seconds * SECOND + below;
        prop_assert_eq!(nanos(&text), Ok(u128::from(expected)));
    }
}
