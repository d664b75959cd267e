//! Histories of two replicas under one Lease, with a real API server and a real EVM node: the leader
//! is killed, frozen, cut off or stopped, again and again, while agents are being anchored.
//!
//! A history is drawn from a seed. `REGISTRAR_FAILOVER_SEED` names the first seed (one history, unless
//! `REGISTRAR_FAILOVER_HISTORIES` says how many). Two runs of a seed share the draw, not every instant
//! of the processes.

mod play;

use std::{collections::BTreeMap, time::Duration};

use self::play::{Report, play};
use crate::support::histories::Histories;

/// They wait for Leases to end more than they compute.
const HISTORIES: Histories = Histories { name: "FAILOVER", seeds: 1..21, at_once: 7 };

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

#[test]
fn whatever_happens_to_the_leader_another_takes_over_and_each_agent_is_minted_once() {
    let played = |history: &History| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Ok(runtime.block_on(play(history)))
    };
    let mut takeovers: BTreeMap<Mishap, Vec<Duration>> = BTreeMap::new();
    let verdict = HISTORIES.play(History::draw, played, |report: Report| {
        for (mishap, took) in report {
            takeovers.entry(mishap).or_default().push(took);
        }
    });
    for (mishap, mut took) in takeovers {
        took.sort();
        let (count, median, longest) = (took.len(), took[took.len() / 2], took[took.len() - 1]);
        println!("{mishap:?}: {count} takeovers, median {median:.1?}, longest {longest:.1?}");
        let limit = if mishap == Mishap::Stop { TAKEOVER_AFTER_STOP } else { TAKEOVER };
        assert!(median <= limit, "{mishap:?} takes more than {limit:?}");
    }
    assert_eq!(verdict, Ok(()));
}
