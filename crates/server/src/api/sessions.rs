//! `/api/v1/me/sessions`: the browsers in which one is signed in.

use auth::SessionView;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::page::time;
use super::problem::Problem;
use super::request::{Path, Session};

#[derive(Serialize)]
struct BrowserSession {
    id: String,
    /// Whether it is the one that asks.
    current: bool,
    /// The identity provider that vouched; none for a password.
    provider: Option<String>,
    user_agent: String,
    address: String,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
}

#[derive(Serialize)]
struct BrowserSessions {
    items: Vec<BrowserSession>,
}

/// All of them: an account has so few that they come without pages.
pub(super) async fn list(session: Session) -> Response {
    let outcome = async {
        session.authorize_presence()?;
        let current = session.browser.as_ref().map(|browser| browser.session.public_id.as_str());
        let found = session.state.auth.session_list(session.user_id).await?;
        let show = |view: SessionView| BrowserSession {
            current: current == Some(view.id.as_str()),
            id: view.id,
            provider: view.provider,
            user_agent: view.user_agent,
            address: view.address,
            created_at: time(view.created_at),
            last_seen_at: time(view.last_seen_at),
            expires_at: time(view.expires_at),
        };
        let items = found.into_iter().map(show).collect();
        Ok::<_, Problem>(axum::Json(BrowserSessions { items }).into_response())
    };
    session.answer(outcome.await)
}

/// Ends all but the one that asks.
pub(super) async fn remove_others(session: Session) -> Response {
    let outcome = async {
        session.authorize_presence()?;
        let current = session.browser.as_ref().map(|browser| browser.session.public_id.as_str());
        session.state.auth.sessions_delete_others(session.user_id, current.unwrap_or_default()).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(session: Session, Path(id): Path<String>) -> Response {
    let outcome = async {
        session.authorize_presence()?;
        session.state.auth.session_delete(session.user_id, &id).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}
