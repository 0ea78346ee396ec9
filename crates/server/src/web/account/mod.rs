//! `/account`: who one is here, and everything that belongs to one's own account.

pub(super) mod identities;
pub(super) mod password;
pub(super) mod prove;
pub(super) mod second_factor;
pub(super) mod sessions;
pub(super) mod tokens;

use auth::UserView;
use axum::extract::RawQuery;
use axum::response::Response;
use clock::Timestamp;
use registry::OrganizationView;

use super::answer::{answer, note, page};
use super::html::{Html, html};
use super::request::{Fields, SignedIn};
use crate::api::problem::Problem;
use crate::api::request::Session;

/// Organizations that are listed. Who belongs to more sees the first.
const MOST_ORGANIZATIONS: u32 = 200;

pub(super) async fn show(SignedIn(session): SignedIn, RawQuery(query): RawQuery) -> Response {
    let query = Fields::of_query(query.as_deref());
    let outcome = async {
        let user = session.state.auth.user_get(session.username()).await?;
        let csrf = hidden_csrf(&session);
        let organizations =
            session.state.registry.organization_list(&session.caller, "", MOST_ORGANIZATIONS).await?;
        let main = html!(
            "{}{}{}{}{}{}{}{}{}",
            query.optional("done").and_then(done).map(note),
            who(&user),
            membership(&organizations),
            tokens::section(&session, &csrf).await?,
            sessions::section(&session, &csrf).await?,
            second_factor::section(&session, &csrf).await?,
            password::section(&session, &csrf).await?,
            identities::section(&session, &csrf).await?,
            html!(
                "<section aria-labelledby=\"leave\">\n<h2 id=\"leave\">Sign out</h2>\n\
                 <form id=\"sign-out\" method=\"post\" action=\"/sign-out\">\n{}<button>Sign out</button>\n\
                 </form>\n</section>\n",
                csrf
            ),
        );
        Ok::<_, Problem>(page("Your account", &main))
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}

/// What went well, from the word in the address.
fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "proved" => "Thank you. You can go on for a quarter of an hour.",
        "token-revoked" => "The token is revoked. Nothing gets in with it any more.",
        "session-ended" => "The session is ended.",
        "others-ended" => "All other sessions are ended.",
        "password" => "Your password is changed, and all other sessions are ended.",
        "second-factor-removed" => "The second factor is switched off.",
        "unlinked" => "The account at the identity provider is unlinked.",
        _ => return None,
    })
}

fn who(user: &UserView) -> Html {
    let is_verified = if user.email_verified_at.is_some() { "" } else { " (not confirmed)" };
    let rights = user.system_admin.then(|| html!("<dt>Rights</dt><dd>system administrator</dd>\n"));
    html!(
        "<section aria-labelledby=\"who\">\n<h2 id=\"who\">Who you are</h2>\n<dl>\n\
         <dt>User name</dt><dd id=\"me\">{}</dd>\n<dt>E-mail</dt><dd><bdi>{}</bdi>{}</dd>\n{}\
         <dt>Since</dt><dd>{}</dd>\n</dl>\n</section>\n",
        user.username,
        user.email,
        is_verified,
        rights,
        moment(user.created_at),
    )
}

fn membership(organizations: &[OrganizationView]) -> Html {
    let items: Html =
        organizations.iter().map(|organization| html!("<li>{}</li>\n", organization.name)).collect();
    let list = if organizations.is_empty() {
        html!("<p>None yet. Ask somebody of an organization to invite you.</p>\n")
    } else {
        html!("<ul id=\"organizations\">\n{}</ul>\n", items)
    };
    html!(
        "<section aria-labelledby=\"where\">\n<h2 id=\"where\">Your organizations</h2>\n{}</section>\n",
        list
    )
}

/// The field with which a form of this session says so.
fn hidden_csrf(session: &Session) -> Html {
    let token = session.browser.as_ref().map(|browser| browser.csrf_token(&session.state.auth));
    hidden("csrf", token.as_deref().unwrap_or_default())
}

fn hidden(name: &str, value: &str) -> Html {
    html!("<input type=\"hidden\" name=\"{}\" value=\"{}\">\n", name, value)
}

/// A time as people read it.
fn moment(time: Timestamp) -> Html {
    let Ok(time) = jiff::Timestamp::from_millisecond(time.as_millis()) else { return html!("–") };
    html!(
        "<time datetime=\"{}\">{}</time>",
        time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}
