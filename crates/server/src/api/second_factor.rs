//! `/api/v1/me/second-factor`: codes of an authenticator (RFC 6238) beside the password.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::page::time;
use super::problem::Problem;
use super::request::{Json, Session};

#[derive(Serialize)]
struct SecondFactor {
    enabled: bool,
    enabled_at: Option<String>,
    recovery_codes_left: u32,
}

#[derive(Serialize)]
struct NewSecret {
    /// For typing into an authenticator.
    secret: String,
    /// The same for a QR code.
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    code: SecretString,
}

/// Each good once in place of a code. Shown this once.
#[derive(Serialize)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

impl From<Vec<SecretString>> for RecoveryCodes {
    fn from(codes: Vec<SecretString>) -> Self {
        Self { recovery_codes: codes.iter().map(|code| code.expose_secret().to_owned()).collect() }
    }
}

#[derive(Serialize)]
struct Removed {}

pub(super) async fn read(session: Session) -> Response {
    let outcome = async {
        session.authorize_presence()?;
        let view = session.state.auth.second_factor_get(session.user_id).await?;
        let answer = SecondFactor {
            enabled: view.confirmed_at.is_some(),
            enabled_at: view.confirmed_at.map(time),
            recovery_codes_left: view.recovery_codes,
        };
        Ok::<_, Problem>(axum::Json(answer).into_response())
    };
    session.answer(outcome.await)
}

/// Begins: until a first code is shown, nothing changes.
pub(super) async fn create(session: Session) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        let new = session.state.auth.totp_begin(session.user_id).await?;
        let answer = NewSecret {
            secret: new.secret.expose_secret().to_owned(),
            url: new.url.expose_secret().to_owned(),
        };
        Ok::<_, Problem>((StatusCode::CREATED, axum::Json(answer)).into_response())
    };
    session.answer(outcome.await)
}

/// Ends every other session: what was signed in without the second factor is not good enough any more.
pub(super) async fn confirm(session: Session, Json(Code { code }): Json<Code>) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        let codes = session.state.auth.totp_confirm(session.user_id, &code).await?;
        session.answer_renewed(RecoveryCodes::from(codes)).await
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(session: Session, Json(Code { code }): Json<Code>) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        session.state.auth.totp_disable(session.user_id, &code).await?;
        session.answer_renewed(Removed {}).await
    };
    session.answer(outcome.await)
}

/// New ones in the place of all earlier ones.
pub(super) async fn recovery_codes(session: Session, Json(Code { code }): Json<Code>) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        let codes = session.state.auth.recovery_codes_renew(session.user_id, &code).await?;
        Ok::<_, Problem>((StatusCode::CREATED, axum::Json(RecoveryCodes::from(codes))).into_response())
    };
    session.answer(outcome.await)
}
