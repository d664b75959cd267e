//! The way to the API server: its address and rights, deadlines, and objects that are never decoded here.

use std::{borrow::Cow, path::PathBuf, time::Duration};

use futures::TryFutureExt;
use http::Response;
use kube::{
    Api, Client, Config, Resource,
    api::ListParams,
    client::{ClientBuilder, DynBody},
    config::{KubeConfigOptions, Kubeconfig},
    core::{DynamicResourceScope, ObjectMeta, Selector},
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tower::util::MapResponseLayer;

use super::{TUNNEL, id_of, tunnel_of};
use crate::{
    error_chain::with_causes,
    offer::{Offers, Origin, ParsedOffer},
    registration::Identity,
    source::lossless_json::LosslessJson,
};

/// A connection that cannot be opened in this time is not there.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A server that says nothing for this long is not there. Watches end by themselves after 25 s, so a live one is never
/// silent longer; a dead one is noticed within 35 s, as the design asks.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// How to reach a cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// A kubeconfig file; `KUBECONFIG`, the usual place, or the pod's own account when `None`.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// A context of it; its current one when `None`.
    pub(crate) context: Option<String>,
}

/// Why a cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// The kubeconfig cannot be read or lacks what it names.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    /// Neither a kubeconfig nor a pod's account was found.
    #[error("no cluster was found: give --kubeconfig, set KUBECONFIG, or run in a pod")]
    Infer(#[source] kube::config::InferConfigError),
    /// The connection cannot be set up.
    #[error("the connection to the API server cannot be set up")]
    Client(#[source] kube::Error),
    /// A request failed.
    #[error("{about} cannot be read: {why}")]
    Request {
        /// What was asked for.
        about: String,
        /// What came back.
        why: String,
    },
}

/// An object as the server sent it. Decoding never fails, so one strange object never ends a watch.
#[derive(Clone, Debug)]
pub(crate) struct RawObject {
    metadata: ObjectMeta,
    value: Value,
}

/// Which kind an [`RawObject`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `serviceoffers.obol.org`.
    ServiceOffer,
    /// `agentidentities.obol.org`.
    AgentIdentity,
    /// `configmaps`.
    ConfigMap,
}

impl RawObject {
    /// The object.
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
        let LosslessJson(value) = LosslessJson::deserialize(deserializer)?;
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

/// Opens a client.
pub(crate) async fn connect(access: &Access) -> Result<Client, AccessError> {
    connect_heard(access, || {}).await
}

/// Opens a client that calls `heard` whenever the server answers a request with success.
///
/// It has our own deadlines, and not the library's retries, which sleep up to minutes inside one call.
pub(super) async fn connect_heard(
    access: &Access,
    heard: impl Fn() + Clone + Send + 'static,
) -> Result<Client, AccessError> {
    let mut config = load(access).await?;
    config.connect_timeout = Some(CONNECT_LIMIT);
    config.read_timeout = Some(SILENCE_LIMIT);
    config.write_timeout = Some(SILENCE_LIMIT);
    config.reset_reader_on_write = true;
    config.default_retry = false;
    let answers = MapResponseLayer::new(move |response: Response<Box<DynBody>>| {
        if response.status().is_success() {
            heard();
        }
        response
    });
    Ok(ClientBuilder::try_from(config).map_err(AccessError::Client)?.with_layer(&answers).build())
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

/// The cluster and context in use, for people: which cluster a command is about to change.
pub(crate) async fn whoami(access: &Access) -> Result<String, AccessError> {
    let server = load(access).await?.cluster_url.to_string();
    let kubeconfig = match &access.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).ok(),
        None => Kubeconfig::read().ok(),
    };
    let context =
        access.context.clone().or_else(|| kubeconfig.and_then(|config| config.current_context));
    Ok(format!("{} at {server}", context.unwrap_or_else(|| "the pod's own account".to_owned())))
}

/// The ServiceOffers of one namespace, or of all.
pub(crate) fn offers_api(client: Client, namespace: Option<&str>) -> Api<RawObject> {
    api(client, Kind::ServiceOffer, namespace)
}

pub(super) fn api(client: Client, kind: Kind, namespace: Option<&str>) -> Api<RawObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    }
}

/// Lists all offers of a scope once.
pub(crate) async fn read_offers(
    client: &Client,
    scope: &super::Scope,
) -> Result<Offers, AccessError> {
    let namespaces: Vec<Option<&str>> = match scope.namespaces.is_empty() {
        true => vec![None],
        false => scope.namespaces.iter().map(|namespace| Some(namespace.as_str())).collect(),
    };
    let mut offers = Offers::new();
    for namespace in namespaces {
        let api = offers_api(client.clone(), namespace);
        let mut params = ListParams::default().limit(500);
        params.label_selector = scope.selector.as_ref().map(Selector::to_string);
        loop {
            let page = api.list(&params).await.map_err(|error| AccessError::Request {
                about: "ServiceOffers".to_owned(),
                why: tell(&error, "ServiceOffer"),
            })?;
            for object in page.items {
                let id = id_of(&object);
                let seen = ParsedOffer::parse(&id, object.value());
                offers.insert(id, seen.into());
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                break;
            }
        }
    }
    Ok(offers)
}

/// Reads the AgentIdentity of a scope once; one that does not exist names no ids. A kind that is not installed is an
/// error here as it is to `watch`: an id that is merely unseen must not be minted beside.
pub(crate) async fn read_identity(
    client: &Client,
    scope: &super::Scope,
) -> Result<Identity, AccessError> {
    let Some(id) = &scope.identity else { return Ok(Identity::default()) };
    // Listed by name, as it is watched: a get answers 404 for a missing kind and for a missing object alike.
    let only = ListParams::default().fields(&format!("metadata.name={}", id.name));
    let read = api(client.clone(), Kind::AgentIdentity, Some(&id.namespace)).list(&only).await;
    let list = read.map_err(|error| AccessError::Request {
        about: format!("AgentIdentity {id}"),
        why: tell(&error, "AgentIdentity"),
    })?;
    Ok(list.items.first().map(|object| Identity::parse(object.value())).unwrap_or_default())
}

/// Reads the public URL from the tunnel ConfigMap once, if it has one.
pub(crate) async fn read_tunnel(client: &Client) -> Option<Origin> {
    let (namespace, name, _) = TUNNEL;
    let object =
        api(client.clone(), Kind::ConfigMap, Some(namespace)).get_opt(name).await.ok()??;
    Origin::parse(&tunnel_of(object.value())?).ok()
}

/// Says what a failed request means and what to do about it.
pub(super) fn tell(error: &kube::Error, kind: &str) -> String {
    let kube::Error::Api(status) = error else { return with_causes(error) };
    match status.code {
        404 => format!(
            "the kind {kind} (obol.org/v1alpha1) is not installed: registrar crds | kubectl apply -f -"
        ),
        403 => format!("forbidden, grant get, list and watch ({})", status.message),
        401 => "the API server does not know our credentials".to_owned(),
        code => format!("the API server answers {code}: {}", status.message),
    }
}
