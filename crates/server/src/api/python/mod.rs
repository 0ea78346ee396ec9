//! The Python packages of a registry, under `…/registries/{registry}/python`. This file is the list of the
//! endpoints and what they share; a handler is in the file of its resource.

mod files;
mod projects;
mod releases;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{get, post};
use registry::{
    Granted, Packages, PackagesDelete, PackagesManage, PackagesPush, PackagesRead, PythonTarget, Right,
};
use serde::Deserialize;

use super::problem::Problem;
use super::request::{Session, existing_name};
use crate::SharedState;

pub(super) fn router() -> axum::Router<SharedState> {
    axum::Router::new()
        .route("/projects", get(projects::list))
        .route("/projects/{project}", get(projects::read).patch(projects::update))
        .route("/projects/{project}/releases", get(releases::list))
        .route(
            "/projects/{project}/releases/{version}",
            get(releases::read).patch(releases::update).delete(releases::remove),
        )
        .route("/projects/{project}/releases/{version}/restore", post(releases::restore))
        .route("/projects/{project}/files", get(files::list))
        .route(
            "/projects/{project}/files/{filename}",
            get(files::read).patch(files::update).delete(files::remove),
        )
        .route("/projects/{project}/files/{filename}/restore", post(files::restore))
}

/// A session at a registry that the path names.
struct Packaging {
    session: Session,
    organization: String,
    registry: String,
}

#[derive(Deserialize)]
struct Place {
    organization: String,
    registry: String,
}

impl FromRequestParts<SharedState> for Packaging {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, state).await?;
        let super::request::Path(Place { organization, registry }) =
            super::request::Path::from_request_parts(parts, state).await?;
        Ok(Self { session, organization, registry })
    }
}

impl Packaging {
    /// What the registry of this server does.
    fn registry(&self) -> &registry::Registry {
        &self.session.state.registry
    }

    async fn grant<R>(&self) -> Result<Granted<R>, Problem>
    where
        R: Right<Resource = Packages>,
    {
        let (organization, name) = (existing_name(&self.organization)?, existing_name(&self.registry)?);
        Ok(self.registry().authorize_packages::<R>(&self.session.caller, &organization, &name).await?)
    }

    async fn readable(&self) -> Result<Granted<PackagesRead>, Problem> {
        self.grant().await
    }

    /// Yanks or takes a yank back, as the client says.
    async fn yank(&self, project: &str, target: &PythonTarget, change: &Yanking) -> Result<(), Problem> {
        let granted = self.grant::<PackagesPush>().await?;
        let reason = change.reason()?;
        Ok(self.registry().python_yank(&granted, &existing_name(project)?, target, reason).await?)
    }

    async fn delete(&self, project: &str, target: &PythonTarget, why: &Reason) -> Result<(), Problem> {
        let granted = self.grant::<PackagesDelete>().await?;
        let reason = why.reason.as_deref();
        Ok(self.registry().python_delete(&granted, &existing_name(project)?, target, reason).await?)
    }

    async fn restore(&self, project: &str, target: &PythonTarget) -> Result<(), Problem> {
        let granted = self.grant::<PackagesManage>().await?;
        Ok(self.registry().python_restore(&granted, &existing_name(project)?, target).await?)
    }
}

/// A yank, or the end of one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Yanking {
    yanked: bool,
    reason: Option<String>,
}

impl Yanking {
    /// The reason of a yank, empty without one; `None` when there is to be no yank.
    fn reason(&self) -> Result<Option<&str>, Problem> {
        match (self.yanked, self.reason.as_deref()) {
            (true, reason) => Ok(Some(reason.unwrap_or_default())),
            (false, None) => Ok(None),
            (false, Some(_)) => Err(Problem::invalid("reason", "a reason goes with yanked=true alone")),
        }
    }
}

/// Why something is deleted.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: Option<String>,
}
