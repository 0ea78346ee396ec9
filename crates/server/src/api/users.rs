//! `/api/v1/users` and `/api/v1/users/{username}`: the people with an account, for who runs the instance.

use access::{AccountKind, InstanceAction};
use auth::{AccountError, NewUser, UserView};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::page::{PageQuery, time};
use super::problem::Problem;
use super::request::{Json, Path, Query, Session};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserRequest {
    username: String,
    email: String,
    password: SecretString,
}

/// What changes; what is left out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    disabled: Option<bool>,
    system_admin: Option<bool>,
}

/// An account as answers show it.
#[derive(Serialize)]
pub(super) struct User {
    pub(super) username: String,
    kind: &'static str,
    email: String,
    email_verified: bool,
    system_admin: bool,
    disabled: bool,
    created_at: String,
}

impl From<UserView> for User {
    fn from(view: UserView) -> Self {
        Self {
            username: view.username,
            kind: view.kind.as_str(),
            email: view.email,
            email_verified: view.email_verified_at.is_some(),
            system_admin: view.system_admin,
            disabled: view.is_disabled,
            created_at: time(view.created_at),
        }
    }
}

/// The person of this name. A service account is its organization's, and none of those.
async fn person(session: &Session, username: &str) -> Result<UserView, Problem> {
    session.authorize_instance(InstanceAction::UsersManage)?;
    let view = session.state.auth.user_get(username).await?;
    if view.kind == AccountKind::Person { Ok(view) } else { Err(AccountError::NotFound.into()) }
}

pub(super) async fn list(session: Session, Query(page): Query<PageQuery>) -> Response {
    let outcome = async {
        session.authorize_instance(InstanceAction::UsersManage)?;
        let found = session.state.auth.user_list(Some(page.after()), page.rows()).await?;
        let items: Vec<User> = found.into_iter().map(Into::into).collect();
        Ok(page.answer(items, |user| user.username.clone()))
    };
    session.answer(outcome.await)
}

pub(super) async fn create(session: Session, Json(new): Json<UserRequest>) -> Response {
    let outcome = async {
        session.authorize_instance(InstanceAction::UsersManage)?;
        let new =
            NewUser { username: new.username, email: new.email, password: new.password, system_admin: false };
        let view = session.state.auth.user_create(new).await?;
        Ok::<_, Problem>((StatusCode::CREATED, axum::Json(User::from(view))).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn read(session: Session, Path(username): Path<String>) -> Response {
    let outcome = async {
        let view = person(&session, &username).await?;
        Ok::<_, Problem>(axum::Json(User::from(view)).into_response())
    };
    session.answer(outcome.await)
}

/// A token that was left lying about must not make administrators or lock them out.
pub(super) async fn update(
    session: Session,
    Path(username): Path<String>,
    Json(change): Json<UserChange>,
) -> Response {
    let outcome = async {
        person(&session, &username).await?;
        let auth = &session.state.auth;
        if let Some(system_admin) = change.system_admin {
            session.authorize_presence()?;
            auth.user_set_admin(&username, system_admin).await?;
        }
        let view = match change.disabled {
            Some(true) => auth.user_disable(&username).await?,
            Some(false) => auth.user_enable(&username).await?,
            None => auth.user_get(&username).await?,
        };
        Ok::<_, Problem>(axum::Json(User::from(view)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(session: Session, Path(username): Path<String>) -> Response {
    let outcome = async {
        person(&session, &username).await?;
        session.state.auth.user_delete(&username, registry::user_may_go_in).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}

#[derive(Serialize)]
struct PasswordReset {
    /// For `POST /api/v1/auth/password/reset`; good once.
    code: String,
    /// The page that takes it.
    url: String,
}

/// A link with which the user sets a new password, for where no mail is sent. The administrator never learns the
/// password.
pub(super) async fn password_reset(session: Session, Path(username): Path<String>) -> Response {
    let outcome = async {
        person(&session, &username).await?;
        session.authorize_presence()?;
        let code = session.state.auth.password_reset_link(&username).await?;
        let code = code.expose_secret().to_owned();
        let url = format!("{}/reset-password?code={code}", session.context.base_url);
        Ok::<_, Problem>((StatusCode::CREATED, axum::Json(PasswordReset { code, url })).into_response())
    };
    session.answer(outcome.await)
}

/// Takes the second factor away from somebody who lost it.
pub(super) async fn second_factor_remove(session: Session, Path(username): Path<String>) -> Response {
    let outcome = async {
        let view = person(&session, &username).await?;
        session.authorize_presence()?;
        session.state.auth.second_factor_remove(&view.username).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}
