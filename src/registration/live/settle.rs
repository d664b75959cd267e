//! Who holds what after a change: a loser takes over when the holder goes.
//!
//! Claims are decided from the oldest to the youngest, as in `resolve_claims`, but only those that a
//! change can concern. A claimant is concerned if an older one began or ceased to hold what it
//! claims.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Before, LiveProjection, OfferChange,
    claims::{ClaimKey, PathKey},
    entry::{Entry, Standing},
};
use crate::{
    offer::{Age, Hostname, OfferId, ParsedOffer},
    registration::{OfferState, Reason},
};

/// Claims that are being decided.
#[derive(Default)]
struct Settling {
    /// Who held each changed key before.
    held_by: BTreeMap<ClaimKey, Option<Age>>,
    /// The claimants to decide, oldest first.
    queue: BTreeSet<Age>,
}

impl LiveProjection {
    /// Applies changes to offers and claims, and notes the offers whose state may have changed.
    /// Returns the hosts whose holder may have changed.
    pub(super) fn settle(
        &mut self,
        changes: impl IntoIterator<Item = OfferChange>,
        before: &mut Before,
    ) -> BTreeSet<Hostname> {
        let mut settling = Settling::default();
        let mut vacated = Vec::new();
        for (id, parsed) in changes {
            let old = self.entries.get(&id).cloned();
            if old.as_ref().map(|old| &old.parsed) == parsed.as_ref() {
                continue;
            }
            let old_claims = old.as_ref().map(|old| (old.age(), self.keys(&id, &old.parsed)));
            let new_claims =
                parsed.as_ref().map(|parsed| (parsed.age(&id), self.keys(&id, parsed)));
            if old_claims != new_claims {
                for (age, key) in of_each(&old_claims) {
                    let holder = self.claims.holder(key).cloned();
                    if holder.as_ref() == Some(age) {
                        vacated.push((key.clone(), age.clone()));
                    }
                    settling.held_by.entry(key.clone()).or_insert(holder);
                    self.claims.remove(key, age);
                }
                for (age, key) in of_each(&new_claims) {
                    self.claims.add(key, age.clone());
                }
            }
            settling.queue.extend(new_claims.map(|(age, _)| age));
            before.entry(id.clone()).or_insert_with(|| old.clone());
            match parsed {
                Some(parsed) => {
                    let standing = old.map(|old| old.standing);
                    let entry = Entry::unjudged(&id, parsed, standing);
                    self.entries.insert(id, Arc::new(entry));
                }
                None => drop(self.entries.remove(&id)),
            }
        }
        for (key, age) in vacated {
            settling.queue.extend(self.claims.after(&key, &age).next().cloned());
        }
        while let Some(age) = settling.queue.pop_first() {
            self.decide(&age, &mut settling, before);
        }
        let keys = settling.held_by.into_keys();
        keys.filter_map(|key| match key {
            ClaimKey::Host(host) => Some(host),
            ClaimKey::Path(_) => None,
        })
        .collect()
    }

    /// Decides one claimant, whose older rivals are decided.
    fn decide(&mut self, age: &Age, settling: &mut Settling, before: &mut Before) {
        let Some(entry) = self.entries.get(&age.id).cloned() else { return };
        let keys = self.keys(&age.id, &entry.parsed);
        let standing = self.standing(&entry.parsed, &keys, age);
        for key in &keys {
            let holder = self.claims.holder(key).cloned();
            let holds = holder.as_ref() == Some(age);
            let held_by = settling.held_by.get(key).cloned().unwrap_or_else(|| holder.clone());
            match (standing == Standing::Holds, holds) {
                (true, true) => {}
                (true, false) => {
                    self.claims.set_holder(key, Some(age.clone()));
                    // Those behind the holder until now have an older rival all the same.
                    let younger = self.claims.after(key, age);
                    let concerned = younger.take_while(|younger| {
                        held_by.as_ref().is_none_or(|held_by| *younger <= held_by)
                    });
                    settling.queue.extend(concerned.cloned());
                    settling.held_by.insert(key.clone(), held_by);
                }
                (false, true) => {
                    self.claims.set_holder(key, None);
                    settling.queue.extend(self.claims.after(key, age).next().cloned());
                    settling.held_by.insert(key.clone(), held_by);
                }
                // Nobody has taken over yet, so the next one may.
                (false, false) => {
                    if holder.is_none() && held_by.is_some_and(|held_by| held_by <= *age) {
                        settling.queue.extend(self.claims.after(key, age).next().cloned());
                    }
                }
            }
        }
        if entry.standing != standing {
            before.entry(age.id.clone()).or_insert_with(|| Some(Arc::clone(&entry)));
            let entry = Entry { standing, ..Entry::clone(&entry) };
            self.entries.insert(age.id.clone(), Arc::new(entry));
        }
    }

    fn standing(&self, parsed: &ParsedOffer, keys: &[ClaimKey], age: &Age) -> Standing {
        if parsed.deleting {
            return Standing::Deleting;
        }
        if self.ungranted(&age.id, parsed).is_some() {
            return Standing::NotGranted;
        }
        let lost = keys.iter().find(|key| self.claims.holder(key).is_some_and(|held| held < age));
        match lost {
            Some(ClaimKey::Host(_)) => Standing::HostConflict,
            Some(ClaimKey::Path(_)) => Standing::PathConflict,
            None => Standing::Holds,
        }
    }

    /// What an offer claims, the host first.
    pub(super) fn keys(&self, id: &OfferId, parsed: &ParsedOffer) -> Vec<ClaimKey> {
        if parsed.deleting || self.ungranted(id, parsed).is_some() {
            return Vec::new();
        }
        let host = self.claimed_host(parsed).cloned().map(ClaimKey::Host);
        let path = parsed.claims.path.clone().map(|path| ClaimKey::Path(PathKey(path)));
        host.into_iter().chain(path).collect()
    }

    /// Nobody can claim the public URL's own host.
    pub(super) fn claimed_host<'a>(&self, parsed: &'a ParsedOffer) -> Option<&'a Hostname> {
        parsed.claims.host.as_ref().filter(|host| !self.public_url.is_at(host))
    }
}

impl Entry {
    fn unjudged(id: &OfferId, parsed: Arc<ParsedOffer>, standing: Option<Standing>) -> Self {
        Self {
            id: id.clone(),
            parsed,
            standing: standing.unwrap_or(Standing::Deleting),
            state: OfferState::Unpublished,
            reason: Reason::Deleting,
            flips_at: None,
            listed: None,
        }
    }
}

/// Every key with the age of its claimant.
fn of_each(claims: &Option<(Age, Vec<ClaimKey>)>) -> impl Iterator<Item = (&Age, &ClaimKey)> {
    claims.iter().flat_map(|(age, keys)| keys.iter().map(move |key| (age, key)))
}
