//! `…/python/projects/{project}/files` and one file of it. Deleted files are listed too: their names stay used.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use registry::{PythonFileView, PythonTarget};
use serde::{Deserialize, Serialize};

use super::{Packaging, Reason, Yanking};
use crate::api::page::{PageQuery, time};
use crate::api::problem::Problem;
use crate::api::request::{Json, Path, Query, existing_name};

#[derive(Serialize)]
struct File {
    filename: String,
    kind: String,
    sha256: String,
    size: u64,
    requires_python: Option<String>,
    manifest_digest: String,
    tag: String,
    yanked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    yanked_reason: Option<String>,
    attestations: u64,
    warnings: Vec<String>,
    uploaded_at: String,
    uploaded_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<Deletion>,
}

#[derive(Serialize)]
struct Deletion {
    at: String,
    by: Option<String>,
    reason: Option<String>,
}

impl From<PythonFileView> for File {
    fn from(view: PythonFileView) -> Self {
        let (by, reason) = (view.deleted_by, view.delete_reason);
        Self {
            filename: view.filename,
            kind: view.kind,
            sha256: view.sha256,
            size: view.size,
            requires_python: view.requires_python,
            manifest_digest: view.manifest_digest,
            tag: view.tag,
            yanked: view.yanked.is_some(),
            yanked_reason: view.yanked.filter(|reason| !reason.is_empty()),
            attestations: view.attestations,
            warnings: view.warnings,
            uploaded_at: time(view.uploaded_at),
            uploaded_by: view.uploaded_by,
            deleted: view.deleted_at.map(|at| Deletion { at: time(at), by, reason }),
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
    filename: String,
}

impl Named {
    fn target(&self) -> PythonTarget {
        PythonTarget::File(self.filename.clone())
    }
}

/// Which files are asked for.
#[derive(Deserialize)]
pub(super) struct Filter {
    /// Those of one release.
    version: Option<String>,
}

pub(super) async fn list(
    packaging: Packaging,
    Path(path): Path<InProject>,
    Query(filter): Query<Filter>,
    Query(page): Query<PageQuery>,
) -> Response {
    let outcome = async {
        let granted = packaging.readable().await?;
        let project = existing_name(&path.project)?;
        let version = filter.version.as_deref().map(existing_name).transpose()?;
        let registry = packaging.registry();
        let found = registry
            .python_file_list(&granted, &project, version.as_ref(), page.after(), page.rows())
            .await?;
        let items: Vec<File> = found.into_iter().map(Into::into).collect();
        Ok::<_, Problem>(page.answer(items, |file| file.filename.clone()))
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
        packaging.yank(&path.project, &path.target(), &change).await?;
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
        packaging.delete(&path.project, &path.target(), &why).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    packaging.session.answer(outcome.await)
}

pub(super) async fn restore(packaging: Packaging, Path(path): Path<Named>) -> Response {
    let outcome = async {
        packaging.restore(&path.project, &path.target()).await?;
        shown(&packaging, &path).await
    };
    packaging.session.answer(outcome.await)
}

async fn shown(packaging: &Packaging, path: &Named) -> Result<Response, Problem> {
    let granted = packaging.readable().await?;
    let project = existing_name(&path.project)?;
    let view = packaging.registry().python_file_get(&granted, &project, &path.filename).await?;
    Ok(axum::Json(File::from(view)).into_response())
}
