//! What is watched in a cluster, and how its objects are parsed.

use std::{fmt, sync::Arc};

use kube::{
    core::Selector,
    runtime::watcher::{self, Event},
};

use super::{
    TUNNEL,
    access::{Kind, RawObject},
    id_of, tunnel_of,
};
use crate::{
    offer::{OfferId, ParsedOffer},
    registration::Identity,
    source::Scope,
};

/// A watch ends after this many seconds and is opened again. The library gives up on a silent one
/// 5 s later.
const WATCH_SECONDS: u32 = 25;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WatchTarget {
    /// The ServiceOffers of one namespace, or of all.
    Offers(Option<String>),
    Identity,
    /// The ConfigMap with the URL of the tunnel.
    Tunnel,
}

/// An event of a watch. Objects are already parsed, so that raw ones are not kept in memory.
pub(super) enum WatchUpdate {
    Offer(Event<(OfferId, Arc<ParsedOffer>)>),
    Identity(Event<(OfferId, Arc<Identity>)>),
    Tunnel(Event<(OfferId, Option<String>)>),
    /// The server answered, and nothing changed.
    Responded,
    /// The watch failed for this reason and will be retried.
    Interrupted(String),
}

impl fmt::Display for WatchTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offers(None) => f.write_str("ServiceOffers"),
            Self::Offers(Some(namespace)) => write!(f, "ServiceOffers in {namespace}"),
            Self::Identity => f.write_str("AgentIdentity"),
            Self::Tunnel => write!(f, "ConfigMap {}/{}", TUNNEL.0, TUNNEL.1),
        }
    }
}

impl WatchTarget {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Offers(_) => Kind::ServiceOffer,
            Self::Identity => Kind::AgentIdentity,
            Self::Tunnel => Kind::ConfigMap,
        }
    }

    /// The namespace to watch (all if `None`) and the filter there. Single objects are selected by
    /// name, so that access to that one name is enough.
    pub(super) fn filter(&self, scope: &Scope) -> (Option<String>, watcher::Config) {
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let single = |namespace: &str, name: &str| {
            (Some(namespace.to_owned()), config.clone().fields(&format!("metadata.name={name}")))
        };
        match self {
            Self::Offers(namespace) => {
                let label_selector = scope.selector.as_ref().map(Selector::to_string);
                (namespace.clone(), watcher::Config { label_selector, ..config })
            }
            Self::Identity => match &scope.identity {
                Some(id) => single(&id.namespace, &id.name),
                None => (None, config),
            },
            Self::Tunnel => single(TUNNEL.0, TUNNEL.1),
        }
    }

    pub(super) fn parse(&self, event: Event<RawObject>, scope: &Scope) -> WatchUpdate {
        match self {
            Self::Offers(_) => WatchUpdate::Offer(map(event, |id, object| {
                Arc::new(ParsedOffer::parse(id, object.value()))
            })),
            Self::Identity => WatchUpdate::Identity(map(event, |_, object| {
                Arc::new(Identity::parse(object.value(), &scope.registries))
            })),
            Self::Tunnel => WatchUpdate::Tunnel(map(event, |_, object| tunnel_of(object.value()))),
        }
    }
}

fn map<T>(
    event: Event<RawObject>,
    parse: impl Fn(&OfferId, &RawObject) -> T,
) -> Event<(OfferId, T)> {
    let parse = |object: &RawObject| {
        let id = id_of(object);
        let value = parse(&id, object);
        (id, value)
    };
    match event {
        Event::Apply(object) => Event::Apply(parse(&object)),
        Event::Delete(object) => Event::Delete(parse(&object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(parse(&object)),
        Event::InitDone => Event::InitDone,
    }
}
