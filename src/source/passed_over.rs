//! Objects that were found and are not used, and why: what operators are told where offers that they
//! expect are not published.

use std::{collections::BTreeMap, fmt};

use super::Scope;
use crate::offer::OfferId;

/// The group and version of the kinds that are read.
pub(super) const VERSION: &str = "obol.org/v1alpha1";

/// The setting that excludes an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HiddenBy {
    Namespace,
    Selector,
}

impl HiddenBy {
    /// Which setting excludes an offer that is excluded.
    pub(crate) fn of_excluded(scope: &Scope, id: &OfferId) -> Self {
        match scope.namespaces.is_empty() || scope.namespaces.contains(&*id.namespace) {
            true => Self::Selector,
            false => Self::Namespace,
        }
    }
}

impl fmt::Display for HiddenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "--namespace does not name its namespace",
            Self::Selector => "--selector does not match its labels",
        })
    }
}

/// Why an object is not used although nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::source) enum WhyPassedOver {
    /// One of our kinds in a group or version that is not ours.
    OtherVersion,
    Hidden(HiddenBy),
    /// An AgentIdentity other than that of `--identity`.
    OtherIdentity,
    OtherKind,
}

impl fmt::Display for WhyPassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherVersion => write!(f, "only {VERSION} is read"),
            Self::Hidden(by) => write!(f, "{by}"),
            Self::OtherIdentity => f.write_str("--identity does not name it"),
            Self::OtherKind => f.write_str("its kind is not read"),
        }
    }
}

/// How many objects of which kinds were not used, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::source) struct PassedOver(BTreeMap<(WhyPassedOver, String), Group>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    count: usize,
    /// The first few.
    names: Vec<String>,
}

impl PassedOver {
    /// How many names are given of each kind.
    pub(in crate::source) const NAMES: usize = 5;
    /// How many kinds are given.
    const KINDS: usize = 20;

    /// Adds `count` objects, of which these are the first names.
    pub(in crate::source) fn add(
        &mut self,
        why: WhyPassedOver,
        what: String,
        count: usize,
        names: impl IntoIterator<Item = String>,
    ) {
        let group = self.0.entry((why, what)).or_default();
        group.count += count;
        let free = Self::NAMES.saturating_sub(group.names.len());
        group.names.extend(names.into_iter().take(free));
    }

    pub(in crate::source) fn extend(&mut self, other: &Self) {
        for ((why, what), Group { count, names }) in &other.0 {
            self.add(*why, what.clone(), *count, names.iter().cloned());
        }
    }

    /// Only what might have been meant for us, so not the objects of other kinds.
    pub(in crate::source) fn of_our_kinds(&self) -> Self {
        let ours = |why: &WhyPassedOver| match why {
            WhyPassedOver::OtherVersion
            | WhyPassedOver::Hidden(_)
            | WhyPassedOver::OtherIdentity => true,
            WhyPassedOver::OtherKind => false,
        };
        self.filtered(ours)
    }

    pub(in crate::source) fn of_other_versions(&self) -> Self {
        self.filtered(|why| *why == WhyPassedOver::OtherVersion)
    }

    pub(in crate::source) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn filtered(&self, keep: impl Fn(&WhyPassedOver) -> bool) -> Self {
        let kept = self.0.iter().filter(|((why, _), _)| keep(why));
        Self(kept.map(|(key, group)| (key.clone(), group.clone())).collect())
    }
}

/// `2 ServiceOffer of obol.network/v1alpha1 (llm/a, llm/b), because only … is read; 1 …`.
impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ((why, what), Group { count, names })) in self.0.iter().enumerate() {
            if index == Self::KINDS {
                return write!(f, "; and {} other kinds", self.0.len() - index);
            }
            let separator = if index == 0 { "" } else { "; " };
            let more = if *count > names.len() { ", …" } else { "" };
            write!(f, "{separator}{count} {what} ({}{more}), because {why}", names.join(", "))?;
        }
        Ok(())
    }
}
