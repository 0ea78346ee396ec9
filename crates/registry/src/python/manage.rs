//! What people decide about projects, releases and files, and the lists that they decide by.

use clock::Timestamp;
use python::{NormalizedName, Status, Version};

use super::release::ProjectPlace;
use super::{no_project, project_hold_in};
use crate::error::{Error, ErrorKind, What};
use crate::grant::{Granted, Packages, PackagesManage, PackagesPush, PackagesRead, Right};
use crate::store::python_files::FileRow;
use crate::store::python_projects::{ProjectRow, ReleaseRow};
use crate::{Registry, store};

/// The longest reason that somebody may give, in characters.
const LONGEST_REASON: usize = 500;
/// Files that one change of a release reaches.
const MOST_FILES: u32 = 100_000;

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PythonTarget {
    /// All files of a release.
    Release(Version),
    /// One file, by its name.
    File(String),
}

/// A project, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonProjectView {
    /// In normal form.
    pub name: String,
    /// As the first upload spelled it.
    pub display_name: String,
    /// How installers are to see it.
    pub status: Status,
    /// Why.
    pub status_reason: Option<String>,
    /// When its first file came.
    pub created_at: Timestamp,
}

impl From<ProjectRow> for PythonProjectView {
    fn from(row: ProjectRow) -> Self {
        Self {
            name: row.name,
            display_name: row.display_name,
            status: row.status,
            status_reason: row.status_reason,
            created_at: row.created_at,
        }
    }
}

/// A release, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonReleaseView {
    /// As the first upload spelled it.
    pub version: String,
    /// Where a list goes on after it.
    pub cursor: String,
    /// Files that are there.
    pub files: u64,
    /// Files that are there and yanked.
    pub yanked: u64,
    /// Files that were deleted.
    pub deleted: u64,
    /// When its first file came.
    pub created_at: Timestamp,
}

/// A file, as it is shown, deleted ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonFileView {
    /// Its name.
    pub filename: String,
    /// `bdist_wheel` or `sdist`.
    pub kind: String,
    /// The SHA-256 of its content in hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
    /// The Python versions that it is for.
    pub requires_python: Option<String>,
    /// The digest of its manifest.
    pub manifest_digest: String,
    /// The tag of its manifest.
    pub tag: String,
    /// Set when it is yanked, empty when nobody said why.
    pub yanked: Option<String>,
    /// How many attestations came with it.
    pub attestations: u64,
    /// What was odd about it but let through.
    pub warnings: Vec<String>,
    /// When it came.
    pub uploaded_at: Timestamp,
    /// Who sent it.
    pub uploaded_by: String,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Who deleted it.
    pub deleted_by: Option<String>,
    /// Why.
    pub delete_reason: Option<String>,
}

impl From<FileRow> for PythonFileView {
    fn from(row: FileRow) -> Self {
        Self {
            filename: row.filename,
            kind: row.kind,
            sha256: row.sha256,
            size: row.size,
            requires_python: row.requires_python,
            manifest_digest: row.manifest_digest,
            tag: row.tag,
            yanked: row.yanked,
            attestations: row.attestations,
            warnings: serde_json::from_str(&row.warnings).unwrap_or_default(),
            uploaded_at: row.uploaded_at,
            uploaded_by: row.uploaded_by,
            deleted_at: row.deleted_at.map(Timestamp::from_millis),
            deleted_by: row.deleted_by,
            delete_reason: row.delete_reason,
        }
    }
}

impl Registry {
    /// Projects after `after`, by name.
    pub async fn python_project_list(
        &self,
        granted: &Granted<PackagesRead>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<PythonProjectView>, Error> {
        granted.check_all_projects()?;
        let registry_id = granted.resource.registry_id;
        let rows = store::python_projects::projects_list(self.db(), registry_id, after, limit).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// One project.
    pub async fn python_project_get(
        &self,
        granted: &Granted<PackagesRead>,
        name: &NormalizedName,
    ) -> Result<PythonProjectView, Error> {
        self.project_row(granted, name).await.map(Into::into)
    }

    /// Releases of a project after the cursor `after`, in the order of their versions.
    pub async fn python_release_list(
        &self,
        granted: &Granted<PackagesRead>,
        name: &NormalizedName,
        after: &str,
        limit: u32,
    ) -> Result<Vec<PythonReleaseView>, Error> {
        let project = self.project_row(granted, name).await?;
        let rows = store::python_projects::releases_list(self.db(), project.id, after, limit).await?;
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            views.push(self.release_view(row).await?);
        }
        Ok(views)
    }

    /// One release.
    pub async fn python_release_get(
        &self,
        granted: &Granted<PackagesRead>,
        name: &NormalizedName,
        version: &Version,
    ) -> Result<PythonReleaseView, Error> {
        let project = self.project_row(granted, name).await?;
        let row = self.release_row(project.id, name, version).await?;
        self.release_view(row).await
    }

    async fn release_view(&self, row: ReleaseRow) -> Result<PythonReleaseView, Error> {
        let (files, yanked, deleted) = store::python_files::files_count(self.db(), row.id).await?;
        Ok(PythonReleaseView {
            version: row.version,
            cursor: row.sort_key,
            files,
            yanked,
            deleted,
            created_at: row.created_at,
        })
    }

    /// Files of a project, or of one release of it, after `after` by name; deleted ones included.
    pub async fn python_file_list(
        &self,
        granted: &Granted<PackagesRead>,
        name: &NormalizedName,
        version: Option<&Version>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<PythonFileView>, Error> {
        let project = self.project_row(granted, name).await?;
        let rows = match version {
            None => store::python_files::files_list(self.db(), project.id, after, limit).await?,
            Some(version) => {
                let release = self.release_row(project.id, name, version).await?;
                store::python_files::files_of_release(self.db(), release.id, after, limit).await?
            }
        };
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// One file.
    pub async fn python_file_get(
        &self,
        granted: &Granted<PackagesRead>,
        name: &NormalizedName,
        filename: &str,
    ) -> Result<PythonFileView, Error> {
        let project = self.project_row(granted, name).await?;
        let row = store::python_files::file_by_name(self.db(), project.id, filename).await?;
        row.map(Into::into).ok_or_else(|| no_file(name, filename))
    }

    /// Says how installers are to see a project. A quarantined one is shut off on every way to it.
    pub async fn python_status_set(
        &self,
        granted: &Granted<PackagesManage>,
        name: &NormalizedName,
        status: Status,
        reason: Option<&str>,
    ) -> Result<PythonProjectView, Error> {
        check_reason(reason)?;
        let registry_id = granted.resource.registry_id;
        let project = self.project_row(granted, name).await?;
        let now = self.now();
        let (id, repository_id) = (project.id, project.repository_id);
        let reason = if status == Status::Active { None } else { reason.map(str::to_owned) };
        let kept = reason.clone();
        self.db()
            .write::<(), Error, _>(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    project_hold_in(transaction, registry_id, ProjectPlace { id, repository_id }).await?;
                    let reason = reason.as_deref();
                    store::python_projects::project_status_set_in(transaction, id, status, reason).await?;
                    let shut = (status == Status::Quarantined).then_some(reason.unwrap_or_default());
                    store::repositories::repository_quarantine_in(transaction, repository_id, shut).await?;
                    store::python_projects::project_touch_in(transaction, id, now).await?;
                    Ok(())
                })
            })
            .await?;
        Ok(PythonProjectView { status, status_reason: kept, ..project.into() })
    }

    /// Yanks files: installers pass them over unless somebody asks for that very version. `None` takes a yank
    /// back; an empty reason yanks without saying why.
    pub async fn python_yank(
        &self,
        granted: &Granted<PackagesPush>,
        name: &NormalizedName,
        target: &PythonTarget,
        yanked: Option<&str>,
    ) -> Result<(), Error> {
        check_reason(yanked)?;
        let registry_id = granted.resource.registry_id;
        let place = self.project_place(granted, name).await?;
        let files = self.target_files(&place, name, target, |row| row.deleted_at.is_none()).await?;
        let (yanked, now) = (yanked.map(str::to_owned), self.now());
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    project_hold_in(transaction, registry_id, place).await?;
                    for file in &files {
                        store::python_files::file_yank_in(transaction, file.id, yanked.as_deref()).await?;
                    }
                    store::python_projects::project_touch_in(transaction, place.id, now).await?;
                    Ok(())
                })
            })
            .await
    }

    /// A project, for credentials that are good for it.
    pub(super) async fn project_row<R>(
        &self,
        granted: &Granted<R>,
        name: &NormalizedName,
    ) -> Result<ProjectRow, Error>
    where
        R: Right<Resource = Packages>,
    {
        granted.check_project(name)?;
        store::python_projects::project_get(self.db(), granted.resource.registry_id, name.as_str())
            .await?
            .ok_or_else(|| no_project(name))
    }

    pub(super) async fn project_place<R>(
        &self,
        granted: &Granted<R>,
        name: &NormalizedName,
    ) -> Result<ProjectPlace, Error>
    where
        R: Right<Resource = Packages>,
    {
        let project = self.project_row(granted, name).await?;
        Ok(ProjectPlace { id: project.id, repository_id: project.repository_id })
    }

    async fn release_row(
        &self,
        project_id: i64,
        name: &NormalizedName,
        version: &Version,
    ) -> Result<ReleaseRow, Error> {
        store::python_projects::release_get(self.db(), project_id, &version.sort_key()).await?.ok_or_else(
            || Error::not_found(What::Release, format!("project {name} has no release {version}")),
        )
    }

    /// The files that a change is about; an error when there is none.
    pub(super) async fn target_files(
        &self,
        place: &ProjectPlace,
        name: &NormalizedName,
        target: &PythonTarget,
        is_meant: impl Fn(&FileRow) -> bool,
    ) -> Result<Vec<FileRow>, Error> {
        let (found, missing) = match target {
            PythonTarget::Release(version) => {
                let release = self.release_row(place.id, name, version).await?;
                let files =
                    store::python_files::files_of_release(self.db(), release.id, "", MOST_FILES).await?;
                (files, format!("release {version} of project {name} has no such files"))
            }
            PythonTarget::File(filename) => {
                let file = store::python_files::file_by_name(self.db(), place.id, filename).await?;
                let file = file.ok_or_else(|| no_file(name, filename))?;
                (vec![file], format!("'{filename}' of project {name} is in that state already"))
            }
        };
        let meant: Vec<FileRow> = found.into_iter().filter(is_meant).collect();
        if meant.is_empty() { Err(Error::new(ErrorKind::Conflict, missing)) } else { Ok(meant) }
    }
}

pub(super) fn no_file(name: &NormalizedName, filename: &str) -> Error {
    let shown: String = filename.chars().filter(|symbol| !symbol.is_control()).take(100).collect();
    Error::not_found(What::File, format!("project {name} has no file '{shown}'; its page lists what it has"))
}

pub(super) fn check_reason(reason: Option<&str>) -> Result<(), Error> {
    let Some(reason) = reason else { return Ok(()) };
    if reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control) {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            format!("a reason is one line of at most {LONGEST_REASON} characters"),
        ));
    }
    Ok(())
}
