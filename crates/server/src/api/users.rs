//! `/api/v1/users`, `/api/v1/users/{username}` and `/api/v1/me`.

use access::InstanceAction;
use auth::{NewUser, UserView};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::page::{PageQuery, time};
use super::problem::Problem;
use super::request::{Json, Path, Query, Session};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserRequest {
    username: String,
    email: String,
    password: String,
}

#[derive(Serialize)]
struct User {
    username: String,
    email: String,
    system_admin: bool,
    created_at: String,
}

impl From<UserView> for User {
    fn from(view: UserView) -> Self {
        Self {
            username: view.username,
            email: view.email,
            system_admin: view.system_admin,
            created_at: time(view.created_at),
        }
    }
}

pub(super) async fn me(session: Session) -> Response {
    let outcome = async {
        let name = session.caller.principal.user().map(|user| user.name.to_string()).unwrap_or_default();
        let view = session.state.auth.user_get(&name).await?;
        Ok::<_, Problem>(axum::Json(User::from(view)).into_response())
    };
    session.answer(outcome.await)
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
        let new = NewUser {
            username: new.username,
            email: new.email,
            password: SecretString::from(new.password),
            system_admin: false,
        };
        let view = session.state.auth.user_create(new).await?;
        Ok::<_, Problem>((StatusCode::CREATED, axum::Json(User::from(view))).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn read(session: Session, Path(username): Path<String>) -> Response {
    let outcome = async {
        session.authorize_instance(InstanceAction::UsersManage)?;
        let view = session.state.auth.user_get(&username).await?;
        Ok::<_, Problem>(axum::Json(User::from(view)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(session: Session, Path(username): Path<String>) -> Response {
    let outcome = async {
        session.authorize_instance(InstanceAction::UsersManage)?;
        session.state.auth.user_delete(&username).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}
