use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use tokio::time::Instant;

use super::{BrakeChange, Reading, ShrinkBrake};
use crate::{
    offer::{OfferId, Offers},
    testing::{for_each_row, law, offer},
};

/// Offers with the numbers `numbers`.
fn world(numbers: impl IntoIterator<Item = usize>) -> Arc<Offers> {
    let parsed = Arc::new(offer("llm/any").parsed());
    let id = |number: usize| OfferId::new("llm", &format!("o{number}"));
    Arc::new(numbers.into_iter().map(|number| (id(number), Arc::clone(&parsed))).collect())
}

/// One reading: after how many seconds since the last, of how many offers, complete or not.
type Step = (u64, std::ops::Range<usize>, Reading);

/// How many offers are published after each reading.
fn published(steps: &[Step]) -> Vec<usize> {
    let mut brake = ShrinkBrake::default();
    let mut now = Instant::now();
    let mut counts = Vec::new();
    for (seconds, numbers, reading) in steps.iter().cloned() {
        now += Duration::from_secs(seconds);
        counts.push(brake.observe(&world(numbers), reading, now).0.len());
    }
    counts
}

#[test]
fn a_sudden_loss_is_held_until_a_second_complete_reading_confirms_it() {
    use Reading::{Changes, Complete};
    let rows: Vec<(&str, Vec<Step>, Vec<usize>)> = vec![
        ("the first reading passes", vec![(0, 0..0, Complete)], vec![0]),
        (
            "ten of ten are an ordinary loss",
            vec![(0, 0..10, Complete), (1, 0..0, Complete)],
            vec![10, 0],
        ),
        ("eleven of eleven are not", vec![(0, 0..11, Complete), (1, 0..0, Complete)], vec![11, 11]),
        (
            "eleven of 22 are half",
            vec![(0, 0..22, Complete), (1, 11..22, Complete), (1, 11..22, Complete)],
            vec![22, 22, 11],
        ),
        (
            "eleven of 21 are more than half",
            vec![(0, 0..21, Complete), (1, 11..21, Complete)],
            vec![21, 21],
        ),
        (
            "confirmed after 10 s",
            vec![
                (0, 0..30, Complete),
                (1, 0..2, Complete),
                (9, 0..2, Complete),
                (1, 0..2, Complete),
            ],
            vec![30, 30, 30, 2],
        ),
        (
            "confirmed after 30 s",
            vec![(0, 0..30, Complete), (1, 0..2, Complete), (30, 0..2, Complete)],
            vec![30, 30, 2],
        ),
        (
            "too late after 31 s, so that the waiting begins again",
            vec![
                (0, 0..30, Complete),
                (1, 0..2, Complete),
                (31, 0..2, Complete),
                (9, 0..2, Complete),
                (1, 0..2, Complete),
            ],
            vec![30, 30, 30, 30, 2],
        ),
        (
            "changes confirm nothing",
            vec![(0, 0..30, Complete), (1, 0..2, Complete), (15, 0..2, Changes)],
            vec![30, 30, 30],
        ),
        (
            "what comes back is not lost",
            vec![(0, 0..30, Complete), (1, 0..2, Complete), (1, 0..29, Complete)],
            vec![30, 30, 29],
        ),
        (
            "a second reading that loses much more is a first one",
            vec![
                (0, 0..60, Complete),
                (1, 0..25, Complete),
                (15, 0..0, Complete),
                (9, 0..0, Complete),
                (1, 0..0, Complete),
            ],
            vec![60, 60, 60, 60, 0],
        ),
        (
            "new offers pass meanwhile",
            vec![(0, 0..30, Complete), (1, 29..40, Complete)],
            vec![30, 40],
        ),
        (
            "a burst of deletions is one loss",
            vec![
                (0, 0..24, Complete),
                (1, 0..12, Changes),
                (1, 0..12, Changes),
                (58, 0..11, Changes),
                (1, 0..0, Changes),
            ],
            vec![24, 24, 12, 12, 12],
        ),
        (
            "an offer a minute is not",
            (0..24).map(|gone| (60, gone..24, Changes)).collect(),
            (0..24).map(|gone| 24 - gone).collect(),
        ),
        (
            "the beginning of a burst counts for as long as the loss is held",
            vec![
                (0, 0..20, Complete),
                (1, 0..10, Changes),
                (1, 0..10, Changes),
                (1, 0..0, Changes),
                (90, 0..0, Changes),
            ],
            vec![20, 20, 10, 10, 10],
        ),
        (
            "nor does what went before it",
            vec![
                (0, 0..60, Complete),
                (1, 0..35, Changes),
                (1, 0..35, Changes),
                (1, 0..20, Changes),
                (12, 0..20, Complete),
                (1, 0..14, Changes),
                (1, 0..14, Changes),
            ],
            vec![60, 60, 35, 35, 20, 20, 14],
        ),
        (
            "a confirmed loss does not count again",
            vec![
                (0, 0..40, Complete),
                (1, 0..12, Complete),
                (12, 0..12, Complete),
                (1, 0..7, Changes),
                (1, 0..7, Changes),
            ],
            vec![40, 40, 12, 12, 7],
        ),
        (
            "three deletions pass at once, and the fourth waits for a second",
            vec![
                (0, 0..30, Complete),
                (0, 1..30, Changes),
                (0, 2..30, Changes),
                (0, 3..30, Changes),
                (0, 4..30, Changes),
                (1, 4..30, Changes),
            ],
            vec![30, 29, 28, 27, 27, 26],
        ),
        (
            "so three is the most that a kind withdraws whose objects are deleted one by one",
            (0..31).map(|gone| (0, gone..30, Changes)).collect(),
            [30, 29, 28, 27].into_iter().chain([27; 27]).collect(),
        ),
        (
            "of ten offers or fewer all deletions pass at once",
            vec![(0, 0..10, Complete), (0, 1..10, Changes), (0, 9..10, Changes)],
            vec![10, 9, 1],
        ),
        (
            "a thousand deletions, one a second",
            (0..1_001).map(|gone| (1, gone..1_100, Changes)).collect(),
            (0..1_001).map(|gone| 1_100 - gone).collect(),
        ),
    ];
    for_each_row(rows, |(name, steps, expected)| {
        assert_eq!(published(&steps), expected, "{name}");
    });
}

#[test]
fn a_burst_of_deletions_waits_until_it_pauses_and_no_longer_than_ten_seconds() {
    let mut brake = ShrinkBrake::default();
    let start = Instant::now();
    brake.observe(&world(0..200), Reading::Complete, start);
    let mut waited = Vec::new();
    for gone in 1..=24 {
        let now = start + Duration::from_millis(500) * u32::try_from(gone).unwrap();
        let (shown, _) = brake.observe(&world(gone..200), Reading::Changes, now);
        waited.push(shown.len() - (200 - gone));
    }
    // Only two of these are within a second, so each passes at once.
    assert_eq!(waited, [0; 24]);
    let start = start + Duration::from_secs(100);
    let mut passed = Vec::new();
    for step in 1..=44 {
        let now = start + Duration::from_millis(250) * u32::try_from(step).unwrap();
        let (shown, change) = brake.observe(&world(24 + step..200), Reading::Changes, now);
        assert_eq!((change, brake.retained()), (BrakeChange::None, 0), "step {step}");
        if shown.len() == 176 - step {
            passed.push(step);
        }
    }
    // The fourth waits, and all since then pass ten seconds after it.
    assert_eq!(passed, [1, 2, 3, 44]);
    assert!(brake.is_waiting() || brake.passes_at().is_none());
    let (shown, _) =
        brake.observe(&world(69..200), Reading::Changes, start + Duration::from_secs(30));
    assert_eq!(shown.len(), 131);
}

#[test]
fn an_operator_releases_it_at_once_and_only_while_it_is_engaged() {
    let mut brake = ShrinkBrake::default();
    let now = Instant::now();
    let (_, change) = brake.observe(&world(0..30), Reading::Complete, now);
    assert_eq!((change, brake.release_now()), (BrakeChange::None, None));
    let (kept, change) = brake.observe(&world(0..5), Reading::Complete, now);
    assert_eq!((kept.len(), change, brake.retained()), (30, BrakeChange::Engaged(25), 25));
    assert!(brake.problem("ServiceOffers").unwrap().message.starts_with("25 of 30 offers"));
    assert_eq!(brake.confirmable_at(), Some(now + Duration::from_secs(10)));
    assert_eq!(brake.release_now().unwrap().len(), 5);
    assert_eq!((brake.retained(), brake.problem("x"), brake.confirmable_at()), (0, None, None));
    let (kept, change) = brake.observe(&world(0..5), Reading::Changes, now);
    assert_eq!((kept.len(), change), (5, BrakeChange::None));
    let mut brake = ShrinkBrake::default();
    brake.observe(&world(0..30), Reading::Complete, now);
    let (kept, change) = brake.observe(&world(5..30), Reading::Changes, now);
    assert_eq!((kept.len(), change), (30, BrakeChange::None), "a burst that waits");
    assert_eq!(brake.release_now().unwrap().len(), 25);
}

#[test]
fn an_offer_that_changes_while_others_are_retained_is_published_as_it_is() {
    let mut brake = ShrinkBrake::default();
    let now = Instant::now();
    brake.observe(&world(0..30), Reading::Complete, now);
    let drained = offer("llm/o0").draining("2026-05-24T12:00:00Z", "1h").parsed();
    let mut few = Offers::clone(&world(0..1));
    few.insert(OfferId::new("llm", "o0"), Arc::new(drained.clone()));
    let (kept, _) = brake.observe(&Arc::new(few), Reading::Complete, now);
    assert_eq!((kept.len(), &*kept[&OfferId::new("llm", "o0")]), (30, &drained));
}

proptest! {
    #![proptest_config(law(400))]

    /// Nothing that was read is held back; no step loses much, unless a complete reading confirms
    /// it or an operator says so; and a loss that remains is accepted.
    #[test]
    fn no_unconfirmed_step_loses_much_and_every_lasting_loss_ends(
        readings in prop::collection::vec(
            (0..20_u64, prop::collection::btree_set(0..26_usize, 0..26), any::<bool>()), 1..12
        )
    ) {
        let mut brake = ShrinkBrake::default();
        let mut now = Instant::now();
        let mut before = world(0..26);
        brake.observe(&before, Reading::Complete, now);
        let mut last = Arc::clone(&before);
        for (seconds, numbers, complete) in readings {
            now += Duration::from_secs(seconds);
            let reading = if complete { Reading::Complete } else { Reading::Changes };
            last = world(numbers);
            let confirmable = brake.confirmable_at().is_some_and(|at| at <= now);
            let (after, _) = brake.observe(&last, reading, now);
            prop_assert!(last.keys().all(|id| after.contains_key(id)));
            prop_assert!(brake.is_waiting() || after == last);
            let lost = before.keys().filter(|id| !after.contains_key(*id)).count();
            let is_ordinary = lost <= 10 || lost <= before.len() / 2;
            prop_assert!(is_ordinary || (confirmable && complete), "{lost} of {}", before.len());
            before = after;
        }
        for _ in 0..3 {
            now += Duration::from_secs(12);
            brake.observe(&last, Reading::Complete, now);
        }
        prop_assert!(!brake.is_waiting());
    }
}
