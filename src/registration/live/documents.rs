//! Which documents differ between two projections.

use std::collections::BTreeMap;

use imbl::{OrdMap, ordmap::DiffItem};

use super::LiveProjection;
use crate::{offer::OfferId, page::Page, registration::agent::AgentName};

/// One published document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DocumentName {
    Agent(AgentName),
    /// The per-offer document.
    Offer(OfferId),
}

impl LiveProjection {
    /// The documents that differ from those of an earlier projection, or all if there is none;
    /// `None` for one that is not published any more. Looks only at what the two do not share.
    pub(crate) fn changed_documents(
        &self,
        earlier: Option<&Self>,
    ) -> BTreeMap<DocumentName, Option<Page>> {
        let mut changed = BTreeMap::new();
        if earlier.is_none_or(|earlier| !earlier.default.is_same(&self.default)) {
            let name = DocumentName::Agent(AgentName::Default);
            changed.insert(name, Some(self.default.clone()));
        }
        let (no_hosts, no_entries) = (OrdMap::new(), OrdMap::new());
        let hosts = earlier.map_or(&no_hosts, |earlier| &earlier.hosts);
        for item in hosts.diff(&self.hosts) {
            let (host, old, new) = parts(item);
            let pages = (old.map(|old| &old.page), new.map(|new| &new.page));
            note(&mut changed, DocumentName::Agent(AgentName::Host(host.clone())), pages);
        }
        let entries = earlier.map_or(&no_entries, |earlier| &earlier.entries);
        for item in entries.diff(&self.entries) {
            let (id, old, new) = parts(item);
            let old = old.and_then(|old| old.listed.as_ref());
            let new = new.and_then(|new| new.listed.as_ref());
            let pages = (old.map(|old| &old.page), new.map(|new| &new.page));
            note(&mut changed, DocumentName::Offer(id.clone()), pages);
        }
        changed
    }
}

/// The key of a difference, and its values before and after.
fn parts<'a, K, V>(item: DiffItem<'a, 'a, K, V>) -> (&'a K, Option<&'a V>, Option<&'a V>) {
    match item {
        DiffItem::Add(key, new) => (key, None, Some(new)),
        DiffItem::Update { old: (_, old), new: (key, new) } => (key, Some(old), Some(new)),
        DiffItem::Remove(key, old) => (key, Some(old), None),
    }
}

fn note(
    changed: &mut BTreeMap<DocumentName, Option<Page>>,
    name: DocumentName,
    pages: (Option<&Page>, Option<&Page>),
) {
    match pages {
        (None, None) => {}
        (Some(old), Some(new)) if old.is_same(new) => {}
        (_, new) => drop(changed.insert(name, new.cloned())),
    }
}
