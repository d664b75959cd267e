//! Where the aggregate document is cut: the incremental form of `Document::cut_to`.

use super::{
    entry::Entry,
    order::{OrderTree, SizeClass, Sum},
};
use crate::{
    offer::Age,
    registration::{SizeLimits, document::Cut},
};

/// Offers of each class from this age on are left out; none if `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CutPoint {
    small_from: Option<Age>,
    large_from: Option<Age>,
    /// The sums over what is left out.
    pub(super) full: Sum,
    pub(super) too_large: Sum,
}

impl CutPoint {
    /// The cut of a document with these offers and `frame` bytes around them: the newest of the
    /// large ones first, then the newest, no more than needed and never the last one.
    pub(super) fn find(offers: &OrderTree, frame: usize, limits: SizeLimits) -> Self {
        let (small, large) = (offers.sum(SizeClass::Small), offers.sum(SizeClass::Large));
        let fits = |small: Sum, large: Sum| {
            let commas = (small.with_entries + large.with_entries).saturating_sub(1);
            let commas = usize::try_from(commas).unwrap_or(usize::MAX);
            frame + small.bytes + large.bytes + commas <= limits.document
        };
        let oldest = |class, count| offers.sum_of_oldest(class, count);
        let kept_large = most(large.offers, |count| fits(small, oldest(SizeClass::Large, count)));
        // The last remaining offer stays.
        let kept_large = kept_large.max(u32::from(small.offers == 0)).min(large.offers);
        let kept = oldest(SizeClass::Large, kept_large);
        let kept_small = most(small.offers, |count| fits(oldest(SizeClass::Small, count), kept));
        let kept_small = kept_small.max(u32::from(kept_large == 0)).min(small.offers);
        let from = |class, kept| offers.nth(class, kept).map(Entry::age);
        Self {
            small_from: from(SizeClass::Small, kept_small),
            large_from: from(SizeClass::Large, kept_large),
            full: small - oldest(SizeClass::Small, kept_small),
            too_large: large - kept,
        }
    }

    pub(super) fn from(&self, class: SizeClass) -> Option<&Age> {
        match class {
            SizeClass::Small => self.small_from.as_ref(),
            SizeClass::Large => self.large_from.as_ref(),
        }
    }

    /// Why an offer of a class is left out, if it is.
    pub(super) fn of(&self, entry: &Entry, class: SizeClass) -> Option<Cut> {
        self.from(class).filter(|from| entry.cmp_age(from).is_ge())?;
        Some(match class {
            SizeClass::Small => Cut::Full,
            SizeClass::Large => Cut::TooLarge,
        })
    }
}

/// The largest count up to `all` of which `fits` is true, which is true up to some count; 0 if it
/// never is.
fn most(all: u32, fits: impl Fn(u32) -> bool) -> u32 {
    if fits(all) {
        return all;
    }
    let (mut fitting, mut not) = (0, all);
    while fitting + 1 < not {
        let middle = fitting + (not - fitting) / 2;
        if fits(middle) {
            fitting = middle;
        } else {
            not = middle;
        }
    }
    fitting
}
