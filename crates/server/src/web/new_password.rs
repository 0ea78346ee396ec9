//! `/reset-password`: choosing a new password with the link of a letter, or of an administrator.

use auth::Gate;
use axum::extract::RawQuery;
use axum::response::Response;

use super::answer::{alert, note, page, page_again};
use super::html::{Html, html};
use super::request::{Fields, Form, Visit};
use super::sign_in::{limited, ways_in};
use crate::api::problem::Problem;

const TITLE: &str = "Choose a new password";

pub(super) async fn show(_: Visit, RawQuery(query): RawQuery) -> Response {
    page(TITLE, &form(Fields::of_query(query.as_deref()).text("code")))
}

fn form(code: &str) -> Html {
    html!(
        "<p>Everything that is signed in with the old one now will have to sign in again. Your tokens stay.</p>\n\
         <form method=\"post\" action=\"/reset-password\">\n\
         <input type=\"hidden\" name=\"code\" value=\"{}\">\n\
         <label for=\"password\">New password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"new-password\" required \
         autofocus>\n\
         <button>Set the password</button>\n</form>\n",
        code
    )
}

pub(super) async fn submit(Form { visitor, fields }: Form) -> Response {
    let work = async {
        let auth = &visitor.state.auth;
        let user = auth.password_reset(&fields.secret("code"), &fields.secret("password")).await?;
        let ways = ways_in(&visitor.state, "/account", &user.username, false);
        Ok(page("Sign in", &html!("{}{}", note("Your new password is set. Sign in with it."), ways)))
    };
    let again = |problem: &Problem| {
        let next = if problem.code() == "wrong_link" {
            html!("<p><a href=\"/forgot-password\">Ask for another link</a></p>\n")
        } else {
            form(fields.text("code"))
        };
        page_again(problem, TITLE, &html!("{}{}", alert(problem), next))
    };
    limited(&visitor, Gate::Mail, work, again).await
}
