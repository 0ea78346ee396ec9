//! Trusted publishing: a job's OpenID Connect token for a short-lived token to upload with, at the three paths
//! under the root of the host where Python's tools look for it, whatever the path is that they upload to (the
//! protocol of `PyPI`'s "Trusted Publishers", as twine and uv speak it).
//!
//! The request names no registry and no account: the bindings whose claims the token has say both.

mod error;

use std::time::Duration;

use auth::{Allowance, Gate, JobTokenError};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::SharedState;
use crate::context::Context;
use crate::observe::Endpoint;
use crate::rate_limit;
use error::{Failure, Reason};

/// Bytes of a request: one token.
const BODY_BYTES: usize = 64 * 1024;

pub(crate) fn router() -> axum::Router<SharedState> {
    axum::Router::new()
        .route("/_/oidc/audience", get(audience))
        .route("/_/oidc/mint-token", post(mint))
        .route("/_/oidc/burn-token", post(burn))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::map_response(label))
}

/// What the job's token has to be made out to. A token for another audience is as good where a binding names
/// that one; this is what clients ask for that know nothing but the URL.
async fn audience(Extension(context): Extension<Context>) -> Response {
    answer(StatusCode::OK, &json!({ "audience": &*context.base_url }))
}

async fn mint(
    State(state): State<SharedState>,
    Extension(context): Extension<Context>,
    body: Bytes,
) -> Response {
    let state = state.get();
    let allowance = state.auth.gate_take(Gate::Exchange, context.client);
    let outcome = async {
        pass(&allowance)?;
        let token = read(&body)?;
        let issued = state.auth.job_exchange(token.expose_secret().trim(), None).await?;
        // Seconds since 1970, by which clients know when to ask again.
        let expires = state.auth.now() + Duration::from_secs(issued.expires_in_secs);
        Ok::<_, Failure>(json!({
            "success": true,
            "token": issued.token.expose_secret(),
            "expires": expires.as_millis() / 1000,
        }))
    };
    let mut response = match outcome.await {
        Ok(body) => answer(StatusCode::OK, &body),
        Err(failure) => failure.respond(),
    };
    rate_limit::write(response.headers_mut(), &allowance);
    response
}

fn pass(allowance: &Allowance) -> Result<(), Failure> {
    if allowance.is_allowed {
        return Ok(());
    }
    Err(Failure::throttled(Duration::from_secs(rate_limit::seconds(allowance.next))))
}

/// Ends a token that was minted. Whoever has it may, and of any other token nothing is said.
async fn burn(State(state): State<SharedState>, body: Bytes) -> Response {
    let state = state.get();
    let outcome = async {
        let token = read(&body)?;
        state.auth.job_burn(token.expose_secret().trim()).await.map_err(JobTokenError::Unavailable)?;
        Ok::<_, Failure>(())
    };
    match outcome.await {
        Ok(()) => answer(StatusCode::OK, &json!({ "success": true })),
        Err(failure) => failure.respond(),
    }
}

/// The token of a request. Some clients send JSON without saying so, and one adds fields of its own.
fn read(body: &[u8]) -> Result<SecretString, Failure> {
    #[derive(Deserialize)]
    struct Presented {
        token: SecretString,
    }
    let Ok(Presented { token }) = serde_json::from_slice::<Presented>(body) else {
        return Err(Failure::new(
            Reason::InvalidPayload,
            "the body has to be JSON with a text `token`, such as {\"token\": \"eyJ…\"}",
        ));
    };
    Ok(token)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn label(mut response: Response) -> Response {
    response.extensions_mut().insert(Endpoint("trusted_publishing"));
    response
}
