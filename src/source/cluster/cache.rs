//! The objects of one watch. A list replaces them all at once.

use std::sync::Arc;

use imbl::{OrdMap, ordmap::DiffItem};

use crate::offer::OfferId;

/// The last complete list with the changes since; `None` before the first one.
pub(super) struct Cache<T>(Option<Arc<OrdMap<OfferId, T>>>);

/// A change of what a watch sees.
pub(super) enum Change<T> {
    Listed(OrdMap<OfferId, T>),
    Applied(OfferId, T),
    Removed(OfferId),
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone + PartialEq> Cache<T> {
    /// The objects, once they have been listed completely.
    pub(super) fn whole(&self) -> Option<&Arc<OrdMap<OfferId, T>>> {
        self.0.as_ref()
    }

    pub(super) fn apply(&mut self, change: Change<T>) {
        match (change, &mut self.0) {
            (Change::Listed(objects), Some(whole)) => replace(Arc::make_mut(whole), &objects),
            (Change::Listed(objects), whole @ None) => *whole = Some(Arc::new(objects)),
            (Change::Applied(id, object), Some(whole)) => {
                Arc::make_mut(whole).insert(id, object);
            }
            (Change::Removed(id), Some(whole)) => {
                Arc::make_mut(whole).remove(&id);
            }
            (Change::Applied(..) | Change::Removed(_), None) => {}
        }
    }

    /// The objects in which a list of the same resourceVersion differs: those that a watch missed.
    pub(super) fn differences(&self, change: &Change<T>) -> Vec<OfferId> {
        let (Change::Listed(objects), Some(whole)) = (change, &self.0) else { return Vec::new() };
        let changed = objects.iter().filter(|(id, object)| whole.get(*id) != Some(*object));
        let gone = whole.keys().filter(|id| !objects.contains_key(*id));
        changed.map(|(id, _)| id).chain(gone).cloned().collect()
    }
}

/// Makes a map equal to another one. What both have in common stays where it is, so that those who
/// compare it with an earlier copy find little.
fn replace<T: Clone + PartialEq>(whole: &mut OrdMap<OfferId, T>, listed: &OrdMap<OfferId, T>) {
    let before = whole.clone();
    for change in before.diff(listed) {
        match change {
            DiffItem::Add(id, object) | DiffItem::Update { new: (id, object), .. } => {
                whole.insert(id.clone(), object.clone());
            }
            DiffItem::Remove(id, _) => {
                whole.remove(id);
            }
        }
    }
}
