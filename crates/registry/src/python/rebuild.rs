//! Making the rows of the index again from the artifacts, should they be lost.
//!
//! What artifacts do not say does not come back: yanks, statuses, and the names of deleted files. The time and
//! the author of an upload are those of its manifest.

use clock::Timestamp;
use oci::{Manifest, RepositoryName};
use python::Version;

use super::publication::Publication;
use super::publish::Described;
use super::pushed::{described_layer, python_shaped};
use super::release::MANIFEST_TYPE;
use super::{PythonSettings, Strictness};
use crate::blob::parse_key;
use crate::error::Error;
use crate::grant::{Caller, Granted, PackagesManage};
use crate::store::manifests::ManifestRecord;
use crate::store::referrers::Position;
use crate::{Registry, store};

/// Repositories and manifests that are read in one statement.
const BATCH: u32 = 256;

/// What a rebuild did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Files that the index has again.
    pub files: u64,
    /// Files that it had.
    pub known: u64,
    /// Manifests that could not be made files again, each with the reason.
    pub failed: Vec<String>,
}

impl Registry {
    /// Puts every Python artifact of a registry into its index that is not there.
    pub async fn python_rebuild(&self, granted: &Granted<PackagesManage>) -> Result<Rebuilt, Error> {
        let registry_id = granted.resource.registry_id;
        let mut rebuilt = Rebuilt::default();
        let mut after = String::new();
        loop {
            let page =
                store::repositories::repositories_python(self.db(), registry_id, &after, BATCH).await?;
            let Some((_, last)) = page.last() else { return Ok(rebuilt) };
            after.clone_from(last);
            for (repository_id, name) in &page {
                self.rebuild_repository(granted, *repository_id, name, &mut rebuilt).await?;
            }
        }
    }

    async fn rebuild_repository(
        &self,
        granted: &Granted<PackagesManage>,
        repository_id: i64,
        name: &str,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let page = store::manifests::manifests_of_type(
                self.db(),
                repository_id,
                python::ARTIFACT_TYPE,
                &after,
                BATCH,
            )
            .await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.digest);
            for record in page {
                let digest = record.digest.clone();
                match self.rebuild_file(granted, repository_id, record).await {
                    Ok(None) => {}
                    Ok(Some(true)) => rebuilt.files += 1,
                    Ok(Some(false)) => rebuilt.known += 1,
                    Err(error) => rebuilt.failed.push(format!("{name}@{digest}: {error}")),
                }
            }
        }
    }

    /// `None` when the manifest is that of no file: an index, or something that refers to one.
    async fn rebuild_file(
        &self,
        granted: &Granted<PackagesManage>,
        repository_id: i64,
        record: ManifestRecord,
    ) -> Result<Option<bool>, Error> {
        let is_file = record.media_type == MANIFEST_TYPE
            && Manifest::parse(Some(MANIFEST_TYPE), &record.body).is_ok_and(|it| python_shaped(&it));
        if !is_file {
            return Ok(None);
        }
        let (file, layer) = described_layer(&record.body)?;
        let blob = store::blobs::blob_get(self.db(), repository_id, &layer.digest)
            .await?
            .ok_or_else(|| Error::unavailable("its file is gone", "no link"))?;
        let settings = lenient(granted.resource.settings);
        let distribution = self.python_examine(&parse_key(&blob.object_key)?, &file, settings).await?;
        let caller = Caller::operator();
        let described = Described {
            distribution: &distribution,
            sha256: layer.digest.strip_prefix("sha256:").unwrap_or_default().to_owned(),
            size: layer.size,
            manifest: Some(record.body.into()),
        };
        let publication = self.publication(&granted.resource, &caller, described).await?;
        let tags = store::tags::tags_of_digest(self.db(), repository_id, &record.digest).await?;
        let version = release_version(&tags, &publication.version);
        let publication = Publication {
            actor: record.pushed_by,
            uploaded_at: Some(Timestamp::from_millis(record.created_at)),
            settings,
            version,
            ..publication
        };
        let is_new = self.commit_publication(publication).await?;
        if is_new {
            self.attestations_count(granted, repository_id, record.digest).await?;
        }
        Ok(Some(is_new))
    }

    /// Writes down how many attestations refer to a file that is in the index again.
    async fn attestations_count(
        &self,
        granted: &Granted<PackagesManage>,
        repository_id: i64,
        manifest_digest: String,
    ) -> Result<(), Error> {
        let registry_id = granted.resource.registry_id;
        let found = store::referrers::referrers_page(
            self.db(),
            repository_id,
            &manifest_digest,
            Some(python::ATTESTATION_TYPE),
            Position::START,
            BATCH,
        )
        .await?;
        if found.is_empty() {
            return Ok(());
        }
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(db::Lock::Python, registry_id).await?;
                    let project =
                        store::python_projects::project_of_repository_in(transaction, repository_id).await?;
                    let Some(project) = project else { return Ok(()) };
                    let file =
                        store::python_files::file_by_manifest_in(transaction, project, &manifest_digest)
                            .await?;
                    if let Some(file) = file {
                        let count = found.len() as u64;
                        store::python_files::file_attestations_add_in(transaction, file.id, count).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// The full name of a project's repository.
    pub(super) fn repository_name(
        packages: &crate::grant::Packages,
        name: &python::NormalizedName,
    ) -> Result<RepositoryName, oci::NameError> {
        format!("{}/{}/{name}", packages.organization, packages.registry).parse()
    }
}

/// Every file was taken in once, so whatever the registry asks of new ones is not asked again.
fn lenient(settings: PythonSettings) -> PythonSettings {
    PythonSettings {
        strict_filenames: false,
        record: Strictness::Warn,
        license_files: Strictness::Warn,
        allow_similar_names: true,
        allow_standard_library_names: true,
        ..settings
    }
}

/// How the release of a file spells its version, which may be otherwise than in the file: all tags of a release
/// begin with it.
fn release_version(tags: &[(String,)], version: &Version) -> Version {
    tags.iter()
        .filter_map(|(tag,)| python::parse_version_tag(tag.split('-').next().unwrap_or_default()))
        .find(|spelled| spelled == version)
        .unwrap_or_else(|| version.clone())
}
