//! Around every request: its identifier, its log line, its metrics, and a guard against panics. One service
//! by hand, because each layer of a stack costs more than the routing does.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::{Body as _, Incoming};
use tracing::Instrument as _;

use crate::body::{Body, Response};
use crate::context::{Context, RequestIds};
use crate::{Peer, State, Surfaces, address, oci, python, web};

/// The label under which a request is counted; a surface sets it in the answer's extensions.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint(pub(crate) &'static str);

/// Answers one request.
pub(crate) async fn handle(
    state: Arc<State>,
    surfaces: &Surfaces,
    ids: Arc<RequestIds>,
    peer: Peer,
    mut request: Request<Incoming>,
) -> Response {
    let begun = Instant::now();
    state.metrics.begin();
    let context = Context {
        request_id: ids.next(),
        client: address::client(&state.settings, peer, request.headers()),
        base_url: address::base_url(&state.settings, peer, request.headers()).into(),
    };
    request.extensions_mut().insert(context.clone());
    let has_body = !request.body().is_end_stream();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id = %context.request_id);
    let answered =
        AssertUnwindSafe(dispatch(&state, surfaces, &context, request)).catch_unwind().instrument(span).await;
    let mut response = answered.unwrap_or_else(|_| {
        let path = web::path_without_secret(&path);
        tracing::error!(request.id = %context.request_id, %method, path, "a handler panicked");
        crate::body::empty(StatusCode::INTERNAL_SERVER_ERROR)
    });
    let endpoint = response.extensions().get::<Endpoint>().map_or("other", |endpoint| endpoint.0);
    let status = response.status();
    let took = begun.elapsed();
    state.metrics.end(endpoint, status.as_u16(), took);
    if let Ok(id) = context.request_id.to_string().parse() {
        response.headers_mut().insert("x-request-id", id);
    }
    if has_body && (status.is_client_error() || status.is_server_error()) {
        // Who is refused may not have been listened to until the end, and then the connection ends here. A
        // client that is told so does not send its next request into it.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    // Reads are most of the traffic and say little; what changes something or is refused is worth a line.
    if status.is_server_error() || status.is_client_error() || !method.is_safe() {
        let path = web::path_without_secret(&path).escape_debug();
        tracing::info!(
            request.id = %context.request_id,
            request.client = %context.client,
            request.took_micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            response.status = status.as_u16(),
            "{method} {path} {}", status.as_u16()
        );
    }
    response
}

async fn dispatch(
    state: &Arc<State>,
    surfaces: &Surfaces,
    context: &Context,
    request: Request<Incoming>,
) -> Response {
    let router = match surfaces {
        Surfaces::All(_) if oci::serves(request.uri().path()) => {
            return oci::handle(state, context, request).await;
        }
        Surfaces::All(_) if python::serves(request.uri().path()) => {
            return python::handle(state, context, request).await;
        }
        Surfaces::All(router) | Surfaces::Operations(router) => router.clone(),
    };
    let answered = tower::ServiceExt::oneshot(router, request.map(axum::body::Body::new)).await;
    match answered {
        Ok(response) => response.map(Body::Routed),
        Err(never) => match never {},
    }
}
