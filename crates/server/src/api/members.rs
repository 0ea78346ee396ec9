//! `…/members` and `…/members/{username}`, of an organization and of a registry.

use access::Role;
use auth::AccountError;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use registry::MemberView;
use serde::{Deserialize, Serialize};

use super::page::PageQuery;
use super::problem::Problem;
use super::request::{Json, Path, Query, Session};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Membership {
    role: Role,
}

#[derive(Serialize)]
struct Member {
    username: String,
    role: Role,
    #[serde(skip)]
    user_id: i64,
}

impl From<MemberView> for Member {
    fn from(view: MemberView) -> Self {
        Self { username: view.username, role: view.role, user_id: view.user_id }
    }
}

/// The user that a path names. Only an administrator of the place is told whether there is such a user.
async fn user_id(session: &Session, username: &str) -> Result<i64, Problem> {
    Ok(session.state.auth.user_get(username).await?.id)
}

/// The same for whoever only looks: a name that nobody has gets the answer for somebody who is no member.
async fn user_id_or_nobody(session: &Session, username: &str) -> Result<i64, Problem> {
    match session.state.auth.user_get(username).await {
        Ok(user) => Ok(user.id),
        // No user has the number 0.
        Err(AccountError::NotFound) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn after(page: &PageQuery) -> i64 {
    page.after().parse().unwrap_or(0)
}

fn answer_list(page: &PageQuery, found: Vec<MemberView>) -> Response {
    let items: Vec<Member> = found.into_iter().map(Into::into).collect();
    page.answer(items, |member| member.user_id.to_string())
}

/// Members of an organization: their role counts in all its registries.
pub(super) mod of_organization {
    use registry::{OrganizationMembersList as List, OrganizationMembersManage as Manage};

    use super::*;

    pub(in crate::api) async fn list(
        session: Session,
        Path(organization): Path<String>,
        Query(page): Query<PageQuery>,
    ) -> Response {
        let outcome = async {
            let registry = &session.state.registry;
            let granted = session.organization::<List>(&organization).await?;
            let found = registry.organization_member_list(&granted, after(&page), page.rows()).await?;
            Ok::<_, Problem>(answer_list(&page, found))
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn put(
        session: Session,
        Path((organization, username)): Path<(String, String)>,
        Json(membership): Json<Membership>,
    ) -> Response {
        let outcome = async {
            let registry = &session.state.registry;
            let granted = session.organization::<Manage>(&organization).await?;
            let user_id = user_id(&session, &username).await?;
            registry.organization_member_put(&granted, user_id, membership.role).await?;
            let member = Member { username, role: membership.role, user_id };
            Ok::<_, Problem>(axum::Json(member).into_response())
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn read(
        session: Session,
        Path((organization, username)): Path<(String, String)>,
    ) -> Response {
        let outcome = async {
            let registry = &session.state.registry;
            let granted = session.organization::<List>(&organization).await?;
            let user_id = user_id_or_nobody(&session, &username).await?;
            let view = registry.organization_member_get(&granted, user_id).await?;
            Ok::<_, Problem>(axum::Json(Member::from(view)).into_response())
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn remove(
        session: Session,
        Path((organization, username)): Path<(String, String)>,
    ) -> Response {
        let outcome = async {
            let registry = &session.state.registry;
            let granted = session.organization::<Manage>(&organization).await?;
            let user_id = user_id(&session, &username).await?;
            registry.organization_member_delete(&granted, user_id).await?;
            Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
        };
        session.answer(outcome.await)
    }
}

/// Members of one registry: their role counts there, beside the one on the organization.
pub(super) mod of_registry {
    use registry::{MembersList as List, MembersManage as Manage};

    use super::*;

    pub(in crate::api) async fn list(
        session: Session,
        Path((organization, registry)): Path<(String, String)>,
        Query(page): Query<PageQuery>,
    ) -> Response {
        let outcome = async {
            let granted = session.registry::<List>(&organization, &registry).await?;
            let registry = &session.state.registry;
            let found = registry.registry_member_list(&granted, after(&page), page.rows()).await?;
            Ok::<_, Problem>(answer_list(&page, found))
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn put(
        session: Session,
        Path((organization, registry, username)): Path<(String, String, String)>,
        Json(membership): Json<Membership>,
    ) -> Response {
        let outcome = async {
            let granted = session.registry::<Manage>(&organization, &registry).await?;
            let registry = &session.state.registry;
            let user_id = user_id(&session, &username).await?;
            registry.registry_member_put(&granted, user_id, membership.role).await?;
            let member = Member { username, role: membership.role, user_id };
            Ok::<_, Problem>(axum::Json(member).into_response())
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn read(
        session: Session,
        Path((organization, registry, username)): Path<(String, String, String)>,
    ) -> Response {
        let outcome = async {
            let granted = session.registry::<List>(&organization, &registry).await?;
            let registry = &session.state.registry;
            let user_id = user_id_or_nobody(&session, &username).await?;
            let view = registry.registry_member_get(&granted, user_id).await?;
            Ok::<_, Problem>(axum::Json(Member::from(view)).into_response())
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn remove(
        session: Session,
        Path((organization, registry, username)): Path<(String, String, String)>,
    ) -> Response {
        let outcome = async {
            let granted = session.registry::<Manage>(&organization, &registry).await?;
            let registry = &session.state.registry;
            let user_id = user_id(&session, &username).await?;
            registry.registry_member_delete(&granted, user_id).await?;
            Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
        };
        session.answer(outcome.await)
    }
}
