//! A new password for one's own account.

use axum::response::Response;
use secrecy::SecretString;

use super::super::answer::{answer, redirect};
use super::super::html::{Html, html};
use super::super::request::SessionForm;
use crate::api::problem::Problem;
use crate::api::request::Session;

pub(super) async fn section(session: &Session, csrf: &Html) -> Result<Html, Problem> {
    let has_password = session.state.auth.has_password(session.user_id).await?;
    let current = if has_password {
        html!(
            "<label for=\"current-password\">Present password</label>\n\
             <input id=\"current-password\" name=\"current_password\" type=\"password\" \
             autocomplete=\"current-password\" required>\n"
        )
    } else {
        html!("<p>Your account has none: you sign in with an identity provider. You may add one.</p>\n")
    };
    Ok(html!(
        "<section aria-labelledby=\"password-title\">\n<h2 id=\"password-title\">Password</h2>\n\
         <form id=\"password\" method=\"post\" action=\"/account/password\">\n{}{}\
         <label for=\"new-password\">New password</label>\n\
         <input id=\"new-password\" name=\"new_password\" type=\"password\" autocomplete=\"new-password\" \
         required>\n<button>Set the password</button>\n</form>\n</section>\n",
        csrf,
        current,
    ))
}

/// Ends everything that the old password opened; the browser that asks gets a session anew.
pub(in crate::web) async fn change(SessionForm { session, fields }: SessionForm) -> Response {
    let outcome = async {
        let current = fields.optional("current_password").map(SecretString::from);
        if current.is_some() {
            session.authorize_presence()?;
        } else {
            session.authorize_proven()?;
        }
        let (new, client) = (fields.secret("new_password"), session.context.client);
        session.state.auth.password_change(session.user_id, current.as_ref(), &new, client).await?;
        let mut response = redirect("/account?done=password")?;
        session.renew(response.headers_mut()).await?;
        Ok(response)
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}
