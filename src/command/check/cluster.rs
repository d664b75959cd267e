//! Asks the API server. Every question is one request with the kubeconfig's own rights.

use http::{Method, Request, header};
use kube::{Client, client::Body};
use serde_json::Value;

use super::rights::rights;
use crate::{
    check::{
        anchoring::Lease,
        cluster::{ClusterFacts, Kinds},
        public::parse_date,
        routes::{RouteFacts, parse},
    },
    cli::CheckConfig,
    clock::Clock,
    error_chain::with_causes,
    leader::LeaseSettings,
    offer::{OfferId, Offers, Timestamp, parse_timestamp},
    source::cluster::{self, Access, AccessError},
};

const GATEWAY_API: &str = "/apis/gateway.networking.k8s.io/v1";

/// Opens a client, and says which cluster it is of.
pub(super) async fn connect(access: &Access) -> Result<(String, Client), AccessError> {
    Ok((cluster::whoami(access).await?, cluster::connect(access).await?))
}

/// Why a request gave no answer.
pub(super) enum Failure {
    /// The API server answered with this status.
    Status(u16, String),
    Other(String),
}

impl Failure {
    fn of(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = &error {
            return Self::Status(status.code, status.message.clone());
        }
        Self::Other(with_causes(&error))
    }

    pub(super) fn message(self) -> String {
        match self {
            Self::Status(code, message) => format!("the API server answered {code}: {message}"),
            Self::Other(message) => message,
        }
    }
}

pub(super) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Value, Failure> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|error| Failure::Other(error.to_string()))?;
    client.request(request).await.map_err(Failure::of)
}

async fn get(client: &Client, path: &str) -> Result<Value, Failure> {
    send(client, Method::GET, path, Vec::new()).await
}

pub(super) async fn facts(client: &Client, name: String, config: &CheckConfig) -> ClusterFacts {
    let (version, server_time) = match version(client).await {
        Ok((version, time)) => (Ok(version), time),
        Err(why) => (Err(why), None),
    };
    let reads_identity = config.offers.scope.identity.is_some();
    let asked_at = Clock::system().now();
    let (rights, kinds) = match version.is_ok() {
        true => (rights(client, config).await, kinds(client).await),
        false => (Vec::new(), Kinds { versions: Ok(vec![]), plurals: vec![], offer_fields: None }),
    };
    ClusterFacts { name, version, asked_at, server_time, rights, reads_identity, kinds }
}

/// The server's version, and its clock.
async fn version(client: &Client) -> Result<(String, Option<Timestamp>), String> {
    let request = Request::get("/version").body(Body::empty()).map_err(|e| e.to_string())?;
    let answer = client.send(request).await.map_err(|error| with_causes(&error))?;
    let status = answer.status();
    let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    let time = date.and_then(parse_date);
    let body = answer.into_body().collect_bytes().await.map_err(|error| with_causes(&error))?;
    if !status.is_success() {
        return Err(format!("the API server answered {status}"));
    }
    let version: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    let version =
        version["gitVersion"].as_str().ok_or("the API server did not name its version")?;
    Ok((version.to_owned(), time))
}

async fn kinds(client: &Client) -> Kinds {
    let names = |value: &Value, list: &str, key: &str| -> Vec<String> {
        let items = value[list].as_array().into_iter().flatten();
        items.filter_map(|item| item[key].as_str().map(str::to_owned)).collect()
    };
    let versions = match get(client, "/apis/obol.org").await {
        Ok(group) => Ok(names(&group, "versions", "version")),
        Err(Failure::Status(404, _)) => Ok(Vec::new()),
        Err(other) => Err(other.message()),
    };
    let plurals =
        get(client, "/apis/obol.org/v1alpha1").await.map(|list| names(&list, "resources", "name"));
    let definition =
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/serviceoffers.obol.org";
    let offer_fields = get(client, definition).await.ok().map(|definition| {
        let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
        let schema = versions.filter(|version| version["name"] == "v1alpha1").find_map(|version| {
            version.pointer("/schema/openAPIV3Schema/properties/spec/properties")?.as_object()
        });
        schema.map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
    });
    Kinds { versions, plurals: plurals.unwrap_or_default(), offer_fields }
}

/// Whether an AgentIdentity exists; `None` if that cannot be told.
pub(super) async fn identity_exists(client: &Client, id: &OfferId) -> Option<bool> {
    let OfferId { namespace, name } = id;
    let path = format!("/apis/obol.org/v1alpha1/namespaces/{namespace}/agentidentities/{name}");
    match get(client, &path).await {
        Ok(_) => Some(true),
        Err(Failure::Status(404, _)) => Some(false),
        Err(Failure::Status(..) | Failure::Other(_)) => None,
    }
}

/// Reads the Lease under which one replica acts; `None` if it does not exist.
pub(super) async fn lease(
    client: &Client,
    settings: &LeaseSettings,
) -> Result<Option<Lease>, String> {
    let namespace = settings.namespace.as_deref().unwrap_or(client.default_namespace());
    let name = &settings.name;
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}");
    let lease = match get(client, &path).await {
        Ok(lease) => lease,
        Err(Failure::Status(404, _)) => return Ok(None),
        Err(other) => return Err(format!("Lease {namespace}/{name}: {}", other.message())),
    };
    let spec = &lease["spec"];
    Ok(Some(Lease {
        holder: spec["holderIdentity"].as_str().unwrap_or_default().to_owned(),
        renewed: spec["renewTime"].as_str().and_then(parse_timestamp),
        seconds: spec["leaseDurationSeconds"].as_i64().unwrap_or_default(),
    }))
}

/// Reads all HTTPRoutes and Gateways. An error says why there are none.
pub(super) async fn routes(
    client: &Client,
    service: &OfferId,
    offers: Option<&Offers>,
    hosts: Vec<String>,
    now: Timestamp,
) -> Result<RouteFacts, String> {
    let routes = match list(client, "httproutes").await {
        Ok(routes) => routes,
        Err(Failure::Status(404, _)) => return Err("The Gateway API is not installed.".to_owned()),
        Err(other) => return Err(format!("HTTPRoutes cannot be listed: {}.", other.message())),
    };
    let gateways = list(client, "gateways").await.unwrap_or_default();
    let ended = |offer: &crate::offer::Offer| {
        offer.drain.as_ref().is_ok_and(|drain| drain.is_some_and(|drain| drain.ends_at() <= now))
    };
    let drained = offers
        .into_iter()
        .flatten()
        .filter(|(_, parsed)| parsed.verdict.as_ref().is_ok_and(ended))
        .map(|(id, _)| id.clone());
    Ok(RouteFacts {
        service: service.clone(),
        routes: routes.iter().map(parse::route).collect(),
        hosts,
        listeners: gateways.iter().flat_map(parse::listeners).collect(),
        drained: drained.collect(),
    })
}

/// Every object of a kind of the Gateway API, page by page.
async fn list(client: &Client, plural: &str) -> Result<Vec<Value>, Failure> {
    let mut objects = Vec::new();
    let mut more = String::new();
    loop {
        let page = get(client, &format!("{GATEWAY_API}/{plural}?limit=500{more}")).await?;
        objects.extend(page["items"].as_array().into_iter().flatten().cloned());
        match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
            Some(token) => {
                let token: String =
                    url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
                more = format!("&continue={token}");
            }
            None => return Ok(objects),
        }
    }
}
