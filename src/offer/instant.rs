//! Reads times by Go's RFC 3339 grammar, and prints them in the one form that documents use.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};

pub(crate) type Timestamp = DateTime<Utc>;

/// The last second that RFC 3339 can express: 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;
/// The first second that RFC 3339 can express: 0000-01-01T00:00:00Z.
const FIRST_SECOND: i64 = -62_167_219_200;

/// Reads an RFC 3339 time as Go does: an upper-case `T`, `Z` or an offset, a fraction of any
/// length, no leap second.
///
/// Ignores the digits of the fraction after the ninth. Returns `None` for anything else.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shape = b"dddd-dd-ddTdd:dd:dd";
    if bytes.len() <= shape.len() || !text.is_ascii() {
        return None;
    }
    let fits = |(byte, shape): (&u8, &u8)| {
        if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape }
    };
    if !bytes.iter().zip(shape).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let date =
        NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)?;
    let (nanos, zone) = fraction(text.get(shape.len()..)?)?;
    // `and_hms_nano_opt` refuses second 60 as long as the fraction is below one second.
    let local = date.and_hms_nano_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, nanos)?;
    local.checked_sub_signed(offset(zone)?).map(|utc| utc.and_utc())
}

fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    let (fraction, zone) = rest.split_at(digits);
    let padded = format!("{fraction:0<9}");
    Some((padded.get(..9)?.parse().ok()?, zone))
}

fn offset(zone: &str) -> Option<TimeDelta> {
    if zone == "Z" {
        return Some(TimeDelta::zero());
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let two = |part: &str, limit: i64| {
        let number = (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<i64>().ok());
        number.flatten().filter(|number| *number < limit)
    };
    TimeDelta::try_minutes(sign * (two(hours, 24)? * 60 + two(minutes, 60)?))
}

/// Prints an instant in UTC with whole seconds, such as `2026-05-24T12:00:00Z`.
pub(crate) fn print_seconds(instant: Timestamp) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Rounds down to whole seconds. Returns `None` outside the years 0 to 9999, which RFC 3339 cannot
/// express.
pub(crate) fn whole_seconds(instant: Timestamp) -> Option<Timestamp> {
    let seconds = instant.timestamp();
    (FIRST_SECOND..=LAST_SECOND)
        .contains(&seconds)
        .then(|| DateTime::from_timestamp(seconds, 0))
        .flatten()
}

#[cfg(test)]
mod tests;
