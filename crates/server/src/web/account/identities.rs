//! Who one is at identity providers: linking another account there, and unlinking one.

use auth::IdentityView;
use axum::response::Response;

use super::super::answer::{answer, redirect};
use super::super::html::{Html, html};
use super::super::request::SessionForm;
use super::{hidden, moment};
use crate::api::problem::Problem;
use crate::api::request::Session;
use crate::session::Browser;

pub(super) async fn section(session: &Session, csrf: &Html) -> Result<Html, Problem> {
    let auth = &session.state.auth;
    let (providers, identities) = (auth.providers(), auth.identity_list(session.user_id).await?);
    if providers.is_empty() && identities.is_empty() {
        return Ok(html!(""));
    }
    let rows: Html = identities.iter().map(|identity| row(identity, csrf)).collect();
    let table = (!identities.is_empty()).then(|| {
        html!(
            "<div class=\"wide\"><table id=\"identities\">\n<thead><tr><th scope=\"col\">Provider</th>\
             <th scope=\"col\">Account there</th><th scope=\"col\">Linked</th><th scope=\"col\">Unlink</th></tr>\
             </thead>\n<tbody>\n{}</tbody>\n</table></div>\n",
            rows
        )
    });
    let links: Html = providers
        .iter()
        .map(|provider| {
            html!(
                "<a class=\"button quiet\" href=\"{}\">Link an account at {}</a>\n",
                link(session, &provider.name),
                provider.label,
            )
        })
        .collect();
    Ok(html!(
        "<section aria-labelledby=\"identities-title\">\n\
         <h2 id=\"identities-title\">Identity providers</h2>\n{}<p class=\"providers\">\n{}</p>\n</section>\n",
        table,
        links,
    ))
}

/// Where linking begins. Over http browsers do not say where a request comes from, and the address has to carry the
/// word of the session; over https they do, and no address holds it.
fn link(session: &Session, provider: &str) -> String {
    let Some(browser) = session.browser.as_ref().filter(|browser| Browser::is_proven(browser)) else {
        return "/account/prove".to_owned();
    };
    let start = format!("/api/v1/auth/providers/{provider}/start?link=true&return_to=/account");
    if session.context.base_url.starts_with("https://") {
        return start;
    }
    format!("{start}&csrf={}", browser.csrf_token(&session.state.auth))
}

fn row(identity: &IdentityView, csrf: &Html) -> Html {
    let name = if identity.email.is_empty() { &identity.subject } else { &identity.email };
    html!(
        "<tr><td>{}</td><td><bdi>{}</bdi></td><td>{}</td><td>\
         <form method=\"post\" action=\"/account/identities/unlink\">\n{}{}{}\
         <button class=\"danger\">Unlink</button></form></td></tr>\n",
        identity.provider,
        name,
        moment(identity.linked_at),
        csrf,
        hidden("issuer", &identity.issuer),
        hidden("subject", &identity.subject),
    )
}

pub(in crate::web) async fn unlink(SessionForm { session, fields }: SessionForm) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        let (issuer, subject) = (fields.text("issuer"), fields.text("subject"));
        session.state.auth.identity_unlink(session.user_id, issuer, subject).await?;
        redirect("/account?done=unlinked")
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}
