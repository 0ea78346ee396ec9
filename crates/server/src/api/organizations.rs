//! `/api/v1/organizations` and `/api/v1/organizations/{organization}`.

use access::InstanceAction;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use registry::{OrganizationDelete, OrganizationRead, OrganizationView};
use serde::{Deserialize, Serialize};

use super::page::{PageQuery, time};
use super::problem::Problem;
use super::request::{Json, Path, Query, Session, name};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrganization {
    name: String,
}

#[derive(Serialize)]
struct Organization {
    name: String,
    created_at: String,
}

impl From<OrganizationView> for Organization {
    fn from(view: OrganizationView) -> Self {
        Self { name: view.name, created_at: time(view.created_at) }
    }
}

pub(super) async fn list(session: Session, Query(page): Query<PageQuery>) -> Response {
    let outcome = async {
        let registry = &session.state.registry;
        let found = registry.organization_list(&session.caller, page.after(), page.rows()).await?;
        let items: Vec<Organization> = found.into_iter().map(Into::into).collect();
        Ok(page.answer(items, |organization| organization.name.clone()))
    };
    session.answer(outcome.await)
}

pub(super) async fn create(session: Session, Json(new): Json<NewOrganization>) -> Response {
    let outcome = async {
        session.authorize_instance(InstanceAction::OrganizationCreate)?;
        let name = name("name", &new.name)?;
        let view = session.state.registry.organization_create(&name, session.user_id).await?;
        Ok((StatusCode::CREATED, axum::Json(Organization::from(view))).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn read(session: Session, Path(organization): Path<String>) -> Response {
    let outcome = async {
        let registry = &session.state.registry;
        let granted = session.organization::<OrganizationRead>(&organization).await?;
        let view = registry.organization_get(&granted).await?;
        Ok::<_, Problem>(axum::Json(Organization::from(view)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(session: Session, Path(organization): Path<String>) -> Response {
    let outcome = async {
        let registry = &session.state.registry;
        let granted = session.organization::<OrganizationDelete>(&organization).await?;
        registry.organization_delete(&granted).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}
