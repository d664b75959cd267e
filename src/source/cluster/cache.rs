//! The objects of one watch. A relist replaces them at its end, all at once.

use std::{collections::BTreeMap, sync::Arc};

use kube::runtime::watcher::Event;

use crate::offer::OfferId;

pub(super) struct Cache<T> {
    /// The last complete list with the changes since; `None` before the first one.
    whole: Option<Arc<BTreeMap<OfferId, T>>>,
    /// The objects so far of a list in progress.
    listing: BTreeMap<OfferId, T>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { whole: None, listing: BTreeMap::new() }
    }
}

impl<T: Clone> Cache<T> {
    /// The objects, once they have been listed completely.
    pub(super) fn whole(&self) -> Option<&Arc<BTreeMap<OfferId, T>>> {
        self.whole.as_ref()
    }

    pub(super) fn apply(&mut self, event: Event<(OfferId, T)>) {
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply((id, object)) => drop(self.listing.insert(id, object)),
            Event::InitDone => self.whole = Some(Arc::new(std::mem::take(&mut self.listing))),
            Event::Apply((id, object)) => {
                if let Some(whole) = &mut self.whole {
                    Arc::make_mut(whole).insert(id, object);
                }
            }
            Event::Delete((id, _)) => {
                if let Some(whole) = &mut self.whole {
                    Arc::make_mut(whole).remove(&id);
                }
            }
        }
    }
}
