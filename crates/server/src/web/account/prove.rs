//! `/account/prove`: showing once more who one is, for what decides who gets in from now on.

use auth::{Gate, Proof};
use axum::response::Response;
use secrecy::ExposeSecret as _;

use super::super::answer::{alert, answer, page, page_again, redirect};
use super::super::html::{Html, html};
use super::super::request::{SessionForm, SignedIn};
use super::super::sign_in::provider_links;
use super::hidden_csrf;
use crate::api::problem::Problem;
use crate::api::request::Session;
use crate::rate_limit;
use crate::session::Cookie;

const TITLE: &str = "Is it still you?";

pub(in crate::web) async fn show(SignedIn(session): SignedIn) -> Response {
    let outcome = form(&session, None).await.map(|main| page(TITLE, &main));
    answer(&session.context, outcome)
}

/// The ways that this account has.
async fn form(session: &Session, problem: Option<&Problem>) -> Result<Html, Problem> {
    let (auth, csrf) = (&session.state.auth, hidden_csrf(session));
    let password = auth.has_password(session.user_id).await?.then(|| {
        html!(
            "<form id=\"prove-password\" method=\"post\" action=\"/account/prove\">\n{}\
             <label for=\"password\">Password</label>\n\
             <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\n\
             <button>Go on</button>\n</form>\n",
            csrf
        )
    });
    let code = auth.second_factor_get(session.user_id).await?.confirmed_at.map(|_| {
        html!(
            "<form id=\"prove-code\" method=\"post\" action=\"/account/prove\">\n{}\
             <label for=\"code\">Code of your authenticator, or a recovery code</label>\n\
             <input id=\"code\" name=\"code\" autocomplete=\"one-time-code\" spellcheck=\"false\" required>\n\
             <button>Go on</button>\n</form>\n",
            csrf
        )
    });
    let identities = auth.identity_list(session.user_id).await?;
    let mut providers = auth.providers();
    providers.retain(|provider| identities.iter().any(|identity| identity.provider == provider.name));
    Ok(html!(
        "{}<p>It is a while ago that you signed in. For what you want to do, show once more who you are, and then do \
         it again.</p>\n{}{}{}<p><a href=\"/account\">Back to your account</a></p>\n",
        problem.map(alert),
        password,
        code,
        provider_links(&providers, "/account?done=proved", "Sign in again with"),
    ))
}

pub(in crate::web) async fn submit(SessionForm { session, fields }: SessionForm) -> Response {
    let auth = &session.state.auth;
    let allowance = auth.gate_take(Gate::SignIn, session.context.client);
    let proved = async {
        if !allowance.is_allowed {
            return Err(Problem::limited(&allowance));
        }
        let proof = match fields.optional("password") {
            Some(password) => Proof::Password(password.into()),
            None => Proof::Code(fields.code()),
        };
        let cookie = session.browser.as_ref().map_or("", |browser| browser.secret.expose_secret());
        let (secret, _) = auth.session_prove(cookie, &proof, session.context.client).await?;
        let mut response = redirect("/account?done=proved")?;
        Cookie::Session.set(response.headers_mut(), &session.context, secret.expose_secret(), None);
        Ok(response)
    };
    let outcome = match proved.await {
        Err(problem) => form(&session, Some(&problem)).await.map(|main| page_again(&problem, TITLE, &main)),
        proved => proved,
    };
    let mut response = answer(&session.context, outcome);
    rate_limit::write(response.headers_mut(), &allowance);
    response
}
