use std::time::Duration;

use kube::{Error, core::Status};
use serde_json::json;

use super::{Cause, WatchFailure};
use crate::{source::cluster::target::WatchTarget, testing::for_each_row};

fn status(code: u16, reason: &str, message: &str) -> Status {
    serde_json::from_value(json!({ "code": code, "reason": reason, "message": message })).unwrap()
}

#[test]
fn an_expired_version_is_recognized_in_every_form() {
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    let rows = [
        (status(410, "Expired", "too old resource version: 1 (2)"), Cause::Expired),
        (status(410, "", "<html>Gone</html>"), Cause::Expired),
        (status(500, "InternalError", compacted), Cause::Expired),
        (status(500, "", "Too old resource version"), Cause::Expired),
        (status(0, "Expired", ""), Cause::Expired),
        (status(500, "InternalError", "etcdserver: request timed out"), Cause::Refused),
        (status(403, "Forbidden", "cannot watch"), Cause::Refused),
        (status(503, "", ""), Cause::Refused),
        (status(429, "TooManyRequests", ""), Cause::Throttled(Duration::ZERO)),
    ];
    for_each_row(rows, |(status, cause)| {
        let shown = format!("{status:?}");
        assert_eq!(WatchFailure::of_status(&status).cause, cause, "in the stream: {shown}");
        let error = Error::Api(status.boxed());
        let target = WatchTarget::Offers(None);
        assert_eq!(WatchFailure::of(&error, &target).cause, cause, "as an answer: {shown}");
    });
}

#[test]
fn an_answer_that_is_not_json_is_a_refusal_and_a_broken_connection_is_none() {
    let page = serde_json::from_str::<()>("<html>").unwrap_err();
    let cut = std::io::Error::other("reset");
    let rows =
        [(Error::SerdeError(page), Cause::Refused), (Error::ReadEvents(cut), Cause::Unreachable)];
    for_each_row(rows, |(error, cause)| {
        assert_eq!(WatchFailure::of(&error, &WatchTarget::Identity).cause, cause, "{error}");
    });
}
