//! Settings of every verb that reads offers: where they come from, and how they become documents.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::{Args, builder::BoolishValueParser, error::ErrorKind};
use kube::core::Selector;

use super::refuse;
use crate::{
    offer::{Fields, OfferId, Origin, is_dns_name, is_image},
    registration::{ProfileOverrides, Rules},
    source::{Scope, cluster::Access, parse_selector, parse_yaml},
};

/// Condition types that a ServiceOffer in a cluster needs; manifests in files have no controller that sets any.
const CLUSTER_CONDITIONS: [&str; 4] =
    ["ModelReady", "UpstreamHealthy", "PaymentGateReady", "RoutePublished"];

/// Where offers come from, and how they become documents. Every verb that reads offers takes these.
#[derive(Debug, Args)]
pub(crate) struct OfferArgs {
    /// Manifests to read instead of a cluster: a file, or a folder of *.yaml, *.yml and *.json
    #[arg(long, value_name = "PATH", env = "REGISTRAR_OFFERS")]
    offers: Option<PathBuf>,
    /// Only offers of this namespace; repeatable, default all
    #[arg(long = "namespace", value_name = "NAMESPACE", env = "REGISTRAR_NAMESPACE", value_delimiter = ',', value_parser = namespace)]
    namespaces: Vec<String>,
    /// Only offers with these labels, as kubectl -l takes them
    #[arg(long, value_name = "SELECTOR", env = "REGISTRAR_SELECTOR", value_parser = parse_selector)]
    selector: Option<Selector>,
    /// The AgentIdentity that names the agent's on-chain ids, or none to do without the kind
    #[arg(long, value_name = "NAMESPACE/NAME", env = "REGISTRAR_IDENTITY", default_value = "x402/default", value_parser = identity)]
    identity: IdentityArg,
    /// The origin of all published URLs, such as https://agents.example; in a cluster, default is the tunnelURL of
    /// ConfigMap obol-frontend/obol-stack-config
    #[arg(long, value_name = "URL", env = "REGISTRAR_PUBLIC_URL", value_parser = origin)]
    public_url: Option<Origin>,
    /// A YAML file with name, description, image, supportedTrust, metadata and provenance of the default agent, each on
    /// its own; what it leaves out comes from the oldest published offer
    #[arg(long, value_name = "FILE", env = "REGISTRAR_PROFILE", value_parser = profile)]
    profile: Option<ProfileOverrides>,
    /// Condition types that must be True, or none; default in a cluster ModelReady, UpstreamHealthy, PaymentGateReady
    /// and RoutePublished, for files none
    #[arg(long, value_name = "A,B", env = "REGISTRAR_REQUIRED_CONDITIONS", value_delimiter = ',',
        value_parser = listed_name)]
    required_conditions: Option<Vec<String>>,
    /// Drop a draining offer that lacks a required condition, as the original system does
    #[arg(long, env = "REGISTRAR_DROP_UNREADY_DRAINS", value_parser = BoolishValueParser::new())]
    drop_unready_drains: bool,
    /// Publish only service entries with these names, generated ones (web, OASF) included; default all
    #[arg(long, value_name = "A,B", env = "REGISTRAR_SERVICE_NAMES", value_delimiter = ',',
        value_parser = listed_name)]
    service_names: Option<Vec<String>>,
    /// Cut the aggregate document above this size, newest offers first
    #[arg(
        long,
        value_name = "BYTES",
        env = "REGISTRAR_MAX_DOCUMENT_BYTES",
        default_value_t = 1_048_576
    )]
    max_document_bytes: usize,
    #[command(flatten)]
    access: AccessArgs,
}

/// How a cluster is reached.
#[derive(Clone, Debug, Args)]
pub(crate) struct AccessArgs {
    /// A kubeconfig file; default KUBECONFIG, ~/.kube/config, or the pod's own account
    #[arg(long, value_name = "FILE", env = "REGISTRAR_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; default its current one
    #[arg(long, value_name = "NAME", env = "REGISTRAR_CONTEXT")]
    context: Option<String>,
}

/// Where offers come from.
#[derive(Clone, Debug)]
pub(crate) enum OfferSource {
    /// Manifests, and the public URL that they need.
    Files {
        /// A file or a folder.
        root: PathBuf,
        /// The origin of all published URLs, if it was given.
        public_url: Option<Origin>,
    },
    /// A cluster.
    Cluster {
        /// How to reach it.
        access: Access,
        /// The origin of all published URLs; the tunnel ConfigMap's when `None`.
        public_url: Option<Origin>,
    },
}

/// The settings of every verb that reads offers, checked.
#[derive(Clone, Debug)]
pub(crate) struct OfferConfig {
    /// Where offers come from.
    pub(crate) source: OfferSource,
    /// Which of them exist for us.
    pub(crate) scope: Scope,
    /// How they become documents.
    pub(crate) rules: Rules,
}

impl OfferSource {
    /// The public URL, if it was given.
    pub(crate) fn public_url(&self) -> Option<&Origin> {
        match self {
            Self::Files { public_url, .. } | Self::Cluster { public_url, .. } => {
                public_url.as_ref()
            }
        }
    }
}

impl OfferArgs {
    pub(super) fn resolve(self) -> OfferConfig {
        let Self {
            offers,
            namespaces,
            selector,
            identity,
            public_url,
            profile,
            required_conditions,
            drop_unready_drains,
            service_names,
            max_document_bytes,
            access,
        } = self;
        let IdentityArg(identity) = identity;
        let agent_name = identity.as_ref().map_or("default", |identity| &*identity.name).to_owned();
        let default_conditions: &[&str] = if offers.is_some() { &[] } else { &CLUSTER_CONDITIONS };
        let default_conditions =
            || default_conditions.iter().map(|&condition| condition.to_owned()).collect();
        let source = match offers {
            Some(root) => OfferSource::Files { root, public_url },
            None => OfferSource::Cluster { access: access.resolve(), public_url },
        };
        OfferConfig {
            source,
            scope: Scope { namespaces: namespaces.into_iter().collect(), selector, identity },
            rules: Rules {
                required_conditions: required_conditions.map_or_else(default_conditions, names),
                drop_unready_drains,
                service_names: service_names.map(|listed| listed.into_iter().collect()),
                max_document_bytes,
                profile: profile.unwrap_or_default(),
                agent_name,
            },
        }
    }
}

impl AccessArgs {
    pub(super) fn resolve(self) -> Access {
        let Self { kubeconfig, context } = self;
        Access { kubeconfig, context }
    }
}

pub(super) fn require_public_url(source: &OfferSource) {
    if let OfferSource::Files { public_url: None, .. } = source {
        refuse(
            ErrorKind::MissingRequiredArgument,
            "--public-url URL (REGISTRAR_PUBLIC_URL) is required with --offers: documents name it everywhere",
        );
    }
}

/// A list of names; the single word `none` is the empty list.
fn names(listed: Vec<String>) -> BTreeSet<String> {
    if listed == ["none"] { BTreeSet::new() } else { listed.into_iter().collect() }
}

#[derive(Clone, Debug)]
struct IdentityArg(Option<OfferId>);

fn identity(text: &str) -> Result<IdentityArg, String> {
    if text == "none" {
        return Ok(IdentityArg(None));
    }
    let id = OfferId::parse(text)
        .ok_or("should be NAMESPACE/NAME, or none to do without AgentIdentity")?;
    Ok(IdentityArg(Some(id)))
}

/// One name of a list. An empty variable is a slip, not an empty list: that would publish nothing, silently.
fn listed_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() {
        Err("holds an empty name; leave the setting out for its default")
    } else {
        Ok(name.to_owned())
    }
}

fn namespace(text: &str) -> Result<String, &'static str> {
    is_dns_name(text).then(|| text.to_owned()).ok_or("is no namespace name")
}

fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text).map_err(|error| error.to_string())
}

fn profile(path: &str) -> Result<ProfileOverrides, String> {
    let text = std::fs::read_to_string(Path::new(path)).map_err(|error| error.to_string())?;
    let documents = parse_yaml(&text).map_err(|error| error.to_string())?;
    let [document] = documents.as_slice() else {
        return Err("should hold one YAML document".to_owned());
    };
    let fields = Fields::of(Some(document), "profile").map_err(|wrong| wrong.to_string())?;
    let known = ["name", "description", "image", "supportedTrust", "metadata", "provenance"];
    let unknown =
        document.as_object().into_iter().flatten().find(|(key, _)| !known.contains(&key.as_str()));
    if let Some((key, _)) = unknown {
        return Err(format!("has the unknown field {key:?}; known are {}", known.join(", ")));
    }
    let text = |key: &str| -> Result<Option<String>, String> {
        let text = fields.text(key).map_err(|wrong| wrong.to_string())?;
        match text.map(str::trim) {
            Some("") => Err(format!("{key} is blank; leave it out to take the oldest offer's")),
            Some(_) | None => Ok(text.map(str::to_owned)),
        }
    };
    let texts = |key: &str| {
        fields.raw(key).map(|_| fields.texts(key)).transpose().map_err(|wrong| wrong.to_string())
    };
    let map = |key: &str| {
        fields.raw(key).map(|_| fields.text_map(key)).transpose().map_err(|wrong| wrong.to_string())
    };
    let image = text("image")?;
    if image.as_deref().is_some_and(|image| !is_image(image)) {
        return Err("image is no public https URL, ipfs:// or data:image/".to_owned());
    }
    Ok(ProfileOverrides {
        name: text("name")?,
        description: text("description")?,
        image,
        supported_trust: texts("supportedTrust")?,
        metadata: map("metadata")?,
        provenance: map("provenance")?,
    })
}
