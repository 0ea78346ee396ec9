//! `…/python/projects/{project}/releases` and one release of it.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use registry::{PythonReleaseView, PythonTarget};
use serde::{Deserialize, Serialize};

use super::{Packaging, Reason, Yanking};
use crate::api::page::{PageQuery, time};
use crate::api::problem::Problem;
use crate::api::request::{Json, Path, Query, existing_name};

#[derive(Serialize)]
struct Release {
    version: String,
    files: u64,
    yanked_files: u64,
    deleted_files: u64,
    created_at: String,
    #[serde(skip)]
    cursor: String,
}

impl From<PythonReleaseView> for Release {
    fn from(view: PythonReleaseView) -> Self {
        Self {
            version: view.version,
            files: view.files,
            yanked_files: view.yanked,
            deleted_files: view.deleted,
            created_at: time(view.created_at),
            cursor: view.cursor,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct InProject {
    project: String,
}

#[derive(Deserialize)]
pub(super) struct Named {
    project: String,
    version: String,
}

impl Named {
    fn target(&self) -> Result<PythonTarget, Problem> {
        Ok(PythonTarget::Release(existing_name(&self.version)?))
    }
}

pub(super) async fn list(
    packaging: Packaging,
    Path(path): Path<InProject>,
    Query(page): Query<PageQuery>,
) -> Response {
    let outcome = async {
        let granted = packaging.readable().await?;
        let project = existing_name(&path.project)?;
        let registry = packaging.registry();
        let found = registry.python_release_list(&granted, &project, page.after(), page.rows()).await?;
        let items: Vec<Release> = found.into_iter().map(Into::into).collect();
        Ok::<_, Problem>(page.answer(items, |release| release.cursor.clone()))
    };
    packaging.session.answer(outcome.await)
}

pub(super) async fn read(packaging: Packaging, Path(path): Path<Named>) -> Response {
    let outcome = shown(&packaging, &path).await;
    packaging.session.answer(outcome)
}

pub(super) async fn update(
    packaging: Packaging,
    Path(path): Path<Named>,
    Json(change): Json<Yanking>,
) -> Response {
    let outcome = async {
        packaging.yank(&path.project, &path.target()?, &change).await?;
        shown(&packaging, &path).await
    };
    packaging.session.answer(outcome.await)
}

pub(super) async fn remove(
    packaging: Packaging,
    Path(path): Path<Named>,
    Query(why): Query<Reason>,
) -> Response {
    let outcome = async {
        packaging.delete(&path.project, &path.target()?, &why).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    packaging.session.answer(outcome.await)
}

pub(super) async fn restore(packaging: Packaging, Path(path): Path<Named>) -> Response {
    let outcome = async {
        packaging.restore(&path.project, &path.target()?).await?;
        shown(&packaging, &path).await
    };
    packaging.session.answer(outcome.await)
}

async fn shown(packaging: &Packaging, path: &Named) -> Result<Response, Problem> {
    let granted = packaging.readable().await?;
    let (project, version) = (existing_name(&path.project)?, existing_name(&path.version)?);
    let view = packaging.registry().python_release_get(&granted, &project, &version).await?;
    Ok(axum::Json(Release::from(view)).into_response())
}
