//! Random histories, each drawn from a seed and nothing else.

use std::{
    fmt::Debug,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, mpsc},
    thread,
};

/// A number from the environment, if it is set.
pub fn setting(name: &str) -> Option<u64> {
    let text = std::env::var_os(name).filter(|text| !text.is_empty())?;
    Some(text.to_str().unwrap().parse().unwrap())
}

/// Which histories are played. `REGISTRAR_…_SEED` names the first seed (one history, unless
/// `REGISTRAR_…_HISTORIES` says how many).
pub struct Histories {
    /// What stands for the dots.
    pub name: &'static str,
    /// The histories of CI.
    pub seeds: Range<u64>,
    /// Histories at the same time.
    pub at_once: usize,
}

impl Histories {
    fn seeds(&self) -> Range<u64> {
        let setting = |what: &str| setting(&format!("REGISTRAR_{}_{what}", self.name));
        let count = setting("HISTORIES");
        let Range { start, end } = self.seeds;
        match setting("SEED") {
            Some(first) => first..first + count.unwrap_or(1),
            None => start..start + count.unwrap_or(end - start),
        }
    }

    /// Plays every history; a panic is a failure like any other. Reports of those that passed go to
    /// `note`. The rest is told at once, and again by the result: what the test has to assert last.
    pub fn play<H: Debug, R: Send>(
        &self,
        draw: impl Fn(u64) -> H + Sync,
        play: impl Fn(&H) -> Result<R, String> + Sync,
        mut note: impl FnMut(R),
    ) -> Result<(), String> {
        let seeds = self.seeds();
        println!("{} histories, seeds {seeds:?}", seeds.end - seeds.start);
        let left = Mutex::new(seeds);
        let next = || left.lock().unwrap().next();
        let (verdict, verdicts) = mpsc::channel();
        let mut failures = Vec::new();
        thread::scope(|scope| {
            for _ in 0..self.at_once {
                let (next, draw, play, verdict) = (&next, &draw, &play, verdict.clone());
                scope.spawn(move || {
                    while let Some(seed) = next() {
                        let played = catch_unwind(AssertUnwindSafe(|| play(&draw(seed))));
                        let played = played.unwrap_or_else(|panic| Err(text_of(&*panic)));
                        verdict.send((seed, played)).unwrap();
                    }
                });
            }
            drop(verdict);
            for (seed, verdict) in verdicts {
                match verdict {
                    Ok(report) => note(report),
                    Err(why) => {
                        println!("seed {seed} failed: {:#?}\n{why}\n", draw(seed));
                        failures.push(seed);
                    }
                }
            }
        });
        match failures.is_empty() {
            true => Ok(()),
            false => Err(format!("replay with REGISTRAR_{}_SEED: {failures:?}", self.name)),
        }
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
