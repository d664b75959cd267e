use super::*;
use crate::check::server::{Problem, Readiness, judge};

fn with(change: impl FnOnce(&mut Readiness)) -> Report {
    let mut readiness =
        Readiness { ready: true, source_silence_seconds: Some(2.0), ..Readiness::default() };
    change(&mut readiness);
    judged(|report| judge(&Ok(readiness), report))
}

fn problem(code: &str) -> Vec<Problem> {
    vec![Problem { code: code.to_owned(), message: "It is so.".to_owned() }]
}

pub(super) fn rows() -> Vec<Row> {
    let unreachable = judged(|report| judge(&Err("refused".to_owned()), report));
    vec![
        (CheckId::ServerReachable, Status::Fail, unreachable.clone()),
        (CheckId::ServerReady, Status::Skip, unreachable),
        (CheckId::ServerReady, Status::Fail, with(|server| server.ready = false)),
        (
            CheckId::ServerReady,
            Status::Fail,
            with(|server| {
                server.ready = false;
                server.missing = problem("NotListed");
            }),
        ),
        (
            CheckId::ServerFresh,
            Status::Fail,
            with(|server| server.problems = problem("StaleSource")),
        ),
        (
            CheckId::ServerFresh,
            Status::Fail,
            with(|server| server.source_silence_seconds = Some(36.0)),
        ),
        (
            CheckId::ServerProblems,
            Status::Pass,
            with(|server| server.problems = problem("StaleSource")),
        ),
        (CheckId::ServerBrake, Status::Fail, with(|server| server.held_offers = 12)),
        (
            CheckId::ServerProblems,
            Status::Warn,
            with(|server| server.problems = problem("BrokenFile")),
        ),
    ]
}

#[test]
fn a_sound_server_passes() {
    assert_eq!(troubles(with(|_| {}), "server"), vec![]);
}
