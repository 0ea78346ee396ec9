//! For operators: `/healthz`, `/readyz` and `/metrics`.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::SharedState;
use crate::observe::Endpoint;

/// Everything for operators.
pub(crate) fn router() -> axum::Router<SharedState> {
    health_router().route("/metrics", get(metrics))
}

/// What a load balancer asks before it sends anybody here.
pub(crate) fn health_router() -> axum::Router<SharedState> {
    axum::Router::new().route("/healthz", get(health)).route("/readyz", get(readiness))
}

/// Whatever else is asked of the operators' listener.
pub(crate) async fn not_found() -> Response {
    let text = "this listener serves /healthz, /readyz and /metrics; everything else is on server.listen\n";
    (StatusCode::NOT_FOUND, text).into_response()
}

/// The process runs and answers.
async fn health() -> Response {
    labelled("health", (StatusCode::OK, "ok\n").into_response())
}

/// The database and the storage take writes. What is wrong is for the log: anybody may ask.
async fn readiness(State(state): State<SharedState>) -> Response {
    let state = state.get();
    let response = match (state.readiness)().await {
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(reason) => {
            tracing::warn!(reason, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready; the server's log says why\n").into_response()
        }
    };
    labelled("readiness", response)
}

async fn metrics(State(state): State<SharedState>) -> Response {
    let state = state.get();
    let verifications = i64::try_from(state.auth.password_verifications()).unwrap_or(i64::MAX);
    state.metrics.password_verifications.set(verifications);
    state.collection_seen.refresh(&state).await;
    let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    labelled("metrics", ([(CONTENT_TYPE, format)], state.metrics.render()).into_response())
}

/// When collection was looked at last. Counting what waits walks an index, so it is not done for every reader of
/// the metrics.
#[derive(Default)]
pub(crate) struct CollectionSeen(tokio::sync::Mutex<Option<Instant>>);

impl CollectionSeen {
    const EVERY: Duration = Duration::from_secs(15);

    async fn refresh(&self, state: &crate::State) {
        let mut last = self.0.lock().await;
        if last.is_some_and(|last| last.elapsed() < Self::EVERY) {
            return;
        }
        match state.registry.collection_status().await {
            Ok(status) => state.metrics.collection(&status),
            // The other metrics are worth the more while the database is away.
            Err(error) => tracing::warn!(%error, "the state of collection cannot be seen"),
        }
        *last = Some(Instant::now());
    }
}

fn labelled(endpoint: &'static str, mut response: Response) -> Response {
    response.extensions_mut().insert(Endpoint(endpoint));
    response
}
