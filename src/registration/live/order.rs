//! The listed offers by age, in a tree that knows the sums of its branches.
//!
//! A weight-balanced tree: of two branches, none has more than three times the offers of the other.
//! Trees share what they have in common.

use std::{
    cmp::Ordering,
    ops::{Add, Sub},
    sync::Arc,
};

use super::entry::Entry;
use crate::{offer::Age, registration::OfferState};

const DELTA: u32 = 3;
const RATIO: u32 = 2;

/// The two kinds of offers that the size limits treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SizeClass {
    Small,
    /// Its entries take more than `--max-offer-bytes`.
    Large,
}

/// Sums over some offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) offers: u32,
    /// How many of them drain.
    pub(super) draining: u32,
    /// How many of them have entries.
    pub(super) with_entries: u32,
    /// How many of them accept x402.
    pub(super) x402: u32,
    /// The bytes of their entries.
    pub(super) bytes: usize,
}

/// Listed offers, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct OrderTree(Option<Arc<Node>>);

#[derive(Debug)]
struct Node {
    older: OrderTree,
    entry: Arc<Entry>,
    class: SizeClass,
    younger: OrderTree,
    small: Sum,
    large: Sum,
}

impl Sum {
    fn of(entry: &Entry) -> Self {
        let bytes = entry.listed.as_ref().map_or(0, |listed| listed.fragment_len());
        let accepts_x402 = entry.parsed.verdict.as_ref().is_ok_and(|offer| offer.accepts_x402);
        Self {
            offers: 1,
            draining: u32::from(entry.state == OfferState::Draining),
            with_entries: u32::from(bytes > 0),
            x402: u32::from(accepts_x402),
            bytes,
        }
    }
}

impl Add for Sum {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            offers: self.offers + other.offers,
            draining: self.draining + other.draining,
            with_entries: self.with_entries + other.with_entries,
            x402: self.x402 + other.x402,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl Sub for Sum {
    type Output = Self;

    /// `other` are the sums over a part of the same offers.
    fn sub(self, other: Self) -> Self {
        Self {
            offers: self.offers - other.offers,
            draining: self.draining - other.draining,
            with_entries: self.with_entries - other.with_entries,
            x402: self.x402 - other.x402,
            bytes: self.bytes - other.bytes,
        }
    }
}

impl OrderTree {
    /// The sums over all offers of a class.
    pub(super) fn sum(&self, class: SizeClass) -> Sum {
        self.0.as_ref().map_or_else(Sum::default, |node| node.sum(class))
    }

    /// The sums over the `count` oldest offers of a class.
    pub(super) fn sum_of_oldest(&self, class: SizeClass, count: u32) -> Sum {
        let Some(node) = &self.0 else { return Sum::default() };
        let older = node.older.sum(class);
        if count <= older.offers {
            return node.older.sum_of_oldest(class, count);
        }
        let own = if node.class == class { Sum::of(&node.entry) } else { Sum::default() };
        let rest = count - older.offers - own.offers;
        older + own + node.younger.sum_of_oldest(class, rest)
    }

    /// The offer of a class with this index, from the oldest.
    pub(super) fn nth(&self, class: SizeClass, index: u32) -> Option<&Entry> {
        let node = self.0.as_ref()?;
        let older = node.older.sum(class).offers;
        let own = u32::from(node.class == class);
        if index < older {
            node.older.nth(class, index)
        } else if index < older + own {
            Some(&node.entry)
        } else {
            node.younger.nth(class, index - older - own)
        }
    }

    /// The oldest offer.
    pub(super) fn first(&self) -> Option<&Entry> {
        let node = self.0.as_ref()?;
        node.older.first().or(Some(&node.entry))
    }

    /// Calls `visit` for the offers of a class from `from` on and before `to`, oldest first.
    pub(super) fn visit(
        &self,
        class: SizeClass,
        from: Option<&Age>,
        to: Option<&Age>,
        visit: &mut impl FnMut(&Entry),
    ) {
        let Some(node) = &self.0 else { return };
        if node.sum(class).offers == 0 {
            return;
        }
        let is_behind_start = from.is_none_or(|from| node.entry.cmp_age(from).is_ge());
        let is_before_end = to.is_none_or(|to| node.entry.cmp_age(to).is_lt());
        if is_behind_start {
            node.older.visit(class, from, to, visit);
        }
        if is_behind_start && is_before_end && node.class == class {
            visit(&node.entry);
        }
        if is_before_end {
            node.younger.visit(class, from, to, visit);
        }
    }

    /// Adds an offer that is not in the tree.
    pub(super) fn insert(&mut self, entry: Arc<Entry>, class: SizeClass) {
        let age = entry.age();
        *self = self.with(&entry, &age, class);
    }

    /// Removes an offer, if it is in the tree.
    pub(super) fn remove(&mut self, age: &Age) {
        *self = self.without(age);
    }

    fn with(&self, entry: &Arc<Entry>, age: &Age, class: SizeClass) -> Self {
        let Some(node) = &self.0 else {
            return join(Self(None), Arc::clone(entry), class, Self(None));
        };
        match node.entry.cmp_age(age) {
            Ordering::Greater => {
                node.balanced(node.older.with(entry, age, class), node.younger.clone())
            }
            Ordering::Less => {
                node.balanced(node.older.clone(), node.younger.with(entry, age, class))
            }
            Ordering::Equal => {
                join(node.older.clone(), Arc::clone(entry), class, node.younger.clone())
            }
        }
    }

    fn without(&self, age: &Age) -> Self {
        let Some(node) = &self.0 else { return Self(None) };
        match node.entry.cmp_age(age) {
            Ordering::Greater => node.balanced(node.older.without(age), node.younger.clone()),
            Ordering::Less => node.balanced(node.older.clone(), node.younger.without(age)),
            Ordering::Equal => match node.younger.split_first() {
                Some((first, rest)) => {
                    balance(node.older.clone(), Arc::clone(&first.entry), first.class, rest)
                }
                None => node.older.clone(),
            },
        }
    }

    /// The node of the oldest offer, and the tree without it.
    fn split_first(&self) -> Option<(Arc<Node>, Self)> {
        let node = self.0.as_ref()?;
        Some(match node.older.split_first() {
            Some((first, rest)) => (first, node.balanced(rest, node.younger.clone())),
            None => (Arc::clone(node), node.younger.clone()),
        })
    }

    fn offers(&self) -> u32 {
        self.0.as_ref().map_or(0, |node| node.small.offers + node.large.offers)
    }
}

impl Node {
    fn sum(&self, class: SizeClass) -> Sum {
        match class {
            SizeClass::Small => self.small,
            SizeClass::Large => self.large,
        }
    }

    /// The same offer with other branches, one of which may have become too heavy by one offer.
    fn balanced(&self, older: OrderTree, younger: OrderTree) -> OrderTree {
        balance(older, Arc::clone(&self.entry), self.class, younger)
    }
}

fn join(older: OrderTree, entry: Arc<Entry>, class: SizeClass, younger: OrderTree) -> OrderTree {
    let mut small = older.sum(SizeClass::Small) + younger.sum(SizeClass::Small);
    let mut large = older.sum(SizeClass::Large) + younger.sum(SizeClass::Large);
    match class {
        SizeClass::Small => small = small + Sum::of(&entry),
        SizeClass::Large => large = large + Sum::of(&entry),
    }
    OrderTree(Some(Arc::new(Node { older, entry, class, younger, small, large })))
}

fn balance(older: OrderTree, entry: Arc<Entry>, class: SizeClass, younger: OrderTree) -> OrderTree {
    let (left, right) = (older.offers(), younger.offers());
    if left + right > 1
        && right > DELTA * left
        && let Some(heavy) = younger.0.as_deref()
    {
        let (inner, outer) = (&heavy.older, &heavy.younger);
        let next = Arc::clone(&heavy.entry);
        return match inner.0.as_deref().filter(|_| inner.offers() >= RATIO * outer.offers()) {
            Some(middle) => join(
                join(older, entry, class, middle.older.clone()),
                Arc::clone(&middle.entry),
                middle.class,
                join(middle.younger.clone(), next, heavy.class, outer.clone()),
            ),
            None => {
                join(join(older, entry, class, inner.clone()), next, heavy.class, outer.clone())
            }
        };
    }
    if left + right > 1
        && left > DELTA * right
        && let Some(heavy) = older.0.as_deref()
    {
        let (outer, inner) = (&heavy.older, &heavy.younger);
        let next = Arc::clone(&heavy.entry);
        return match inner.0.as_deref().filter(|_| inner.offers() >= RATIO * outer.offers()) {
            Some(middle) => join(
                join(outer.clone(), next, heavy.class, middle.older.clone()),
                Arc::clone(&middle.entry),
                middle.class,
                join(middle.younger.clone(), entry, class, younger),
            ),
            None => {
                join(outer.clone(), next, heavy.class, join(inner.clone(), entry, class, younger))
            }
        };
    }
    join(older, entry, class, younger)
}
