//! `…/python/projects` and one project of it.

use axum::response::{IntoResponse as _, Response};
use python::Status;
use registry::{PackagesManage, PythonProjectView};
use serde::{Deserialize, Serialize};

use super::Packaging;
use crate::api::page::{PageQuery, time};
use crate::api::problem::Problem;
use crate::api::request::{Json, Path, Query, existing_name, name};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusChange {
    status: String,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Project {
    name: String,
    display_name: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created_at: String,
}

impl From<PythonProjectView> for Project {
    fn from(view: PythonProjectView) -> Self {
        Self {
            name: view.name,
            display_name: view.display_name,
            status: view.status.as_str(),
            reason: view.status_reason,
            created_at: time(view.created_at),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Named {
    project: String,
}

pub(super) async fn list(packaging: Packaging, Query(page): Query<PageQuery>) -> Response {
    let outcome = async {
        let granted = packaging.readable().await?;
        let found = packaging.registry().python_project_list(&granted, page.after(), page.rows()).await?;
        let items: Vec<Project> = found.into_iter().map(Into::into).collect();
        Ok::<_, Problem>(page.answer(items, |project| project.name.clone()))
    };
    packaging.session.answer(outcome.await)
}

pub(super) async fn read(packaging: Packaging, Path(path): Path<Named>) -> Response {
    let outcome = async {
        let granted = packaging.readable().await?;
        let name = existing_name(&path.project)?;
        let view = packaging.registry().python_project_get(&granted, &name).await?;
        Ok::<_, Problem>(axum::Json(Project::from(view)).into_response())
    };
    packaging.session.answer(outcome.await)
}

pub(super) async fn update(
    packaging: Packaging,
    Path(path): Path<Named>,
    Json(change): Json<StatusChange>,
) -> Response {
    let outcome = async {
        let granted = packaging.grant::<PackagesManage>().await?;
        let status: Status = name("status", &change.status)?;
        let project = existing_name(&path.project)?;
        let reason = change.reason.as_deref();
        let view = packaging.registry().python_status_set(&granted, &project, status, reason).await?;
        Ok::<_, Problem>(axum::Json(Project::from(view)).into_response())
    };
    packaging.session.answer(outcome.await)
}
