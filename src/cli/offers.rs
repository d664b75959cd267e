//! Settings of every verb that reads offers: their source, and the rules for publishing them.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use clap::{Args, builder::BoolishValueParser, error::ErrorKind};
use kube::core::Selector;
use serde_json::Value;

use super::{
    anchoring::{ForChain, RegistryPlace},
    refuse, seconds,
};
use crate::{
    offer::{Fields, Grants, OfferId, Origin, PublishedFields, is_dns_name, is_image},
    registration::{AgentRegistry, ProfileOverrides, Rules, SizeLimits, chains::KnownRegistries},
    source::{Scope, cluster::Access, parse_selector, parse_yaml},
};

/// The default of `--required-conditions` in a cluster. Manifests in files have no controller that
/// sets conditions, so the default for files is empty.
const CLUSTER_CONDITIONS: [&str; 4] =
    ["ModelReady", "UpstreamHealthy", "PaymentGateReady", "RoutePublished"];

#[derive(Debug, Args)]
pub(crate) struct OfferArgs {
    /// Read manifests instead of a cluster: a file, or a folder of *.yaml, *.yml and *.json files
    #[arg(long, value_name = "PATH", env = "REGISTRAR_OFFERS")]
    offers: Option<PathBuf>,
    /// Read only offers in this namespace; repeatable, default all
    #[arg(long = "namespace", value_name = "NAMESPACE", env = "REGISTRAR_NAMESPACE", value_delimiter = ',', value_parser = namespace)]
    namespaces: Vec<String>,
    /// Read only offers with these labels, in the syntax of kubectl -l
    #[arg(long, value_name = "SELECTOR", env = "REGISTRAR_SELECTOR", value_parser = parse_selector)]
    selector: Option<Selector>,
    /// The AgentIdentity with the agent's on-chain ids, or none to not read the kind
    #[arg(long, value_name = "NAMESPACE/NAME", env = "REGISTRAR_IDENTITY", default_value = "x402/default", value_parser = identity)]
    identity: IdentityArg,
    /// The origin of all published URLs, such as https://agents.example; the default in a cluster
    /// is the tunnelURL of ConfigMap obol-frontend/obol-stack-config
    #[arg(long, value_name = "URL", env = "REGISTRAR_PUBLIC_URL", value_parser = origin)]
    public_url: Option<Origin>,
    /// A YAML file with any of name, description, image, supportedTrust, metadata and provenance of
    /// the default agent; the oldest published offer supplies the others
    #[arg(long, value_name = "FILE", env = "REGISTRAR_PROFILE", value_parser = profile)]
    profile: Option<ProfileOverrides>,
    /// Condition types that must be True, or none; the default is ModelReady, UpstreamHealthy,
    /// PaymentGateReady and RoutePublished in a cluster, and none for files
    #[arg(long, value_name = "A,B", env = "REGISTRAR_REQUIRED_CONDITIONS", value_delimiter = ',',
        value_parser = listed_name)]
    required_conditions: Option<Vec<String>>,
    /// Drop a draining offer whose required conditions are not all True, as the original system
    /// does
    #[arg(long, env = "REGISTRAR_DROP_UNREADY_DRAINS", value_parser = BoolishValueParser::new())]
    drop_unready_drains: bool,
    /// Publish only service entries with these names, including generated ones (web, OASF); default
    /// all
    #[arg(long, value_name = "A,B", env = "REGISTRAR_SERVICE_NAMES", value_delimiter = ',',
        value_parser = listed_name)]
    service_names: Option<Vec<String>>,
    /// The maximum size of the aggregate document; the newest offers are left out first
    #[arg(
        long,
        value_name = "BYTES",
        env = "REGISTRAR_MAX_DOCUMENT_BYTES",
        default_value_t = 1_048_576
    )]
    max_document_bytes: usize,
    /// If the aggregate document is too large, offers whose entries take more than this are left out
    /// first
    #[arg(long, value_name = "BYTES", env = "REGISTRAR_MAX_OFFER_BYTES", default_value_t = 65_536)]
    max_offer_bytes: usize,
    /// A YAML file with the hosts and paths that each namespace may claim, read at the start; without
    /// it, every namespace may claim everything
    #[arg(long, value_name = "FILE", env = "REGISTRAR_GRANTS", value_parser = grants)]
    grants: Option<Grants>,
    /// The registry of a chain, and for anchoring the block at which its history begins (0 if not
    /// given). Required to anchor on a chain that is not in the built-in table, or whose deployment
    /// block is not; adds such a chain to those that an AgentIdentity may name; repeatable
    #[arg(
        long = "registry",
        value_name = "CHAIN=0x…[@BLOCK]",
        env = "REGISTRAR_REGISTRY",
        value_delimiter = ','
    )]
    registries: Vec<ForChain<RegistryPlace>>,
    /// How often everything is listed again to check what the watch delivered, about; a Go duration
    /// of whole seconds
    #[arg(long, value_name = "DURATION", env = "REGISTRAR_RESYNC", default_value = "10m", value_parser = resync)]
    resync: Duration,
    #[command(flatten)]
    access: AccessArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AccessArgs {
    /// A kubeconfig file; default KUBECONFIG, ~/.kube/config, or the pod's service account
    #[arg(long, value_name = "FILE", env = "REGISTRAR_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; default its current context
    #[arg(long, value_name = "NAME", env = "REGISTRAR_CONTEXT")]
    context: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum OfferSource {
    Files {
        /// A file or a folder.
        root: PathBuf,
        /// `None` if the setting is missing, which only some verbs allow.
        public_url: Option<Origin>,
    },
    Cluster {
        access: Access,
        /// `None` to take the URL from the tunnel's ConfigMap.
        public_url: Option<Origin>,
        /// How often a list checks what the watch delivered.
        resync: Duration,
    },
}

/// The checked settings of every verb that reads offers.
#[derive(Clone, Debug)]
pub(crate) struct OfferConfig {
    pub(crate) source: OfferSource,
    /// The objects that are read.
    pub(crate) scope: Scope,
    /// What `--registry` names.
    pub(super) registries: Vec<ForChain<RegistryPlace>>,
    /// How offers become documents.
    pub(crate) rules: Rules,
}

impl OfferSource {
    /// The public URL as it was set.
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
            max_offer_bytes,
            grants,
            registries,
            resync,
            access,
        } = self;
        let IdentityArg(identity) = identity;
        let agent_name = identity.as_ref().map_or("default", |identity| &*identity.name).to_owned();
        let default_conditions: &[&str] = if offers.is_some() { &[] } else { &CLUSTER_CONDITIONS };
        let default_conditions =
            || default_conditions.iter().map(|&condition| condition.to_owned()).collect();
        let source = match offers {
            Some(root) => OfferSource::Files { root, public_url },
            None => OfferSource::Cluster { access: access.resolve(), public_url, resync },
        };
        OfferConfig {
            source,
            scope: Scope {
                namespaces: namespaces.into_iter().collect(),
                selector,
                identity,
                registries: KnownRegistries::with(registries.iter().map(|named| AgentRegistry {
                    chain_id: named.chain.0,
                    address: named.value.address,
                })),
            },
            registries,
            rules: Rules {
                required_conditions: required_conditions.map_or_else(default_conditions, names),
                drop_unready_drains,
                service_names: service_names.map(|listed| listed.into_iter().collect()),
                limits: SizeLimits { document: max_document_bytes, offer: max_offer_bytes },
                grants,
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
            "--public-url URL (REGISTRAR_PUBLIC_URL) is required with --offers, because published URLs start with it",
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
        .ok_or("must be NAMESPACE/NAME, or none to not read an AgentIdentity")?;
    Ok(IdentityArg(Some(id)))
}

/// Parses one name of a list. An empty variable is rejected, because an empty list would silently
/// publish nothing.
fn listed_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() {
        Err("contains an empty name; remove the setting to use its default")
    } else {
        Ok(name.to_owned())
    }
}

fn namespace(text: &str) -> Result<String, &'static str> {
    is_dns_name(text).then(|| text.to_owned()).ok_or("is not a valid namespace name")
}

fn resync(text: &str) -> Result<Duration, String> {
    let interval = seconds(text)?;
    (!interval.is_zero()).then_some(interval).ok_or_else(|| "must be at least 1s".to_owned())
}

fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text).map_err(|error| error.to_string())
}

fn grants(path: &str) -> Result<Grants, String> {
    Grants::parse(&yaml_document(path)?)
}

/// Reads a file with one YAML document.
fn yaml_document(path: &str) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let documents = parse_yaml(&text).map_err(|error| error.to_string())?;
    let [document]: [Value; 1] =
        documents.try_into().map_err(|_| "must contain exactly one YAML document".to_owned())?;
    Ok(document)
}

fn profile(path: &str) -> Result<ProfileOverrides, String> {
    let document = yaml_document(path)?;
    let fields = Fields::of(Some(&document), "profile").map_err(|error| error.to_string())?;
    let known = ["name", "description", "image", "supportedTrust", "metadata", "provenance"];
    let unknown =
        document.as_object().into_iter().flatten().find(|(key, _)| !known.contains(&key.as_str()));
    if let Some((key, _)) = unknown {
        return Err(format!(
            "has the unknown field {key:?}; the known fields are {}",
            known.join(", ")
        ));
    }
    let mut warnings = Vec::new();
    let mut published = PublishedFields::of(fields, &mut warnings);
    let mut text = |key: &str| -> Result<Option<String>, String> {
        let text = published.text(key).map_err(|error| error.to_string())?;
        match text.map(str::trim) {
            Some("") => {
                Err(format!("{key} is blank; remove it to use the value of the oldest offer"))
            }
            Some(_) | None => Ok(text.map(str::to_owned)),
        }
    };
    let (name, description, image) = (text("name")?, text("description")?, text("image")?);
    let is_set = |key: &str| fields.raw(key).is_some();
    let mut texts = |key| {
        is_set(key).then(|| published.texts(key)).transpose().map_err(|error| error.to_string())
    };
    let supported_trust = texts("supportedTrust")?;
    let mut map = |key| {
        is_set(key).then(|| published.text_map(key)).transpose().map_err(|error| error.to_string())
    };
    let (metadata, provenance) = (map("metadata")?, map("provenance")?);
    if let Some(warning) = warnings.into_iter().next() {
        return Err(warning);
    }
    if image.as_deref().is_some_and(|image| !is_image(image)) {
        return Err(
            "image must be a public https URL, an ipfs:// URL or a data:image/ URL".to_owned()
        );
    }
    Ok(ProfileOverrides { name, description, image, supported_trust, metadata, provenance })
}
