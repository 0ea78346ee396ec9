//! Management under `/api/v1`. This file is the list of its endpoints; a handler is in the file of its
//! resource.

mod members;
mod organizations;
mod page;
mod problem;
mod python;
mod registries;
mod request;
mod tokens;
mod users;

use axum::Extension;
use axum::response::Response;
use axum::routing::{delete, get, put};

use crate::SharedState;
use crate::context::Context;
use problem::Problem;

/// Bytes of a request: names and settings.
const BODY_BYTES: usize = 64 * 1024;

pub(crate) fn router() -> axum::Router<SharedState> {
    axum::Router::new()
        .route("/me", get(users::me))
        .route("/me/tokens", get(tokens::list).post(tokens::create))
        .route("/me/tokens/{token}", delete(tokens::remove))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{username}", get(users::read).delete(users::remove))
        .route("/organizations", get(organizations::list).post(organizations::create))
        .route("/organizations/{organization}", get(organizations::read).delete(organizations::remove))
        .route("/organizations/{organization}/members", get(members::of_organization::list))
        .route(
            "/organizations/{organization}/members/{username}",
            put(members::of_organization::put)
                .get(members::of_organization::read)
                .delete(members::of_organization::remove),
        )
        .route("/organizations/{organization}/registries", get(registries::list).post(registries::create))
        .route(
            "/organizations/{organization}/registries/{registry}",
            get(registries::read).patch(registries::update).delete(registries::remove),
        )
        .route("/organizations/{organization}/registries/{registry}/members", get(members::of_registry::list))
        .route(
            "/organizations/{organization}/registries/{registry}/members/{username}",
            put(members::of_registry::put)
                .get(members::of_registry::read)
                .delete(members::of_registry::remove),
        )
        .nest("/organizations/{organization}/registries/{registry}/python", self::python::router())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::map_response(label))
}

/// No surface answers for this path.
pub(crate) async fn not_found(Extension(context): Extension<Context>) -> Problem {
    Problem::not_found(
        "nothing is here; the registry is under /v2/, management under /api/v1/, health at /healthz",
    )
    .of_request(context.request_id)
}

async fn method_not_allowed(Extension(context): Extension<Context>) -> Problem {
    Problem::method_not_allowed().of_request(context.request_id)
}

async fn label(mut response: Response) -> Response {
    response.extensions_mut().insert(crate::observe::Endpoint("api"));
    response
}
