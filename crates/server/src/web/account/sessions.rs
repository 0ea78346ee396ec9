//! The browsers in which one is signed in.

use auth::SessionView;
use axum::response::Response;

use super::super::answer::{answer, redirect};
use super::super::html::{Html, html};
use super::super::request::SessionForm;
use super::{hidden, moment};
use crate::api::problem::Problem;
use crate::api::request::Session;

/// The name of the session that asks.
fn current(session: &Session) -> &str {
    session.browser.as_ref().map_or("", |browser| browser.session.public_id.as_str())
}

pub(super) async fn section(session: &Session, csrf: &Html) -> Result<Html, Problem> {
    let sessions = session.state.auth.session_list(session.user_id).await?;
    let rows: Html = sessions.iter().map(|view| row(view, current(session), csrf)).collect();
    let others = (sessions.len() > 1).then(|| {
        html!(
            "<form id=\"end-others\" method=\"post\" action=\"/account/sessions/end-others\">\n{}\
             <button class=\"danger\">End all others</button>\n</form>\n",
            csrf
        )
    });
    Ok(html!(
        "<section aria-labelledby=\"sessions-title\">\n<h2 id=\"sessions-title\">Where you are signed in</h2>\n\
         <div class=\"wide\"><table id=\"sessions\">\n<thead><tr><th scope=\"col\">Browser</th>\
         <th scope=\"col\">Address</th><th scope=\"col\">Signed in</th><th scope=\"col\">Last seen</th>\
         <th scope=\"col\">End</th></tr></thead>\n<tbody>\n{}</tbody>\n</table></div>\n{}</section>\n",
        rows,
        others,
    ))
}

fn row(view: &SessionView, current: &str, csrf: &Html) -> Html {
    let end = if view.id == current {
        html!("this browser")
    } else {
        html!(
            "<form method=\"post\" action=\"/account/sessions/end\">\n{}{}\
             <button class=\"danger\">End</button></form>",
            csrf,
            hidden("session", &view.id),
        )
    };
    let provider = view.provider.as_ref().map(|provider| html!(", by {}", provider));
    html!(
        "<tr><td><bdi>{}</bdi></td><td>{}</td><td>{}{}</td><td>{}</td><td>{}</td></tr>\n",
        view.user_agent,
        view.address,
        moment(view.created_at),
        provider,
        moment(view.last_seen_at),
        end,
    )
}

pub(in crate::web) async fn end(SessionForm { session, fields }: SessionForm) -> Response {
    let outcome = async {
        session.authorize_presence()?;
        session.state.auth.session_delete(session.user_id, fields.text("session")).await?;
        redirect("/account?done=session-ended")
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}

pub(in crate::web) async fn end_others(SessionForm { session, .. }: SessionForm) -> Response {
    let outcome = async {
        session.authorize_presence()?;
        session.state.auth.sessions_delete_others(session.user_id, current(&session)).await?;
        redirect("/account?done=others-ended")
    };
    let outcome = outcome.await;
    answer(&session.context, outcome)
}
