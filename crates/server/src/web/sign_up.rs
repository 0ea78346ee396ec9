//! `/sign-up`: making an account for oneself.

use auth::{Gate, NewUser, SignUp, SignedUp};
use axum::response::Response;
use secrecy::SecretString;

use super::answer::{alert, answer, note, page, page_again, redirect};
use super::html::{Html, html};
use super::request::{Fields, Form, Visit};
use super::sign_in::{limited, provider_links, ways_in};
use crate::State;
use crate::api::problem::Problem;

const TITLE: &str = "Make an account";

pub(super) async fn show(Visit(visitor): Visit) -> Response {
    if visitor.user_id().is_some() {
        return answer(&visitor.context, redirect("/account"));
    }
    page(TITLE, &offer(&visitor.state, &Filled::default()))
}

/// What is in the form already.
#[derive(Default)]
pub(super) struct Filled<'a> {
    pub(super) username: &'a str,
    pub(super) email: &'a str,
    pub(super) invitation: Option<&'a str>,
}

/// The form, or why there is none.
pub(super) fn offer(state: &State, filled: &Filled<'_>) -> Html {
    let why_not = match state.auth.sign_up_rule() {
        SignUp::Open => return form(filled),
        SignUp::Invited if filled.invitation.is_some() => return form(filled),
        SignUp::Invited => {
            "You need an invitation to make an account here. Ask somebody of your organization for one and open \
             the link in it."
        }
        SignUp::Closed => "Accounts are made by an administrator here. Ask one for yours.",
    };
    let providers = provider_links(&state.auth.providers(), "/account", "Come in with");
    html!("<p>{}</p>\n{}<p><a href=\"/sign-in\">Sign in</a></p>\n", why_not, providers)
}

fn form(filled: &Filled<'_>) -> Html {
    let invitation = filled
        .invitation
        .map(|secret| html!("<input type=\"hidden\" name=\"invitation\" value=\"{}\">\n", secret));
    html!(
        "<form method=\"post\" action=\"/sign-up\">\n{}\
         <label for=\"new-username\">User name</label>\n\
         <input id=\"new-username\" name=\"username\" value=\"{}\" autocomplete=\"username\" \
         autocapitalize=\"none\" spellcheck=\"false\" required>\n\
         <label for=\"new-email\">E-mail address</label>\n\
         <input id=\"new-email\" name=\"email\" type=\"email\" value=\"{}\" autocomplete=\"email\" required>\n\
         <label for=\"new-password\">Password</label>\n\
         <input id=\"new-password\" name=\"password\" type=\"password\" autocomplete=\"new-password\" required>\n\
         <button>Make the account</button>\n</form>\n",
        invitation,
        filled.username,
        filled.email,
    )
}

pub(super) async fn submit(Form { visitor, fields }: Form) -> Response {
    let work = async {
        let invitation = fields.optional("invitation");
        let is_invited = visitor.is_invited(invitation.map(SecretString::from).as_ref()).await?;
        let new = NewUser {
            username: fields.text("username").to_owned(),
            email: fields.text("email").to_owned(),
            password: fields.secret("password"),
            system_admin: false,
        };
        Ok(match visitor.state.auth.sign_up(new, is_invited).await? {
            SignedUp::Ready(user) => {
                // It is accepted later, by who signed up with it.
                let return_to = match invitation {
                    Some(secret) if is_invited => format!("{}{secret}", super::INVITATIONS),
                    _ => "/account".to_owned(),
                };
                let ways = ways_in(&visitor.state, &return_to, &user.username, false);
                page("Sign in", &html!("{}{}", note("Your account is made. Sign in with it."), ways))
            }
            SignedUp::CheckMail => page(
                "See your mail",
                &note(
                    "A letter is on its way to the address that you gave. It says how to go on; look for it among \
                     unwanted mail too.",
                ),
            ),
        })
    };
    let again = |problem: &Problem| {
        let main = html!("{}{}", alert(problem), offer(&visitor.state, &filled(&fields)));
        page_again(problem, TITLE, &main)
    };
    limited(&visitor, Gate::SignUp, work, again).await
}

fn filled(fields: &Fields) -> Filled<'_> {
    Filled {
        username: fields.text("username"),
        email: fields.text("email"),
        invitation: fields.optional("invitation"),
    }
}
