//! The token service that challenges point to: `GET` and `POST /token` (Docker token authentication; the
//! `POST` form follows RFC 6749 §4.3 and §6, and RFC 8693).

mod exchange;
mod grant;

use access::scope::parse_list;
use auth::{BearerError, Identity, SignInError};
use axum::Extension;
use axum::extract::{RawForm, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use oci::{ErrorBody, ErrorCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::SharedState;
use crate::cause::chain;
use crate::context::Context;
use crate::identify::{self, IdentifyError};
use crate::observe::Endpoint;

/// Bytes of a form: credentials and scopes.
const FORM_BYTES: usize = 64 * 1024;

pub(crate) fn router() -> axum::Router<SharedState> {
    axum::Router::new()
        .route("/token", get(by_query).post(by_form))
        .layer(axum::extract::DefaultBodyLimit::max(FORM_BYTES))
}

/// A query or a form, in the order in which it came: a parameter may repeat.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

async fn by_query(
    State(state): State<SharedState>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let state = state.get();
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let identity = match identify::identify(&state.auth, &headers, &context).await {
        Ok(identity) => identity,
        Err(error) => return refused(&error),
    };
    let offline = parameters.one("offline_token").is_some_and(|value| value == "true");
    issue(&state, &identity, &parameters, if offline { Refresh::Issue } else { Refresh::None }).await
}

async fn by_form(
    State(state): State<SharedState>,
    Extension(context): Extension<Context>,
    RawForm(form): RawForm,
) -> Response {
    let state = state.get();
    let parameters = Parameters::parse(&form);
    let offline = parameters.one("access_type").is_some_and(|value| value == "offline");
    let (identity, refresh) = match parameters.one("grant_type") {
        Some("password") => {
            let username = parameters.one("username").unwrap_or_default();
            let password = SecretString::from(parameters.one("password").unwrap_or_default());
            let found = state.auth.identify_basic(username, &password, context.client).await;
            (found.map_err(IdentifyError::Basic), if offline { Refresh::Issue } else { Refresh::None })
        }
        Some("refresh_token") => {
            let token = parameters.one("refresh_token").unwrap_or_default();
            let found = state.auth.identify_refresh(token).await.map_err(IdentifyError::Bearer);
            (found, Refresh::Same(SecretString::from(token)))
        }
        Some(exchange::GRANT) => return exchange::exchange(&state, &context, &parameters).await,
        _ => {
            let message = "grant_type has to be password, refresh_token or \
                           urn:ietf:params:oauth:grant-type:token-exchange";
            return error(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message);
        }
    };
    match identity {
        Ok(identity) => issue(&state, &identity, &parameters, refresh).await,
        Err(error) => refused(&error),
    }
}

/// What to do about a refresh token.
enum Refresh {
    None,
    Issue,
    /// The one that was presented is good for further use.
    Same(SecretString),
}

async fn issue(
    state: &crate::State,
    identity: &Identity,
    parameters: &Parameters,
    refresh: Refresh,
) -> Response {
    let scopes = parse_list(parameters.all("scope")).scopes;
    let grants = match grant::evaluate(&state.registry, identity, &scopes).await {
        Ok(grants) => grants,
        Err(cause) => {
            tracing::error!(error = %chain(&cause), "scopes could not be evaluated");
            return unavailable();
        }
    };
    let granted = grant::render(&grants);
    let issued = state.auth.access_token(identity, grants);
    let refresh_token = match refresh {
        Refresh::None => None,
        Refresh::Same(token) => Some(token),
        Refresh::Issue => {
            let client = parameters.one("client_id").unwrap_or("docker");
            match state.auth.refresh_token_issue(identity, client).await {
                Ok(token) => token,
                Err(cause) => {
                    tracing::error!(error = %chain(&cause), "a refresh token could not be issued");
                    return unavailable();
                }
            }
        }
    };
    // `issued_at` is left out: a client whose clock differs would take the token for expired.
    let mut body = json!({
        "token": issued.token.expose_secret(),
        "access_token": issued.token.expose_secret(),
        "expires_in": issued.expires_in_secs,
        "scope": granted,
    });
    if let (Some(token), Some(body)) = (refresh_token, body.as_object_mut()) {
        body.insert("refresh_token".to_owned(), token.expose_secret().into());
    }
    answer(StatusCode::OK, body.to_string())
}

fn refused(reason: &IdentifyError) -> Response {
    if let Some(cause) = reason.unavailable() {
        tracing::error!(error = %chain(&cause), "credentials could not be checked");
        return unavailable();
    }
    match reason {
        IdentifyError::Basic(SignInError::Throttled { retry_after }) => {
            let mut response =
                error(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, &reason.message());
            if let Ok(seconds) = retry_after.as_secs().max(1).to_string().parse() {
                response.headers_mut().insert(RETRY_AFTER, seconds);
            }
            response
        }
        IdentifyError::Bearer(BearerError::Invalid | BearerError::Expired | BearerError::Unavailable(_))
        | IdentifyError::Basic(
            SignInError::Wrong | SignInError::SecondFactor | SignInError::Unavailable(_),
        )
        | IdentifyError::Malformed => {
            error(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, &reason.message())
        }
    }
}

fn unavailable() -> Response {
    error(
        StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Unavailable,
        "the server cannot sign anybody in for the moment; try again",
    )
}

/// Both generations of clients find their own field: `errors` and, for RFC 6749 §5.2, `error`.
fn error(status: StatusCode, code: ErrorCode, message: &str) -> Response {
    let oauth = match status {
        StatusCode::UNAUTHORIZED => "invalid_grant",
        StatusCode::BAD_REQUEST => "unsupported_grant_type",
        _ => "temporarily_unavailable",
    };
    error_as(status, code, oauth, message)
}

fn error_as(status: StatusCode, code: ErrorCode, oauth: &str, message: &str) -> Response {
    let errors = ErrorBody::new(code, message).errors;
    answer(status, json!({ "errors": errors, "error": oauth, "error_description": message }).to_string())
}

fn answer(status: StatusCode, body: String) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(Endpoint("token"));
    response
}
