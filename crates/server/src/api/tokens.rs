//! `/api/v1/me/tokens`: personal tokens, to be used in place of the password.

use std::time::Duration;

use access::TokenScope;
use auth::{NewToken, TokenView};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use clock::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::page::{PageQuery, time};
use super::problem::Problem;
use super::request::{Json, Path, Query, Session};

/// A token to be, as requests spell it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRequest {
    name: String,
    /// What it is good for; without them everything that its owner may do.
    scopes: Option<Vec<TokenScope>>,
    /// RFC 3339; without it a person's token has no end.
    expires_at: Option<String>,
}

impl TokenRequest {
    /// The same with its parts understood.
    pub(super) fn parse(self) -> Result<NewToken, Problem> {
        let expires_at = self.expires_at.as_deref().map(parse_time).transpose()?;
        Ok(NewToken { name: self.name, scopes: self.scopes, expires_at })
    }
}

/// How a token is replaced by a new one.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the old one stays good; not at all without it.
    overlap_secs: u32,
}

impl Rotation {
    /// How long the old one stays good.
    pub(super) fn overlap(&self) -> Duration {
        Duration::from_secs(self.overlap_secs.into())
    }
}

/// A token as answers show it.
#[derive(Serialize)]
pub(super) struct Token {
    /// Its name in paths.
    pub(super) id: String,
    name: String,
    hint: String,
    scopes: Option<Vec<TokenScope>>,
    created_by: String,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    last_used_from: Option<String>,
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
            scopes: view.scopes,
            created_by: view.created_by,
            created_at: time(view.created_at),
            expires_at: view.expires_at.map(time),
            last_used_at: view.last_used_at.map(time),
            last_used_from: view.last_used_from,
            secret: None,
        }
    }
}

/// The answer that shows a new token, this once.
pub(super) fn created((view, secret): (TokenView, SecretString)) -> Response {
    let mut token = Token::from(view);
    token.secret = Some(secret.expose_secret().to_owned());
    (StatusCode::CREATED, axum::Json(token)).into_response()
}

pub(super) async fn list(session: Session, Query(page): Query<PageQuery>) -> Response {
    let outcome = async {
        session.authorize_person()?;
        let after = Some(page.after()).filter(|after| !after.is_empty());
        let found = session.state.auth.token_list(session.user_id, after, page.rows()).await?;
        let items: Vec<Token> = found.into_iter().map(Into::into).collect();
        Ok::<_, Problem>(page.answer(items, |token| token.id.clone()))
    };
    session.answer(outcome.await)
}

pub(super) async fn create(session: Session, Json(new): Json<TokenRequest>) -> Response {
    let outcome = async {
        session.authorize_presence()?;
        let made = session.state.auth.token_create(&session.identity, session.user_id, new.parse()?).await?;
        Ok::<_, Problem>(created(made))
    };
    session.answer(outcome.await)
}

/// A token may do this: whoever finds one that leaked can at least end it.
pub(super) async fn remove(session: Session, Path(token): Path<String>) -> Response {
    let outcome = async {
        session.authorize_person()?;
        session.state.auth.token_delete(session.user_id, &token).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn rotate(
    session: Session,
    Path(token): Path<String>,
    Json(rotation): Json<Rotation>,
) -> Response {
    let outcome = async {
        session.authorize_presence()?;
        let made = session.state.auth.token_rotate(session.user_id, &token, rotation.overlap()).await?;
        Ok::<_, Problem>(created(made))
    };
    session.answer(outcome.await)
}

/// A time as requests write it (RFC 3339).
pub(super) fn parse_time(text: &str) -> Result<Timestamp, Problem> {
    text.parse::<jiff::Timestamp>().map(|time| Timestamp::from_millis(time.as_millisecond())).map_err(|_| {
        Problem::invalid("expires_at", "expires_at has to be a time such as 2030-01-31T12:00:00Z")
    })
}
