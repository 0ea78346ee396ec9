//! Personal tokens: the list, making one, which is shown this once, and revoking one.

use std::time::Duration;

use auth::{NewToken, TokenView};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use registry::OrganizationRead;
use secrecy::ExposeSecret as _;

use super::super::answer::{answer, note, page, redirect};
use super::super::html::{Html, html};
use super::super::request::SessionForm;
use super::{hidden, moment};
use crate::api::problem::Problem;
use crate::api::request::Session;

/// Tokens that are listed: an account has no more.
const MOST: u32 = 500;

/// For how long tokens are made, with what the form says.
const LIVES: [(&str, &str, Option<u64>); 5] = [
    ("7", "7 days", Some(7)),
    ("30", "30 days", Some(30)),
    ("90", "90 days", Some(90)),
    ("365", "1 year", Some(365)),
    ("never", "Until I revoke it", None),
];

pub(super) async fn section(session: &Session, csrf: &Html) -> Result<Html, Problem> {
    let tokens = session.state.auth.token_list(session.user_id, None, MOST).await?;
    let rows: Html = tokens.iter().map(|token| row(token, csrf)).collect();
    let table = (!tokens.is_empty()).then(|| {
        html!(
            "<div class=\"wide\"><table id=\"tokens\">\n<thead><tr><th scope=\"col\">Name</th>\
             <th scope=\"col\">Token</th><th scope=\"col\">Good for</th><th scope=\"col\">Ends</th>\
             <th scope=\"col\">Last used</th><th scope=\"col\">Revoke</th></tr></thead>\n<tbody>\n{}</tbody>\n\
             </table></div>\n",
            rows
        )
    });
    let lives: Html = LIVES
        .iter()
        .map(|(value, label, days)| {
            let selected = if *days == Some(90) { html!(" selected") } else { html!("") };
            html!("<option value=\"{}\"{}>{}</option>\n", *value, selected, *label)
        })
        .collect();
    Ok(html!(
        "<section aria-labelledby=\"tokens-title\">\n<h2 id=\"tokens-title\">Personal tokens</h2>\n\
         <p>A token takes the place of your password for docker, helm, twine, uv and other programs.</p>\n{}\
         <form id=\"token-create\" method=\"post\" action=\"/account/tokens\">\n{}\
         <label for=\"token-name\">Name, for you to recognize it by</label>\n\
         <input id=\"token-name\" name=\"name\" maxlength=\"100\" autocomplete=\"off\" required>\n\
         <label for=\"token-life\">Good for</label>\n<select id=\"token-life\" name=\"life\">\n{}</select>\n\
         <button>Make a token</button>\n</form>\n</section>\n",
        table,
        csrf,
        lives,
    ))
}

fn row(token: &TokenView, csrf: &Html) -> Html {
    let scopes = token.scopes.as_ref().map_or("everything that you may do", |_| "some repositories");
    let ends = token.expires_at.map_or_else(|| html!("when revoked"), moment);
    let from = token.last_used_from.as_ref().map(|from| html!(" from <bdi>{}</bdi>", from));
    let used = token.last_used_at.map_or_else(|| html!("never"), moment);
    html!(
        "<tr><td><bdi>{}</bdi></td><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}{}</td><td>\
         <form method=\"post\" action=\"/account/tokens/revoke\">\n{}{}\
         <button class=\"danger\" aria-label=\"Revoke {}\">Revoke</button></form></td></tr>\n",
        token.name,
        token.hint,
        scopes,
        ends,
        used,
        from,
        csrf,
        hidden("token", &token.id),
        token.name,
    )
}

pub(in crate::web) async fn create(SessionForm { session, fields }: SessionForm) -> Response {
    let outcome = async {
        session.authorize_presence()?;
        let life = LIVES.iter().find(|(value, ..)| *value == fields.text("life"));
        let (.., days) = life.ok_or_else(|| {
            Problem::invalid("life", "choose for how long the token is good from the list on the page")
        })?;
        let expires_at = days.map(|days| session.state.auth.now() + Duration::from_hours(24 * days));
        let new = NewToken { name: fields.text("name").to_owned(), scopes: None, expires_at };
        let (view, secret) = session.state.auth.token_create(&session.identity, session.user_id, new).await?;
        let registry = first_registry(&session).await;
        let main = html!(
            "{}<p>The token <strong><bdi>{}</bdi></strong>:</p>\n\
             <pre id=\"token\" tabindex=\"0\">{}</pre>\n{}\
             <p><a class=\"button\" href=\"/account\">I have copied it</a></p>\n",
            note("Copy the token now: it is shown this once."),
            view.name,
            secret.expose_secret(),
            lines(&session, registry.as_deref()),
        );
        Ok((StatusCode::CREATED, page("Your new token", &main)).into_response())
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}

/// A registry that the user may see, for examples; none when there is none, or when nobody knows.
async fn first_registry(session: &Session) -> Option<String> {
    let registry = &session.state.registry;
    let organizations = registry.organization_list(&session.caller, "", 1).await.ok()?;
    let organization = organizations.first()?.name.clone();
    let name = organization.parse().ok()?;
    let granted = registry.authorize_organization::<OrganizationRead>(&session.caller, &name).await.ok()?;
    let registries = registry.registry_list(&granted, "", 1).await.ok()?;
    registries.first().map(|registry| format!("{organization}/{}", registry.name))
}

/// How the programs that people use take the token at this address. None of the lines holds it: what is typed into
/// a shell stays in its history.
fn lines(session: &Session, registry: Option<&str>) -> Html {
    let base: &str = &session.context.base_url;
    let (scheme, host) = base.split_once("://").unwrap_or(("https", base));
    let user = session.username();
    let plain = if scheme == "http" { " --plain-http" } else { "" };
    let place = registry.unwrap_or("ORGANIZATION/REGISTRY");
    let index = format!("{base}/api/v1/{place}/python");
    let simple = format!("{scheme}://__token__:$TOKEN@{host}/api/v1/{place}/python/simple/");
    let text = [
        "read -rs TOKEN    # paste the token and press Enter".to_owned(),
        format!("echo \"$TOKEN\" | docker login {host} --username {user} --password-stdin"),
        format!("echo \"$TOKEN\" | helm registry login {host}{plain} --username {user} --password-stdin"),
        format!("echo \"$TOKEN\" | oras login {host}{plain} --username {user} --password-stdin"),
        format!("twine upload --repository-url {index} --username __token__ --password \"$TOKEN\" dist/*"),
        format!("uv publish --publish-url {index} --token \"$TOKEN\" dist/*"),
        format!("pip install --index-url \"{simple}\" PACKAGE"),
        format!("uv pip install --index-url \"{simple}\" PACKAGE"),
    ];
    html!("<h2>How to use it</h2>\n<pre id=\"lines\" tabindex=\"0\">{}</pre>\n", text.join("\n"))
}

pub(in crate::web) async fn revoke(SessionForm { session, fields }: SessionForm) -> Response {
    let outcome = async {
        session.authorize_person()?;
        session.state.auth.token_delete(session.user_id, fields.text("token")).await?;
        redirect("/account?done=token-revoked")
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}
