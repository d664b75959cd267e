//! The public listener's router, and the layers that both routers share.

pub(crate) mod admin;
mod conditional;
mod contract;
mod documents;
mod listings;
mod problem;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state, map_response},
    response::Response,
    routing::{MethodRouter, get},
};
use tokio::sync::watch;
use tower::ServiceBuilder;
use tower_http::{
    cors::{Any, CorsLayer},
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};

pub(crate) use self::problem::ProblemDetails;
use crate::{
    catalog::{Catalog, Shared},
    clock::Clock,
    offer::Timestamp,
    registration::WELL_KNOWN_PATH,
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
    pub(crate) catalog: watch::Receiver<Shared>,
    /// The state of the source; it lists what is missing before the first catalog.
    pub(crate) observed: watch::Receiver<Observation>,
    pub(crate) health: SourceHealth,
    /// Decides whether the catalog is still valid.
    pub(crate) clock: Clock,
    /// The upper bound of `max-age` in responses.
    pub(crate) max_age: Duration,
    pub(crate) metrics: Metrics,
}

/// A catalog that is valid at `now`.
struct Current {
    catalog: Arc<Catalog>,
    now: Timestamp,
}

impl CatalogReader {
    /// The catalog that is valid at this moment, or the problem to answer with.
    ///
    /// Checked for every request, so that a process that was suspended, or whose clock was stepped,
    /// never serves an expired catalog.
    async fn current(&self) -> Result<Current, ProblemDetails> {
        let mut catalog = self.catalog.clone();
        let waited = tokio::time::timeout(CATALOG_WAIT, async {
            loop {
                let shared = catalog.borrow_and_update().clone();
                let Some(shared) = shared else { return Err(self.incomplete()) };
                let now = self.clock.now();
                if shared.holds_at(now) {
                    return Ok(Current { catalog: shared, now });
                }
                if catalog.changed().await.is_err() {
                    return Err(ProblemDetails::stale());
                }
            }
        });
        waited.await.unwrap_or_else(|_| Err(ProblemDetails::stale()))
    }

    /// The age of the facts in seconds, once it is more than a healthy source can have.
    fn stale_seconds(&self) -> Option<u64> {
        let age = self.health.since_complete()?;
        (age > FRESH_LIMIT).then_some(age.as_secs())
    }

    fn incomplete(&self) -> ProblemDetails {
        let observed = self.observed.borrow();
        let missing: Vec<String> = observed.missing.iter().map(ToString::to_string).collect();
        ProblemDetails::incomplete(&missing)
    }
}

impl Current {
    /// `public, max-age=N`, where N never reaches past `valid_until` (RFC 9111, section 5.2.2.1).
    fn cache_control(&self, max_age: Duration) -> HeaderValue {
        let until = self.catalog.valid_until.and_then(|end| (end - self.now).to_std().ok());
        let seconds = until.map_or(max_age, |until| until.min(max_age)).as_secs();
        HeaderValue::try_from(format!("public, max-age={seconds}"))
            .expect("ASCII digits are a valid header value")
    }
}

pub(crate) fn router(reader: CatalogReader) -> Router {
    let metrics = reader.metrics.clone();
    let rest = assemble(api_routes(), &metrics)
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(common_layers())
        .layer(cors())
        .layer(from_fn(allow_header))
        .layer(from_fn_with_state(metrics, count_unrouted));
    // Document paths have no layers: the stock stack costs a third of their throughput.
    document_routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .merge(rest)
        .with_state(reader)
}

/// Every path of the public router, in the notation of openapi.yaml.
#[cfg(test)]
pub(crate) fn paths() -> Vec<&'static str> {
    let paths = document_routes().into_iter().chain(api_routes());
    paths.map(|(path, _)| path).collect()
}

type Route<S> = (&'static str, MethodRouter<S>);

fn document_routes() -> Vec<Route<CatalogReader>> {
    use documents::{OFFER_DOCUMENT, methods, offer_document, well_known};
    vec![
        (WELL_KNOWN_PATH, methods(WELL_KNOWN_PATH, well_known)),
        (OFFER_DOCUMENT, methods(OFFER_DOCUMENT, offer_document)),
    ]
}

fn api_routes() -> Vec<Route<CatalogReader>> {
    let mut routes = vec![
        ("/offers", get(listings::offers)),
        ("/offers/{namespace}/{name}", get(listings::offer)),
        ("/agents", get(listings::agents)),
    ];
    routes.extend(contract::routes());
    routes
}

/// Builds a router in which each route counts its responses under its own path.
fn assemble<S: Clone + Send + Sync + 'static>(
    routes: Vec<Route<S>>,
    metrics: &Metrics,
) -> Router<S> {
    routes.into_iter().fold(Router::new(), |router, (path, methods)| {
        let counted = methods.layer(from_fn_with_state((metrics.clone(), path), count));
        router.route(path, counted)
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

/// Lets scripts of any origin read what is public.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::OPTIONS])
        .allow_headers(Any)
        .expose_headers([header::ETAG])
        .vary([])
}

/// Adds `Allow` to responses to OPTIONS, which the CORS layer answers instead of the route.
async fn allow_header(request: Request, next: Next) -> Response {
    let is_options = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if is_options {
        response.headers_mut().insert(header::ALLOW, problem::METHODS);
    }
    response
}

/// Marks a response that its route has counted.
#[derive(Clone)]
struct Counted;

async fn count(
    State((metrics, route)): State<(Metrics, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    metrics.answered(route, response.status().as_u16());
    response.extensions_mut().insert(Counted);
    response
}

/// Counts responses that no route has counted: unknown paths, wrong methods, preflights, and errors
/// from layers.
async fn count_unrouted(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if response.extensions().get::<Counted>().is_none() {
        metrics.answered("none", response.status().as_u16());
    }
    response
}
