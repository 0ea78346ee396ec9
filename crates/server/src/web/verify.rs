//! `/verify`: what the link in a letter leads to that asks whether an address is somebody's. Opening it changes
//! nothing, because mail servers open links too: the button does.

use auth::Gate;
use axum::extract::RawQuery;
use axum::response::Response;
use secrecy::SecretString;

use super::answer::{alert, answer, note, page, page_again};
use super::html::{Html, html};
use super::request::{Fields, Form, Visit};
use super::sign_in::limited;
use crate::api::problem::Problem;

const TITLE: &str = "Confirm your address";

pub(super) async fn show(Visit(visitor): Visit, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let work = async {
        let needs_password = visitor.state.auth.email_verify_needs_password(&fields.secret("code")).await?;
        Ok(page(TITLE, &form(fields.text("code"), needs_password)))
    };
    answer(&visitor.context, work.await)
}

/// A new account takes its password too: somebody else may have made it with this address.
fn form(code: &str, needs_password: bool) -> Html {
    let password = needs_password.then(|| {
        html!(
            "<label for=\"password\">The password that you chose for it</label>\n\
             <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" \
             required autofocus>\n"
        )
    });
    html!(
        "<p>Confirm only for an account that you made yourself.</p>\n\
         <form method=\"post\" action=\"/verify\">\n\
         <input type=\"hidden\" name=\"code\" value=\"{}\">\n{}\
         <button>This is my address</button>\n</form>\n",
        code,
        password
    )
}

pub(super) async fn submit(Form { visitor, fields }: Form) -> Response {
    let work = async {
        let password = fields.optional("password").map(SecretString::from);
        let code = fields.secret("code");
        let user = visitor.state.auth.email_verify(&code, password.as_ref(), visitor.context.client).await?;
        let main = html!(
            "{}<p>User name: <strong>{}</strong></p>\n<p><a class=\"button\" href=\"/account\">Go on</a></p>\n",
            note("Your address is confirmed."),
            user.username,
        );
        Ok(page("Confirmed", &main))
    };
    let again = |problem: &Problem| {
        let next = if problem.code() == "wrong_link" {
            html!(
                "<p>A link is good once and for a day. Sign in, or sign up again, to get another one.</p>\n\
                 <p><a href=\"/sign-in\">Sign in</a></p>\n"
            )
        } else {
            form(fields.text("code"), fields.optional("password").is_some() || problem.code() == "invalid")
        };
        page_again(problem, TITLE, &html!("{}{}", alert(problem), next))
    };
    limited(&visitor, Gate::Mail, work, again).await
}
