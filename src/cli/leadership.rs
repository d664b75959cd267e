//! Settings of the work that only one of several replicas does.

use clap::{Args, builder::BoolishValueParser, error::ErrorKind};

use super::{OfferSource, refuse};
use crate::{
    leader::{LeaseSettings, TIMING},
    offer::is_dns_name,
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
}

/// What this process does while it holds a Lease. Anchoring is set up separately.
#[derive(Clone, Debug)]
pub(crate) struct Leadership {
    pub(crate) access: Access,
    pub(crate) lease: LeaseSettings,
    pub(crate) enforce_drains: bool,
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
    pub(super) fn resolve(self, source: &OfferSource) -> Option<Leadership> {
        let Self { lease, enforce_drains } = self;
        let Some(lease) = lease else {
            if enforce_drains {
                refuse(
                    ErrorKind::MissingRequiredArgument,
                    "--enforce-drains needs --lease NAME (REGISTRAR_LEASE), so that only one replica does it",
                );
            }
            return None;
        };
        let OfferSource::Cluster { access, .. } = source else {
            refuse(
                ErrorKind::ArgumentConflict,
                "--lease needs a cluster; with --offers there are no replicas to choose from",
            );
        };
        let ObjectName { namespace, name } = lease;
        // The host name of a pod is its name, which is what an operator looks for in a Lease.
        #[expect(clippy::disallowed_methods, reason = "this module reads settings")]
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "registrar".to_owned());
        let identity = format!("{host}_{:016x}", fastrand::u64(..));
        Some(Leadership {
            access: access.clone(),
            lease: LeaseSettings { namespace, name, identity, timing: TIMING },
            enforce_drains,
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
