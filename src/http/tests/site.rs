//! A site to send requests to: both routers over a catalog that the test publishes, under paused
//! time.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use crate::{
    anchor::AnchorReason,
    catalog::CurrentCatalog,
    clock::Clock,
    http::{
        self, CatalogReader, EventFeed, Front,
        admin::{Admin, AdminHosts},
    },
    registration::{
        AgentName, AgentRegistry, Identity, OnChainAgent, OnChainFacts, OnChainId, Rules,
        chains::KnownRegistries,
    },
    review::{CurrentReview, Review},
    source::{BrakeRelease, Observation, SourceHealth, SourceProblem, SourceProblemCode, World},
    telemetry::Metrics,
    testing::{Resource, at, catalog, offers, public_url, rules},
};
use alloy::primitives::Address;
use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
};
use serde_json::Value;
use tokio::sync::watch;

pub(crate) const WELL_KNOWN: &str = "/.well-known/agent-registration.json";

/// Where one offer's document is, from `namespace/name`.
pub(crate) fn document_of(id: &str) -> String {
    format!("/offers/{id}/agent-registration.json")
}

/// Both routers, and the state that they read.
pub(crate) struct Site {
    pub(crate) catalog: CurrentCatalog,
    pub(crate) observed: watch::Sender<Observation>,
    pub(crate) admin: Admin,
    pub(crate) identity: Identity,
    pub(crate) on_chain: OnChainFacts,
    pub(crate) rules: Rules,
}

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Site {
    /// A site before its first catalog.
    pub(crate) fn empty(now: &str) -> Self {
        let catalog = CurrentCatalog::default();
        let (observed, observed_reader) = watch::channel(Observation::default());
        let reader = CatalogReader {
            catalog: catalog.clone(),
            observed: observed_reader,
            health: SourceHealth::default(),
            clock: Clock::starting_at(at(now)),
            max_age: Duration::from_secs(5),
            metrics: Metrics::new(),
            events: ended_feed(),
            review: CurrentReview::default(),
            x402_discovery: true,
        };
        let stopping = Arc::new(AtomicBool::new(false));
        let (release, hosts) = (BrakeRelease::default(), AdminHosts::new(Vec::new()));
        let admin = Admin { reader, release, hosts, stopping };
        Self {
            catalog,
            observed,
            admin,
            identity: Identity::default(),
            on_chain: OnChainFacts::default(),
            rules: rules(),
        }
    }

    /// A site that serves these resources.
    pub(crate) fn of<'a>(now: &str, resources: impl IntoIterator<Item = &'a Resource>) -> Self {
        let site = Self::empty(now);
        site.publish(resources);
        site
    }

    /// Publishes these resources.
    pub(crate) fn publish<'a>(&self, resources: impl IntoIterator<Item = &'a Resource>) {
        let now = self.admin.reader.clock.now();
        let world = World {
            offers: offers(resources).into(),
            identity: self.identity.clone().into(),
            public_url: public_url(),
        };
        let last = self.catalog.load();
        let identity = &world.identity.registrations;
        let (offers, on_chain) = (&world.offers, &self.on_chain);
        let catalog = catalog(offers, identity, on_chain, &self.rules, last.as_deref(), now);
        self.observed.send_modify(|observed| {
            observed.world = Some(world);
            observed.missing.clear();
        });
        self.admin.reader.review.replace(Review::of_all(&catalog.projection));
        self.catalog.replace(Arc::new(catalog));
    }

    /// Adds a problem that prevents the first world from being complete.
    pub(crate) fn lacks(&self, about: &str) {
        let problem = SourceProblem::new(SourceProblemCode::NotListed, about, "is not there");
        self.observed.send_modify(|observed| observed.missing.push(problem));
    }

    /// Steps the clock of the reader only.
    pub(crate) fn step_clock_to(&mut self, now: &str) {
        self.admin.reader.clock = Clock::starting_at(at(now));
    }

    pub(crate) fn public(&self) -> Front {
        http::public(self.admin.reader.clone())
    }

    pub(crate) fn admin(&self) -> Front {
        http::admin::admin(self.admin.clone())
    }

    /// A GET on the public listener.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        ask(self.public(), request("GET", path, &[])).await
    }

    /// A GET on the public listener with header fields.
    pub(crate) async fn get_with(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        ask(self.public(), request("GET", path, fields)).await
    }

    /// A GET on the admin listener.
    pub(crate) async fn get_admin(&self, path: &str) -> Answer {
        ask(self.admin(), request("GET", path, &[("host", "127.0.0.1:9004")])).await
    }

    /// The document at the well-known path of a host, by its name.
    pub(crate) async fn name_at(&self, host: &str) -> Value {
        self.get_with(WELL_KNOWN, &[("host", host)]).await.json()["name"].clone()
    }

    /// Sets the reason of the default agent on Base, as anchoring would have learned it.
    pub(crate) fn with_reason(mut self, reason: AnchorReason) -> Self {
        let registry = AgentRegistry { chain_id: 8_453, address: Address::repeat_byte(0x80) };
        let known = OnChainAgent { id: OnChainId::Unknown, reason: reason.as_str() };
        self.on_chain.0.insert((AgentName::Default, registry), known);
        self
    }

    /// Sets an id of the agent, as a source would have read it.
    pub(crate) fn anchored(mut self, chain: &str, id: &str) -> Self {
        let status = serde_json::json!({ "status": { "registrations": [{ "chain": chain, "agentId": id }] } });
        self.identity = Identity::parse(&status, &KnownRegistries::default());
        self
    }
}

/// A feed that has ended, so that its streams end as well.
fn ended_feed() -> EventFeed {
    let feed = EventFeed::new("test".to_owned());
    feed.end();
    feed
}

/// A request for the public URL's host unless a field names another; `uri` may be absolute.
pub(crate) fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let request = Request::builder().method(method).uri(uri);
    let request =
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let mut request = request.body(Body::empty()).unwrap();
    let host = HeaderValue::from_static("seller.example");
    request.headers_mut().entry(header::HOST).or_insert(host);
    request
}

/// Sends one request.
pub(crate) async fn ask(front: Front, request: Request<Body>) -> Answer {
    let (parts, body) = front.answer(request).await.unwrap().into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}

impl Answer {
    /// One header field, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn etag(&self) -> &str {
        self.header(header::ETAG.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Status and code of a problem document, which is checked to be one.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16(), "{self:?}");
        (self.status.as_u16(), problem["code"].as_str().unwrap().to_owned())
    }
}

/// A problem's status and code, to compare with.
pub(crate) fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
