//! The catalog that readers see, and how they wait for the next one.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
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

impl CurrentCatalog {
    /// Takes no lock.
    pub(crate) fn load(&self) -> Option<Arc<Catalog>> {
        self.0.catalog.load_full()
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
