//! What is watched in a cluster, and how its objects are parsed.

use std::{fmt, sync::Arc};

use imbl::OrdMap;

use kube::core::Selector;

use super::{
    TUNNEL,
    access::{Kind, RawObject},
    cache::Change,
    id_of, tunnel_of,
};
use crate::{
    offer::{OfferId, Offers, ParsedOffer},
    registration::Identity,
    source::Scope,
};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WatchTarget {
    /// The ServiceOffers of one namespace, or of all.
    Offers(Option<String>),
    Identity,
    /// The ConfigMap with the URL of the tunnel.
    Tunnel,
}

/// A change of one target. Objects are already parsed, so that raw ones are not kept in memory.
pub(super) enum TargetChange {
    Offers(Change<Arc<ParsedOffer>>),
    Identity(Change<Arc<Identity>>),
    Tunnel(Change<Option<String>>),
}

/// The objects so far of a list in progress.
pub(super) enum Listing {
    Offers {
        listed: Offers,
        /// What was published before. An offer that is as it was is not kept twice.
        known: Arc<Offers>,
    },
    Identity(OrdMap<OfferId, Arc<Identity>>),
    Tunnel(OrdMap<OfferId, Option<String>>),
}

/// Which objects of a kind a target consists of. Single objects are selected by name, so that access
/// to that one name is enough.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// All namespaces if `None`.
    pub(super) namespace: Option<String>,
    pub(super) labels: Option<String>,
    pub(super) fields: Option<String>,
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

    pub(super) fn filter(&self, scope: &Scope) -> Filter {
        let single = |namespace: &str, name: &str| Filter {
            namespace: Some(namespace.to_owned()),
            labels: None,
            fields: Some(format!("metadata.name={name}")),
        };
        match self {
            Self::Offers(namespace) => Filter {
                namespace: namespace.clone(),
                labels: scope.selector.as_ref().map(Selector::to_string),
                fields: None,
            },
            Self::Identity => match &scope.identity {
                Some(id) => single(&id.namespace, &id.name),
                None => Filter::default(),
            },
            Self::Tunnel => single(TUNNEL.0, TUNNEL.1),
        }
    }

    pub(super) fn listing(&self, known: Arc<Offers>) -> Listing {
        match self {
            Self::Offers(_) => Listing::Offers { listed: Offers::new(), known },
            Self::Identity => Listing::Identity(OrdMap::new()),
            Self::Tunnel => Listing::Tunnel(OrdMap::new()),
        }
    }

    /// An object was created or changed.
    pub(super) fn applied(&self, object: &RawObject, scope: &Scope) -> TargetChange {
        let id = id_of(object);
        match self {
            Self::Offers(_) => {
                let parsed = parse_offer(&id, object);
                TargetChange::Offers(Change::Applied(id, parsed))
            }
            Self::Identity => {
                TargetChange::Identity(Change::Applied(id, parse_identity(object, scope)))
            }
            Self::Tunnel => TargetChange::Tunnel(Change::Applied(id, tunnel_of(object.value()))),
        }
    }

    pub(super) fn removed(&self, object: &RawObject) -> TargetChange {
        let id = id_of(object);
        match self {
            Self::Offers(_) => TargetChange::Offers(Change::Removed(id)),
            Self::Identity => TargetChange::Identity(Change::Removed(id)),
            Self::Tunnel => TargetChange::Tunnel(Change::Removed(id)),
        }
    }
}

impl Listing {
    pub(super) fn add(&mut self, object: &RawObject, scope: &Scope) {
        let id = id_of(object);
        match self {
            Self::Offers { listed, known } => {
                let parsed = parse_offer(&id, object);
                let kept = known.get_key_value(&id).filter(|(_, kept)| **kept == parsed);
                let (id, parsed) = match kept {
                    Some((id, kept)) => (id.clone(), Arc::clone(kept)),
                    None => (id, parsed),
                };
                listed.insert(id, parsed);
            }
            Self::Identity(identities) => {
                identities.insert(id, parse_identity(object, scope));
            }
            Self::Tunnel(urls) => {
                urls.insert(id, tunnel_of(object.value()));
            }
        }
    }

    pub(super) fn complete(self) -> TargetChange {
        match self {
            Self::Offers { listed, .. } => TargetChange::Offers(Change::Listed(listed)),
            Self::Identity(identities) => TargetChange::Identity(Change::Listed(identities)),
            Self::Tunnel(urls) => TargetChange::Tunnel(Change::Listed(urls)),
        }
    }
}

fn parse_offer(id: &OfferId, object: &RawObject) -> Arc<ParsedOffer> {
    Arc::new(ParsedOffer::parse(id, object.value()))
}

fn parse_identity(object: &RawObject, scope: &Scope) -> Arc<Identity> {
    Arc::new(Identity::parse(object.value(), &scope.registries))
}
