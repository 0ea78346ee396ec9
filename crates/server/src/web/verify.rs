//! `/verify`: what the link in a letter leads to that asks whether an address is somebody's. Opening it changes
//! nothing, because mail servers open links too: the button does.

use auth::Gate;
use axum::extract::RawQuery;
use axum::response::Response;

use super::answer::{alert, note, page, page_again};
use super::html::{Html, html};
use super::request::{Fields, Form, Visit};
use super::sign_in::limited;
use crate::api::problem::Problem;

const TITLE: &str = "Confirm your address";

pub(super) async fn show(_: Visit, RawQuery(query): RawQuery) -> Response {
    page(TITLE, &form(Fields::of_query(query.as_deref()).text("code")))
}

fn form(code: &str) -> Html {
    html!(
        "<p>Confirm only for an account that you made yourself.</p>\n\
         <form method=\"post\" action=\"/verify\">\n\
         <input type=\"hidden\" name=\"code\" value=\"{}\">\n\
         <button>This is my address</button>\n</form>\n",
        code
    )
}

pub(super) async fn submit(Form { visitor, fields }: Form) -> Response {
    let work = async {
        let user = visitor.state.auth.email_verify(&fields.secret("code")).await?;
        let main = html!(
            "{}<p>User name: <strong>{}</strong></p>\n<p><a class=\"button\" href=\"/account\">Go on</a></p>\n",
            note("Your address is confirmed."),
            user.username,
        );
        Ok(page("Confirmed", &main))
    };
    let again = |problem: &Problem| {
        let main = html!(
            "{}<p>A link is good once and for a day. Sign in, or sign up again, to get another one.</p>\n\
             <p><a href=\"/sign-in\">Sign in</a></p>\n",
            alert(problem)
        );
        page_again(problem, TITLE, &main)
    };
    limited(&visitor, Gate::Mail, work, again).await
}
