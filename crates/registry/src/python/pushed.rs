//! Python files that come through the registry protocol: they go through the same checks, and then they are
//! files of the index like any other.

use std::collections::BTreeMap;

use bytes::Bytes;
use clock::Timestamp;
use db::Transaction;
use oci::{Algorithm, Digest, Manifest, ManifestKind, Tag};
use python::{
    ARTIFACT_TYPE, ATTESTATION_TYPE, Code, Distribution, EMPTY_CONFIG_SHA256, EMPTY_CONFIG_TYPE, FileName,
    Kind, SDIST_LAYER_TYPE, TITLE_ANNOTATION, WHEEL_LAYER_TYPE,
};
use serde::Deserialize;

use super::publish::{Described, MOST_ATTESTATIONS};
use super::read::is_about;
use super::stage::too_large;
use super::{PythonSettings, managed};
use crate::blob::parse_key;
use crate::error::{Error, ErrorKind};
use crate::grant::{Granted, Packages, Push};
use crate::{Registry, store};

/// Whether a manifest claims to be a Python file, or an index of some.
pub(crate) fn python_shaped(manifest: &Manifest) -> bool {
    manifest.artifact_type.as_deref() == Some(ARTIFACT_TYPE) && manifest.subject.is_none()
}

/// A file that has one attestation more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttestedFile {
    file_id: i64,
    project_id: i64,
}

/// Counts an attestation that was pushed.
pub(crate) async fn attested_in(
    transaction: &mut Transaction,
    attested: AttestedFile,
    now: Timestamp,
) -> Result<(), Error> {
    store::python_files::file_attestations_add_in(transaction, attested.file_id, 1).await?;
    store::python_projects::project_touch_in(transaction, attested.project_id, now).await?;
    Ok(())
}

/// The parts of a manifest that the general parser does not keep.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PushedManifest {
    config: Option<PushedDescriptor>,
    #[serde(default)]
    layers: Vec<PushedDescriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PushedDescriptor {
    media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Registry {
    /// Makes a pushed manifest a file of the index. Its blob is in the repository already.
    pub(crate) async fn python_manifest_push(
        &self,
        granted: &Granted<Push>,
        manifest: &Manifest,
        digest: &Digest,
        tags: &[Tag],
        body: Bytes,
    ) -> Result<(), Error> {
        if manifest.kind == ManifestKind::OciIndex {
            return self.python_index_push(granted, digest, tags).await;
        }
        if manifest.kind != ManifestKind::OciManifest {
            return Err(invalid("a Python artifact is an OCI image manifest"));
        }
        if digest.algorithm() != Algorithm::Sha256 {
            return Err(Error::new(
                ErrorKind::DigestMismatch,
                "the manifest of a Python file is known by its sha256 digest; push it by that, or by its tag",
            ));
        }
        let (file, layer) = described_layer(&body)?;
        check_layer(granted, &file, &layer)?;
        let blob = match granted.resource.id {
            None => None,
            Some(repository) => store::blobs::blob_get(self.db(), repository, &layer.digest).await?,
        };
        let Some(blob) = blob.filter(|blob| blob.size == layer.size) else {
            return Err(Error::new(
                ErrorKind::ManifestBlobUnknown { missing: vec![layer.digest.clone()] },
                format!("blob {} is not in the repository; push it before its manifest", layer.digest),
            ));
        };
        let packages = self.packages_of(granted).await?;
        if layer.size > packages.settings.file_bytes {
            return Err(too_large(packages.settings.file_bytes));
        }
        let sha256 = layer.digest.strip_prefix("sha256:").unwrap_or_default().to_owned();
        let distribution =
            self.python_examine(&parse_key(&blob.object_key)?, &file, packages.settings).await?;
        // What the layer says of the file has to be what the file says of itself.
        python::check_pushed_annotations(&layer.annotations, &distribution.metadata)?;
        check_tags(granted, &distribution, tags)?;
        if let Some((_, row)) = self.duplicate(&packages, &file, &sha256).await? {
            if row.manifest_digest == digest.as_str() {
                return Ok(());
            }
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "File already exists ('{file}') as manifest {}; pull that one, or use a new version",
                    row.manifest_digest
                ),
            ));
        }
        let described =
            Described { distribution: &distribution, sha256, size: layer.size, manifest: Some(body) };
        let publication = self.publication(&packages, &granted.caller, described).await?;
        self.commit_publication(publication).await.map(|_| ())
    }

    /// The index of a release is the server's own work, so the only one that is taken is the one that is there:
    /// what a copy from another registry ends with.
    async fn python_index_push(
        &self,
        granted: &Granted<Push>,
        digest: &Digest,
        tags: &[Tag],
    ) -> Result<(), Error> {
        let repository = granted.resource.id;
        for tag in tags {
            let current = match repository {
                None => None,
                Some(id) => store::manifests::manifest_by_tag(self.db(), id, tag.as_str(), false).await?,
            };
            if current.is_none_or(|current| current.digest != digest.as_str()) {
                return Err(managed(granted.name(), tag.as_str()));
            }
        }
        let known = match repository {
            None => None,
            Some(id) => store::manifests::manifest_by_digest(self.db(), id, digest.as_str(), false).await?,
        };
        known.map(|_| ()).ok_or_else(|| {
            Error::new(
                ErrorKind::Forbidden,
                "the server makes the index of a release itself; push the manifests of its files",
            )
        })
    }

    /// The file that a pushed manifest attests, if it is an attestation of one. It is judged as one that comes with
    /// an upload.
    pub(crate) async fn python_attestation_push(
        &self,
        granted: &Granted<Push>,
        manifest: &Manifest,
    ) -> Result<Option<AttestedFile>, Error> {
        let (Some(repository_id), Some(subject)) = (granted.resource.id, &manifest.subject) else {
            return Ok(None);
        };
        if manifest.artifact_type.as_deref() != Some(ATTESTATION_TYPE) {
            return Ok(None);
        }
        let (registry_id, name) = (granted.resource.registry_id, granted.name().repository());
        let project = store::python_projects::project_get(self.db(), registry_id, name).await?;
        let Some(project) = project else { return Ok(None) };
        let subject = subject.digest.as_str();
        let file = store::python_files::file_by_manifest(self.db(), project.id, subject).await?;
        let Some(file) = file.filter(|file| file.deleted_at.is_none()) else { return Ok(None) };
        if !self.packages_of(granted).await?.settings.store_unverified_attestations {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "attestations are not enabled for this registry; an administrator of it can set \
                 store_unverified_attestations",
            ));
        }
        let mut layers = manifest
            .blobs
            .iter()
            .map(|blob| blob.digest.as_str())
            .filter(|blob| *blob != EMPTY_CONFIG_SHA256);
        let (Some(layer), None) = (layers.next(), layers.next()) else {
            return Err(invalid("an attestation is the one layer of its manifest, over the empty config"));
        };
        let json = self.short_blob(repository_id, layer).await?;
        if !json.is_some_and(|json| is_about(&json, &file)) {
            return Err(invalid(format!("blob {layer} is not an attestation of its subject")));
        }
        if file.attestations >= MOST_ATTESTATIONS {
            return Err(invalid(format!("'{}' has {MOST_ATTESTATIONS} attestations already", file.filename)));
        }
        Ok(Some(AttestedFile { file_id: file.id, project_id: project.id }))
    }

    /// The registry around a repository, as an index of packages.
    async fn packages_of(&self, granted: &Granted<Push>) -> Result<Packages, Error> {
        let name = granted.name();
        let named = |error: oci::NameError| Error::unavailable("a parsed name cannot be read", error);
        let settings = store::tenancy::registry_get(self.db(), granted.resource.registry_id)
            .await?
            .map_or_else(PythonSettings::default, |row| row.settings.python);
        Ok(Packages {
            registry_id: granted.resource.registry_id,
            organization: name.organization().parse().map_err(named)?,
            registry: name.registry().parse().map_err(named)?,
            settings,
            redirect: false,
            public: false,
            serial: 0,
        })
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::ManifestInvalid, message)
}

/// The file that a manifest describes, and the layer that it is.
pub(super) fn described_layer(body: &[u8]) -> Result<(FileName, PushedDescriptor), Error> {
    let layer = one_layer(body)?;
    let title = layer.annotations.get(TITLE_ANNOTATION).ok_or_else(|| {
        invalid(format!(
            "the layer of a Python artifact carries its file name as annotation {TITLE_ANNOTATION}"
        ))
    })?;
    Ok((title.parse()?, layer))
}

/// The one layer of a manifest of a file.
fn one_layer(body: &[u8]) -> Result<PushedDescriptor, Error> {
    let pushed: PushedManifest = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("the manifest is not that of a Python artifact: {error}")))?;
    if pushed.config.is_none_or(|config| config.media_type != EMPTY_CONFIG_TYPE) {
        return Err(invalid(format!("a Python artifact has the empty config, {EMPTY_CONFIG_TYPE}")));
    }
    let mut layers = pushed.layers;
    match (layers.pop(), layers.is_empty()) {
        (Some(layer), true) => Ok(layer),
        _ => Err(invalid("a Python artifact has exactly one layer: its file")),
    }
}

fn check_layer(granted: &Granted<Push>, file: &FileName, layer: &PushedDescriptor) -> Result<(), Error> {
    let expected = match file.kind() {
        Kind::Wheel => WHEEL_LAYER_TYPE,
        Kind::Sdist => SDIST_LAYER_TYPE,
    };
    if layer.media_type != expected {
        return Err(invalid(format!("'{file}' is a layer of type {expected}, not {}", layer.media_type)));
    }
    if !layer.digest.starts_with("sha256:") {
        return Err(invalid("the layer of a Python artifact is named by its sha256 digest"));
    }
    if granted.name().repository() != file.project().as_str() {
        return Err(python::Invalid {
            code: Code::NameMismatch,
            message: format!(
                "'{file}' belongs into the repository {}, not {}",
                file.project(),
                granted.name().repository()
            ),
        }
        .into());
    }
    Ok(())
}

/// A pushed file goes under the tags that the server would give it.
fn check_tags(granted: &Granted<Push>, distribution: &Distribution, tags: &[Tag]) -> Result<(), Error> {
    let version = distribution.metadata.version();
    let allowed = [python::version_tag(version), python::file_tag(&distribution.file, version)];
    match tags.iter().find(|tag| !allowed.iter().any(|allowed| allowed == tag.as_str())) {
        None => Ok(()),
        Some(tag) => Err(invalid(format!(
            "'{}' goes under the tag {} or {} of {}, not {tag}",
            distribution.file,
            allowed[0],
            allowed[1],
            granted.name()
        ))),
    }
}
