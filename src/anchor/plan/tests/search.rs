//! Every history of the model, up to its bounds: no key is minted twice, and each broken rule is
//! found out.

use std::collections::BTreeSet;

use super::model::{Action, Broken, Mutant, Troubles, World};

/// What a search found.
struct Searched {
    states: usize,
    broken: Option<(Broken, Vec<Action>)>,
}

/// Looks at every state that can be reached, or until a promise is broken.
fn search(troubles: Troubles, mutant: Mutant) -> Searched {
    let start = World::new(troubles);
    let mut seen = BTreeSet::from([start.digest()]);
    let mut open = vec![(start, Vec::new())];
    while let Some((world, history)) = open.pop() {
        for action in world.actions() {
            let history = || history.iter().copied().chain([action]).collect::<Vec<_>>();
            match world.after(action, mutant) {
                Err(broken) => {
                    return Searched { states: seen.len(), broken: Some((broken, history())) };
                }
                Ok(next) => {
                    if seen.insert(next.digest()) {
                        // Only a mutant's history is ever printed.
                        let history = if mutant == Mutant::None { Vec::new() } else { history() };
                        open.push((next, history));
                    }
                }
            }
        }
    }
    Searched { states: seen.len(), broken: None }
}

const ALL_TROUBLES: Troubles =
    Troubles { reorgs: 1, losses: 1, restores: 1, foreign: 1, attacks: 1, lags: 1 };

/// Searches of over a million states are for `make test`; `make unit` looks at two small worlds.
#[test]
fn no_history_mints_a_key_twice() {
    let is_full = std::env::var_os("REGISTRAR_FULL_SEARCH").is_some();
    let worlds = if is_full {
        [
            Troubles { attacks: 0, restores: 0, lags: 0, ..ALL_TROUBLES },
            Troubles { foreign: 0, losses: 0, ..ALL_TROUBLES },
        ]
    } else {
        [
            Troubles { attacks: 0, restores: 0, lags: 0, reorgs: 0, foreign: 0, ..ALL_TROUBLES },
            Troubles { foreign: 0, losses: 0, lags: 0, attacks: 0, restores: 0, ..ALL_TROUBLES },
        ]
    };
    let mut states = 0;
    for troubles in worlds {
        let searched = search(troubles, Mutant::None);
        assert_eq!(searched.broken.map(|(broken, _)| broken), None, "{troubles:?}");
        println!("{troubles:?}: {} states, exhausted", searched.states);
        states += searched.states;
    }
    assert!(states >= if is_full { 1_000_000 } else { 10_000 }, "only {states} states");
}

#[test]
fn each_broken_rule_is_found_out() {
    let is_full = std::env::var_os("REGISTRAR_FULL_SEARCH").is_some();
    let none = Troubles { reorgs: 0, losses: 0, restores: 0, foreign: 0, attacks: 0, lags: 0 };
    // These two are found with a lost reply alone; the full search also has a foreign transaction.
    let lost = Troubles { foreign: u8::from(is_full), losses: 1, ..none };
    let mutants = [
        (Mutant::NonceFromLatest, Troubles { losses: 1, ..none }),
        (Mutant::NonceFromPending, none),
        (Mutant::NonceAndEventsFromDifferentBlocks, Troubles { lags: 1, losses: 1, ..none }),
        (Mutant::FinalityThatIsNotThere, Troubles { reorgs: 1, foreign: 1, ..none }),
        (Mutant::ShortLogRange, none),
        (Mutant::OwnerTopicUnchecked, Troubles { attacks: 1, ..none }),
        (Mutant::SendErrorFreesTheKeyAndTakesTheNextNonce, lost),
        (Mutant::NullReceiptReadAsReplacedAndTheNextNonce, lost),
    ];
    let mut survivors = Vec::new();
    for (mutant, troubles) in mutants {
        let searched = search(troubles, mutant);
        match searched.broken {
            None => survivors.push(format!("{mutant:?} survives {} states", searched.states)),
            Some((broken, history)) => println!(
                "{mutant:?}: {broken:?} after {} states by {} steps",
                searched.states,
                history.len()
            ),
        }
    }
    assert_eq!(survivors, Vec::<String>::new());
    let mut searched: Vec<Troubles> = Vec::new();
    for (mutant, troubles) in mutants {
        // The same troubles break nothing without the mutant. Only the full search looks at the
        // larger of these worlds.
        let is_small = [none, Troubles { losses: 1, ..none }].contains(&troubles);
        if (is_full || is_small) && !searched.contains(&troubles) {
            let broken = search(troubles, Mutant::None).broken.map(|(broken, _)| broken);
            assert_eq!(broken, None, "{mutant:?}");
            searched.push(troubles);
        }
    }
}
