//! `/api/v1/organizations/{organization}/group-roles`: the roles that the groups of an identity provider have,
//! on the organization or on one registry of it.

use access::Role;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use oci::RegistryName;
use registry::{GroupRoleView, NewGroupRole, OrganizationMembersManage as Manage};
use serde::{Deserialize, Serialize};

use super::page::{PageQuery, time};
use super::problem::Problem;
use super::request::{Json, Path, Query, Session, existing_name};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupRoleRequest {
    provider: String,
    group: String,
    role: Role,
    /// Without it the role counts in the whole organization.
    registry: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupRoleChange {
    role: Role,
}

#[derive(Serialize)]
struct GroupRole {
    id: String,
    provider: String,
    group: String,
    role: Role,
    registry: Option<String>,
    created_at: String,
}

impl From<GroupRoleView> for GroupRole {
    fn from(view: GroupRoleView) -> Self {
        Self {
            id: view.id,
            provider: view.provider,
            group: view.group,
            role: view.role,
            registry: view.registry,
            created_at: time(view.created_at),
        }
    }
}

pub(super) async fn list(
    session: Session,
    Path(organization): Path<String>,
    Query(page): Query<PageQuery>,
) -> Response {
    let outcome = async {
        let registry = &session.state.registry;
        let granted = session.organization::<Manage>(&organization).await?;
        let found = registry.group_role_list(&granted, page.after(), page.rows()).await?;
        let items: Vec<GroupRole> = found.into_iter().map(Into::into).collect();
        Ok::<_, Problem>(page.answer(items, |role| role.id.clone()))
    };
    session.answer(outcome.await)
}

pub(super) async fn create(
    session: Session,
    Path(organization): Path<String>,
    Json(new): Json<GroupRoleRequest>,
) -> Response {
    let outcome = async {
        let registry = &session.state.registry;
        let granted = session.organization::<Manage>(&organization).await?;
        let place: Option<RegistryName> = new.registry.as_deref().map(existing_name).transpose()?;
        let provider_is_known = session.state.auth.providers().iter().any(|known| known.name == new.provider);
        if !provider_is_known {
            return Err(Problem::invalid(
                "provider",
                "provider has to be one that this server is configured with; GET /api/v1/auth lists them",
            ));
        }
        let new = NewGroupRole { provider: new.provider, group: new.group, role: new.role, registry: place };
        let view = registry.group_role_create(&granted, new).await?;
        Ok::<_, Problem>((StatusCode::CREATED, axum::Json(GroupRole::from(view))).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn read(
    session: Session,
    Path((organization, group_role)): Path<(String, String)>,
) -> Response {
    let outcome = async {
        let registry = &session.state.registry;
        let granted = session.organization::<Manage>(&organization).await?;
        let view = registry.group_role_get(&granted, &group_role).await?;
        Ok::<_, Problem>(axum::Json(GroupRole::from(view)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn update(
    session: Session,
    Path((organization, group_role)): Path<(String, String)>,
    Json(change): Json<GroupRoleChange>,
) -> Response {
    let outcome = async {
        let registry = &session.state.registry;
        let granted = session.organization::<Manage>(&organization).await?;
        registry.group_role_set(&granted, &group_role, change.role).await?;
        let view = registry.group_role_get(&granted, &group_role).await?;
        Ok::<_, Problem>(axum::Json(GroupRole::from(view)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(
    session: Session,
    Path((organization, group_role)): Path<(String, String)>,
) -> Response {
    let outcome = async {
        let registry = &session.state.registry;
        let granted = session.organization::<Manage>(&organization).await?;
        registry.group_role_delete(&granted, &group_role).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}
