//! The screen as text.

use anstyle::Style;
use url::Url;

use super::{Agent, Report};
use crate::{
    command::terminal::{ATTENTION, BAD, GOOD, HEADING, paint, table},
    offer::{Timestamp, parse_timestamp},
    registration::{AgentRegistry, chains::short_name},
    source::FRESH_LIMIT,
};

pub(super) fn describe(report: &Report, admin_url: &Url) -> String {
    let mut text = String::new();
    let admin = admin_url.as_str().trim_end_matches('/');
    let readiness = if report.ready { paint(GOOD, "serving") } else { paint(BAD, "not serving") };
    text += &format!("registrar {} at {admin}: {readiness}\n", report.version);
    text += &format!("  public URL  {}\n", report.public_url.as_deref().unwrap_or("not known yet"));
    text += &format!("  source      {}\n", source(report));
    let changed = report.document_changed_at.as_deref().unwrap_or("-");
    text += &format!("  documents   last changed {changed}\n");
    for (problems, style) in [(&report.missing, BAD), (&report.problems, ATTENTION)] {
        for problem in problems {
            let code = paint(style, &problem.code);
            text += &format!("  {code}: {}: {}\n", problem.about, problem.message);
        }
    }
    text += &heading("OFFERS");
    let states =
        [("published", GOOD), ("draining", ATTENTION), ("drained", BAD), ("unpublished", BAD)];
    let counted = states.map(|(state, style)| {
        let count = report.offers.get(state).copied().unwrap_or_default();
        let shown = format!("{count} {state}");
        if count == 0 { shown } else { paint(style, &shown) }
    });
    text += &format!("  {}\n", counted.join("  "));
    let whys = report.reasons.iter().filter(|(reason, _)| *reason != "Published");
    let whys: Vec<_> = whys.map(|(reason, count)| format!("{reason} {count}")).collect();
    if !whys.is_empty() {
        text += &format!("  {}\n", whys.join(", "));
    }
    text += &drains(report);
    text += &agents(report);
    text += &findings(report);
    text
}

fn heading(title: &str) -> String {
    format!("\n{}\n", paint(HEADING, title))
}

fn source(report: &Report) -> String {
    let held = match report.held_offers {
        0 => String::new(),
        held => format!("; {held} lost offers are held back"),
    };
    let age = |seconds: f64| format!("{seconds:.0} s ago");
    match (report.source_incomplete_seconds, report.source_silence_seconds) {
        (Some(seconds), _) if seconds <= FRESH_LIMIT.as_secs_f64() => {
            format!("complete {}{held}", age(seconds))
        }
        (Some(seconds), _) => {
            format!("{}{held}", paint(BAD, &format!("last complete {}", age(seconds))))
        }
        (None, Some(seconds)) => {
            paint(BAD, &format!("never complete; it last answered {}", age(seconds)))
        }
        (None, None) => paint(BAD, "no answer yet"),
    }
}

fn drains(report: &Report) -> String {
    if report.next_drains.is_empty() {
        return String::new();
    }
    let now = parse_timestamp(&report.now);
    let row = |drain: &super::Drain| {
        let left = now.zip(parse_timestamp(&drain.drain_ends_at)).map(|(now, end)| left(now, end));
        let id = format!("  {}/{}", drain.namespace, drain.name);
        [id, drain.drain_ends_at.clone(), left.unwrap_or_default()]
    };
    let rows: Vec<_> = report.next_drains.iter().map(row).collect();
    heading("DRAINS THAT END NEXT") + &table(&rows, |_, _| None)
}

/// The time until an end, in its two largest units.
fn left(now: Timestamp, end: Timestamp) -> String {
    let seconds = (end - now).num_seconds().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600, seconds / 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("in {seconds} s"),
        (0, 0, minutes) => format!("in {minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("in {hours} h {} min", minutes % 60),
        (days, hours, _) => format!("in {days} d {} h", hours % 24),
    }
}

fn agents(report: &Report) -> String {
    let row = |agent: &Agent| {
        let state = if agent.active { "active" } else { "inactive" };
        [format!("  {}", agent.agent), state.to_owned(), ids(agent)]
    };
    let rows: Vec<_> = report.agents.iter().map(row).collect();
    let style = |row: usize, column: usize| -> Option<Style> {
        let agent = report.agents.get(row).filter(|_| column == 1)?;
        Some(if agent.active { GOOD } else { BAD })
    };
    let mut text = heading("AGENTS") + &table(&rows, style);
    let more = report.agent_count.saturating_sub(report.agents.len());
    if more > 0 {
        text += &format!("  and {more} more\n");
    }
    text
}

/// The ids of an agent, and where anchoring has not reached its goal.
fn ids(agent: &Agent) -> String {
    let chain = |registry: &str| {
        let known = AgentRegistry::parse(registry);
        known.map_or_else(|| registry.to_owned(), |registry| short_name(registry.chain_id))
    };
    let ids = agent.registrations.iter();
    let ids = ids.map(|id| format!("#{} on {}", id.agent_id, chain(&id.agent_registry)));
    let anchors = agent.anchoring.iter().filter(|anchor| anchor.reason != "Anchored");
    let anchors = anchors.map(|a| format!("{} on {}", a.reason, chain(&a.agent_registry)));
    let all: Vec<_> = ids.chain(anchors).collect();
    if all.is_empty() { "no id".to_owned() } else { all.join(", ") }
}

fn findings(report: &Report) -> String {
    if report.findings.is_empty() {
        return String::new();
    }
    let row = |finding: &super::Counted| {
        let documents = match finding.documents {
            1 => "1 document".to_owned(),
            count => format!("{count} documents"),
        };
        [format!("  {}", finding.severity), finding.code.clone(), documents]
    };
    let rows: Vec<_> = report.findings.iter().map(row).collect();
    let style = |row: usize, column: usize| {
        let finding = report.findings.get(row).filter(|_| column == 0)?;
        match finding.severity.as_str() {
            "error" => Some(BAD),
            "warning" => Some(ATTENTION),
            _ => None,
        }
    };
    heading("FINDINGS") + &table(&rows, style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_in_two_units() {
        let now = parse_timestamp("2026-05-24T12:00:00Z").unwrap();
        let rows = [
            ("2026-05-24T11:59:00Z", "in 0 s"),
            ("2026-05-24T12:00:59Z", "in 59 s"),
            ("2026-05-24T12:01:00Z", "in 1 min 0 s"),
            ("2026-05-24T13:30:59Z", "in 1 h 30 min"),
            ("2026-05-27T13:30:59Z", "in 3 d 1 h"),
        ];
        for (end, expected) in rows {
            assert_eq!(left(now, parse_timestamp(end).unwrap()), expected, "{end}");
        }
    }
}
