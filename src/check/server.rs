//! A running server, as its admin listener reports itself (`/readyz?verbose`).

use serde::Deserialize;

use super::{CheckId, Report, Status};

/// After this long without confirmation a source is stale.
const FRESH_SECONDS: f64 = 35.0;

/// The part of `/readyz?verbose` that is judged. More members are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Readiness {
    #[serde(default)]
    pub(crate) ready: bool,
    #[serde(default)]
    pub(crate) missing: Vec<Problem>,
    #[serde(default)]
    pub(crate) problems: Vec<Problem>,
    #[serde(default)]
    pub(crate) source_silence_seconds: Option<f64>,
    #[serde(default)]
    pub(crate) held_offers: usize,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Problem {
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// Problems that a check of their own names.
const NAMED_ELSEWHERE: [&str; 2] = ["StaleSource", "ShrinkBrake"];

/// `readiness` is the answer, or why there is none.
pub(crate) fn judge(readiness: &Result<Readiness, String>, report: &mut Report) {
    let readiness = match readiness {
        Ok(readiness) => readiness,
        Err(why) => {
            report.fail(CheckId::ServerReachable, why);
            return report.skip_rest_of("server", "The admin listener does not answer.");
        }
    };
    report.pass(CheckId::ServerReachable, "The admin listener answers.");
    let sentences = |problems: &[Problem], of: &dyn Fn(&str) -> bool| -> Vec<String> {
        let chosen = problems.iter().filter(|problem| of(&problem.code));
        chosen.map(|problem| format!("{}: {}", problem.code, problem.message)).collect()
    };
    let missing = sentences(&readiness.missing, &|_| true);
    match (readiness.ready, missing.as_slice()) {
        (true, _) => report.pass(CheckId::ServerReady, "The server is ready."),
        (false, []) => report.fail(CheckId::ServerReady, "The server is not ready."),
        (false, missing) => {
            report.none_of(CheckId::ServerReady, missing, Status::Fail, "The server is ready.");
        }
    }
    let mut stale = sentences(&readiness.problems, &|code| code == "StaleSource");
    if let Some(seconds) = readiness.source_silence_seconds.filter(|age| *age > FRESH_SECONDS) {
        stale.push(format!("The source has been silent for {seconds:.0} s."));
    }
    report.none_of(CheckId::ServerFresh, &stale, Status::Fail, "The sources are fresh.");
    let held = readiness.held_offers;
    let message = format!("The brake holds {held} offers.");
    report.when(CheckId::ServerBrake, held == 0, Status::Fail, message);
    let others = sentences(&readiness.problems, &|code| !NAMED_ELSEWHERE.contains(&code));
    report.none_of(CheckId::ServerProblems, &others, Status::Warn, "No problem is reported.");
}
