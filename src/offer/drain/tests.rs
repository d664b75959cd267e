//! The end of a drain in whole seconds, or the reason why it has none.

use crate::{
    offer::{Drain, DrainError, grace::GraceError, print_seconds},
    testing::{Resource, for_each_row, offer},
};

fn end(resource: &Resource) -> Result<Option<String>, DrainError> {
    let drain = resource.parsed().verdict.unwrap().drain?;
    Ok(drain.map(Drain::ends_at).map(print_seconds))
}

#[test]
fn the_end_is_drain_at_and_grace_cut_once_to_whole_seconds() {
    let cases = [
        ("half an hour", "2026-05-24T14:00:00Z", "30m", "2026-05-24T14:30:00Z"),
        ("zero is honoured", "2026-05-24T14:00:00Z", "0s", "2026-05-24T14:00:00Z"),
        ("minus zero is zero", "2026-05-24T14:00:00Z", "-0s", "2026-05-24T14:00:00Z"),
        ("an offset", "2026-05-24T16:00:00+02:00", "30m", "2026-05-24T14:30:00Z"),
        (
            "a fraction of the grace is cut",
            "2026-05-24T14:00:00Z",
            "1999ms",
            "2026-05-24T14:00:01Z",
        ),
        (
            "a fraction of the start is cut",
            "2026-05-24T14:00:00.999Z",
            "1s",
            "2026-05-24T14:00:01Z",
        ),
        (
            "the sum is cut, not its parts",
            "2026-05-24T14:00:00.5Z",
            "500ms",
            "2026-05-24T14:00:01Z",
        ),
        ("one nanosecond short", "2026-05-24T14:00:00.5Z", "499999999ns", "2026-05-24T14:00:00Z"),
        (
            "before the epoch it is cut downwards",
            "1969-12-31T23:59:58.5Z",
            "0s",
            "1969-12-31T23:59:58Z",
        ),
        ("across a leap day", "2028-02-28T23:00:00Z", "2h", "2028-02-29T01:00:00Z"),
        ("the last second", "9999-12-31T23:00:00Z", "59m59s", "9999-12-31T23:59:59Z"),
        (
            "a fraction after the last second",
            "9999-12-31T23:59:59.9Z",
            "99ms",
            "9999-12-31T23:59:59Z",
        ),
        ("the first second", "0000-01-01T00:00:00Z", "0s", "0000-01-01T00:00:00Z"),
        (
            "the longest grace",
            "2026-05-24T14:00:00Z",
            "9223372036854775807ns",
            "2318-09-03T13:47:16Z",
        ),
    ];
    for_each_row(cases, |(case, at, grace, expected)| {
        let ended = end(&offer("llm/chat").draining(at, grace));
        assert_eq!(ended, Ok(Some(expected.to_owned())), "{case}");
    });
}

#[test]
fn the_grace_is_one_hour_by_default() {
    let resource = offer("llm/chat").set("/spec/drainAt", "2026-05-24T14:00:00Z");
    assert_eq!(end(&resource), Ok(Some("2026-05-24T15:00:00Z".to_owned())));
}

#[test]
fn an_invalid_drain_names_its_error() {
    let grace = |text: &str, error| DrainError::Grace { text: text.to_owned(), error };
    let start = "2026-05-24T14:00:00Z";
    let cases = [
        ("no time", "soon", "1h", DrainError::At("soon".to_owned())),
        ("an empty time", "", "1h", DrainError::At(String::new())),
        ("a date", "2026-05-24", "1h", DrainError::At("2026-05-24".to_owned())),
        ("no duration", start, "1 hour", grace("1 hour", GraceError::Invalid)),
        ("an empty duration", start, "", grace("", GraceError::Invalid)),
        (
            "a duration at which kube's own type panics",
            start,
            "99999999999999999999h",
            grace("99999999999999999999h", GraceError::Invalid),
        ),
        ("a negative duration", start, "-5m", grace("-5m", GraceError::Negative)),
        ("the first second too late", "9999-12-31T23:59:59Z", "1s", DrainError::OutOfRange),
        ("a fraction too late", "9999-12-31T23:59:59.5Z", "500ms", DrainError::OutOfRange),
        ("centuries too late", "9999-12-31T23:59:59Z", "2562047h", DrainError::OutOfRange),
        ("one second too early", "0000-01-01T00:00:59+00:01", "0s", DrainError::OutOfRange),
        ("before the first year", "0000-01-01T00:00:00+01:00", "0s", DrainError::OutOfRange),
    ];
    for_each_row(cases, |(case, at, grace, expected)| {
        assert_eq!(end(&offer("llm/chat").draining(at, grace)), Err(expected), "{case}");
    });
}

#[test]
fn an_invalid_grace_period_without_drain_at_is_only_a_warning() {
    let warning = "spec.drainGracePeriod is not a valid Go duration";
    let cases = [
        ("unreadable", offer("llm/chat").set("/spec/drainGracePeriod", "1 hour"), true),
        ("negative", offer("llm/chat").set("/spec/drainGracePeriod", "-1h"), true),
        ("of the wrong type", offer("llm/chat").set("/spec/drainGracePeriod", 3_600), true),
        ("good", offer("llm/chat").set("/spec/drainGracePeriod", "30m"), false),
        ("absent", offer("llm/chat"), false),
        (
            "null drainAt",
            offer("llm/chat")
                .set("/spec/drainGracePeriod", "1 hour")
                .set("/spec/drainAt", serde_json::Value::Null),
            true,
        ),
    ];
    for_each_row(cases, |(case, resource, warned)| {
        let read = resource.parsed().verdict.unwrap();
        assert_eq!(read.drain, Ok(None), "{case}");
        let is_warned = read.warnings.iter().any(|text| text.starts_with(warning));
        assert_eq!(is_warned, warned, "{case}");
    });
}
