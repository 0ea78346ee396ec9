//! `/api/v1/auth`: signing in and out with a browser, and what somebody does who cannot sign in yet.

use auth::{Gate, NewUser, Proof, SignInError, SignUp, SignedIn, SignedUp};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::request::{Json, Visitor};
use crate::identify::IdentifyError;
use crate::session::Cookie;

#[derive(Serialize)]
struct Offer {
    /// Who may make an account: "closed" for nobody, "invited" for whoever brings an invitation, "open".
    sign_up: &'static str,
    /// Whether a forgotten password is answered by mail.
    mail: bool,
    /// The identity providers.
    providers: Vec<Provider>,
    /// Whether this browser is signed in.
    signed_in: bool,
    /// Whether it would be, with the code of the second factor.
    second_factor_needed: bool,
}

#[derive(Serialize)]
struct Provider {
    name: String,
    label: String,
}

/// The word for who may sign up.
pub(super) const fn sign_up_word(rule: SignUp) -> &'static str {
    match rule {
        SignUp::Closed => "closed",
        SignUp::Invited => "invited",
        SignUp::Open => "open",
    }
}

/// What there is to sign in with.
pub(super) async fn offer(visitor: Visitor) -> Response {
    let auth = &visitor.state.auth;
    let providers = auth.providers().into_iter();
    let is_partial = visitor.browser.as_ref().map(|browser| browser.session.is_partial);
    let offer = Offer {
        sign_up: sign_up_word(auth.sign_up_rule()),
        mail: auth.mail_is_on(),
        providers: providers.map(|view| Provider { name: view.name, label: view.label }).collect(),
        signed_in: is_partial == Some(false),
        second_factor_needed: is_partial == Some(true),
    };
    axum::Json(offer).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInRequest {
    username: String,
    password: SecretString,
}

/// What a page needs to know after a step of signing in. The secret itself is in the cookie alone, out of script's
/// reach.
#[derive(Serialize)]
struct Progress {
    second_factor_needed: bool,
    csrf_token: String,
}

impl Visitor {
    /// The answer that gives the browser its session.
    async fn admit(&self, secret: &SecretString, second_factor_needed: bool) -> Result<Response, Problem> {
        let csrf_token = self.state.auth.csrf_token(secret.expose_secret());
        let mut response = axum::Json(Progress { second_factor_needed, csrf_token }).into_response();
        self.replace_session(response.headers_mut(), secret).await?;
        Ok(response)
    }
}

pub(super) async fn sign_in(visitor: Visitor, Json(request): Json<SignInRequest>) -> Response {
    let work = async {
        let auth = &visitor.state.auth;
        let SignInRequest { username, password } = request;
        let signed_in = auth.sign_in(&username, &password, visitor.info.clone()).await.map_err(refused)?;
        match signed_in {
            SignedIn::Complete(secret, _) => visitor.admit(&secret, false).await,
            SignedIn::SecondFactorNeeded(secret, _) => visitor.admit(&secret, true).await,
        }
    };
    visitor.answer_limited(Gate::SignIn, work).await
}

/// Why a name and a password let no browser in.
pub(crate) fn refused(error: SignInError) -> Problem {
    Problem::from(IdentifyError::Basic(error)).for_browser_if(true)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeRequest {
    code: SecretString,
}

/// The second step of signing in.
pub(super) async fn second_factor(visitor: Visitor, Json(request): Json<CodeRequest>) -> Response {
    let work = async {
        let browser = visitor.authorize_browser()?;
        let cookie = browser.secret.expose_secret();
        let (secret, _) = visitor.state.auth.second_factor_check(cookie, &request.code).await?;
        visitor.admit(&secret, false).await
    };
    visitor.answer_limited(Gate::SecondFactor, work).await
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProofRequest {
    Password(SecretString),
    /// Of the second factor.
    Code(SecretString),
}

/// Proves once more who is signed in, for what asks for that to be recent.
pub(super) async fn prove(visitor: Visitor, Json(proof): Json<ProofRequest>) -> Response {
    let work = async {
        let browser = visitor.authorize_browser()?;
        let proof = match proof {
            ProofRequest::Password(password) => Proof::Password(password),
            ProofRequest::Code(code) => Proof::Code(code),
        };
        let cookie = browser.secret.expose_secret();
        let (secret, _) = visitor.state.auth.session_prove(cookie, &proof, visitor.context.client).await?;
        visitor.admit(&secret, false).await
    };
    visitor.answer_limited(Gate::SignIn, work).await
}

#[derive(Serialize)]
struct SignedOut {
    /// Where to go to sign out at the identity provider too.
    provider_sign_out_url: Option<String>,
}

/// Ends the session. Whoever has none is signed out already.
pub(super) async fn sign_out(visitor: Visitor) -> Response {
    let outcome = async {
        let mut headers = HeaderMap::new();
        let provider_sign_out_url = visitor.sign_out(&mut headers).await?;
        Ok((headers, axum::Json(SignedOut { provider_sign_out_url })).into_response())
    };
    visitor.answer(outcome.await)
}

impl Visitor {
    /// Ends the browser's session, if it has one, and returns where to go to sign out at the identity provider too.
    pub(crate) async fn sign_out(&self, headers: &mut HeaderMap) -> Result<Option<String>, Problem> {
        let auth = &self.state.auth;
        let mut provider_sign_out_url = None;
        if self.browser.is_some() {
            let browser = self.authorize_browser()?;
            auth.session_close(browser.secret.expose_secret()).await?;
            if let Some(provider) = &browser.session.provider {
                let back = format!("{}/sign-in", self.context.base_url);
                provider_sign_out_url = auth.provider_logout_url(provider, &back).await;
            }
        }
        Cookie::Session.clear(headers, &self.context);
        Ok(provider_sign_out_url)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignUpRequest {
    username: String,
    email: String,
    password: SecretString,
    /// The end of an invitation's link, where signing up takes one.
    invitation: Option<SecretString>,
}

#[derive(Serialize)]
struct SignUpAnswer {
    /// Whether a letter says how to go on; else one signs in now.
    check_mail: bool,
}

pub(super) async fn sign_up(visitor: Visitor, Json(request): Json<SignUpRequest>) -> Response {
    let work = async {
        let is_invited = visitor.is_invited(request.invitation.as_ref()).await?;
        let new = NewUser {
            username: request.username,
            email: request.email,
            password: request.password,
            system_admin: false,
        };
        let (status, check_mail) = match visitor.state.auth.sign_up(new, is_invited).await? {
            SignedUp::Ready(_) => (StatusCode::CREATED, false),
            SignedUp::CheckMail => (StatusCode::ACCEPTED, true),
        };
        Ok((status, axum::Json(SignUpAnswer { check_mail })).into_response())
    };
    visitor.answer_limited(Gate::SignUp, work).await
}

impl Visitor {
    /// Whether the visitor brings an invitation that is good; it is accepted later, by who signed up with it.
    pub(crate) async fn is_invited(&self, secret: Option<&SecretString>) -> Result<bool, Problem> {
        let Some(secret) = secret else { return Ok(false) };
        match self.state.registry.invitation_get(secret.expose_secret()).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), registry::ErrorKind::Unavailable) => Err(error.into()),
            Err(_) => Ok(false),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forgotten {
    /// A user name or an address.
    account: String,
}

/// Sends a link, if there is such an account. The answer does not tell.
pub(super) async fn password_forgot(visitor: Visitor, Json(forgotten): Json<Forgotten>) -> Response {
    let work = async {
        visitor.state.auth.password_forgot(&forgotten.account)?;
        Ok(StatusCode::ACCEPTED.into_response())
    };
    visitor.answer_limited(Gate::Mail, work).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    code: SecretString,
    password: SecretString,
}

pub(super) async fn password_reset(visitor: Visitor, Json(reset): Json<Reset>) -> Response {
    let work = async {
        visitor.state.auth.password_reset(&reset.code, &reset.password).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    visitor.answer_limited(Gate::Mail, work).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    code: SecretString,
    /// That of the account, when it is a new one.
    password: Option<SecretString>,
}

pub(super) async fn email_verify(visitor: Visitor, Json(request): Json<Confirmation>) -> Response {
    let work = async {
        let Confirmation { code, password } = request;
        visitor.state.auth.email_verify(&code, password.as_ref(), visitor.context.client).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    visitor.answer_limited(Gate::Mail, work).await
}
