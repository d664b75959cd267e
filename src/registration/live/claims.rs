//! Who claims which path and host, by age, and who holds it.

use std::{cmp::Ordering, ops::Bound, sync::Arc};

use imbl::{OrdMap, OrdSet};

use crate::offer::{Age, Hostname, ServicePath};

/// What one offer at a time can hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ClaimKey {
    Host(Hostname),
    Path(PathKey),
}

/// A path as it is compared: without one trailing slash.
#[derive(Clone, Debug)]
pub(super) struct PathKey(pub(super) ServicePath);

/// The claimants of every path and host.
#[derive(Clone, Debug, Default)]
pub(super) struct ClaimIndex(OrdMap<ClaimKey, Claimants>);

/// Nearly every claim has one claimant, so that case is stored without a set.
#[derive(Clone, Debug)]
enum Claimants {
    One { age: Age, holds: bool },
    Many(Arc<Rivals>),
}

#[derive(Clone, Debug)]
struct Rivals {
    by_age: OrdSet<Age>,
    holder: Option<Age>,
}

impl ClaimIndex {
    pub(super) fn holder(&self, key: &ClaimKey) -> Option<&Age> {
        match self.0.get(key)? {
            Claimants::One { age, holds } => holds.then_some(age),
            Claimants::Many(rivals) => rivals.holder.as_ref(),
        }
    }

    pub(super) fn add(&mut self, key: &ClaimKey, age: Age) {
        let claimants = match self.0.get(key) {
            None => Claimants::One { age, holds: false },
            Some(Claimants::One { age: only, holds }) => Claimants::Many(Arc::new(Rivals {
                by_age: [only.clone(), age].into_iter().collect(),
                holder: holds.then(|| only.clone()),
            })),
            Some(Claimants::Many(rivals)) => {
                let mut rivals = Rivals::clone(rivals);
                rivals.by_age.insert(age);
                Claimants::Many(Arc::new(rivals))
            }
        };
        self.0.insert(key.clone(), claimants);
    }

    /// Removes a claim. Nobody holds the key if its claimant did.
    pub(super) fn remove(&mut self, key: &ClaimKey, age: &Age) {
        let Some(Claimants::Many(rivals)) = self.0.get(key) else {
            self.0.remove(key);
            return;
        };
        let mut rivals = Rivals::clone(rivals);
        rivals.by_age.remove(age);
        rivals.holder.take_if(|holder| holder == age);
        let claimants = match (rivals.by_age.len(), rivals.by_age.get_min().cloned()) {
            (1, Some(age)) => Claimants::One { holds: rivals.holder.is_some(), age },
            _ => Claimants::Many(Arc::new(rivals)),
        };
        self.0.insert(key.clone(), claimants);
    }

    pub(super) fn set_holder(&mut self, key: &ClaimKey, holder: Option<Age>) {
        match self.0.get_mut(key) {
            Some(Claimants::One { holds, .. }) => *holds = holder.is_some(),
            Some(Claimants::Many(rivals)) => Arc::make_mut(rivals).holder = holder,
            None => {}
        }
    }

    /// The claimants that are younger than `age`, oldest first.
    pub(super) fn after(&self, key: &ClaimKey, age: &Age) -> impl Iterator<Item = &Age> {
        let (one, many) = match self.0.get(key) {
            Some(Claimants::One { age: only, .. }) => (Some(only).filter(|only| *only > age), None),
            Some(Claimants::Many(rivals)) => {
                let younger = (Bound::Excluded(age.clone()), Bound::Unbounded);
                (None, Some(rivals.by_age.range(younger)))
            }
            None => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

impl Ord for PathKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key().cmp(other.0.key())
    }
}

impl PartialOrd for PathKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PathKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for PathKey {}

#[cfg(test)]
impl ClaimIndex {
    pub(super) fn keys(&self) -> Vec<ClaimKey> {
        self.0.keys().cloned().collect()
    }

    /// Leaves only the holder of a key, as a mutant would that notes no losers.
    pub(super) fn forget_rivals(&mut self, key: &ClaimKey) {
        if let Some(holder) = self.holder(key).cloned() {
            self.0.insert(key.clone(), Claimants::One { age: holder, holds: true });
        }
    }
}
