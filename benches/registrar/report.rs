//! The table that is printed, and the noise of the machine.

use std::{
    fmt::Write,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// What was measured so far.
pub struct Report {
    rows: Vec<Row>,
    load_before: String,
    noise: Noise,
}

struct Row {
    what: String,
    measured: String,
    limit: Option<(f64, String)>,
    aim: Option<(f64, String)>,
    value: f64,
    is_at_least: bool,
}

/// A thread that sleeps for a millisecond at a time and notes by how much it is late.
struct Noise {
    stop: Arc<AtomicBool>,
    worst_us: Arc<AtomicU64>,
    late: Arc<AtomicU64>,
}

impl Noise {
    fn start() -> Self {
        let noise = Self { stop: Arc::default(), worst_us: Arc::default(), late: Arc::default() };
        let (stop, worst, late) =
            (Arc::clone(&noise.stop), Arc::clone(&noise.worst_us), Arc::clone(&noise.late));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                thread::sleep(Duration::from_millis(1));
                let over = began.elapsed().saturating_sub(Duration::from_millis(1));
                let over = u64::try_from(over.as_micros()).unwrap_or(u64::MAX);
                worst.fetch_max(over, Ordering::Relaxed);
                late.fetch_add(u64::from(over > 2_000), Ordering::Relaxed);
            }
        });
        noise
    }
}

impl Report {
    pub fn begin() -> Self {
        Self { rows: Vec::new(), load_before: load(), noise: Noise::start() }
    }

    /// A figure that should be at most `limit` and `aim`.
    pub fn at_most(&mut self, what: impl Into<String>, unit: &str, value: f64, goals: [f64; 2]) {
        self.row(what.into(), unit, value, Some(goals), false);
    }

    /// A figure that should be at least `limit` and `aim`.
    pub fn at_least(&mut self, what: impl Into<String>, unit: &str, value: f64, goals: [f64; 2]) {
        self.row(what.into(), unit, value, Some(goals), true);
    }

    /// A figure without a goal.
    pub fn note(&mut self, what: impl Into<String>, unit: &str, value: f64) {
        self.row(what.into(), unit, value, None, false);
    }

    fn row(
        &mut self,
        what: String,
        unit: &str,
        value: f64,
        goals: Option<[f64; 2]>,
        is_at_least: bool,
    ) {
        let goal = |goal: f64| (goal, format!("{goal} {unit}"));
        let measured = match value {
            large if large >= 100.0 => format!("{large:.0} {unit}"),
            small => format!("{small:.2} {unit}"),
        };
        eprintln!("  {what}: {measured}");
        let [limit, aim] = match goals {
            Some([limit, aim]) => [Some(goal(limit)), Some(goal(aim))],
            None => [None, None],
        };
        self.rows.push(Row { what, measured, limit, aim, value, is_at_least });
    }

    /// The whole report as Markdown.
    pub fn end(self) -> String {
        self.noise.stop.store(true, Ordering::Relaxed);
        let mut text = String::new();
        let mut line = |line: &str| writeln!(text, "{line}").unwrap();
        line("");
        line("| what | measured | limit | aim | |");
        line("| --- | --- | --- | --- | --- |");
        for row in &self.rows {
            let is_reached = |goal: &Option<(f64, String)>| {
                goal.as_ref().is_some_and(|(goal, _)| match row.is_at_least {
                    true => row.value >= *goal,
                    false => row.value <= *goal,
                })
            };
            let verdict = match (&row.limit, is_reached(&row.limit), is_reached(&row.aim)) {
                (None, ..) => "",
                (_, _, true) => "aim reached",
                (_, true, false) => "within the limit",
                (_, false, false) => "MISSED",
            };
            let text = |goal: &Option<(f64, String)>| {
                goal.as_ref().map(|(_, text)| text.clone()).unwrap_or_default()
            };
            let (limit, aim) = (text(&row.limit), text(&row.aim));
            line(&format!("| {} | {} | {limit} | {aim} | {verdict} |", row.what, row.measured));
        }
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model.unwrap_or_default().trim_start_matches([' ', '\t', ':']);
        let cores = thread::available_parallelism().map_or(0, usize::from);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        line("");
        line(&format!("Machine: {cores} cores, {model}, Linux {}.", kernel.trim()));
        line(&format!(
            "Noise: load {} before and {} after; a thread that sleeps for 1 ms was late by more than 2 ms {} times, \
             at worst by {:.1} ms.",
            self.load_before,
            load(),
            self.noise.late.load(Ordering::Relaxed),
            Duration::from_micros(self.noise.worst_us.load(Ordering::Relaxed)).as_secs_f64() * 1e3,
        ));
        text
    }
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

/// The value that a share of all values does not exceed.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    // As in the usual definition, the value at or above the position.
    let position = (last as f64 * share).ceil();
    values
        .iter()
        .copied()
        .nth((0..=last).find(|at| *at as f64 >= position).unwrap_or(last))
        .unwrap()
}
