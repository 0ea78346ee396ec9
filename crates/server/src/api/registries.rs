//! `/api/v1/organizations/{organization}/registries` and one registry of it.

use access::Visibility;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use registry::{
    OrganizationRead, PythonSettings, PythonSettingsChange, RegistryCreate, RegistryManage, RegistryRead,
    RegistrySettings, RegistrySettingsChange, RegistryView,
};
use serde::{Deserialize, Serialize};

use super::page::{PageQuery, time};
use super::problem::Problem;
use super::request::{Json, Path, Query, Session, name};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRegistry {
    name: String,
    visibility: Option<Visibility>,
    sparse_manifests: Option<bool>,
    redirect: Option<bool>,
    read_only: Option<bool>,
    #[serde(default)]
    python: PythonSettingsChange,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistryChange {
    visibility: Option<Visibility>,
    sparse_manifests: Option<bool>,
    redirect: Option<bool>,
    read_only: Option<bool>,
    #[serde(default)]
    python: PythonSettingsChange,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Removal {
    #[serde(default)]
    force: bool,
}

#[derive(Serialize)]
struct Registry {
    organization: String,
    name: String,
    visibility: Visibility,
    sparse_manifests: bool,
    redirect: bool,
    read_only: bool,
    python: PythonSettings,
    created_at: String,
}

impl From<RegistryView> for Registry {
    fn from(view: RegistryView) -> Self {
        Self {
            organization: view.organization,
            name: view.name,
            visibility: view.settings.visibility,
            sparse_manifests: view.settings.sparse,
            redirect: view.settings.redirect,
            read_only: view.settings.read_only,
            python: view.settings.python,
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
        let granted = session.organization::<OrganizationRead>(&organization).await?;
        let found = registry.registry_list(&granted, page.after(), page.rows()).await?;
        let items: Vec<Registry> = found.into_iter().map(Into::into).collect();
        Ok::<_, Problem>(page.answer(items, |registry| registry.name.clone()))
    };
    session.answer(outcome.await)
}

pub(super) async fn create(
    session: Session,
    Path(organization): Path<String>,
    Json(new): Json<NewRegistry>,
) -> Response {
    let outcome = async {
        let registry = &session.state.registry;
        let granted = session.organization::<RegistryCreate>(&organization).await?;
        let name = name("name", &new.name)?;
        let before = RegistrySettings::default();
        let settings = RegistrySettings {
            visibility: new.visibility.unwrap_or(before.visibility),
            sparse: new.sparse_manifests.unwrap_or(before.sparse),
            redirect: new.redirect.unwrap_or(before.redirect),
            read_only: new.read_only.unwrap_or(before.read_only),
            python: new.python.applied_to(before.python),
        };
        let view = registry.registry_create(&granted, &name, settings).await?;
        Ok::<_, Problem>((StatusCode::CREATED, axum::Json(Registry::from(view))).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn read(
    session: Session,
    Path((organization, registry)): Path<(String, String)>,
) -> Response {
    let outcome = async {
        let granted = session.registry::<RegistryRead>(&organization, &registry).await?;
        let registry = &session.state.registry;
        let view = registry.registry_get(&granted).await?;
        Ok::<_, Problem>(axum::Json(Registry::from(view)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn update(
    session: Session,
    Path((organization, registry)): Path<(String, String)>,
    Json(change): Json<RegistryChange>,
) -> Response {
    let outcome = async {
        let granted = session.registry::<RegistryManage>(&organization, &registry).await?;
        let change = RegistrySettingsChange {
            visibility: change.visibility,
            sparse: change.sparse_manifests,
            redirect: change.redirect,
            read_only: change.read_only,
            python: change.python,
        };
        session.state.registry.registry_settings_change(&granted, change).await?;
        let readable = session.registry::<RegistryRead>(&organization, &registry).await?;
        let view = session.state.registry.registry_get(&readable).await?;
        Ok::<_, Problem>(axum::Json(Registry::from(view)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(
    session: Session,
    Path((organization, registry)): Path<(String, String)>,
    Query(removal): Query<Removal>,
) -> Response {
    let outcome = async {
        let granted = session.registry::<RegistryManage>(&organization, &registry).await?;
        let registry = &session.state.registry;
        registry.registry_delete(&granted, removal.force).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}
