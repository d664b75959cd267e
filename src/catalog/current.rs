//! The catalog that readers see, and how they wait for the next one.

use std::{ops::Deref, sync::Arc};

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::{Notify, watch};

use super::Catalog;

/// The current catalog; `None` before the first complete world. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct CurrentCatalog(Arc<Cell>);

#[derive(Debug, Default)]
struct Cell {
    catalog: ArcSwapOption<Catalog>,
    /// Signals each replacement.
    replaced: watch::Sender<()>,
    /// Signals that a reader needs another catalog than the current one.
    wanted: Notify,
}

/// A catalog that is looked at for a moment.
pub(crate) struct Seen(Guard<Option<Arc<Catalog>>>);

impl Deref for Seen {
    type Target = Catalog;

    fn deref(&self) -> &Catalog {
        self.0.as_ref().expect("it is made with a catalog")
    }
}

impl CurrentCatalog {
    /// Takes no lock.
    pub(crate) fn load(&self) -> Option<Arc<Catalog>> {
        self.0.catalog.load_full()
    }

    /// The same for a moment, without counting a reference: a count that every thread changes goes
    /// from core to core with each request.
    pub(crate) fn look(&self) -> Option<Seen> {
        let guard = self.0.catalog.load();
        guard.is_some().then_some(Seen(guard))
    }

    pub(crate) fn replace(&self, catalog: Arc<Catalog>) {
        self.0.catalog.store(Some(catalog));
        self.0.replaced.send_replace(());
    }

    /// Signals every replacement from now on.
    pub(crate) fn replacements(&self) -> watch::Receiver<()> {
        self.0.replaced.subscribe()
    }

    /// Wakes the publisher, because the current catalog does not hold.
    pub(crate) fn want_another(&self) {
        self.0.wanted.notify_one();
    }

    /// Returns when a reader needs another catalog.
    pub(crate) async fn wanted(&self) {
        self.0.wanted.notified().await;
    }
}
