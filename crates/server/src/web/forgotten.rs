//! `/forgot-password`: asking for a link to choose a new one.

use auth::Gate;
use axum::response::Response;

use super::answer::{alert, note, page, page_again};
use super::html::{Html, html};
use super::request::{Form, Visit};
use super::sign_in::limited;
use crate::api::problem::Problem;

const TITLE: &str = "Forgot your password?";

pub(super) async fn show(Visit(visitor): Visit) -> Response {
    if visitor.state.auth.mail_is_on() {
        return page(TITLE, &form());
    }
    let main = html!(
        "<p>This registry sends no mail. Ask an administrator for a link to choose a new password.</p>\n\
         <p><a href=\"/sign-in\">Sign in</a></p>\n"
    );
    page(TITLE, &main)
}

fn form() -> Html {
    html!(
        "<form method=\"post\" action=\"/forgot-password\">\n\
         <label for=\"account\">User name or e-mail address</label>\n\
         <input id=\"account\" name=\"account\" autocomplete=\"username\" autocapitalize=\"none\" \
         spellcheck=\"false\" required>\n\
         <button>Send me a link</button>\n</form>\n"
    )
}

pub(super) async fn submit(Form { visitor, fields }: Form) -> Response {
    let work = async {
        visitor.state.auth.password_forgot(fields.text("account"))?;
        let text = "If there is such an account with a password, a letter with a link is on its way to its \
                    address. The link is good for one hour.";
        Ok(page("See your mail", &note(text)))
    };
    let again = |problem: &Problem| page_again(problem, TITLE, &html!("{}{}", alert(problem), form()));
    limited(&visitor, Gate::Mail, work, again).await
}
