//! What installers read.

use std::io::Read as _;

use bytes::Bytes;
use clock::Timestamp;
use python::{NormalizedName, Status, Version};

use super::manage::no_file;
use super::publish::content_digest;
use crate::blob::{BlobContent, parse_key, storage_failed};
use crate::error::{Error, ErrorKind, PackageFault, What};
use crate::grant::{Granted, PackagesRead, quarantined};
use crate::store::python_files::{FileRow, PageRow};
use crate::store::python_projects::ProjectRow;
use crate::store::referrers::Position;
use crate::{Registry, store};

/// Names that are read in one statement.
const NAMES_AT_ONCE: u32 = 5_000;
/// Referrers of one file that are looked at for attestations: more than uploads can have brought.
const MOST_LOOKED_AT: u32 = 256;
/// The longest attestation, in bytes; no longer one is taken in.
const LONGEST_ATTESTATION: u64 = 1024 * 1024;

/// Which state of the list of projects it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectList {
    /// The registry's number.
    pub registry_id: i64,
    /// Rises whenever a project joins.
    pub serial: i64,
    /// Whether anybody may read it.
    pub public: bool,
}

/// Which state of a project's page it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectState {
    /// The project's number.
    pub id: i64,
    /// Rises with every change of the page.
    pub serial: i64,
    /// Whether anybody may read it.
    pub public: bool,
    /// The project's name in normal form.
    pub name: String,
    /// How installers are to see it.
    pub status: Status,
    /// Why.
    pub status_reason: Option<String>,
}

/// What a project's page shows.
#[derive(Clone, Debug)]
pub struct ProjectPage {
    /// Its versions in their order.
    pub versions: Vec<String>,
    /// Its files, by version and then by name.
    pub files: Vec<ProjectPageFile>,
}

/// One file of a page.
#[derive(Clone, Debug)]
pub struct ProjectPageFile {
    /// The version of its release.
    pub version: String,
    /// Its name.
    pub filename: String,
    /// The SHA-256 of its content in hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
    /// The Python versions that it is for.
    pub requires_python: Option<String>,
    /// The SHA-256 of its METADATA; only wheels have one that installers may rely on.
    pub metadata_sha256: Option<String>,
    /// Set when it is yanked, empty when nobody said why.
    pub yanked: Option<String>,
    /// Whether it has attestations.
    pub attested: bool,
    /// When it came.
    pub uploaded_at: Timestamp,
}

impl From<PageRow> for ProjectPageFile {
    fn from(row: PageRow) -> Self {
        Self {
            version: row.version,
            filename: row.filename,
            sha256: row.sha256,
            size: row.size,
            requires_python: row.requires_python,
            // What an sdist says of itself may change when it is built.
            metadata_sha256: (row.kind == python::Kind::Wheel.as_str()).then_some(row.metadata_sha256),
            yanked: row.yanked,
            attested: row.attestations > 0,
            uploaded_at: Timestamp::from_millis(row.uploaded_at),
        }
    }
}

/// A file, ready to be read with [`Registry::blob_read`].
#[derive(Clone, Debug)]
pub struct PythonFile {
    /// Its bytes.
    pub content: BlobContent,
    /// When it came.
    pub uploaded_at: Timestamp,
    /// Whether anybody may read it.
    pub public: bool,
}

impl Registry {
    /// Which state of the list of projects there is, for credentials that are good for all of them.
    pub fn python_projects(&self, granted: &Granted<PackagesRead>) -> Result<ProjectList, Error> {
        granted.check_all_projects()?;
        let packages = &granted.resource;
        Ok(ProjectList {
            registry_id: packages.registry_id,
            serial: packages.serial,
            public: packages.public,
        })
    }

    /// The names of all projects, in order.
    pub async fn python_project_names(&self, granted: &Granted<PackagesRead>) -> Result<Vec<String>, Error> {
        granted.check_all_projects()?;
        let registry_id = granted.resource.registry_id;
        let mut names: Vec<String> = Vec::new();
        loop {
            let after = names.last().map(String::as_str).unwrap_or_default();
            let page =
                store::python_projects::project_names(self.db(), registry_id, after, NAMES_AT_ONCE).await?;
            let is_last = page.len() < NAMES_AT_ONCE as usize;
            names.extend(page.into_iter().map(|(name,)| name));
            if is_last {
                return Ok(names);
            }
        }
    }

    /// Which state of a project's page there is.
    pub async fn python_project(
        &self,
        granted: &Granted<PackagesRead>,
        name: &NormalizedName,
    ) -> Result<ProjectState, Error> {
        let row = self.project_row(granted, name).await?;
        Ok(ProjectState {
            id: row.id,
            serial: row.serial,
            public: granted.resource.public,
            name: row.name,
            status: row.status,
            status_reason: row.status_reason,
        })
    }

    /// What a project's page shows: its files, unless it is quarantined, and then only the versions.
    pub async fn python_page(
        &self,
        _granted: &Granted<PackagesRead>,
        state: &ProjectState,
    ) -> Result<ProjectPage, Error> {
        let rows = store::python_files::files_of_page(self.db(), state.id).await?;
        let mut versions: Vec<String> = rows.iter().map(|row| row.version.clone()).collect();
        versions.dedup();
        let files = match state.status {
            Status::Quarantined => Vec::new(),
            Status::Active | Status::Archived | Status::Deprecated => {
                rows.into_iter().map(Into::into).collect()
            }
        };
        Ok(ProjectPage { versions, files })
    }

    /// A file for reading. Its name and its digest have to be those of one file of the project.
    pub async fn python_file(
        &self,
        granted: &Granted<PackagesRead>,
        name: &NormalizedName,
        sha256: &str,
        filename: &str,
    ) -> Result<PythonFile, Error> {
        let (project, file) = self.readable_file(granted, name, Some(sha256), filename).await?;
        let digest = content_digest(&file.sha256)?;
        let packages = &granted.resource;
        let repository = Self::repository_name(packages, name)
            .map_err(|error| Error::unavailable("a stored name cannot be read", error))?;
        let blob = store::blobs::blob_get_or_last(self.db(), project.repository_id, digest.as_str())
            .await?
            .ok_or_else(|| storage_failed("a file has lost its content"))?;
        Ok(PythonFile {
            content: BlobContent::new(&blob, packages.redirect, project.repository_id, repository, digest)?,
            uploaded_at: file.uploaded_at,
            public: packages.public,
        })
    }

    /// The METADATA of a wheel, byte for byte.
    pub async fn python_metadata(
        &self,
        granted: &Granted<PackagesRead>,
        name: &NormalizedName,
        sha256: &str,
        filename: &str,
    ) -> Result<Bytes, Error> {
        let (_, file) = self.readable_file(granted, name, Some(sha256), filename).await?;
        if file.kind != python::Kind::Wheel.as_str() {
            return Err(Error::not_found(
                What::File,
                format!("'{filename}' is no wheel, and only wheels have metadata that holds before a build"),
            ));
        }
        let body = store::python_files::metadata_get(self.db(), &file.metadata_sha256)
            .await?
            .ok_or_else(|| storage_failed("a file has lost its metadata"))?;
        Ok(Bytes::from(body))
    }

    /// The attestations of a file as one provenance object (PEP 740).
    pub async fn python_provenance(
        &self,
        granted: &Granted<PackagesRead>,
        name: &NormalizedName,
        version: &Version,
        filename: &str,
    ) -> Result<Vec<u8>, Error> {
        let (project, file) = self.readable_file(granted, name, None, filename).await?;
        let release = store::python_projects::release_get(self.db(), project.id, &version.sort_key()).await?;
        if release.is_none_or(|release| release.id != file.release_id) {
            return Err(no_file(name, filename));
        }
        let none = || Error::not_found(What::File, format!("'{filename}' came without attestations"));
        if file.attestations == 0 {
            return Err(none());
        }
        let rows = store::referrers::referrers_page(
            self.db(),
            project.repository_id,
            &file.manifest_digest,
            Some(python::ATTESTATION_TYPE),
            Position::START,
            MOST_LOOKED_AT,
        )
        .await?;
        let mut attestations = Vec::with_capacity(rows.len());
        for (_, manifest_id, _) in rows {
            // The config is the other edge, and every file shares it.
            for (digest,) in store::manifests::edges_of(self.db(), manifest_id).await? {
                if digest == python::EMPTY_CONFIG_SHA256 {
                    continue;
                }
                // Whoever may push can attach whatever they like; not all of it is about this file.
                let found = self.short_blob(project.repository_id, &digest).await?;
                attestations.extend(found.filter(|json| is_about(json, &file)));
            }
        }
        if attestations.is_empty() {
            return Err(none());
        }
        Ok(python::provenance(attestations.iter().map(Vec::as_slice)))
    }

    /// A blob as a whole, if it is there and short.
    pub(super) async fn short_blob(
        &self,
        repository_id: i64,
        digest: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let row = store::blobs::blob_get(self.db(), repository_id, digest).await?;
        let Some(row) = row.filter(|row| row.size <= LONGEST_ATTESTATION) else { return Ok(None) };
        let key = parse_key(&row.object_key)?;
        let read = self.blobs().inspect(&key, |reader, _| {
            let mut bytes = Vec::new();
            reader.take(LONGEST_ATTESTATION).read_to_end(&mut bytes).map(|_| bytes)
        });
        read.await.map_err(storage_failed)?.map_err(storage_failed).map(Some)
    }

    /// A file that may be read: the one place that says what of a project is shut off.
    async fn readable_file(
        &self,
        granted: &Granted<PackagesRead>,
        name: &NormalizedName,
        sha256: Option<&str>,
        filename: &str,
    ) -> Result<(ProjectRow, FileRow), Error> {
        let project = self.project_row(granted, name).await?;
        let file = store::python_files::file_by_name(self.db(), project.id, filename)
            .await?
            .filter(|file| sha256.is_none_or(|sha256| sha256.eq_ignore_ascii_case(&file.sha256)))
            .ok_or_else(|| no_file(name, filename))?;
        if project.status == Status::Quarantined {
            return Err(quarantined(name.as_str(), project.status_reason.as_deref().unwrap_or_default()));
        }
        if file.deleted_at.is_some() {
            let because =
                file.delete_reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            return Err(Error::new(
                ErrorKind::Package(PackageFault::Gone),
                format!("'{filename}' was deleted{because}; use another version"),
            ));
        }
        Ok((project, file))
    }
}

/// Whether this is an attestation of a file, as one that comes with an upload has to be.
pub(super) fn is_about(json: &[u8], file: &FileRow) -> bool {
    let (Ok(json), Ok(filename)) = (std::str::from_utf8(json), file.filename.parse()) else { return false };
    let mut sha256 = [0; 32];
    hex::decode_to_slice(&file.sha256, &mut sha256).is_ok()
        && python::parse_attestations(&format!("[{json}]"), &filename, &sha256).is_ok()
}
