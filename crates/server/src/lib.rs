//! HTTP: the listener, what wraps every request, and one folder for each surface.
//!
//! * `oci`: the registry protocol under `/v2/` and the older ORAS path.
//! * `python`: the Python index of a registry, under `/api/v1/<organization>/<registry>/python`.
//! * `token`: the token service that its challenges point to.
//! * `trusted_publishing`: where Python's upload tools exchange the token of a job.
//! * `api`: management under `/api/v1`.
//! * `web`: pages for people, to sign in and to look after their accounts.
//! * `ops`: health, readiness and metrics.
//!
//! No SQL and no rules live here: a surface turns a request into typed values, asks for a capability,
//! calls a use case, and turns the outcome into its own wire format.

mod address;
mod api;
mod body;
mod cause;
mod context;
mod identify;
mod limit;
mod listen;
mod metrics;
mod observe;
mod oci;
mod ops;
mod python;
mod rate_limit;
mod redirect;
mod session;
mod tls;
mod token;
mod trusted_publishing;
mod web;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use auth::Auth;
use registry::Registry;

pub use listen::{ListenError, Listeners};
pub use tls::{TlsError, TlsFiles};

/// What the operator may set about HTTP.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The URL under which clients reach the server, without a path; when absent, what each request says.
    pub public_url: Option<String>,
    /// Addresses of proxies whose `Forwarded` and `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Requests with a body that one user may have under way at once.
    pub bodies_per_user: u32,
    /// Connections that are served at once; more wait to be accepted.
    pub connections: usize,
    /// How long a client may take for the head of a request, and keep an idle connection.
    pub head_timeout: Duration,
    /// How long requests under way are given to finish when the server stops.
    pub drain_timeout: Duration,
    /// Whether somebody who comes from an identity provider for the first time gets an organization.
    pub starting_organization: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            trusted_proxies: Vec::new(),
            bodies_per_user: 256,
            connections: 10_000,
            head_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(30),
            starting_organization: false,
        }
    }
}

/// Asks whether the program can serve: the program knows what that takes.
pub type Readiness =
    Arc<dyn Fn() -> futures_util::future::BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The server: what every request can reach.
#[derive(Clone)]
pub struct Server(Arc<State>);

struct State {
    registry: Registry,
    auth: Auth,
    settings: Settings,
    metrics: metrics::Metrics,
    bodies: limit::Bodies,
    pages: self::python::Pages,
    readiness: Readiness,
    collection_seen: ops::CollectionSeen,
}

/// Where requests come in.
#[derive(Debug)]
pub struct Entrances {
    /// For everybody.
    pub public: Listeners,
    /// What the public listener speaks TLS with, if it does.
    pub tls: Option<TlsFiles>,
    /// For operators, in plain HTTP. Where there are none, metrics are on the public listener too.
    pub operations: Option<Listeners>,
}

impl Server {
    /// A server over an open registry.
    pub fn new(registry: Registry, auth: Auth, settings: Settings, readiness: Readiness) -> Self {
        Self(Arc::new(State {
            bodies: limit::Bodies::new(settings.bodies_per_user),
            metrics: metrics::Metrics::new(),
            pages: self::python::Pages::new(),
            registry,
            auth,
            settings,
            readiness,
            collection_seen: ops::CollectionSeen::default(),
        }))
    }

    /// Serves until `stop` is ready, then finishes what is under way.
    pub async fn serve(&self, entrances: Entrances, stop: impl Future<Output = ()>) -> Result<(), TlsError> {
        listen::serve(&self.0, entrances, stop).await
    }
}

/// What is behind a listener.
#[derive(Clone)]
enum Surfaces {
    /// All of them; the router has those whose paths one can match.
    All(axum::Router),
    /// Operations alone.
    Operations(axum::Router),
}

impl Surfaces {
    fn public(state: &Arc<State>, has_metrics: bool) -> Self {
        let operations = if has_metrics { ops::router() } else { ops::health_router() };
        let router = axum::Router::new()
            .merge(token::router())
            .merge(trusted_publishing::router())
            .merge(operations)
            .merge(web::router())
            .nest("/api/v1", api::router())
            .fallback(web::not_found);
        Self::All(router.with_state(SharedState(Arc::clone(state))))
    }

    fn operations(state: &Arc<State>) -> Self {
        let router = ops::router().fallback(ops::not_found);
        Self::Operations(router.with_state(SharedState(Arc::clone(state))))
    }
}

/// The state as routers hold it.
#[derive(Clone)]
struct SharedState(Arc<State>);

impl SharedState {
    fn get(&self) -> Arc<State> {
        Arc::clone(&self.0)
    }
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
struct Peer {
    address: SocketAddr,
    secure: bool,
}
