//! Every history of the model, up to its bounds: no key is minted twice, and each broken rule is
//! found out.

use std::collections::BTreeSet;

use super::model::{Action, Broken, Mutant, Rules, Setting, Start, Troubles, World};

/// What a search found.
struct Searched {
    states: usize,
    broken: Option<(Broken, Vec<Action>)>,
}

/// Looks at every state that can be reached, or until a promise is broken.
fn search(setting: Setting, troubles: Troubles, mutant: Mutant) -> Searched {
    let mut rules = Rules::new(setting, troubles, mutant);
    let start = World::new(&setting, troubles);
    let mut seen = BTreeSet::from([start.digest()]);
    let mut open = vec![(start, Vec::new())];
    while let Some((world, history)) = open.pop() {
        for action in world.actions(&setting) {
            let history = || history.iter().copied().chain([action]).collect::<Vec<_>>();
            match world.after(action, &mut rules) {
                Err(broken) => {
                    return Searched { states: seen.len(), broken: Some((broken, history())) };
                }
                Ok(Some(next)) if seen.insert(next.digest()) => {
                    // Only a mutant's history is ever printed.
                    let history = if mutant == Mutant::None { Vec::new() } else { history() };
                    open.push((next, history));
                }
                Ok(_) => {}
            }
        }
    }
    Searched { states: seen.len(), broken: None }
}

const NONE: Troubles = Troubles {
    reorgs: 0,
    losses: 0,
    restores: 0,
    foreign: 0,
    attacks: 0,
    lags: 0,
    lies: 0,
    drops: 0,
    rotations: 0,
    gifts: 0,
    prunings: 0,
    changes: 0,
    retirements: 0,
};

/// One process, one key, one endpoint.
const ALONE: Setting = Setting {
    actors: 1,
    keys: 1,
    nonces: 3,
    tip: 2,
    endpoints: 1,
    behind: 0,
    start: Start::Empty,
    troubles: u8::MAX,
};
const TWO_ACTORS: Setting = Setting { actors: 2, keys: 2, ..ALONE };
/// One of the three may lie.
const THREE_ENDPOINTS: Setting = Setting { endpoints: 3, ..ALONE };

/// The two that do not decide know only an older block.
const TWO_BEHIND: Setting = Setting { behind: 1, ..THREE_ENDPOINTS };

const ADOPTING: Setting = Setting { start: Start::Adopting, ..ALONE };
const UNCLEAR: Setting = Setting { start: Start::Unclear, ..ALONE };

/// A world to exhaust: its name, its bounds, and its troubles.
type Bounded = (&'static str, Setting, Troubles);

/// How many of all kinds of trouble there are in one history: all thirteen would not end.
const MOST: u8 = 4;
/// Each kind of trouble.
const EVERYTHING: Troubles = Troubles {
    reorgs: 1,
    losses: 1,
    restores: 1,
    foreign: 1,
    attacks: 1,
    lags: 1,
    lies: 1,
    drops: 1,
    rotations: 1,
    gifts: 1,
    prunings: 1,
    changes: 1,
    retirements: 1,
};

/// Worlds of `make unit`: some seconds.
const QUICK: [Bounded; 8] = [
    ("two processes", TWO_ACTORS, Troubles { lags: 1, losses: 1, ..NONE }),
    ("undone blocks", TWO_ACTORS, Troubles { reorgs: 1, ..NONE }),
    ("a replaced key", ALONE, Troubles { rotations: 1, drops: 1, losses: 1, foreign: 1, ..NONE }),
    ("a liar", THREE_ENDPOINTS, Troubles { lies: 1, losses: 1, gifts: 1, ..NONE }),
    (
        "a liar, a replaced key, and nodes that are behind",
        TWO_BEHIND,
        Troubles { lies: 1, rotations: 1, foreign: 1, ..NONE },
    ),
    (
        "an adopted token",
        ADOPTING,
        Troubles { gifts: 1, changes: 1, losses: 1, prunings: 1, ..NONE },
    ),
    ("an unclear identity", UNCLEAR, Troubles { losses: 1, foreign: 1, ..NONE }),
    (
        "a retired agent that is revived",
        ADOPTING,
        Troubles { retirements: 2, losses: 1, changes: 1, foreign: 1, ..NONE },
    ),
];

/// Worlds of `make test`: some minutes.
const FULL: [Bounded; 10] = [
    (
        "two processes, undone blocks, a lost journal, somebody else",
        TWO_ACTORS,
        Troubles { reorgs: 1, losses: 1, foreign: 1, ..NONE },
    ),
    (
        "two processes, undone blocks, an old journal, an attacker, a lagging node",
        TWO_ACTORS,
        Troubles { reorgs: 1, restores: 1, attacks: 1, lags: 1, ..NONE },
    ),
    (
        "two processes, a liar, a lost journal, a token that goes away",
        Setting { actors: 2, ..THREE_ENDPOINTS },
        Troubles { lies: 2, losses: 1, gifts: 1, lags: 1, ..NONE },
    ),
    (
        "a replaced key and whatever happens to journals, pools and blocks",
        ALONE,
        Troubles {
            rotations: 1,
            drops: 2,
            losses: 1,
            restores: 1,
            foreign: 1,
            reorgs: 1,
            lags: 1,
            ..NONE
        },
    ),
    (
        "a liar and whatever happens to journals and tokens",
        THREE_ENDPOINTS,
        Troubles { lies: 2, losses: 1, restores: 1, gifts: 1, lags: 1, attacks: 1, ..NONE },
    ),
    (
        "a liar among nodes that are behind, a replaced key, and whatever happens to journals",
        TWO_BEHIND,
        Troubles { lies: 2, rotations: 1, losses: 1, foreign: 1, drops: 1, gifts: 1, ..NONE },
    ),
    (
        "forgotten events and whatever happens to journals and tokens",
        ALONE,
        Troubles { gifts: 1, prunings: 2, losses: 1, attacks: 1, foreign: 1, ..NONE },
    ),
    (
        "an adopted token and whatever happens to it",
        ADOPTING,
        Troubles {
            reorgs: 1,
            gifts: 1,
            changes: 1,
            losses: 1,
            restores: 1,
            foreign: 1,
            lags: 1,
            ..NONE
        },
    ),
    (
        "an agent that is retired and revived, and whatever happens to journals, pools and blocks",
        Setting { keys: 1, ..TWO_ACTORS },
        Troubles { retirements: 2, restores: 1, reorgs: 1, ..NONE },
    ),
    (
        "everything at once, up to four troubles in one history",
        Setting { nonces: 2, tip: 1, troubles: MOST, start: Start::Adopting, ..THREE_ENDPOINTS },
        EVERYTHING,
    ),
];

#[test]
fn no_history_mints_a_key_twice() {
    let is_full = std::env::var_os("REGISTRAR_FULL_SEARCH").is_some();
    let (worlds, least): (&[Bounded], _) =
        if is_full { (&FULL, 2_000_000) } else { (&QUICK, 10_000) };
    let mut states = 0;
    for (name, setting, troubles) in worlds {
        let searched = search(*setting, *troubles, Mutant::None);
        println!("{name}: {} states, exhausted", searched.states);
        assert_eq!(searched.broken.map(|(broken, _)| broken), None, "{name}: {troubles:?}");
        states += searched.states;
    }
    assert!(states >= least, "only {states} states");
}

/// Each rule that is broken, and the smallest world in which that is a double mint.
const MUTANTS: [(Mutant, Setting, Troubles); 17] = [
    (Mutant::NonceFromLatest, TWO_ACTORS, Troubles { losses: 1, ..NONE }),
    (Mutant::NonceFromPending, TWO_ACTORS, NONE),
    (
        Mutant::NonceAndEventsFromDifferentBlocks,
        TWO_ACTORS,
        Troubles { lags: 1, losses: 1, ..NONE },
    ),
    (Mutant::FinalityThatIsNotThere, TWO_ACTORS, Troubles { reorgs: 1, foreign: 1, ..NONE }),
    (Mutant::ShortLogRange, TWO_ACTORS, NONE),
    (Mutant::OwnerTopicUnchecked, TWO_ACTORS, Troubles { attacks: 1, ..NONE }),
    (Mutant::SendErrorFreesTheKeyAndTakesTheNextNonce, TWO_ACTORS, Troubles { losses: 1, ..NONE }),
    (Mutant::NullReceiptReadAsReplacedAndTheNextNonce, TWO_ACTORS, Troubles { losses: 1, ..NONE }),
    (Mutant::FormerAccountsIgnored, ALONE, Troubles { rotations: 1, drops: 1, ..NONE }),
    (Mutant::AbsenceFromOneEndpoint, THREE_ENDPOINTS, Troubles { lies: 1, losses: 1, ..NONE }),
    (Mutant::MintedMapIgnored, ALONE, Troubles { lies: 1, ..NONE }),
    (Mutant::FirstMintNotLookedFor, ALONE, Troubles { gifts: 1, prunings: 1, losses: 1, ..NONE }),
    (Mutant::UnreadableIdentityNamesNothing, UNCLEAR, NONE),
    (
        Mutant::AdoptionJudgedByTheOwnerNow,
        ADOPTING,
        Troubles { gifts: 1, changes: 1, losses: 1, ..NONE },
    ),
    (Mutant::RetirementIgnored, ALONE, Troubles { retirements: 1, ..NONE }),
    (Mutant::PresenceFromOneEndpoint, THREE_ENDPOINTS, NONE),
    (Mutant::FormerCountsNotCompared, TWO_BEHIND, Troubles { rotations: 1, lies: 1, ..NONE }),
];

#[test]
fn each_broken_rule_is_found_out() {
    let mut survivors = Vec::new();
    for (mutant, setting, troubles) in MUTANTS {
        let searched = search(setting, troubles, mutant);
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
}

#[test]
fn the_worlds_of_the_broken_rules_break_nothing_by_themselves() {
    let is_full = std::env::var_os("REGISTRAR_FULL_SEARCH").is_some();
    for (mutant, setting, troubles) in MUTANTS {
        // Only the full search looks at the larger ones.
        if is_full || setting.actors == 1 {
            let broken = search(setting, troubles, Mutant::None).broken.map(|(broken, _)| broken);
            assert_eq!(broken, None, "{mutant:?}");
        }
    }
}
