//! The public URL of a cluster: configured, or that of the tunnel, which may change.

use super::{
    TUNNEL, apply_to,
    cache::{Cache, Change},
};
use crate::{
    offer::{OfferId, Origin},
    source::{SourceProblem, SourceProblemCode},
};

pub(super) enum PublicUrl {
    Configured(Origin),
    /// From the tunnel ConfigMap, with the last valid URL of it.
    Tunnel {
        cache: Cache<Option<String>>,
        last: Option<Origin>,
    },
}

impl PublicUrl {
    pub(super) fn new(configured: Option<Origin>) -> Self {
        match configured {
            Some(origin) => Self::Configured(origin),
            None => Self::Tunnel { cache: Cache::default(), last: None },
        }
    }

    /// Whether the ConfigMap is watched.
    pub(super) fn is_watched(&self) -> bool {
        matches!(self, Self::Tunnel { .. })
    }

    /// Whether the ConfigMap was listed, if it is watched.
    pub(super) fn is_listed(&self) -> bool {
        match self {
            Self::Configured(_) => true,
            Self::Tunnel { cache, .. } => cache.whole().is_some(),
        }
    }

    /// Applies a change of the ConfigMap. Returns it if a watch had missed its changes.
    pub(super) fn change(
        &mut self,
        change: Change<Option<String>>,
        is_check: bool,
    ) -> Vec<OfferId> {
        let Self::Tunnel { cache, last } = self else { return Vec::new() };
        let missed = apply_to(cache, change, is_check);
        let current = text(cache).and_then(|text| Origin::parse(text).ok());
        // A tunnel that restarts has no URL for a while, so the last one is kept.
        *last = current.or_else(|| last.take());
        missed
    }

    /// The public URL, if known, and what is wrong with a ConfigMap that was listed.
    pub(super) fn current(&self) -> (Option<Origin>, Option<SourceProblem>) {
        match self {
            Self::Configured(origin) => (Some(origin.clone()), None),
            Self::Tunnel { cache, .. } if cache.whole().is_none() => (None, None),
            Self::Tunnel { cache, last } => (last.clone(), problem(cache)),
        }
    }
}

fn text(cache: &Cache<Option<String>>) -> Option<&str> {
    let text = cache.whole()?.values().next()?.as_deref()?;
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn problem(cache: &Cache<Option<String>>) -> Option<SourceProblem> {
    let (namespace, name, key) = TUNNEL;
    let what = match text(cache) {
        None => format!("the ConfigMap has no {key}"),
        Some(text) => format!("{key} {text:?} {}", Origin::parse(text).err()?),
    };
    let message = format!(
        "{what}. The last valid public URL stays in use, if there was one. With --public-url the \
         ConfigMap is not needed."
    );
    let about = format!("ConfigMap {namespace}/{name}");
    Some(SourceProblem::new(SourceProblemCode::NoPublicUrl, about, message))
}
