//! How far long work is, on stderr: a bar on a terminal, a line now and then elsewhere. Work that is done
//! soon shows nothing.

use std::{
    io::{IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

/// After how long work is worth a bar.
const BAR_AFTER: Duration = Duration::from_secs(1);
/// How long it takes until the first line, and between two.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of one piece of work. What is drawn disappears with it.
pub(super) struct Progress {
    what: String,
    bar: ProgressBar,
    is_terminal: bool,
    pace: Mutex<Pace>,
}

/// When something is shown.
struct Pace {
    began: Instant,
    has_bar: bool,
    lines: u32,
}

impl Progress {
    /// `what` is done, such as "comparing documents".
    pub(super) fn of(what: impl Into<String>) -> Self {
        let what = what.into();
        let style =
            ProgressStyle::with_template("{prefix} {wide_bar} {percent} % {msg}, {eta} left");
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden())
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_prefix(what.clone());
        let pace = Mutex::new(Pace { began: Instant::now(), has_bar: false, lines: 0 });
        Self { what, bar, is_terminal: std::io::stderr().is_terminal(), pace }
    }

    /// Tells how far the work is. `note` names what is at hand.
    pub(super) fn at(&self, done: u64, of: u64, note: &str) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = pace.began.elapsed();
        if done >= of {
            self.bar.finish_and_clear();
            return;
        }
        if self.is_terminal {
            if pace.is_bar_due(spent) {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            self.bar.set_length(of);
            self.bar.set_position(done);
            self.bar.set_message(note.to_owned());
        } else if pace.is_line_due(spent) {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(std::io::stderr(), "{}", line(&self.what, done, of, note));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Pace {
    /// Once.
    fn is_bar_due(&mut self, spent: Duration) -> bool {
        let is_due = !self.has_bar && spent >= BAR_AFTER;
        self.has_bar |= is_due;
        is_due
    }

    fn is_line_due(&mut self, spent: Duration) -> bool {
        let is_due = spent >= LINE_EVERY * (self.lines + 1);
        if is_due {
            // One line for a step that took long, not one for each that was due.
            self.lines = u32::try_from(spent.as_secs() / LINE_EVERY.as_secs()).unwrap_or(u32::MAX);
        }
        is_due
    }
}

/// A count as the number that progress is told in.
pub(super) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn line(what: &str, done: u64, of: u64, note: &str) -> String {
    let percent = u128::from(done) * 100 / u128::from(of.max(1));
    format!("registrar: {what}: {done} of {of} ({percent} %) {note}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace { began: Instant::now(), has_bar: false, lines: 0 }
    }

    fn lines(spent: &[u64]) -> Vec<bool> {
        let mut pace = pace();
        spent.iter().map(|seconds| pace.is_line_due(Duration::from_secs(*seconds))).collect()
    }

    #[test]
    fn quick_work_shows_nothing_and_long_work_a_line_every_ten_seconds() {
        assert_eq!(lines(&[0, 1, 9]), [false; 3]);
        assert_eq!(lines(&[9, 10, 11, 19, 20, 29]), [false, true, false, false, true, false]);
        assert_eq!(lines(&[35, 36, 39, 40]), [true, false, false, true], "a long step is one line");
    }

    #[test]
    fn a_bar_begins_once_after_a_second() {
        let mut pace = pace();
        let spent = [0, 999, 1_000, 1_001, 60_000].map(Duration::from_millis);
        assert_eq!(spent.map(|spent| pace.is_bar_due(spent)), [false, false, true, false, false]);
    }

    #[test]
    fn a_line_says_how_far_the_work_is() {
        let of_ten = line("comparing documents", 3, 10, "at host:audit.example");
        assert_eq!(of_ten, "registrar: comparing documents: 3 of 10 (30 %) at host:audit.example");
        assert_eq!(line("x", 0, 0, ""), "registrar: x: 0 of 0 (0 %) ");
    }
}
