//! `registrar explain`: why each offer is or is not published.

use std::{fmt::Write, process::ExitCode};

use anyhow::bail;

use super::{ReadIds, print, project_at, read_once};
use crate::{
    cli::ExplainArgs,
    clock::Clock,
    offer::print_seconds,
    registration::{Explanation, encode},
};

pub(super) async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let (config, only, at, json) = args.resolve();
    let world = read_once(&config, ReadIds::No).await?;
    let mut told =
        project_at(&world, &config, at.unwrap_or_else(|| Clock::system().now())).explanations;
    if let Some(id) = only {
        told.retain(|explanation| explanation.id == id);
        if told.is_empty() {
            bail!("there is no offer {id}; explain without a name lists them all");
        }
    }
    if json {
        let mut bytes = encode(&told);
        bytes.push(b'\n');
        return print(&bytes);
    }
    print(told.iter().map(describe).collect::<Vec<_>>().join("\n").as_bytes())
}

fn describe(told: &Explanation) -> String {
    let mut text = format!("{}  {}  {}\n  {}\n", told.id, told.state, told.reason, told.message);
    if let Some(ends_at) = told.drain_ends_at {
        text += &format!("  drain end: {}\n", print_seconds(ends_at));
    }
    text += &format!("  fix: {}\n", told.fix);
    for dropped in &told.dropped_services {
        let place = dropped
            .index
            .map_or_else(|| "generated".to_owned(), |index| format!("services[{index}]"));
        let (name, endpoint, code, message) =
            (&dropped.name, &dropped.endpoint, dropped.code, dropped.message);
        writeln!(text, "  left out: {place} {name:?} {endpoint:?} {code}: {message}")
            .expect("a String takes every write");
    }
    text
}
