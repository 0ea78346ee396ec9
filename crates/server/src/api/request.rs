//! What a handler takes out of a request: who calls, the names in the path, the JSON in the body.

use std::sync::Arc;

use access::{InstanceAction, decide};
use auth::Limit;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use registry::Caller;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::context::{Context, RequestId};
use crate::{SharedState, State, identify};

/// A signed-in caller and everything that a handler can reach.
pub(super) struct Session {
    pub(super) state: Arc<State>,
    pub(super) caller: Caller,
    pub(super) user_id: i64,
    request_id: RequestId,
}

impl Session {
    /// Ends a handler: a problem is given the request's name.
    pub(super) fn answer(&self, outcome: Result<Response, Problem>) -> Response {
        outcome.unwrap_or_else(|problem| problem.of_request(self.request_id).into_response())
    }

    /// Asks for a right over the instance.
    pub(super) fn authorize_instance(&self, action: InstanceAction) -> Result<(), Problem> {
        if decide(&self.caller.principal, action, &access::Facts::default()).is_allowed() {
            return Ok(());
        }
        Err(Problem::denied("only a system administrator may do this"))
    }
}

impl FromRequestParts<SharedState> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        let state = state.get();
        let context = parts
            .extensions
            .get::<Context>()
            .cloned()
            .ok_or_else(|| Problem::malformed(StatusCode::BAD_REQUEST, "no context").into_response())?;
        let request_id = context.request_id;
        let refuse = |problem: Problem| problem.of_request(request_id).into_response();
        let identity = identify::identify(&state.auth, &parts.headers, &context)
            .await
            .map_err(|error| refuse(error.into()))?;
        let Some(user_id) = identity.principal.user_id() else {
            return Err(refuse(Problem::unauthenticated(
                "sign in with a user name and password, or a personal token",
            )));
        };
        if matches!(identity.limit, Limit::Scopes(_)) {
            return Err(refuse(Problem::denied(
                "this token is for pushing and pulling; use a password or a personal token here",
            )));
        }
        Ok(Self { state, caller: identify::caller(&identity), user_id, request_id })
    }
}

/// A JSON body, with an error that says where it is wrong.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<SharedState> for Json<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, Response> {
        let context = request.extensions().get::<Context>().cloned();
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(malformed(rejection.status(), rejection.body_text(), context.as_ref())),
        }
    }
}

/// The names in a path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<SharedState> for Path<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => {
                Err(malformed(rejection.status(), rejection.body_text(), parts.extensions.get::<Context>()))
            }
        }
    }
}

/// The parameters of a list or a removal.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<SharedState> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                Err(malformed(rejection.status(), rejection.body_text(), parts.extensions.get::<Context>()))
            }
        }
    }
}

fn malformed(status: StatusCode, detail: String, context: Option<&Context>) -> Response {
    let problem = Problem::malformed(status, detail);
    match context {
        Some(context) => problem.of_request(context.request_id).into_response(),
        None => problem.into_response(),
    }
}

/// A name from the path or the body as its type.
pub(super) fn name<T>(field: &'static str, text: &str) -> Result<T, Problem>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Problem::invalid(field, error.to_string()))
}

/// A name in the path that cannot exist does not.
pub(super) fn existing_name<T>(text: &str) -> Result<T, Problem>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Problem::not_found(error.to_string()))
}
