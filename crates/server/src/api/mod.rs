//! Management under `/api/v1`. This file is the list of its endpoints; a handler is in the file of its
//! resource.

mod access;
pub(crate) mod auth;
mod bindings;
mod group_roles;
mod identities;
mod invitations;
mod me;
mod members;
mod organizations;
mod page;
pub(crate) mod problem;
pub(crate) mod providers;
mod python;
mod registries;
pub(crate) mod request;
mod second_factor;
mod service_accounts;
mod sessions;
mod tokens;
mod users;

use axum::Extension;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;
use axum::routing::{delete, get, post, put};

use crate::SharedState;
use crate::context::Context;
use problem::Problem;

/// Bytes of a request: names and settings.
const BODY_BYTES: usize = 64 * 1024;

pub(crate) fn router() -> axum::Router<SharedState> {
    axum::Router::new()
        .route("/auth", get(auth::offer))
        .route("/auth/sign-up", post(auth::sign_up))
        .route("/auth/sign-in", post(auth::sign_in))
        .route("/auth/second-factor", post(auth::second_factor))
        .route("/auth/prove", post(auth::prove))
        .route("/auth/sign-out", post(auth::sign_out))
        .route("/auth/password/forgot", post(auth::password_forgot))
        .route("/auth/password/reset", post(auth::password_reset))
        .route("/auth/email/verify", post(auth::email_verify))
        .route("/auth/providers/{provider}/start", get(providers::start))
        .route("/auth/providers/{provider}/callback", get(providers::callback))
        .route("/me", get(me::read).patch(me::update))
        .route("/me/password", post(me::password))
        .route("/me/tokens", get(tokens::list).post(tokens::create))
        .route("/me/tokens/{token}", delete(tokens::remove))
        .route("/me/tokens/{token}/rotate", post(tokens::rotate))
        .route("/me/sessions", get(sessions::list).delete(sessions::remove_others))
        .route("/me/sessions/{session}", delete(sessions::remove))
        .route("/me/identities", get(identities::list).delete(identities::remove))
        .route(
            "/me/second-factor",
            get(second_factor::read).post(second_factor::create).delete(second_factor::remove),
        )
        .route("/me/second-factor/confirm", post(second_factor::confirm))
        .route("/me/second-factor/recovery-codes", post(second_factor::recovery_codes))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{username}", get(users::read).patch(users::update).delete(users::remove))
        .route("/users/{username}/password-reset", post(users::password_reset))
        .route("/users/{username}/second-factor", delete(users::second_factor_remove))
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
        .route(
            "/organizations/{organization}/invitations",
            get(invitations::to_organization::list).post(invitations::to_organization::create),
        )
        .route(
            "/organizations/{organization}/invitations/{invitation}",
            delete(invitations::to_organization::remove),
        )
        .route(
            "/organizations/{organization}/registries/{registry}/invitations",
            get(invitations::to_registry::list).post(invitations::to_registry::create),
        )
        .route(
            "/organizations/{organization}/registries/{registry}/invitations/{invitation}",
            delete(invitations::to_registry::remove),
        )
        .route("/invitations:accept", post(invitations::accept))
        .route("/organizations/{organization}/group-roles", get(group_roles::list).post(group_roles::create))
        .route(
            "/organizations/{organization}/group-roles/{group_role}",
            get(group_roles::read).patch(group_roles::update).delete(group_roles::remove),
        )
        .route(
            "/organizations/{organization}/service-accounts",
            get(service_accounts::list).post(service_accounts::create),
        )
        .route(
            "/organizations/{organization}/service-accounts/{account}",
            get(service_accounts::read).patch(service_accounts::update).delete(service_accounts::remove),
        )
        .route(
            "/organizations/{organization}/service-accounts/{account}/tokens",
            get(service_accounts::tokens::list).post(service_accounts::tokens::create),
        )
        .route(
            "/organizations/{organization}/service-accounts/{account}/tokens/{account_token}",
            delete(service_accounts::tokens::remove),
        )
        .route(
            "/organizations/{organization}/service-accounts/{account}/tokens/{account_token}/rotate",
            post(service_accounts::tokens::rotate),
        )
        .route(
            "/organizations/{organization}/service-accounts/{account}/bindings",
            get(bindings::list).post(bindings::create),
        )
        .route(
            "/organizations/{organization}/service-accounts/{account}/bindings/{binding}",
            get(bindings::read).delete(bindings::remove),
        )
        .route("/organizations/{organization}/bindings:test", post(bindings::test))
        .route("/access/explain", get(access::explain))
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

/// What is true of every answer: it is for who asked, and nothing else than it says.
async fn label(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(CONTENT_SECURITY_POLICY, nothing);
    response.extensions_mut().insert(crate::observe::Endpoint("api"));
    response
}
