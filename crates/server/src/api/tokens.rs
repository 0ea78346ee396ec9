//! `/api/v1/me/tokens`: personal tokens, to be used in place of the password.

use auth::TokenView;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use clock::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::page::{PageQuery, time};
use super::problem::Problem;
use super::request::{Json, Path, Query, Session};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    name: String,
    /// RFC 3339; without it the token has no end.
    expires_at: Option<String>,
}

#[derive(Serialize)]
struct Token {
    id: String,
    name: String,
    hint: String,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    /// Shown once, when the token is made.
    #[serde(rename = "token", skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl From<TokenView> for Token {
    fn from(view: TokenView) -> Self {
        Self {
            id: view.id,
            name: view.name,
            hint: view.hint,
            created_at: time(view.created_at),
            expires_at: view.expires_at.map(time),
            last_used_at: view.last_used_at.map(time),
            secret: None,
        }
    }
}

pub(super) async fn list(session: Session, Query(page): Query<PageQuery>) -> Response {
    let outcome = async {
        let after = Some(page.after()).filter(|after| !after.is_empty());
        let found = session.state.auth.token_list(session.user_id, after, page.rows()).await?;
        let items: Vec<Token> = found.into_iter().map(Into::into).collect();
        Ok::<_, Problem>(page.answer(items, |token| token.id.clone()))
    };
    session.answer(outcome.await)
}

pub(super) async fn create(session: Session, Json(new): Json<NewToken>) -> Response {
    let outcome = async {
        let expires_at = new.expires_at.as_deref().map(parse_time).transpose()?;
        let (view, secret) = session.state.auth.token_create(session.user_id, &new.name, expires_at).await?;
        let mut token = Token::from(view);
        token.secret = Some(secret.expose_secret().to_owned());
        Ok::<_, Problem>((StatusCode::CREATED, axum::Json(token)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(session: Session, Path(token): Path<String>) -> Response {
    let outcome = async {
        session.state.auth.token_delete(session.user_id, &token).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}

fn parse_time(text: &str) -> Result<Timestamp, Problem> {
    text.parse::<jiff::Timestamp>().map(|time| Timestamp::from_millis(time.as_millisecond())).map_err(|_| {
        Problem::invalid("expires_at", "expires_at has to be a time such as 2030-01-31T12:00:00Z")
    })
}
