//! The second factor: switching it on with an authenticator, recovery codes, switching it off.

use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};

use super::super::answer::{alert, answer, note, page, page_again, redirect};
use super::super::html::{Html, html};
use super::super::request::SessionForm;
use super::{hidden_csrf, moment};
use crate::api::problem::Problem;
use crate::api::request::Session;

const TITLE: &str = "Set up the second factor";

pub(super) async fn section(session: &Session, csrf: &Html) -> Result<Html, Problem> {
    let view = session.state.auth.second_factor_get(session.user_id).await?;
    let content = match view.confirmed_at {
        None => html!(
            "<p>Off. With it, signing in with your password takes a code of an authenticator too, and programs \
             need a token.</p>\n\
             <form id=\"second-factor\" method=\"post\" action=\"/account/second-factor\">\n{}\
             <button>Set it up</button>\n</form>\n",
            csrf
        ),
        Some(since) => html!(
            "<p>On since {}. Recovery codes left: {}.</p>\n\
             <form id=\"second-factor\" method=\"post\">\n{}\
             <label for=\"second-factor-code\">Code of your authenticator, or a recovery code</label>\n\
             <input id=\"second-factor-code\" name=\"code\" autocomplete=\"one-time-code\" spellcheck=\"false\" \
             required>\n\
             <button formaction=\"/account/second-factor/recovery-codes\">Make new recovery codes</button>\n\
             <button class=\"danger\" formaction=\"/account/second-factor/remove\">Switch it off</button>\n\
             </form>\n",
            moment(since),
            view.recovery_codes,
            csrf,
        ),
    };
    Ok(html!(
        "<section aria-labelledby=\"second-factor-title\">\n\
         <h2 id=\"second-factor-title\">Second factor</h2>\n{}</section>\n",
        content
    ))
}

pub(in crate::web) async fn begin(SessionForm { session, .. }: SessionForm) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        let new = session.state.auth.totp_begin(session.user_id).await?;
        let main = html!(
            "<p>Give this secret to your authenticator program, then type the code that it shows.</p>\n\
             <dl>\n<dt>Secret</dt><dd><code id=\"secret\">{}</code></dd>\n\
             <dt>Or as an address</dt><dd><code id=\"secret-url\">{}</code></dd>\n</dl>\n{}",
            new.secret.expose_secret(),
            new.url.expose_secret(),
            confirmation(&hidden_csrf(&session)),
        );
        Ok(page(TITLE, &main))
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}

fn confirmation(csrf: &Html) -> Html {
    html!(
        "<form id=\"confirm\" method=\"post\" action=\"/account/second-factor/confirm\">\n{}\
         <label for=\"code\">Code</label>\n\
         <input id=\"code\" name=\"code\" inputmode=\"numeric\" autocomplete=\"one-time-code\" required autofocus>\n\
         <button>Switch it on</button>\n</form>\n<p><a href=\"/account\">Not now</a></p>\n",
        csrf
    )
}

/// Ends every other session: what was signed in without the second factor is not good enough any more.
pub(in crate::web) async fn confirm(SessionForm { session, fields }: SessionForm) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        let codes = match session
            .state
            .auth
            .totp_confirm(session.user_id, &fields.code())
            .await
            .map_err(Problem::from)
        {
            Err(problem) if problem.code() == "wrong_code" => {
                let main = html!("{}{}", alert(&problem), confirmation(&hidden_csrf(&session)));
                return Ok(page_again(&problem, TITLE, &main));
            }
            codes => codes?,
        };
        let mut headers = HeaderMap::new();
        session.renew(&mut headers).await?;
        let title = "The second factor is on";
        Ok((headers, page(title, &recovery(&codes))).into_response())
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}

fn recovery(codes: &[SecretString]) -> Html {
    let items: Html =
        codes.iter().map(|code| html!("<li><code>{}</code></li>\n", code.expose_secret())).collect();
    html!(
        "{}<p>Each is good once in place of a code, when you do not have your authenticator. Earlier ones are void.\
         </p>\n<ul id=\"recovery-codes\">\n{}</ul>\n\
         <p><a class=\"button\" href=\"/account\">I have kept them</a></p>\n",
        note("Keep these recovery codes: they are shown this once."),
        items,
    )
}

pub(in crate::web) async fn remove(SessionForm { session, fields }: SessionForm) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        session.state.auth.totp_disable(session.user_id, &fields.code()).await?;
        let mut response = redirect("/account?done=second-factor-removed")?;
        session.renew(response.headers_mut()).await?;
        Ok(response)
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}

pub(in crate::web) async fn recovery_codes(SessionForm { session, fields }: SessionForm) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        let codes = session.state.auth.recovery_codes_renew(session.user_id, &fields.code()).await?;
        Ok::<_, Problem>(page("New recovery codes", &recovery(&codes)))
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}
