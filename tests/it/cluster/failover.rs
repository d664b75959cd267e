//! Histories of two replicas under one Lease, with a real API server and a real EVM node: the leader
//! is killed, frozen, cut off or stopped, again and again, while agents are being anchored.
//!
//! A history is drawn from a seed. `REGISTRAR_FAILOVER_SEED` names the first seed (one history, unless
//! `REGISTRAR_FAILOVER_HISTORIES` says how many). Two runs of a seed share the draw, not every instant
//! of the processes.

mod play;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use self::play::{Report, play};

/// The histories of CI.
const SEEDS: std::ops::Range<u64> = 1..21;
/// Histories at the same time: they wait for Leases to end more than they compute.
const AT_ONCE: usize = 7;

/// How long another replica may take to lead. None takes longer than [`TAKEOVER`]; after a clean stop,
/// most take less than the other limit even where the machine is busy.
const TAKEOVER: Duration = Duration::from_secs(15);
const TAKEOVER_AFTER_STOP: Duration = Duration::from_secs(1);

/// What happens to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mishap {
    /// SIGKILL; a new process takes its place once the other one leads.
    Kill,
    /// SIGSTOP, until the other one leads; then SIGCONT.
    Freeze,
    /// Its connections to the API server are silent, until the other one leads.
    Silence,
    /// They are refused.
    CutOff,
    /// SIGTERM; a new process takes its place.
    Stop,
}

/// A mishap, and how many blocks come before it.
#[derive(Clone, Copy, Debug)]
struct Event {
    blocks: u64,
    mishap: Mishap,
}

#[derive(Clone, Debug)]
struct History {
    events: Vec<Event>,
}

impl History {
    fn draw(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let all = [Mishap::Kill, Mishap::Freeze, Mishap::Silence, Mishap::CutOff, Mishap::Stop];
        // Half of the histories have no freeze, so that it can be said who acted when.
        let kinds =
            if seed.is_multiple_of(2) { &all[..] } else { &[all[0], all[2], all[3], all[4]] };
        let event = |dice: &mut fastrand::Rng| Event {
            blocks: dice.u64(0..8),
            mishap: kinds[dice.usize(..kinds.len())],
        };
        let events = (0..dice.usize(2..4)).map(|_| event(&mut dice)).collect();
        Self { events }
    }

    fn has_freeze(&self) -> bool {
        self.events.iter().any(|event| event.mishap == Mishap::Freeze)
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var_os(name).filter(|text| !text.is_empty())?;
    Some(text.to_str().unwrap().parse().unwrap())
}

#[test]
fn whatever_happens_to_the_leader_another_takes_over_and_each_agent_is_minted_once() {
    let count = setting("REGISTRAR_FAILOVER_HISTORIES");
    let seeds = match setting("REGISTRAR_FAILOVER_SEED") {
        Some(first) => first..first + count.unwrap_or(1),
        None => SEEDS.start..SEEDS.start + count.unwrap_or(SEEDS.end - SEEDS.start),
    };
    println!("{} histories, seeds {seeds:?}", seeds.end - seeds.start);
    let left = Mutex::new(seeds);
    let next = || left.lock().unwrap().next();
    let (verdict, verdicts) = mpsc::channel();
    let mut failures = Vec::new();
    let mut takeovers: BTreeMap<Mishap, Vec<Duration>> = BTreeMap::new();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let (next, verdict) = (&next, verdict.clone());
            scope.spawn(move || {
                while let Some(seed) = next() {
                    verdict.send((seed, played(seed))).unwrap();
                }
            });
        }
        drop(verdict);
        for (seed, verdict) in verdicts {
            match verdict {
                Ok(report) => {
                    for (mishap, took) in report {
                        takeovers.entry(mishap).or_default().push(took);
                    }
                }
                Err(why) => {
                    println!("seed {seed} failed: {:#?}\n{why}\n", History::draw(seed));
                    failures.push(seed);
                }
            }
        }
    });
    for (mishap, mut took) in takeovers {
        took.sort();
        let (count, median, longest) = (took.len(), took[took.len() / 2], took[took.len() - 1]);
        println!("{mishap:?}: {count} takeovers, median {median:.1?}, longest {longest:.1?}");
        let limit = if mishap == Mishap::Stop { TAKEOVER_AFTER_STOP } else { TAKEOVER };
        assert!(median <= limit, "{mishap:?} takes more than {limit:?}");
    }
    assert!(failures.is_empty(), "replay with REGISTRAR_FAILOVER_SEED: {failures:?}");
}

/// A history in a runtime of its own; a panic is a failure like any other.
fn played(seed: u64) -> Result<Report, String> {
    let history = History::draw(seed);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let played = AssertUnwindSafe(|| runtime.block_on(play(&history)));
    catch_unwind(played).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
    })
}
