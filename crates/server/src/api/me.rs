//! `/api/v1/me`: who one is here, and one's own password and address.

use access::TokenScope;
use auth::Credential;
use axum::response::{IntoResponse as _, Response};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::request::{AnySession, Json, Session};
use super::users::User;

#[derive(Serialize)]
struct Me {
    #[serde(flatten)]
    user: User,
    /// Whether a password alone lets nobody in.
    second_factor: bool,
    /// What was presented.
    credential: &'static str,
    /// What the token that was presented is good for at most; everything when none.
    scopes: Option<Vec<TokenScope>>,
    /// What this session's pages send along with everything that changes something.
    csrf_token: Option<String>,
}

/// The word for what was presented.
const fn credential_word(credential: Credential) -> &'static str {
    match credential {
        Credential::None => "none",
        Credential::Password => "password",
        Credential::PersonalToken => "personal_token",
        Credential::ServiceToken => "service_token",
        Credential::JobToken => "job_token",
        Credential::JobAssertion => "job_assertion",
        Credential::ProviderPassword => "provider_password",
        Credential::ProviderToken => "provider_token",
        Credential::Session => "session",
        Credential::AccessToken => "access_token",
        Credential::RefreshToken => "refresh_token",
    }
}

async fn answer(session: &Session) -> Result<Response, Problem> {
    let auth = &session.state.auth;
    let user = auth.user_get(session.username()).await?;
    let second_factor = auth.second_factor_get(session.user_id).await?;
    let me = Me {
        user: user.into(),
        second_factor: second_factor.confirmed_at.is_some(),
        credential: credential_word(session.identity.credential),
        scopes: session.caller.limit.scopes().map(<[TokenScope]>::to_vec),
        csrf_token: session.browser.as_ref().map(|browser| browser.csrf_token(auth)),
    };
    Ok(axum::Json(me).into_response())
}

/// Whatever one signs in with may ask whose it is.
pub(super) async fn read(AnySession(session): AnySession) -> Response {
    session.answer(answer(&session).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeChange {
    email: Option<String>,
}

pub(super) async fn update(session: Session, Json(change): Json<MeChange>) -> Response {
    let outcome = async {
        session.authorize_proven()?;
        if let Some(email) = change.email {
            session.state.auth.email_change(session.user_id, &email).await?;
        }
        answer(&session).await
    };
    session.answer(outcome.await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    /// Without one only for an account that has none, because its owner signs in at an identity provider.
    current_password: Option<SecretString>,
    new_password: SecretString,
}

#[derive(Serialize)]
struct Changed {}

/// A new password ends everything that the old one opened; the browser that asks gets a session anew.
pub(super) async fn password(session: Session, Json(change): Json<PasswordChange>) -> Response {
    let outcome = async {
        if change.current_password.is_some() {
            session.authorize_presence()?;
        } else {
            session.authorize_proven()?;
        }
        let (current, new) = (change.current_password.as_ref(), &change.new_password);
        session.state.auth.password_change(session.user_id, current, new, session.context.client).await?;
        session.answer_renewed(Changed {}).await
    };
    session.answer(outcome.await)
}
