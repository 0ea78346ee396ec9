//! What a handler takes out of a request: who calls, the names in the path, the JSON in the body.

use std::sync::Arc;

use access::{AccountKind, InstanceAction, decide};
use auth::{Allowance, BrowserInfo, Credential, Gate, Identity};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use registry::{Caller, Granted, Organization, RegistryPlace, Right};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::context::Context;
use crate::identify::{self, Presented};
use crate::session::{self, Browser, Cookie};
use crate::{SharedState, State, rate_limit};

/// A signed-in caller and everything that a handler can reach.
pub(crate) struct Session {
    pub(crate) state: Arc<State>,
    pub(crate) caller: Caller,
    pub(crate) user_id: i64,
    /// Who it is, and what was presented.
    pub(crate) identity: Identity,
    /// The browser's session, when it is one that asks.
    pub(crate) browser: Option<Browser>,
    /// The browser's name and address.
    pub(crate) info: BrowserInfo,
    pub(crate) context: Context,
}

impl Session {
    /// Ends a handler: a problem is given the request's name.
    pub(crate) fn answer(&self, outcome: Result<Response, Problem>) -> Response {
        outcome.unwrap_or_else(|problem| problem.of_request(self.context.request_id).into_response())
    }

    /// Asks for a right over the organization that a path names.
    pub(super) async fn organization<R>(&self, organization: &str) -> Result<Granted<R>, Problem>
    where
        R: Right<Resource = Organization>,
    {
        let name = existing_name(organization)?;
        Ok(self.state.registry.authorize_organization(&self.caller, &name).await?)
    }

    /// Asks for a right over the registry that a path names.
    pub(super) async fn registry<R>(&self, organization: &str, registry: &str) -> Result<Granted<R>, Problem>
    where
        R: Right<Resource = RegistryPlace>,
    {
        let (organization, name) = (existing_name(organization)?, existing_name(registry)?);
        Ok(self.state.registry.authorize_registry(&self.caller, &organization, &name).await?)
    }

    /// Asks for a right over the instance.
    pub(crate) fn authorize_instance(&self, action: InstanceAction) -> Result<(), Problem> {
        if decide(&self.caller.principal, action, &access::Facts::default()).is_allowed() {
            return Ok(());
        }
        Err(Problem::denied("only a system administrator may do this"))
    }

    /// The caller's own name.
    pub(crate) fn username(&self) -> &str {
        self.caller.principal.user().map_or("", |user| &user.name)
    }

    /// Asks for a person: an account that only machines use has no address, password or sessions.
    pub(crate) fn authorize_person(&self) -> Result<(), Problem> {
        let kind = self.caller.principal.user().map(|user| user.kind);
        if kind == Some(AccountKind::Person) {
            return Ok(());
        }
        Err(Problem::denied(
            "a service account has nothing of its own; an administrator of its organization manages it",
        ))
    }

    /// Asks for a person who is there: no token may make another one, or look into what keeps its owner's
    /// account safe, so that whoever finds one does not keep the account when it is revoked.
    pub(crate) fn authorize_presence(&self) -> Result<(), Problem> {
        self.authorize_person()?;
        match self.identity.credential {
            Credential::Password | Credential::ProviderPassword | Credential::Session => Ok(()),
            _ => Err(Problem::denied("a token may not do this; sign in with the password or in a browser")),
        }
    }

    /// Asks for a person who proved a moment ago to be that one: for what decides who gets in from now on.
    pub(crate) fn authorize_proven(&self) -> Result<(), Problem> {
        self.authorize_presence()?;
        if self.browser.as_ref().is_none_or(Browser::is_proven) {
            Ok(())
        } else {
            Err(Problem::proof_needed())
        }
    }

    /// Answers after everything has ended that the caller was signed in with: a browser gets a session anew.
    pub(crate) async fn answer_renewed<T: Serialize>(&self, body: T) -> Result<Response, Problem> {
        let mut headers = HeaderMap::new();
        let csrf_token = self.renew(&mut headers).await?;
        Ok((headers, axum::Json(Renewed { body, csrf_token })).into_response())
    }

    /// Gives the browser, if it is one that asks, a session anew, and returns the word of its pages.
    pub(crate) async fn renew(&self, headers: &mut HeaderMap) -> Result<Option<String>, Problem> {
        let Some(browser) = &self.browser else { return Ok(None) };
        let (auth, provider) = (&self.state.auth, browser.session.provider.as_deref());
        let (secret, _) = auth.session_open(self.user_id, provider, self.info.clone()).await?;
        Cookie::Session.set(headers, &self.context, secret.expose_secret(), None);
        Ok(Some(auth.csrf_token(secret.expose_secret())))
    }

    /// Whoever is signed in with a visitor's browser.
    pub(crate) fn of_browser(visitor: Visitor) -> Result<Self, Problem> {
        let Visitor { state, browser, info, context, .. } = visitor;
        let browser = browser.filter(|browser| !browser.session.is_partial).ok_or_else(session_over)?;
        let identity = browser.session.identity.clone();
        let user_id = identity.principal.user_id().ok_or_else(session_over)?;
        let caller = identify::caller(&identity);
        Ok(Self { state, caller, user_id, identity, browser: Some(browser), info, context })
    }
}

/// An answer with the word of a session that took the place of another.
#[derive(Serialize)]
struct Renewed<T> {
    #[serde(flatten)]
    body: T,
    csrf_token: Option<String>,
}

/// Somebody who is signed in with whatever there is.
pub(crate) struct AnySession(pub(crate) Session);

impl FromRequestParts<SharedState> for AnySession {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        let (state, context) = (state.get(), context(parts).map_err(Problem::into_response)?);
        let request_id = context.request_id;
        let refuse = |problem: Problem| problem.of_request(request_id).into_response();
        let (identity, browser) = identify(&state, parts, &context).await.map_err(refuse)?;
        let Some(user_id) = identity.principal.user_id() else {
            let problem = Problem::unauthenticated(
                "sign in with a user name and password, a personal token, or in a browser",
            );
            return Err(refuse(problem.for_browser_if(is_browser(parts))));
        };
        if identity.limit.grants().is_some() {
            return Err(refuse(Problem::denied(
                "this token is for pushing and pulling; use a password or a personal token here",
            )));
        }
        let info = session::browser_info(&parts.headers, context.client);
        Ok(Self(Session {
            state,
            caller: identify::caller(&identity),
            user_id,
            identity,
            browser,
            info,
            context,
        }))
    }
}

impl FromRequestParts<SharedState> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        let AnySession(session) = AnySession::from_request_parts(parts, state).await?;
        if session.caller.limit.scopes().is_some() {
            let problem = Problem::denied(
                "this token is limited to repositories; use one without scopes, or a password, here",
            );
            return Err(problem.of_request(session.context.request_id).into_response());
        }
        Ok(session)
    }
}

/// Who asks: whoever the `Authorization` header says or, without one, whoever is signed in with the browser.
async fn identify(
    state: &State,
    parts: &Parts,
    context: &Context,
) -> Result<(Identity, Option<Browser>), Problem> {
    // A browser repeats a name and password like a cookie, whoever's page asks. A token it has from nowhere.
    if !matches!(identify::presented(&parts.headers), Ok(Presented::Bearer(_))) {
        session::check_origin(&parts.method, &parts.headers, context)?;
    }
    let identity = identify::identify(&state.auth, &parts.headers, context).await?;
    if !identity.principal.is_anonymous() {
        return Ok((identity, None));
    }
    let Some(browser) = Browser::find(&state.auth, &parts.headers, context).await? else {
        return Ok((identity, None));
    };
    if browser.session.is_partial {
        return Err(Problem::unauthenticated(
            "the second factor is missing; send its code to /api/v1/auth/second-factor",
        )
        .for_browser_if(true));
    }
    if !parts.method.is_safe() {
        browser.check_csrf(&state.auth, session::csrf_header(&parts.headers))?;
    }
    Ok((browser.session.identity.clone(), Some(browser)))
}

/// Whether the one who asks shows a window for name and password when it is challenged to send them.
fn is_browser(parts: &Parts) -> bool {
    parts.headers.contains_key("sec-fetch-mode")
}

pub(crate) fn context(parts: &Parts) -> Result<Context, Problem> {
    let context = parts.extensions.get::<Context>().cloned();
    context.ok_or_else(|| Problem::malformed(StatusCode::BAD_REQUEST, "no context"))
}

/// Whoever asks, signed in or not: for signing in, and what goes before.
pub(crate) struct Visitor {
    pub(crate) state: Arc<State>,
    /// The browser's session, if it has one: one that waits for the second factor too.
    pub(crate) browser: Option<Browser>,
    /// The browser's name and address.
    pub(crate) info: BrowserInfo,
    pub(crate) context: Context,
    /// The word of the session's pages, as the request carries it.
    pub(crate) csrf: Option<String>,
}

impl Visitor {
    /// Ends a handler: a problem is given the request's name.
    pub(crate) fn answer(&self, outcome: Result<Response, Problem>) -> Response {
        outcome.unwrap_or_else(|problem| problem.of_request(self.context.request_id).into_response())
    }

    /// Ends a handler that takes an attempt at a gate, and does nothing when there is none left.
    pub(crate) async fn answer_limited(
        &self,
        gate: Gate,
        work: impl Future<Output = Result<Response, Problem>>,
    ) -> Response {
        let (outcome, allowance) = self.limit(gate, work).await;
        let mut response = self.answer(outcome);
        rate_limit::write(response.headers_mut(), &allowance);
        response
    }

    /// Takes an attempt at a gate, and does nothing when there is none left.
    pub(crate) async fn limit<T>(
        &self,
        gate: Gate,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> (Result<T, Problem>, Allowance) {
        let allowance = self.state.auth.gate_take(gate, self.context.client);
        let outcome = if allowance.is_allowed { work.await } else { Err(Problem::limited(&allowance)) };
        (outcome, allowance)
    }

    /// Who is signed in with the browser.
    pub(crate) fn user_id(&self) -> Option<i64> {
        self.browser.as_ref().and_then(Browser::user_id)
    }

    /// The same, who proved a moment ago to be that one.
    pub(crate) fn proven_user(&self) -> Result<i64, Problem> {
        let user_id = self.user_id().ok_or_else(session_over)?;
        let is_proven = self.browser.as_ref().is_some_and(Browser::is_proven);
        if is_proven { Ok(user_id) } else { Err(Problem::proof_needed()) }
    }

    /// Gives the browser this session, and ends the one that it had.
    pub(crate) async fn replace_session(
        &self,
        headers: &mut HeaderMap,
        secret: &SecretString,
    ) -> Result<(), Problem> {
        if let Some(browser) = &self.browser {
            self.state.auth.session_close(browser.secret.expose_secret()).await?;
        }
        Cookie::Session.set(headers, &self.context, secret.expose_secret(), None);
        Ok(())
    }

    /// The browser's session, for what a page of ours does with it.
    pub(crate) fn authorize_browser(&self) -> Result<&Browser, Problem> {
        let browser = self.browser.as_ref().ok_or_else(session_over)?;
        browser.check_csrf(&self.state.auth, self.csrf.as_deref())?;
        Ok(browser)
    }
}

fn session_over() -> Problem {
    Problem::unauthenticated("the session is over; sign in again").for_browser_if(true)
}

impl Visitor {
    /// Whoever sent this request. Refuses what another site's page asks.
    pub(crate) async fn of_request(
        parts: &Parts,
        state: Arc<State>,
        context: Context,
    ) -> Result<Self, Problem> {
        session::check_origin(&parts.method, &parts.headers, &context)?;
        let browser = Browser::find(&state.auth, &parts.headers, &context).await?;
        let info = session::browser_info(&parts.headers, context.client);
        let csrf = session::csrf_header(&parts.headers).map(str::to_owned);
        Ok(Self { state, browser, info, context, csrf })
    }
}

impl FromRequestParts<SharedState> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        let (state, context) = (state.get(), context(parts).map_err(Problem::into_response)?);
        let request_id = context.request_id;
        let found = Self::of_request(parts, state, context).await;
        found.map_err(|problem| problem.of_request(request_id).into_response())
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
        // Nothing has such a name, and PostgreSQL takes no text with one.
        if parts.uri.path().contains("%00") {
            let detail = "the path holds a NUL, which is in no name".to_owned();
            return Err(malformed(StatusCode::BAD_REQUEST, detail, parts.extensions.get::<Context>()));
        }
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
