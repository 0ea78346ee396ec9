//! `/api/v1/organizations/{organization}/service-accounts`, one of them, and its tokens: accounts that machines
//! use. Their roles are given like those of anybody else, with the members of the organization or a registry.

use auth::{Credential, ServiceAccountView};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use registry::{OrganizationMembersList, OrganizationMembersManage};
use serde::{Deserialize, Serialize};

use super::page::{PageQuery, time};
use super::problem::Problem;
use super::request::{Json, Path, Query, Session};
use super::tokens::{Rotation, Token, TokenRequest, created};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewServiceAccount {
    name: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceAccountChange {
    description: Option<String>,
    disabled: Option<bool>,
}

#[derive(Serialize)]
struct ServiceAccount {
    name: String,
    /// Under which it signs in, and is made a member.
    username: String,
    description: String,
    disabled: bool,
    created_at: String,
}

impl From<ServiceAccountView> for ServiceAccount {
    fn from(view: ServiceAccountView) -> Self {
        Self {
            name: view.name().to_owned(),
            username: view.username,
            description: view.description,
            disabled: view.disabled_at.is_some(),
            created_at: time(view.created_at),
        }
    }
}

/// Refuses the credentials of jobs: they are over soon, and what they could make here would not be.
pub(super) fn outlives_no_job(session: &Session) -> Result<(), Problem> {
    if matches!(session.identity.credential, Credential::JobToken | Credential::JobAssertion) {
        return Err(Problem::denied(
            "the token of a job makes no tokens, bindings or invitations; use a personal token or one of a \
             service account",
        ));
    }
    Ok(())
}

/// The organization's number, once the caller was found to manage it.
pub(super) async fn managed_organization(session: &Session, organization: &str) -> Result<i64, Problem> {
    Ok(session.organization::<OrganizationMembersManage>(organization).await?.organization_id())
}

/// A service account of an organization that the caller manages, behind the organization's number.
pub(super) async fn managed_account(
    session: &Session,
    organization: &str,
    account: &str,
) -> Result<(i64, ServiceAccountView), Problem> {
    let id = managed_organization(session, organization).await?;
    Ok((id, session.state.auth.service_account_get(id, organization, account).await?))
}

pub(super) async fn list(
    session: Session,
    Path(organization): Path<String>,
    Query(page): Query<PageQuery>,
) -> Response {
    let outcome = async {
        let granted = session.organization::<OrganizationMembersList>(&organization).await?;
        let auth = &session.state.auth;
        let after = Some(page.after()).filter(|after| !after.is_empty());
        let found = auth.service_account_list(granted.organization_id(), after, page.rows()).await?;
        let items: Vec<ServiceAccount> = found.into_iter().map(Into::into).collect();
        Ok::<_, Problem>(page.answer(items, |account| account.username.clone()))
    };
    session.answer(outcome.await)
}

pub(super) async fn create(
    session: Session,
    Path(organization): Path<String>,
    Json(new): Json<NewServiceAccount>,
) -> Response {
    let outcome = async {
        let id = managed_organization(&session, &organization).await?;
        let auth = &session.state.auth;
        let view = auth.service_account_create(id, &organization, &new.name, &new.description).await?;
        Ok::<_, Problem>((StatusCode::CREATED, axum::Json(ServiceAccount::from(view))).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn read(
    session: Session,
    Path((organization, account)): Path<(String, String)>,
) -> Response {
    let outcome = async {
        let granted = session.organization::<OrganizationMembersList>(&organization).await?;
        let auth = &session.state.auth;
        let view = auth.service_account_get(granted.organization_id(), &organization, &account).await?;
        Ok::<_, Problem>(axum::Json(ServiceAccount::from(view)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn update(
    session: Session,
    Path((organization, account)): Path<(String, String)>,
    Json(change): Json<ServiceAccountChange>,
) -> Response {
    let outcome = async {
        let (organization, mut view) = managed_account(&session, &organization, &account).await?;
        let auth = &session.state.auth;
        if let Some(description) = &change.description {
            view = auth.service_account_describe(organization, view.id, description).await?;
        }
        if let Some(disabled) = change.disabled {
            view = auth.service_account_set_disabled(organization, view.id, disabled).await?;
        }
        Ok::<_, Problem>(axum::Json(ServiceAccount::from(view)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(
    session: Session,
    Path((organization, account)): Path<(String, String)>,
) -> Response {
    let outcome = async {
        let (organization, account) = managed_account(&session, &organization, &account).await?;
        session.state.auth.service_account_delete(organization, account.id).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}

/// Tokens of a service account.
pub(super) mod tokens {
    use super::*;

    pub(in crate::api) async fn list(
        session: Session,
        Path((organization, account)): Path<(String, String)>,
        Query(page): Query<PageQuery>,
    ) -> Response {
        let outcome = async {
            let (_, account) = managed_account(&session, &organization, &account).await?;
            let after = Some(page.after()).filter(|after| !after.is_empty());
            let found = session.state.auth.service_token_list(account.id, after, page.rows()).await?;
            let items: Vec<Token> = found.into_iter().map(Into::into).collect();
            Ok::<_, Problem>(page.answer(items, |token| token.id.clone()))
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn create(
        session: Session,
        Path((organization, account)): Path<(String, String)>,
        Json(new): Json<TokenRequest>,
    ) -> Response {
        let outcome = async {
            let (_, account) = managed_account(&session, &organization, &account).await?;
            let auth = &session.state.auth;
            let made = auth.service_token_create(&session.identity, account.id, new.parse()?).await?;
            Ok::<_, Problem>(created(made))
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn rotate(
        session: Session,
        Path((organization, account, token)): Path<(String, String, String)>,
        Json(rotation): Json<Rotation>,
    ) -> Response {
        let outcome = async {
            let (_, account) = managed_account(&session, &organization, &account).await?;
            // What is rotated has the life of what it replaces, whoever asks.
            outlives_no_job(&session)?;
            let made = session.state.auth.token_rotate(account.id, &token, rotation.overlap()).await?;
            Ok::<_, Problem>(created(made))
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn remove(
        session: Session,
        Path((organization, account, token)): Path<(String, String, String)>,
    ) -> Response {
        let outcome = async {
            let (_, account) = managed_account(&session, &organization, &account).await?;
            session.state.auth.token_delete(account.id, &token).await?;
            Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
        };
        session.answer(outcome.await)
    }
}
