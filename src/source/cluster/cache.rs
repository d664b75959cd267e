//! One kind as last listed and watched. A relist is seen whole or not at all.

use std::{collections::BTreeMap, sync::Arc};

use kube::runtime::watcher::Event;

use crate::offer::OfferId;

/// The objects of one watch, parsed.
pub(super) struct Cache<T> {
    /// As of the last complete list and what was watched since; `None` before the first.
    whole: Option<Arc<BTreeMap<OfferId, T>>>,
    /// What a list in progress has brought so far.
    listing: BTreeMap<OfferId, T>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { whole: None, listing: BTreeMap::new() }
    }
}

impl<T: Clone> Cache<T> {
    /// The objects, once they were listed completely.
    pub(super) fn whole(&self) -> Option<&Arc<BTreeMap<OfferId, T>>> {
        self.whole.as_ref()
    }

    /// Takes in one watch event.
    pub(super) fn take(&mut self, event: Event<(OfferId, T)>) {
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
