//! `/sign-in`: name and password, the buttons of the identity providers, and the second factor. `/sign-out`.

use auth::{Gate, ProviderView, SignUp};
use axum::extract::RawQuery;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use secrecy::ExposeSecret as _;

use super::answer::{alert, answer, note, page, page_again, redirect};
use super::html::{Html, html};
use super::request::{Fields, Form, Visit};
use crate::State;
use crate::api::auth::refused;
use crate::api::problem::Problem;
use crate::api::request::Visitor;
use crate::rate_limit;

const TITLE: &str = "Sign in";
const SECOND_FACTOR_TITLE: &str = "One more step";

pub(super) async fn show(Visit(visitor): Visit, RawQuery(query): RawQuery) -> Response {
    let query = Fields::of_query(query.as_deref());
    let problem = query.optional("problem").map(said);
    if let Some(browser) = &visitor.browser {
        if browser.session.is_partial {
            let csrf = browser.csrf_token(&visitor.state.auth);
            return page(SECOND_FACTOR_TITLE, &second_factor_form(&csrf, query.return_to(), None));
        }
        if problem.is_none() {
            return answer(&visitor.context, redirect(query.return_to()));
        }
        let main = html!("{}<p><a href=\"/account\">Go to your account</a></p>\n", problem);
        return page("Signing in did not work", &main);
    }
    let main = html!("{}{}", problem, ways_in(&visitor.state, query.return_to(), "", problem.is_none()));
    page(TITLE, &main)
}

/// Why somebody was sent back here, from the word in the address.
fn said(word: &str) -> Html {
    let text = match word {
        "session-over" => "Your session is over. Sign in again.",
        "provider-unknown" => "There is no such identity provider here. Choose one of those below.",
        "provider-state" => {
            "Signing in took too long, or was begun in another browser or window. Begin again from this page."
        }
        "provider-refused" => {
            "The identity provider did not let you in, or you said no there. Try again, or ask its administrator."
        }
        "provider-not-allowed" => {
            "The identity provider knows you, but this registry does not admit your account. Ask an administrator \
             of the registry."
        }
        "provider-linked-elsewhere" => {
            "That account at the identity provider belongs to another user here. Sign in with it to use that one, \
             or unlink it there first."
        }
        "provider-failed" => {
            "The identity provider did not answer as it should. Try again in a moment; if it goes on, tell an \
             administrator of the registry."
        }
        _ => "Signing in did not work for the moment. Try again.",
    };
    html!("<p class=\"alert\" role=\"alert\">{}</p>\n", text)
}

pub(super) async fn submit(Form { visitor, fields }: Form) -> Response {
    let return_to = fields.return_to();
    let work = async {
        let auth = &visitor.state.auth;
        let (username, password) = (fields.text("username"), fields.secret("password"));
        let signed_in = auth.sign_in(username, &password, visitor.info.clone()).await.map_err(refused)?;
        let (secret, mut response) = match signed_in {
            auth::SignedIn::Complete(secret, _) => (secret, redirect(return_to)?),
            auth::SignedIn::SecondFactorNeeded(secret, _) => {
                let csrf = auth.csrf_token(secret.expose_secret());
                (secret, page(SECOND_FACTOR_TITLE, &second_factor_form(&csrf, return_to, None)))
            }
        };
        visitor.replace_session(response.headers_mut(), &secret).await?;
        Ok(response)
    };
    let again = |problem: &Problem| {
        let ways = ways_in(&visitor.state, return_to, fields.text("username"), true);
        page_again(problem, TITLE, &html!("{}{}", alert(problem), ways))
    };
    limited(&visitor, Gate::SignIn, work, again).await
}

/// Ends the handler of a form that takes an attempt at a gate; whoever is refused is shown the form again.
pub(super) async fn limited(
    visitor: &Visitor,
    gate: Gate,
    work: impl Future<Output = Result<Response, Problem>>,
    again: impl FnOnce(&Problem) -> Response,
) -> Response {
    let (outcome, allowance) = visitor.limit(gate, work).await;
    let mut response = match outcome {
        Err(problem) if problem.code() == "csrf" => answer(&visitor.context, Err(problem)),
        Err(problem) => again(&problem),
        Ok(response) => response,
    };
    rate_limit::write(response.headers_mut(), &allowance);
    response
}

pub(super) async fn second_factor(Form { visitor, fields }: Form) -> Response {
    let return_to = fields.return_to();
    let work = async {
        let browser = visitor.authorize_browser()?;
        let cookie = browser.secret.expose_secret();
        let (secret, _) = visitor.state.auth.second_factor_check(cookie, &fields.code()).await?;
        let mut response = redirect(return_to)?;
        visitor.replace_session(response.headers_mut(), &secret).await?;
        Ok(response)
    };
    let again = |problem: &Problem| match &visitor.browser {
        Some(browser) if browser.session.is_partial => {
            let csrf = browser.csrf_token(&visitor.state.auth);
            let form = second_factor_form(&csrf, return_to, Some(problem));
            page_again(problem, SECOND_FACTOR_TITLE, &form)
        }
        _ => {
            let ways = ways_in(&visitor.state, return_to, "", true);
            page_again(problem, TITLE, &html!("{}{}", alert(problem), ways))
        }
    };
    limited(&visitor, Gate::SecondFactor, work, again).await
}

fn second_factor_form(csrf: &str, return_to: &str, problem: Option<&Problem>) -> Html {
    html!(
        "{}<form method=\"post\" action=\"/sign-in/second-factor\">\n\
         <input type=\"hidden\" name=\"csrf\" value=\"{}\">\n\
         <input type=\"hidden\" name=\"return_to\" value=\"{}\">\n\
         <label for=\"code\">Code of your authenticator, or a recovery code</label>\n\
         <input id=\"code\" name=\"code\" autocomplete=\"one-time-code\" spellcheck=\"false\" required autofocus>\n\
         <button>Sign in</button>\n</form>\n\
         <form method=\"post\" action=\"/sign-out\">\n<input type=\"hidden\" name=\"csrf\" value=\"{}\">\n\
         <button class=\"quiet\">Sign in as somebody else</button>\n</form>\n\
         <p class=\"small\">Lost both? An administrator can take the second factor off your account.</p>\n",
        problem.map(alert),
        csrf,
        return_to,
        csrf,
    )
}

/// Everything there is to sign in with. The first field has the focus where nothing else has to be read first.
pub(super) fn ways_in(state: &State, return_to: &str, username: &str, has_focus: bool) -> Html {
    let auth = &state.auth;
    let focus = if has_focus { html!(" autofocus") } else { html!("") };
    let mail = auth.mail_is_on().then(|| html!("<a href=\"/forgot-password\">Forgot your password?</a>\n"));
    let sign_up =
        (auth.sign_up_rule() == SignUp::Open).then(|| html!("<a href=\"/sign-up\">Make an account</a>\n"));
    html!(
        "{}<form method=\"post\" action=\"/sign-in\">\n\
         <input type=\"hidden\" name=\"return_to\" value=\"{}\">\n\
         <label for=\"username\">User name</label>\n\
         <input id=\"username\" name=\"username\" value=\"{}\" autocomplete=\"username\" autocapitalize=\"none\" \
         spellcheck=\"false\" required{}>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\n\
         <button>Sign in</button>\n</form>\n<p class=\"links\">{}{}</p>\n",
        provider_links(&auth.providers(), return_to, "Sign in with"),
        return_to,
        username,
        focus,
        mail,
        sign_up,
    )
}

/// The ways to the identity providers. They are links and no forms: see the content security policy.
pub(super) fn provider_links(providers: &[ProviderView], return_to: &str, verb: &str) -> Html {
    let return_to: String = form_urlencoded::byte_serialize(return_to.as_bytes()).collect();
    let links: Html = providers
        .iter()
        .map(|provider| {
            html!(
                "<a class=\"button\" href=\"/api/v1/auth/providers/{}/start?return_to={}\">{} {}</a>\n",
                provider.name,
                return_to,
                verb,
                provider.label,
            )
        })
        .collect();
    if providers.is_empty() { links } else { html!("<p class=\"providers\">\n{}</p>\n", links) }
}

pub(super) async fn sign_out(Form { visitor, .. }: Form) -> Response {
    let outcome = async {
        let mut headers = HeaderMap::new();
        let elsewhere = visitor.sign_out(&mut headers).await?;
        let elsewhere = elsewhere.map(|url| {
            html!(
                "<p>Your identity provider may still know this browser: <a id=\"provider-sign-out\" \
                 href=\"{}\">sign out there too</a>.</p>\n",
                url
            )
        });
        let main = html!(
            "{}{}<p><a href=\"/sign-in\">Sign in again</a></p>\n",
            note("You are signed out in this browser."),
            elsewhere,
        );
        Ok((headers, page("Signed out", &main)).into_response())
    };
    answer(&visitor.context, outcome.await)
}
