//! The conditions that hold for an offer.

/// The types that the original's controller sets on every offer, in ascending order.
const USUAL: [&str; 4] = ["ModelReady", "PaymentGateReady", "RoutePublished", "UpstreamHealthy"];

/// The types of the status conditions that are `True`.
///
/// There is one of these for every offer, so that a type that nearly all offers have takes one bit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    usual: [bool; USUAL.len()],
    /// In ascending order.
    others: Box<[Box<str>]>,
}

impl Conditions {
    pub(crate) fn contains(&self, kind: &str) -> bool {
        self.iter().any(|held| held == kind)
    }

    /// The usual types first, each kind in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let usual =
            USUAL.into_iter().zip(self.usual).filter_map(|(kind, holds)| holds.then_some(kind));
        usual.chain(self.others.iter().map(|kind| &**kind))
    }
}

impl<'a> FromIterator<&'a str> for Conditions {
    fn from_iter<I: IntoIterator<Item = &'a str>>(kinds: I) -> Self {
        let mut usual = [false; USUAL.len()];
        let mut others: Vec<&str> = Vec::new();
        for kind in kinds {
            match USUAL.iter().zip(&mut usual).find(|(known, _)| **known == kind) {
                Some((_, holds)) => *holds = true,
                None => others.push(kind),
            }
        }
        others.sort_unstable();
        others.dedup();
        Self { usual, others: others.into_iter().map(Into::into).collect() }
    }
}
