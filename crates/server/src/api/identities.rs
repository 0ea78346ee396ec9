//! `/api/v1/me/identities`: who one is at identity providers.

use auth::IdentityView;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::page::time;
use super::problem::Problem;
use super::request::{Query, Session};

#[derive(Serialize)]
struct LinkedIdentity {
    issuer: String,
    subject: String,
    provider: String,
    email: String,
    linked_at: String,
    last_used_at: String,
}

impl From<IdentityView> for LinkedIdentity {
    fn from(view: IdentityView) -> Self {
        Self {
            issuer: view.issuer,
            subject: view.subject,
            provider: view.provider,
            email: view.email,
            linked_at: time(view.linked_at),
            last_used_at: time(view.last_used_at),
        }
    }
}

#[derive(Serialize)]
struct LinkedIdentities {
    items: Vec<LinkedIdentity>,
}

/// Which identity: an issuer is a URL, and a subject any text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    issuer: String,
    subject: String,
}

pub(super) async fn list(session: Session) -> Response {
    let outcome = async {
        session.authorize_presence()?;
        let found = session.state.auth.identity_list(session.user_id).await?;
        let items = found.into_iter().map(Into::into).collect();
        Ok::<_, Problem>(axum::Json(LinkedIdentities { items }).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(session: Session, Query(which): Query<Which>) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        session.state.auth.identity_unlink(session.user_id, &which.issuer, &which.subject).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}
