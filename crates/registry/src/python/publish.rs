use bytes::Bytes;
use python::{Attestation, Distribution, EMPTY_CONFIG, FileManifest, FileName, Kind, UploadForm};
use sha2::{Digest as _, Sha256};

use super::attest::{NewAttestation, attestations_add_in, sha256_of};
use super::publication::{
    Duplicate, Held, Publication, check_status, compare, empty_config_sha256, publish_in,
};
use super::release::ProjectPlace;
use super::stage::STAGING;
use super::{StagedFile, Times, hex_digest, project_hold_in};
use crate::blob::sync_failed;
use crate::error::{Error, ErrorKind, PackageFault};
use crate::grant::{Granted, Packages, PackagesPush};
use crate::store::python_files::FileRow;
use crate::{Caller, Registry, store};

/// Attestations that one file may gather over all its uploads.
pub(super) const MOST_ATTESTATIONS: u64 = 64;

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Whether the file is new. The same file once more is no error, and changes nothing.
    pub created: bool,
}

/// What a file is, as far as a publication says it.
pub(super) struct Described<'a> {
    pub(super) distribution: &'a Distribution,
    pub(super) sha256: String,
    pub(super) size: u64,
    /// A manifest that a client made; `None` makes ours.
    pub(super) manifest: Option<Bytes>,
}

impl Registry {
    /// Checks a staged file against what the form and the file itself say, and puts it into the index.
    pub async fn python_publish(
        &self,
        granted: &Granted<PackagesPush>,
        staged: StagedFile,
        filename: &str,
        form: &UploadForm,
    ) -> Result<Published, Error> {
        let session = staged.session.clone();
        let published = self.publish(granted, staged, filename, form).await;
        match published {
            Ok(published @ Published { created: true }) => Ok(published),
            // Nothing names what was staged.
            Ok(published) => {
                self.upload_abandon(&session).await?;
                Ok(published)
            }
            Err(error) => {
                self.upload_abandon(&session).await?;
                Err(error)
            }
        }
    }

    async fn publish(
        &self,
        granted: &Granted<PackagesPush>,
        staged: StagedFile,
        filename: &str,
        form: &UploadForm,
    ) -> Result<Published, Error> {
        let StagedFile { mut staged, key, digests, finished, session } = staged;
        let packages = &granted.resource;
        form.check_action()?;
        form.check_digests(&digests)?;
        let file: FileName = filename.parse()?;
        granted.check_project(file.project())?;
        check_kind(form.kind()?, &file)?;
        let sha256 = hex::encode(finished.sha256);
        let attestations = attestations_of(granted, form, &file, &finished.sha256)?;
        // What is there already need not be read again, nor what can only be refused.
        if let Some(same) = self.duplicate(packages, &file, &sha256).await? {
            self.attest(granted, same, attestations).await?;
            return Ok(Published { created: false });
        }
        // What lies in a bucket can be read only once it is whole.
        staged.seal().await.map_err(sync_failed)?;
        let distribution = self.python_examine(&key, &file, packages.settings).await?;
        form.check_identity(&distribution)?;
        let object = self.object_stored(&key, finished).await?;
        let described =
            Described { distribution: &distribution, sha256, size: finished.size, manifest: None };
        let mut publication = self.publication(packages, &granted.caller, described).await?;
        publication.content = Some(Held { session, object });
        publication.attestations = self.attestations_hold(granted, attestations).await?;
        crash_point!("registry::python_before_commit");
        let created = self.commit_publication(publication).await?;
        crash_point!("registry::python_after_commit");
        Ok(Published { created })
    }

    /// Writes a publication down, and lets go of what was held for it when that fails.
    pub(super) async fn commit_publication(&self, publication: Publication) -> Result<bool, Error> {
        let held: Vec<oci::UploadId> = publication
            .empty_config
            .iter()
            .chain(publication.attestations.iter().map(|attestation| &attestation.held))
            .map(|held| held.session.clone())
            .collect();
        let committed = self
            .db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move { publish_in(transaction, publication).await })
            })
            .await;
        if committed.is_err() {
            for session in held {
                self.upload_abandon(&session).await?;
            }
        }
        committed
    }

    /// Gathers what a publication writes.
    pub(super) async fn publication(
        &self,
        packages: &Packages,
        caller: &Caller,
        described: Described<'_>,
    ) -> Result<Publication, Error> {
        let Described { distribution, sha256, size, manifest } = described;
        let Distribution { file, metadata, metadata_bytes, warnings } = distribution;
        let full_name = Self::repository_name(packages, file.project()).map_err(|error| {
            Error::new(ErrorKind::Package(PackageFault::Invalid(python::Code::Name)), error.to_string())
        })?;
        let metadata_sha256 = hex::encode(Sha256::digest(metadata_bytes));
        let own = FileManifest { file, sha256: &sha256, size, metadata, metadata_sha256: &metadata_sha256 };
        let manifest = manifest.map_or_else(|| own.to_json(), |pushed| pushed.to_vec());
        for warning in warnings {
            tracing::warn!(project = %full_name, file = %file, %warning, "an upload is odd but let through");
        }
        Ok(Publication {
            registry_id: packages.registry_id,
            settings: packages.settings,
            file: file.clone(),
            display_name: metadata.name().clone(),
            version: metadata.version().clone(),
            sha256,
            size,
            requires_python: metadata.requires_python().map(str::to_owned),
            metadata: metadata_bytes.clone(),
            metadata_sha256,
            manifest,
            warnings: warnings.clone(),
            actor: caller.actor(),
            content: None,
            empty_config: self.empty_config(packages, caller).await?,
            attestations: Vec::new(),
            times: self.python_times(),
            trash_delay: self.settings().trash_delay,
            uploaded_at: None,
        })
    }

    pub(super) fn python_times(&self) -> Times {
        let now = self.now();
        Times { now, review_after: now + self.settings().grace }
    }

    /// The config that all file manifests name, unless the server holds it.
    async fn empty_config(&self, packages: &Packages, caller: &Caller) -> Result<Option<Held>, Error> {
        if store::blobs::object_by_sha256(self.db(), empty_config_sha256()).await?.is_some() {
            return Ok(None);
        }
        self.hold(packages, caller, Bytes::from_static(EMPTY_CONFIG)).await.map(Some)
    }

    async fn hold(&self, packages: &Packages, caller: &Caller, bytes: Bytes) -> Result<Held, Error> {
        let place = (packages.registry_id, STAGING.to_owned());
        let (session, object) = self.object_write(place, caller.user_id(), bytes).await?;
        Ok(Held { session, object })
    }

    /// The very same file, if the project has it. A file of that name that is not the same is an error.
    pub(super) async fn duplicate(
        &self,
        packages: &Packages,
        file: &FileName,
        sha256: &str,
    ) -> Result<Option<(ProjectPlace, FileRow)>, Error> {
        let name = file.project();
        let found =
            store::python_projects::project_get(self.db(), packages.registry_id, name.as_str()).await?;
        let Some(project) = found else { return Ok(None) };
        check_status(name, project.status, project.status_reason.as_deref())?;
        let existing =
            store::python_files::file_by_canonical(self.db(), project.id, &file.canonical()).await?;
        match compare(existing, file, sha256)? {
            Duplicate::None => Ok(None),
            Duplicate::Same(row) => {
                let place = ProjectPlace { id: project.id, repository_id: project.repository_id };
                Ok(Some((place, *row)))
            }
        }
    }

    async fn attestations_hold(
        &self,
        granted: &Granted<PackagesPush>,
        attestations: Vec<Attestation>,
    ) -> Result<Vec<NewAttestation>, Error> {
        let mut held = Vec::with_capacity(attestations.len());
        for Attestation { predicate_type, json } in attestations {
            let (size, sha256) = (json.len() as u64, sha256_of(&json));
            let bytes = self.hold(&granted.resource, &granted.caller, Bytes::from(json)).await?;
            held.push(NewAttestation { predicate_type, size, sha256, held: bytes });
        }
        Ok(held)
    }

    /// Adds attestations to a file that is there.
    async fn attest(
        &self,
        granted: &Granted<PackagesPush>,
        (place, row): (ProjectPlace, FileRow),
        attestations: Vec<Attestation>,
    ) -> Result<(), Error> {
        let mut new = Vec::new();
        for attestation in attestations {
            let digest = hex_digest(&sha256_of(&attestation.json));
            // The same upload once more brings the same attestations.
            if store::blobs::blob_get(self.db(), place.repository_id, &digest).await?.is_none() {
                new.push(attestation);
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let count = row.attestations + new.len() as u64;
        if count > MOST_ATTESTATIONS {
            return Err(Error::new(
                ErrorKind::Package(PackageFault::Invalid(python::Code::Attestation)),
                format!(
                    "Invalid attestations: '{}' would have {count} of them, and {MOST_ATTESTATIONS} are allowed",
                    row.filename
                ),
            ));
        }
        let held = self.attestations_hold(granted, new).await?;
        let (actor, times) = (granted.caller.actor(), self.python_times());
        let (registry_id, trash_delay) = (granted.resource.registry_id, self.settings().trash_delay);
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    project_hold_in(transaction, registry_id, place).await?;
                    for attestation in &held {
                        let session = attestation.held.session.as_str();
                        store::uploads::upload_abandon_in(transaction, session).await?;
                    }
                    attestations_add_in(transaction, place, &row, &held, &actor, times, trash_delay).await
                })
            })
            .await
    }
}

/// The attestations of a form, checked as far as it goes without their signatures.
fn attestations_of(
    granted: &Granted<PackagesPush>,
    form: &UploadForm,
    file: &FileName,
    sha256: &[u8; 32],
) -> Result<Vec<Attestation>, Error> {
    let Some(json) = form.attestations() else { return Ok(Vec::new()) };
    let attestations = python::parse_attestations(json, file, sha256)?;
    if !granted.resource.settings.store_unverified_attestations {
        return Err(Error::new(
            ErrorKind::Package(PackageFault::Invalid(python::Code::Attestation)),
            "Invalid attestations: attestations are not enabled for this registry; upload without them, or \
             let an administrator set store_unverified_attestations",
        ));
    }
    Ok(attestations)
}

/// Whether the form and the file name agree on what kind of file it is.
fn check_kind(said: Kind, file: &FileName) -> Result<(), Error> {
    if said == file.kind() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Package(PackageFault::Invalid(python::Code::FileType)),
        format!(
            "filetype {} does not fit the file name '{file}', which is that of a {}",
            said.as_str(),
            file.kind().as_str()
        ),
    ))
}

/// The digest under which a repository links a file.
pub(super) fn content_digest(sha256: &str) -> Result<oci::Digest, Error> {
    hex_digest(sha256)
        .parse()
        .map_err(|error: oci::DigestError| Error::unavailable("a stored digest cannot be read", error))
}
