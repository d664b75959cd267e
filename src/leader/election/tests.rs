//! The election as a table, and the law that no two candidates lead at once.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn held(holder: &str, renewal: u64) -> LeaseRecord {
    LeaseRecord {
        version: renewal.to_string(),
        spec: format!("{holder} {renewal}"),
        holder: Some(holder.to_owned()),
        duration: at(10),
        transitions: 3,
    }
}

fn candidate() -> Election {
    Election::new("us".to_owned(), TIMING)
}

#[test]
fn a_missing_or_free_lease_is_taken_at_once_and_ours_is_renewed() {
    assert_eq!(candidate().step(None, at(0)), Step::Create);
    let free = LeaseRecord { holder: None, ..held("", 7) };
    let taken = Step::Take { version: "7".to_owned(), transitions: 3 };
    assert_eq!(candidate().step(Some(&free), at(0)), taken);
    let renewed = Step::Renew { version: "7".to_owned(), transitions: 3 };
    assert_eq!(candidate().step(Some(&held("us", 7)), at(0)), renewed);
}

#[test]
fn the_lease_of_another_is_taken_only_after_it_was_seen_unchanged_for_its_duration() {
    let mut election = candidate();
    assert_eq!(election.step(Some(&held("them", 1)), at(100)), Step::Wait);
    assert_eq!(election.step(Some(&held("them", 1)), at(109)), Step::Wait);
    // A renewal starts the time again.
    assert_eq!(election.step(Some(&held("them", 2)), at(110)), Step::Wait);
    assert_eq!(election.step(Some(&held("them", 2)), at(119)), Step::Wait);
    let taken = Step::Take { version: "2".to_owned(), transitions: 3 };
    assert_eq!(election.step(Some(&held("them", 2)), at(120)), taken);
}

#[test]
fn an_absurd_duration_of_another_is_bounded() {
    for (duration, waits) in [(0, 1), (u64::from(u32::MAX), 60)] {
        let record = LeaseRecord { duration: at(duration), ..held("them", 1) };
        let mut election = candidate();
        assert_eq!(election.step(Some(&record), at(0)), Step::Wait, "{duration}");
        let before = at(waits) - Duration::from_millis(1);
        assert_eq!(election.step(Some(&record), before), Step::Wait, "{duration}");
        assert_ne!(election.step(Some(&record), at(waits)), Step::Wait, "{duration}");
    }
}

#[test]
fn leadership_ends_at_the_deadline_or_when_another_is_seen() {
    let mut election = candidate();
    assert!(!election.leads(at(0)));
    election.holds_since(at(5));
    assert!(election.leads(at(5)) && election.leads(at(11)));
    assert!(!election.leads(at(12)), "seven seconds after the start of the last write");
    // What has passed is no limit for the next attempt.
    assert_eq!((election.leads_until(at(11)), election.leads_until(at(12))), (Some(at(12)), None));
    election.holds_since(at(20));
    election.step(Some(&held("them", 9)), at(21));
    assert!(!election.leads(at(21)));
}

#[test]
fn a_follower_gives_up_a_dead_connection_soon_and_a_slow_server_later() {
    let mut election = candidate();
    let milliseconds = |failures| election.patience(at(0), failures).as_millis();
    assert_eq!([0, 1, 2, 3, 40].map(milliseconds), [1_000, 2_000, 3_500, 3_500, 3_500]);
    election.holds_since(at(0));
    assert_eq!(election.patience(at(1), 0).as_millis(), 3_500, "a renewal is worth waiting for");
}

/// One Lease on a server that compares versions, and candidates whose clocks differ.
struct Simulation {
    /// The version and the holder.
    lease: Option<(u64, Option<usize>)>,
    candidates: Vec<(Election, Duration)>,
    writes: Vec<Write>,
}

/// A write on its way to the server.
struct Write {
    arrives: Duration,
    candidate: usize,
    /// The version that it replaces; `None` to create.
    replaces: Option<u64>,
    /// When it began, by the candidate's own clock.
    started: Duration,
    attempt: Attempt,
}

/// A candidate reads at some time, and writes after a delay in which others may act.
#[derive(Clone, Debug)]
struct Attempt {
    candidate: usize,
    /// Since the last attempt of anybody began.
    after: Duration,
    /// Until its write arrives.
    delay: Duration,
    /// Whether the answer to its write is lost.
    is_lost: bool,
    /// Whether it releases the Lease if it holds it.
    releases: bool,
}

impl Simulation {
    fn record(&self) -> Option<LeaseRecord> {
        self.lease.map(|(version, holder)| LeaseRecord {
            version: version.to_string(),
            spec: version.to_string(),
            holder: holder.map(|holder| holder.to_string()),
            duration: TIMING.lease,
            transitions: 0,
        })
    }

    fn leading(&self, now: Duration) -> usize {
        self.candidates.iter().filter(|(election, skew)| election.leads(now + *skew)).count()
    }

    fn begin(&mut self, attempt: Attempt, now: Duration) {
        let candidate = attempt.candidate;
        if self.writes.iter().any(|write| write.candidate == candidate) {
            return;
        }
        let read = self.record();
        let (election, skew) = &mut self.candidates[candidate];
        let started = now + *skew;
        let replaces = match election.step(read.as_ref(), started) {
            Step::Wait => return,
            Step::Create => None,
            Step::Take { version, .. } | Step::Renew { version, .. } => {
                Some(version.parse().unwrap())
            }
        };
        if attempt.releases {
            // Whoever releases has stopped before.
            *election = Election::new(candidate.to_string(), TIMING);
        }
        let arrives = now + attempt.delay;
        self.writes.push(Write { arrives, candidate, replaces, started, attempt });
    }

    /// Delivers the next write that arrives by `now`; returns when that was.
    fn deliver(&mut self, now: Duration) -> Option<Duration> {
        let due = self.writes.iter().enumerate().filter(|(_, write)| write.arrives <= now);
        let (index, _) = due.min_by_key(|(_, write)| write.arrives)?;
        let Write { arrives, candidate, replaces, started, attempt } = self.writes.remove(index);
        if self.lease.map(|(version, _)| version) == replaces {
            let holder = (!attempt.releases).then_some(candidate);
            self.lease = Some((replaces.unwrap_or_default() + 1, holder));
            if !attempt.releases && !attempt.is_lost {
                self.candidates[candidate].0.holds_since(started);
            }
        }
        Some(arrives)
    }
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let attempt = (0_usize..3, 0_u64..4_000, 0_u64..12_000, 0_u8..5, 0_u8..20);
    let attempt = attempt.prop_map(|(candidate, after, delay, lost, releases)| Attempt {
        candidate,
        after: Duration::from_millis(after),
        // Most writes are quick; some outlive every deadline.
        delay: Duration::from_millis(if delay < 6_000 { delay % 50 } else { delay }),
        is_lost: lost == 0,
        releases: releases == 0,
    });
    proptest::collection::vec(attempt, 1..120)
}

proptest! {
    #![proptest_config(crate::testing::law(512))]

    /// Whatever the clocks say, however slow a write is, and whatever answer is lost.
    #[test]
    fn no_two_candidates_lead_at_once(
        attempts in attempts(),
        skews in [0_u64..1_000_000, 0_u64..1_000_000, 0_u64..1_000_000],
    ) {
        let candidates = skews.into_iter().enumerate().map(|(index, skew)| {
            (Election::new(index.to_string(), TIMING), Duration::from_secs(skew))
        });
        let mut world =
            Simulation { lease: None, candidates: candidates.collect(), writes: Vec::new() };
        let mut now = Duration::ZERO;
        for attempt in attempts {
            now += attempt.after;
            while let Some(arrived) = world.deliver(now) {
                prop_assert!(world.leading(arrived) <= 1, "at {arrived:?}");
            }
            world.begin(attempt, now);
            prop_assert!(world.leading(now) <= 1, "at {now:?}");
        }
    }
}
