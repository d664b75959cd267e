//! Settings of the work that only one of several replicas does.

use clap::{Args, builder::BoolishValueParser, error::ErrorKind};

use super::{OfferConfig, OfferSource, refuse};
use crate::{
    leader::{LeaseSettings, TIMING},
    offer::{OfferId, is_dns_name},
    registration::chains::KnownRegistries,
    source::cluster::Access,
};

#[derive(Debug, Args)]
pub(crate) struct LeaderArgs {
    /// With several replicas: the Lease under which only one of them works on the chain and the
    /// cluster; the default namespace is that of the pod or of the kubeconfig's context
    #[arg(long, value_name = "[NAMESPACE/]NAME", env = "REGISTRAR_LEASE", value_parser = ObjectName::parse)]
    lease: Option<ObjectName>,
    /// When a drain ends, delete the offer's routes and set its conditions to Drained, as the
    /// original's controller does; requires --lease
    #[arg(long, env = "REGISTRAR_ENFORCE_DRAINS", value_parser = BoolishValueParser::new())]
    enforce_drains: bool,
    /// Record the default agent's final ids in the status of the AgentIdentity; requires --lease,
    /// --journal and --identity
    #[arg(long, env = "REGISTRAR_WRITE_IDENTITY", value_parser = BoolishValueParser::new())]
    write_identity: bool,
    /// Tell what becomes of each offer as Kubernetes Events; requires --lease
    #[arg(long, env = "REGISTRAR_EVENTS", value_parser = BoolishValueParser::new())]
    events: bool,
}

/// What this process does while it holds a Lease. Anchoring is set up separately.
#[derive(Clone, Debug)]
pub(crate) struct Leadership {
    pub(crate) access: Access,
    pub(crate) lease: LeaseSettings,
    pub(crate) enforce_drains: bool,
    /// The AgentIdentity whose status is written, and the registries that it may name.
    pub(crate) write_identity: Option<(OfferId, KnownRegistries)>,
    /// Whether Events are told. Those of the default agent are about the AgentIdentity.
    pub(crate) events: bool,
    pub(crate) identity: Option<OfferId>,
}

/// An object in the cluster: `[NAMESPACE/]NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectName {
    /// `None` for that of the pod or of the kubeconfig's context.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl ObjectName {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        if namespace.is_none_or(is_dns_name) && is_dns_name(name) {
            Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
        } else {
            Err("must be NAME or NAMESPACE/NAME")
        }
    }
}

impl LeaderArgs {
    /// Checks the settings. Exits the process with code 2 if they contradict each other.
    ///
    /// `has_journal` is whether ids are known.
    pub(super) fn resolve(self, offers: &OfferConfig, has_journal: bool) -> Option<Leadership> {
        let Self { lease, enforce_drains, write_identity, events } = self;
        let Some(lease) = lease else {
            let flags = [
                ("--enforce-drains", enforce_drains),
                ("--write-identity", write_identity),
                ("--events", events),
            ];
            if let Some((flag, _)) = flags.into_iter().find(|(_, is_set)| *is_set) {
                let why = "so that only one replica does it";
                refuse(
                    ErrorKind::MissingRequiredArgument,
                    &format!("{flag} needs --lease NAME (REGISTRAR_LEASE), {why}"),
                );
            }
            return None;
        };
        let OfferSource::Cluster { access, .. } = &offers.source else {
            refuse(
                ErrorKind::ArgumentConflict,
                "--lease needs a cluster; with --offers there are no replicas to choose from",
            );
        };
        if write_identity && !has_journal {
            refuse(
                ErrorKind::MissingRequiredArgument,
                "--write-identity needs --journal (REGISTRAR_JOURNAL), where the ids are known from",
            );
        }
        let written = offers.scope.identity.as_ref().filter(|_| write_identity);
        let written = written.map(|object| (object.clone(), offers.scope.registries.clone()));
        if write_identity && written.is_none() {
            refuse(
                ErrorKind::ArgumentConflict,
                "--write-identity needs an AgentIdentity; --identity is none",
            );
        }
        let ObjectName { namespace, name } = lease;
        // The host name of a pod is its name, which is what an operator looks for in a Lease.
        #[expect(clippy::disallowed_methods, reason = "this module reads settings")]
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "registrar".to_owned());
        let identity = format!("{host}_{:016x}", fastrand::u64(..));
        Some(Leadership {
            access: access.clone(),
            lease: LeaseSettings { namespace, name, identity, timing: TIMING },
            enforce_drains,
            write_identity: written,
            events,
            identity: offers.scope.identity.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_a_name_with_or_without_a_namespace() {
        let name = |namespace: Option<&str>, name: &str| {
            Ok(ObjectName { namespace: namespace.map(str::to_owned), name: name.to_owned() })
        };
        assert_eq!(ObjectName::parse("registrar"), name(None, "registrar"));
        assert_eq!(ObjectName::parse("x402/registrar"), name(Some("x402"), "registrar"));
        for bad in ["", "/", "x402/", "/registrar", "a/b/c", "Upper", "a b"] {
            assert!(ObjectName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
