//! Times: Go's RFC 3339 grammar in, whole seconds out.

use crate::{
    offer::{Drain, GracePeriod, Timestamp, parse_timestamp, print_seconds},
    testing::{for_each_row, law},
};
use proptest::prelude::*;

#[test]
fn times_are_read_as_rfc_3339() {
    let cases = [
        ("in UTC", "2026-05-24T14:00:00Z", 1_779_631_200, 0),
        ("the epoch", "1970-01-01T00:00:00Z", 0, 0),
        ("before the epoch", "1969-12-31T23:59:59.5Z", -1, 500_000_000),
        ("east of Greenwich", "2026-05-24T16:30:00+02:30", 1_779_631_200, 0),
        ("west of Greenwich", "2026-05-24T06:15:00-07:45", 1_779_631_200, 0),
        ("an offset of nothing", "2026-05-24T14:00:00+00:00", 1_779_631_200, 0),
        ("an unknown offset", "2026-05-24T14:00:00-00:00", 1_779_631_200, 0),
        ("the largest offset", "2026-05-25T13:59:00+23:59", 1_779_631_200, 0),
        ("across midnight", "2026-05-25T00:00:00+10:00", 1_779_631_200, 0),
        ("one decimal", "2026-05-24T14:00:00.1Z", 1_779_631_200, 100_000_000),
        ("nine decimals", "2026-05-24T14:00:00.123456789Z", 1_779_631_200, 123_456_789),
        ("ten decimals", "2026-05-24T14:00:00.1234567899Z", 1_779_631_200, 123_456_789),
        (
            "thirty decimals",
            "2026-05-24T14:00:00.999999999999999999999999999999Z",
            1_779_631_200,
            999_999_999,
        ),
        ("decimals and an offset", "2026-05-24T16:00:00.5+02:00", 1_779_631_200, 500_000_000),
        ("a leap day", "2024-02-29T00:00:00Z", 1_709_164_800, 0),
        ("a leap day of a century", "2000-02-29T00:00:00Z", 951_782_400, 0),
        ("the first year", "0000-01-01T00:00:00Z", -62_167_219_200, 0),
        ("the last second", "9999-12-31T23:59:59Z", 253_402_300_799, 0),
    ];
    for_each_row(cases, |(case, text, seconds, nanos)| {
        let read = parse_timestamp(text).map(|at| (at.timestamp(), at.timestamp_subsec_nanos()));
        assert_eq!(read, Some((seconds, nanos)), "{case}: {text:?}");
    });
}

#[test]
fn anything_else_is_not_a_time() {
    let cases = [
        ("nothing", ""),
        ("a date", "2026-05-24"),
        ("no zone", "2026-05-24T14:00:00"),
        ("a zone alone", "Z"),
        ("no seconds", "2026-05-24T14:00Z"),
        ("a lower-case t", "2026-05-24t14:00:00Z"),
        ("a lower-case z", "2026-05-24T14:00:00z"),
        ("a space for T", "2026-05-24 14:00:00Z"),
        ("a space before", " 2026-05-24T14:00:00Z"),
        ("a space after", "2026-05-24T14:00:00Z "),
        ("a point without decimals", "2026-05-24T14:00:00.Z"),
        ("second 60", "2016-12-31T23:59:60Z"),
        ("second 60 with decimals", "2016-12-31T23:59:60.5Z"),
        ("minute 60", "2026-05-24T14:60:00Z"),
        ("hour 24", "2026-05-24T24:00:00Z"),
        ("month 13", "2026-13-01T00:00:00Z"),
        ("month 0", "2026-00-01T00:00:00Z"),
        ("day 0", "2026-05-00T00:00:00Z"),
        ("day 32", "2026-05-32T00:00:00Z"),
        ("February 29 of a common year", "2026-02-29T00:00:00Z"),
        ("February 29 of a common century", "2100-02-29T00:00:00Z"),
        ("one digit of hour", "2026-05-24T1:00:00Z"),
        ("two digits of year", "26-05-24T14:00:00Z"),
        ("five digits of year", "12026-05-24T14:00:00Z"),
        ("a signed year", "+2026-05-24T14:00:00Z"),
        ("a negative year", "-026-05-24T14:00:00Z"),
        ("an offset without colon", "2026-05-24T14:00:00+0200"),
        ("an offset of hours alone", "2026-05-24T14:00:00+02"),
        ("an offset of one digit", "2026-05-24T14:00:00+2:00"),
        ("an offset without sign", "2026-05-24T14:00:0002:00"),
        ("an offset of 24 hours", "2026-05-24T14:00:00+24:00"),
        ("an offset of 60 minutes", "2026-05-24T14:00:00+02:60"),
        ("an offset with seconds", "2026-05-24T14:00:00+02:00:00"),
        ("a signed part of an offset", "2026-05-24T14:00:00++2:00"),
        ("a Unicode minus", "2026-05-24T14:00:00\u{2212}02:00"),
        ("both zones", "2026-05-24T14:00:00Z+00:00"),
        ("a zone name", "2026-05-24T14:00:00UTC"),
        ("a sign within a number", "2026-05-24T14:00:+1Z"),
        ("digits of another script", "\u{662}026-05-24T14:00:00Z"),
        ("seconds since the epoch", "1779631200"),
    ];
    for_each_row(cases, |(case, text)| {
        assert_eq!(parse_timestamp(text), None, "{case}: {text:?}");
    });
}

#[test]
fn instants_are_printed_in_utc_and_whole_seconds() {
    let cases = [
        ("2026-05-24T14:00:00Z", "2026-05-24T14:00:00Z"),
        ("2026-05-24T16:00:00+02:00", "2026-05-24T14:00:00Z"),
        ("2026-05-24T14:00:00.999999999Z", "2026-05-24T14:00:00Z"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ("0099-01-01T00:00:00Z", "0099-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ];
    for_each_row(cases, |(text, printed)| {
        assert_eq!(print_seconds(parse_timestamp(text).unwrap()), printed, "{text:?}");
    });
}

fn drain(seconds: i64, nanos: u32, grace: &str) -> Option<Timestamp> {
    let start = Timestamp::from_timestamp(seconds, nanos).unwrap();
    Drain::new(start, GracePeriod::parse(grace).unwrap()).ok().map(Drain::ends_at)
}

proptest! {
    #![proptest_config(law(512))]

    #[test]
    fn any_text_is_a_time_or_none(text in any::<String>()) {
        let _never_panics = parse_timestamp(&text);
    }

    #[test]
    fn almost_a_time_is_a_time_or_none(
        text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.]?[0-9]{0,12}[Z+-][0-9:]{0,6}",
    ) {
        // What is read at all is printed and read again as the same second.
        if let Some(at) = parse_timestamp(&text).filter(|at| (0..=9999).contains(&chrono::Datelike::year(at))) {
            let printed = parse_timestamp(&print_seconds(at)).unwrap();
            prop_assert_eq!(printed.timestamp(), at.timestamp());
        }
    }

    #[test]
    fn a_printed_end_reads_as_itself(
        seconds in -62_167_219_200_i64..=253_402_300_799, nanos in 0..1_000_000_000_u32, grace in 0..=9_223_372_036_u64,
    ) {
        if let Some(end) = drain(seconds, nanos, &format!("{grace}.{nanos:09}s")) {
            prop_assert_eq!(parse_timestamp(&print_seconds(end)), Some(end));
            let whole = i64::from(nanos) * 2 / 1_000_000_000;
            prop_assert_eq!(end.timestamp(), seconds + i64::try_from(grace).unwrap() + whole);
        }
    }
}
