//! `make bench`: how fast, how large and how punctual the release build is.
//!
//! Absolute figures belong to one machine and one moment; compare figures of one run only. What the
//! machine itself did in the meantime is part of the report. `make bench CASES=drains` selects the cases
//! whose names contain a word; `OFFERS=10000` replaces the largest world of 100,000 offers.
//!
//! To add a case, add a module with `pub fn run(report: &mut Report)` and a line to [`CASES`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement fails by panicking")]
#![allow(unreachable_pub, reason = "nobody calls a benchmark")]

mod allocations;
mod api;
mod attack;
mod change;
mod client;
mod drains;
mod memory;
mod nginx;
mod process;
mod rebuild;
mod report;

use std::{alloc::System, process::ExitCode};

use report::Report;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

type Counting = StatsAlloc<System>;

#[global_allocator]
static COUNTING: &Counting = &INSTRUMENTED_SYSTEM;

/// The pure half of the program, to be measured without a process around it.
#[path = "../../src"]
#[allow(dead_code, unused_imports, reason = "only a part of it is measured")]
mod measured {
    pub mod offer;
    pub mod page;
    pub mod registration;
}
use measured::{offer, page, registration};

/// A case: its name, and what it measures.
type Case = (&'static str, fn(&mut Report));

const CASES: [Case; 9] = [
    ("rebuild", rebuild::run),
    ("change", change::run),
    ("memory", memory::run),
    ("drains", drains::run),
    ("nginx", nginx::run),
    ("steady", nginx::steady),
    ("allocations", allocations::run),
    ("attack", attack::run),
    ("subscribers", attack::subscribers),
];

fn main() -> ExitCode {
    if std::env::var_os(allocations::IS_SERVER).is_some() {
        return allocations::serve(COUNTING);
    }
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut report = Report::begin();
    for (name, run) in CASES {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            eprintln!("measuring: {name}");
            run(&mut report);
        }
    }
    print!("{}", report.end());
    ExitCode::SUCCESS
}

/// The size of the largest world.
pub fn many() -> usize {
    #[expect(clippy::disallowed_methods, reason = "the switch is for people")]
    let chosen = std::env::var("OFFERS").ok();
    chosen.and_then(|text| text.parse().ok()).unwrap_or(100_000)
}
