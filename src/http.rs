//! The public listener's router, and the layers that both routers share.

pub(crate) mod admin;
mod body;
mod conditional;
mod contract;
mod discovery;
mod docs;
mod documents;
pub(crate) mod events;
mod fields;
mod front;
mod home;
mod html;
mod listings;
mod problem;
mod query;
mod slow;
mod status;
mod target;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    ops::Deref,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state, map_response},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use tokio::{sync::watch, time::Instant};
use tower::ServiceBuilder;
use tower_http::{
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};

pub(crate) use self::{body::Body, events::EventFeed, front::Front, problem::ProblemDetails};
use self::{documents::OFFER_DOCUMENT, problem::METHODS};
use crate::{
    catalog::{Catalog, CurrentCatalog, Seen},
    clock::Clock,
    offer::Timestamp,
    registration::WELL_KNOWN_PATH,
    review::CurrentReview,
    source::{FRESH_LIMIT, Observation, SourceHealth},
    telemetry::Metrics,
};

/// How long a handler waits for the next catalog after the current one has expired.
const CATALOG_WAIT: Duration = Duration::from_millis(100);
/// A request that takes longer is answered with 503. No handler needs this long.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// What handlers read.
#[derive(Clone, Debug)]
pub(crate) struct CatalogReader {
    pub(crate) catalog: CurrentCatalog,
    /// The state of the source; it lists what is missing before the first catalog.
    pub(crate) observed: watch::Receiver<Observation>,
    pub(crate) health: SourceHealth,
    /// Decides whether the catalog is still valid.
    pub(crate) clock: Clock,
    /// The upper bound of `max-age` in responses.
    pub(crate) max_age: Duration,
    pub(crate) metrics: Metrics,
    pub(crate) events: EventFeed,
    /// What lint finds in the documents.
    pub(crate) review: CurrentReview,
    /// Whether the lists for buyers by x402 are served.
    pub(crate) x402_discovery: bool,
}

/// A catalog that is valid at `now`.
struct Current<C = Arc<Catalog>> {
    catalog: C,
    now: Timestamp,
    /// The same moment, on the clock that ages are measured by.
    at: Instant,
}

impl CatalogReader {
    /// The catalog, if it is valid at this moment, for this moment.
    fn current_now(&self) -> Option<Current<Seen>> {
        self.if_it_holds(self.catalog.look()?)
    }

    /// The catalog that is valid at this moment, or the problem to answer with.
    ///
    /// Checked for every request, so that a process that was suspended, or whose clock was stepped,
    /// never serves an expired catalog.
    async fn current(&self) -> Result<Current, ProblemDetails> {
        if let Some(current) = self.held()? {
            return Ok(current);
        }
        let waited = tokio::time::timeout(CATALOG_WAIT, async {
            let mut replacements = self.catalog.replacements();
            loop {
                self.catalog.want_another();
                if let Some(current) = self.held()? {
                    return Ok(current);
                }
                if replacements.changed().await.is_err() {
                    return Err(ProblemDetails::stale());
                }
            }
        });
        waited.await.unwrap_or_else(|_| Err(ProblemDetails::stale()))
    }

    /// The catalog, if it holds at this moment. Fails before the first one.
    fn held(&self) -> Result<Option<Current>, ProblemDetails> {
        let catalog = self.catalog.load().ok_or_else(|| self.incomplete())?;
        Ok(self.if_it_holds(catalog))
    }

    fn if_it_holds<C: Deref<Target = Catalog>>(&self, catalog: C) -> Option<Current<C>> {
        let now = self.clock.now();
        catalog.holds_at(now).then(|| Current { catalog, now, at: Instant::now() })
    }

    /// Why documents cannot be served at this moment, if they cannot.
    fn problem(&self) -> Option<ProblemDetails> {
        match self.held() {
            Ok(Some(_)) => None,
            Ok(None) => Some(ProblemDetails::stale()),
            Err(problem) => Some(problem),
        }
    }

    /// The age of the facts in seconds, once it is more than a healthy source can have.
    fn stale_seconds(&self, at: Instant) -> Option<u64> {
        let age = self.health.since_complete(at)?;
        (age > FRESH_LIMIT).then_some(age.as_secs())
    }

    fn incomplete(&self) -> ProblemDetails {
        let observed = self.observed.borrow();
        let missing: Vec<String> = observed.missing.iter().map(ToString::to_string).collect();
        ProblemDetails::incomplete(&missing)
    }
}

/// `public, max-age=N` for small N, made once.
static MAX_AGES: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| (0..=60).map(max_age).collect());

fn max_age(seconds: u64) -> HeaderValue {
    HeaderValue::try_from(format!("public, max-age={seconds}"))
        .expect("ASCII digits are a valid header value")
}

impl<C: Deref<Target = Catalog>> Current<C> {
    /// `public, max-age=N`, where N never reaches past `valid_until` (RFC 9111, section 5.2.2.1).
    fn cache_control(&self, longest: Duration) -> Cow<'static, HeaderValue> {
        let until = self.catalog.valid_until.and_then(|end| (end - self.now).to_std().ok());
        let seconds = until.map_or(longest, |until| until.min(longest)).as_secs();
        let prepared = usize::try_from(seconds).ok().and_then(|seconds| MAX_AGES.get(seconds));
        prepared.map_or_else(|| Cow::Owned(max_age(seconds)), Cow::Borrowed)
    }
}

/// Everything that the public listener answers.
pub(crate) fn public(reader: CatalogReader) -> Front {
    let router = assemble(routes(reader.x402_discovery))
        .fallback(problem::not_found)
        .layer(common_layers())
        .layer(map_response(async |mut response: Response| {
            with_cors(response.headers_mut());
            response
        }))
        .with_state(reader.clone());
    Front::public(router, reader)
}

/// Every path of the public router, in the notation of openapi.yaml.
#[cfg(test)]
pub(crate) fn paths() -> Vec<&'static str> {
    routes(true).into_iter().map(|(path, _)| path).collect()
}

/// A path in the notation of openapi.yaml, and what it answers.
type Route<S> = (&'static str, MethodRouter<S>);

/// Every route of the public listener. All of them have the same methods.
fn routes(x402_discovery: bool) -> Vec<Route<CatalogReader>> {
    // `Front` answers requests for documents; those with a query come here and are refused.
    let document = || get(async || problem::not_found().await);
    let mut routes = vec![
        (WELL_KNOWN_PATH, document()),
        (OFFER_DOCUMENT, document()),
        ("/", get(home::home)),
        ("/docs", get(async |headers| docs::docs(headers).await)),
        ("/offers", get(listings::offers)),
        ("/offers/{namespace}/{name}", get(listings::offer)),
        ("/agents", get(listings::agents)),
        ("/events", get(events::events)),
    ];
    routes.extend(contract::routes());
    // Without the flag the paths do not exist here: the original serves one of them itself.
    if x402_discovery {
        routes.push((discovery::RESOURCES, get(discovery::resources)));
        routes.push((discovery::X402, get(discovery::manifest)));
    }
    let complete = |methods: MethodRouter<CatalogReader>, path| {
        methods
            .layer(from_fn_with_state(query::parameters(path), query::refuse_unknown))
            .options(options)
            .fallback(problem::method_not_allowed)
    };
    routes.into_iter().map(|(path, methods)| (path, complete(methods, path))).collect()
}

/// Builds a router in which each route marks its responses with its own path.
fn assemble<S: Clone + Send + Sync + 'static>(routes: Vec<Route<S>>) -> Router<S> {
    routes.into_iter().fold(Router::new(), |router, (path, methods)| {
        router.route(path, methods.layer(from_fn_with_state(Routed(path), mark)))
    })
}

/// The layers of every route of both listeners except the document paths.
fn common_layers() -> impl tower::Layer<
    axum::routing::Route,
    Service: tower::Service<
        Request,
        Response: axum::response::IntoResponse,
        Error: Into<std::convert::Infallible>,
        Future: Send,
    > + Clone
                 + Send
                 + Sync
                 + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(TraceLayer::new_for_http())
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(map_response(problem::explain_bare_errors))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_LIMIT))
}

/// The answer to OPTIONS, which is also a preflight of CORS.
async fn options() -> Response {
    let headers = [
        (header::ALLOW, METHODS),
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*")),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Fields that let scripts of any origin read a response and its entity tag.
fn cors(has_age: bool) -> [(HeaderName, HeaderValue); 2] {
    let exposed = if has_age { "etag, registrar-source-age" } else { "etag" };
    [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed)),
    ]
}

fn with_cors(headers: &mut HeaderMap) {
    headers.extend(cors(headers.contains_key(documents::SOURCE_AGE)));
}

/// The route that made a response, in the notation of openapi.yaml. Responses to unknown paths and
/// errors from layers have none.
#[derive(Clone, Copy)]
struct Routed(&'static str);

async fn mark(State(route): State<Routed>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(route);
    response
}
