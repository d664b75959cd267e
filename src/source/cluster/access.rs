//! Access to the API server: connections, deadlines, and objects that stay untyped.

use std::{borrow::Cow, path::PathBuf, time::Duration};

use futures::TryFutureExt;
use kube::{
    Api, Client, Config, Resource,
    api::{GetParams, ListParams, Patch, PatchParams},
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
    core::{DynamicResourceScope, ObjectMeta, Request, Selector},
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{
    TUNNEL, id_of,
    limits::LimitAnswers,
    pages::{PagesError, read_pages},
    tunnel_of,
};
use crate::{
    error_chain::with_causes,
    offer::{OfferId, Offers, Origin, ParsedOffer},
    registration::Identity,
    source::lossless_json::{ListedObject, LosslessJson},
};

/// A server that does not accept a connection in this time counts as unreachable.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A server that sends nothing for this long counts as unreachable.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// A kubeconfig file. If `None`: `KUBECONFIG`, the default path, or the pod's service account.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; the current one if `None`.
    pub(crate) context: Option<String>,
}

/// Why a cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    #[error("no cluster is configured: pass --kubeconfig, set KUBECONFIG, or run in a pod")]
    Infer(#[source] kube::config::InferConfigError),
    #[error("the connection to the API server cannot be set up")]
    Client(#[source] kube::Error),
    #[error("{about} cannot be read: {why}")]
    Request { about: String, why: String },
}

/// An untyped object, without what its managers own. Decoding it never fails, so one malformed object
/// cannot end a watch.
#[derive(Clone, Debug)]
pub(crate) struct RawObject {
    metadata: ObjectMeta,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ServiceOffer,
    AgentIdentity,
    ConfigMap,
}

impl RawObject {
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ListedObject(value) = ListedObject::deserialize(deserializer)?;
        let text = |key: &str| Some(value.get("metadata")?.get(key)?.as_str()?.to_owned());
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            uid: text("uid"),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, value })
    }
}

impl Resource for RawObject {
    type DynamicType = Kind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &Kind) -> Cow<'_, str> {
        Cow::Borrowed(match kind {
            Kind::ServiceOffer => "ServiceOffer",
            Kind::AgentIdentity => "AgentIdentity",
            Kind::ConfigMap => "ConfigMap",
        })
    }

    fn group(kind: &Kind) -> Cow<'_, str> {
        Cow::Borrowed(match kind {
            Kind::ServiceOffer | Kind::AgentIdentity => "obol.org",
            Kind::ConfigMap => "",
        })
    }

    fn version(kind: &Kind) -> Cow<'_, str> {
        Cow::Borrowed(match kind {
            Kind::ServiceOffer | Kind::AgentIdentity => "v1alpha1",
            Kind::ConfigMap => "v1",
        })
    }

    fn plural(kind: &Kind) -> Cow<'_, str> {
        Cow::Borrowed(match kind {
            Kind::ServiceOffer => "serviceoffers",
            Kind::AgentIdentity => "agentidentities",
            Kind::ConfigMap => "configmaps",
        })
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Opens a client with the credentials that are on disk now.
///
/// The client has our deadlines and limits, and not the library's retries, which may sleep for minutes inside
/// one call.
pub(crate) async fn connect(access: &Access) -> Result<Client, AccessError> {
    let mut config = load(access).await?;
    config.connect_timeout = Some(CONNECT_LIMIT);
    config.read_timeout = Some(SILENCE_LIMIT);
    config.write_timeout = Some(SILENCE_LIMIT);
    config.reset_reader_on_write = true;
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config).map_err(AccessError::Client)?;
    Ok(builder.with_layer(&LimitAnswers).build())
}

async fn load(access: &Access) -> Result<Config, AccessError> {
    let options =
        KubeConfigOptions { context: access.context.clone(), ..KubeConfigOptions::default() };
    match &access.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(AccessError::Kubeconfig)?;
            Config::from_custom_kubeconfig(kubeconfig, &options)
                .map_err(AccessError::Kubeconfig)
                .await
        }
        None if access.context.is_some() => {
            Config::from_kubeconfig(&options).map_err(AccessError::Kubeconfig).await
        }
        None => Config::infer().map_err(AccessError::Infer).await,
    }
}

/// Describes the cluster and context in use, to show which cluster a command is about to change.
pub(crate) async fn whoami(access: &Access) -> Result<String, AccessError> {
    let server = load(access).await?.cluster_url.to_string();
    let kubeconfig = match &access.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).ok(),
        None => Kubeconfig::read().ok(),
    };
    let context =
        access.context.clone().or_else(|| kubeconfig.and_then(|config| config.current_context));
    Ok(format!("{} at {server}", context.unwrap_or_else(|| "the pod's service account".to_owned())))
}

/// The ServiceOffers of one namespace, or of all if `None`.
pub(crate) fn offers_api(client: Client, namespace: Option<&str>) -> Api<RawObject> {
    api(client, Kind::ServiceOffer, namespace)
}

/// A ServiceOffer with all that it holds, `managedFields` included; `None` if there is none.
pub(crate) async fn read_offer(
    client: &Client,
    id: &OfferId,
) -> Result<Option<Value>, kube::Error> {
    let path = RawObject::url_path(&Kind::ServiceOffer, Some(&id.namespace));
    let request = Request::new(path).get(&id.name, &GetParams::default());
    match client.request(request.map_err(kube::Error::BuildRequest)?).await {
        Ok(LosslessJson(object)) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The AgentIdentities of one namespace.
pub(crate) fn identities_api(client: Client, namespace: &str) -> Api<RawObject> {
    api(client, Kind::AgentIdentity, Some(namespace))
}

/// Applies a part of an object's status, server-side.
///
/// It is forced, because what is applied is ours to say whoever said it before. If `object` names a
/// resourceVersion, the server refuses it (409) once anybody has written since.
pub(crate) async fn apply_status(
    api: &Api<RawObject>,
    name: &str,
    manager: &str,
    object: &Value,
) -> Result<(), kube::Error> {
    let params = PatchParams::apply(manager).force();
    api.patch_status(name, &params, &Patch::Apply(object)).await.map(drop)
}

pub(super) fn api(client: Client, kind: Kind, namespace: Option<&str>) -> Api<RawObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    }
}

/// Lists all offers of a scope, page by page.
pub(crate) async fn read_offers(
    client: &Client,
    scope: &super::Scope,
) -> Result<Offers, AccessError> {
    let mut offers = Offers::new();
    for namespace in scope.asked_namespaces() {
        let api = offers_api(client.clone(), namespace);
        let label_selector = scope.selector.as_ref().map(Selector::to_string);
        let params = ListParams { label_selector, ..ListParams::default() };
        let read = read_pages(&api, params, |object| {
            let id = id_of(object);
            let parsed = ParsedOffer::parse(&id, object.value());
            offers.insert(id, parsed.into());
        });
        read.await.map_err(|error| AccessError::Request {
            about: "ServiceOffers".to_owned(),
            why: match error {
                PagesError::Request(error) => describe_error(&error, "ServiceOffer"),
                PagesError::Slow | PagesError::Endless | PagesError::NoVersion => error.to_string(),
            },
        })?;
    }
    Ok(offers)
}

/// Reads the AgentIdentity of a scope. If it does not exist, the agent has no ids. If its kind is
/// not installed, that is an error, as it is for `watch`: an id that cannot be read must not be
/// treated as absent, or a second one would be minted.
pub(crate) async fn read_identity(
    client: &Client,
    scope: &super::Scope,
) -> Result<Identity, AccessError> {
    let Some(id) = &scope.identity else { return Ok(Identity::default()) };
    // A list by name, because a get answers 404 for a missing kind and for a missing object alike.
    let only = ListParams::default().fields(&format!("metadata.name={}", id.name));
    let read = api(client.clone(), Kind::AgentIdentity, Some(&id.namespace)).list(&only).await;
    let list = read.map_err(|error| AccessError::Request {
        about: format!("AgentIdentity {id}"),
        why: describe_error(&error, "AgentIdentity"),
    })?;
    let parse = |object: &RawObject| Identity::parse(object.value(), &scope.registries);
    Ok(list.items.first().map(parse).unwrap_or_default())
}

/// Reads the public URL from the tunnel ConfigMap; `None` if there is no ConfigMap or no valid URL in
/// it. A ConfigMap that cannot be read is an error: a URL that exists must not be treated as absent.
pub(crate) async fn read_tunnel(client: &Client) -> Result<Option<Origin>, AccessError> {
    let (namespace, name, _) = TUNNEL;
    let read = api(client.clone(), Kind::ConfigMap, Some(namespace)).get_opt(name).await;
    let object = read.map_err(|error| AccessError::Request {
        about: format!("ConfigMap {namespace}/{name}"),
        why: format!(
            "{}. With --public-url the ConfigMap is not needed",
            describe_error(&error, "ConfigMap")
        ),
    })?;
    let url = object.and_then(|object| tunnel_of(object.value()));
    Ok(url.and_then(|url| Origin::parse(&url).ok()))
}

/// Describes a failed request and, where possible, what to do about it.
pub(super) fn describe_error(error: &kube::Error, kind: &str) -> String {
    let kube::Error::Api(status) = error else { return with_causes(error) };
    let message = shortened(&status.message);
    match status.code {
        404 => format!(
            "the kind {kind} (obol.org/v1alpha1) is not installed: run registrar crds | kubectl apply -f -"
        ),
        403 => format!("access is forbidden: grant get, list and watch ({message})"),
        401 => "the API server rejected our credentials".to_owned(),
        code => format!("the API server answered {code}: {message}"),
    }
}

/// The beginning of a server's message, which may be a page of any length.
pub(super) fn shortened(message: &str) -> String {
    const LENGTH: usize = 500;
    let mut shortened: String = message.chars().take(LENGTH).collect();
    if message.chars().nth(LENGTH).is_some() {
        shortened.push('…');
    }
    shortened
}
