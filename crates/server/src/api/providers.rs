//! `/api/v1/auth/providers/{provider}`: the way to an identity provider and back. Browsers go it by following
//! redirects, so whoever is refused is sent to the sign-in page with a word that says why.

use auth::{Callback, Gate, ProviderError};
use axum::http::header::{ACCEPT, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::problem::Problem;
use super::request::{Path, Query, Visitor};
use crate::cause::chain;
use crate::session::{Cookie, SIGN_IN_AT_PROVIDER, return_path};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The path to come back to.
    return_to: Option<String>,
    /// Whether the account there is to be linked to who is signed in here.
    #[serde(default)]
    link: bool,
    /// The word of the session's pages, for linking from browsers that do not say where a request comes from.
    csrf: Option<String>,
}

/// What the provider sends along. Whatever else it adds is none of our business.
#[derive(Deserialize)]
pub(super) struct Return {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Sends the browser to the provider.
pub(super) async fn start(
    visitor: Visitor,
    Path(provider): Path<String>,
    headers: HeaderMap,
    Query(start): Query<Start>,
) -> Response {
    let outcome = async {
        let return_to = start.return_to.as_deref().unwrap_or("/");
        let return_to = return_path(return_to).ok_or_else(|| {
            Problem::invalid("return_to", "return_to has to be a path on this registry, such as /account")
        })?;
        let link_user = if start.link { Some(linking_user(&visitor, &headers, &start)?) } else { None };
        let redirect_uri = format!("{}/api/v1/auth/providers/{provider}/callback", visitor.context.base_url);
        let auth = &visitor.state.auth;
        let started = auth.provider_start(&provider, return_to, link_user, &redirect_uri).await;
        let started = match started {
            Ok(started) => started,
            Err(error) if wants_page(&headers) => return refuse_on_page(&error),
            Err(error) => return Err(error.into()),
        };
        let mut response = redirect(&started.url)?;
        let state = started.sealed_state.expose_secret();
        Cookie::SignIn.set(response.headers_mut(), &visitor.context, state, Some(SIGN_IN_AT_PROVIDER));
        Ok(response)
    };
    visitor.answer(outcome.await)
}

/// Who links an account. Another site's page could have signed the browser in at the provider as somebody else, and
/// must not have that one linked; so although nothing but a redirect comes of it, a page of ours has to ask.
fn linking_user(visitor: &Visitor, headers: &HeaderMap, start: &Start) -> Result<i64, Problem> {
    let user_id = visitor.proven_user()?;
    let is_ours = headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    if let Some(browser) = visitor.browser.as_ref().filter(|_| !is_ours) {
        browser.check_csrf(&visitor.state.auth, start.csrf.as_deref())?;
    }
    Ok(user_id)
}

/// Takes up the browser that comes back.
pub(super) async fn callback(
    visitor: Visitor,
    Path(provider): Path<String>,
    headers: HeaderMap,
    Query(back): Query<Return>,
) -> Response {
    let work = async {
        let sealed = Cookie::SignIn.read(&headers, &visitor.context).unwrap_or_default();
        let back = Callback {
            state: back.state,
            code: back.code,
            error: back.error,
            issuer: back.iss,
            present_session: visitor.browser.as_ref().map(|browser| browser.secret.clone()),
        };
        finish(&visitor, &provider, &SecretString::from(sealed), &back, wants_page(&headers)).await
    };
    let mut response = visitor.answer_limited(Gate::SignIn, work).await;
    // Whatever came of it, it cannot be tried again.
    Cookie::SignIn.clear(response.headers_mut(), &visitor.context);
    response
}

async fn finish(
    visitor: &Visitor,
    provider: &str,
    sealed: &SecretString,
    back: &Callback,
    wants_page: bool,
) -> Result<Response, Problem> {
    let auth = &visitor.state.auth;
    let finished = match auth.provider_finish(provider, sealed, back, visitor.info.clone()).await {
        Ok(finished) => finished,
        Err(error) if wants_page => return refuse_on_page(&error),
        Err(error) => return Err(error.into()),
    };
    if finished.is_new && visitor.state.settings.starting_organization {
        let made =
            visitor.state.registry.organization_create_starting(finished.user_id, &finished.username).await;
        if let Err(error) = made {
            // Somebody without an organization can be invited to one; somebody who is locked out cannot.
            tracing::error!(error = %chain(&error), "no organization was made for a new user");
        }
    }
    // What was sealed into the browser was checked before; it is checked again because it decides where to go.
    let mut response = redirect(return_path(&finished.return_to).unwrap_or("/"))?;
    visitor.replace_session(response.headers_mut(), &finished.session).await?;
    Ok(response)
}

/// Sends the browser to the page that says why it was not signed in.
fn refuse_on_page(error: &ProviderError) -> Result<Response, Problem> {
    if let ProviderError::Unavailable(cause) = error {
        tracing::error!(error = %chain(cause), "a sign-in could not be completed");
    }
    redirect(&format!("/sign-in?problem={}", word(error)))
}

/// Sends the browser elsewhere.
pub(crate) fn redirect(place: &str) -> Result<Response, Problem> {
    let place = HeaderValue::from_str(place)
        .map_err(|_| Problem::invalid("return_to", "there is no such place to go to"))?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, place);
    Ok(response)
}

/// Whether a person looks at the answer.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// Why somebody was not signed in, as the sign-in page takes it.
const fn word(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Unknown => "provider-unknown",
        ProviderError::State => "provider-state",
        ProviderError::Refused => "provider-refused",
        ProviderError::NotAllowed => "provider-not-allowed",
        ProviderError::LinkedElsewhere => "provider-linked-elsewhere",
        ProviderError::Failed => "provider-failed",
        ProviderError::Unavailable(_) => "unavailable",
    }
}
