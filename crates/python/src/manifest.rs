//! A Python file as an OCI artifact (OCI image-spec, "Image Manifest Specification", "Guidelines for Artifact
//! Usage").
//!
//! Every file is one image manifest with an empty config and one layer, which is the file itself; its metadata
//! are annotations of the layer. The text of a manifest depends on the file alone, so identical uploads give
//! one digest whoever makes them and whenever. A release of several files is an image index of their
//! manifests.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Code, Invalid, excerpt};
use crate::filename::{FileName, Kind};
use crate::metadata::{Field, Metadata};

/// The artifact type of the manifest of a file and of the index of a release.
pub const ARTIFACT_TYPE: &str = "application/vnd.python.artifact";

/// The media type of a layer that is a wheel.
pub const WHEEL_LAYER_TYPE: &str = "application/vnd.python.whl.file";

/// The media type of a layer that is a source archive.
pub const SDIST_LAYER_TYPE: &str = "application/vnd.python.sdist.file";

/// The artifact type of the manifest of an attestation, and the media type of its layer.
pub const ATTESTATION_TYPE: &str = "application/vnd.python.attestation.v1+json";

/// The media type of the config of every manifest here.
pub const EMPTY_CONFIG_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// The content of that config.
pub const EMPTY_CONFIG: &[u8] = b"{}";

/// The digest of that content.
pub const EMPTY_CONFIG_SHA256: &str =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// The annotation that names a layer's file.
pub const TITLE_ANNOTATION: &str = "org.opencontainers.image.title";

/// The annotation of an index entry that holds its file's name. It is not the title: clients would write the
/// manifest under that name.
pub const FILE_NAME_ANNOTATION: &str = "org.larder.python.filename";

/// The annotation of an index entry that holds the SHA-256 of its file in hexadecimal.
pub const SHA256_ANNOTATION: &str = "org.larder.python.sha256";

/// The annotation of an index entry that holds its file's `Requires-Python`.
pub const REQUIRES_PYTHON_ANNOTATION: &str = "org.larder.python.requires-python";

/// The annotation of an attestation's manifest that holds the type of its predicate.
pub const PREDICATE_TYPE_ANNOTATION: &str = "org.larder.python.predicate-type";

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Base64 of [`EMPTY_CONFIG`].
const EMPTY_CONFIG_DATA: &str = "e30=";

const CREATED_ANNOTATION: &str = "org.opencontainers.image.created";

/// A fixed instant: the true one would give every upload of a file another digest.
const CREATED: &str = "2000-01-01T00:00:00Z";

const METADATA_SHA256_ANNOTATION: &str = "Metadata-SHA256-Checksum";
const DESCRIPTION_TRUNCATED_ANNOTATION: &str = "Description-Truncated";

/// The longest description that becomes an annotation, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 32 * 1024;

/// The most bytes that the names and values of a layer's annotations have together. A manifest has to stay
/// below 4 MiB, and JSON may need six bytes for one.
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// What is left out first where there is too much.
const FIRST_LEFT_OUT: [Field; 4] = [Field::Description, Field::License, Field::Classifier, Field::Keywords];

/// What identifies a file and is never left out.
const NEVER_LEFT_OUT: [&str; 6] = [
    TITLE_ANNOTATION,
    METADATA_SHA256_ANNOTATION,
    DESCRIPTION_TRUNCATED_ANNOTATION,
    Field::MetadataVersion.as_str(),
    Field::Name.as_str(),
    Field::Version.as_str(),
];

/// What the manifest of a file says.
#[derive(Debug, Clone, Copy)]
pub struct FileManifest<'a> {
    /// The file's name.
    pub file: &'a FileName,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: &'a str,
    /// The size of the file in bytes.
    pub size: u64,
    /// The metadata of the file.
    pub metadata: &'a Metadata,
    /// The SHA-256 of METADATA or PKG-INFO as it is in the file, in hexadecimal.
    pub metadata_sha256: &'a str,
}

impl FileManifest<'_> {
    /// The manifest. The same file gives the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let layer_type = match self.file.kind() {
            Kind::Wheel => WHEEL_LAYER_TYPE,
            Kind::Sdist => SDIST_LAYER_TYPE,
        };
        let mut layer = Descriptor::new(layer_type, format!("sha256:{}", self.sha256), self.size);
        layer.annotations = layer_annotations(self.file, self.metadata, self.metadata_sha256);
        ImageManifest::new(ARTIFACT_TYPE, layer).to_json()
    }
}

/// The annotations of a file's layer: its title and the core metadata. A field that may occur several times is
/// always a JSON array of texts, the others are texts. A description of more than 32 KiB is left out and
/// `Description-Truncated` says so; if all together have more than 256 KiB, the description, the licence, the
/// classifiers and the keywords go in this order, then whatever is longest.
pub fn layer_annotations(
    file: &FileName,
    metadata: &Metadata,
    metadata_sha256: &str,
) -> BTreeMap<String, String> {
    let mut annotations: BTreeMap<String, String> = Field::ALL
        .into_iter()
        .filter_map(|field| Some((field.as_str().to_owned(), annotation_value(metadata, field)?)))
        .collect();
    annotations.insert(TITLE_ANNOTATION.to_owned(), file.as_str().to_owned());
    annotations.insert(METADATA_SHA256_ANNOTATION.to_owned(), metadata_sha256.to_owned());
    if annotations.get(Field::Description.as_str()).is_some_and(|text| text.len() > MAX_DESCRIPTION_BYTES) {
        leave_out(&mut annotations, Field::Description.as_str());
    }
    for field in FIRST_LEFT_OUT {
        if annotation_bytes(&annotations) > MAX_ANNOTATION_BYTES {
            leave_out(&mut annotations, field.as_str());
        }
    }
    while annotation_bytes(&annotations) > MAX_ANNOTATION_BYTES {
        let longest = annotations
            .iter()
            .filter(|(key, _)| !NEVER_LEFT_OUT.contains(&key.as_str()))
            .max_by_key(|(_, value)| value.len())
            .map(|(key, _)| key.clone());
        let Some(longest) = longest else { break };
        leave_out(&mut annotations, &longest);
    }
    annotations
}

/// Checks the annotations of a layer that somebody pushed himself: those that are named like a field of the
/// core metadata, in any case, must say what the file's own metadata say. The others are his own affair.
pub fn check_pushed_annotations(
    pushed: &BTreeMap<String, String>,
    metadata: &Metadata,
) -> Result<(), Invalid> {
    for (key, value) in pushed {
        let Some(field) = Field::by_name(key) else { continue };
        let expected = annotation_value(metadata, field);
        // A single value may also be pushed as it is.
        let is_only_value = || {
            let mut values = metadata.all(field.as_str());
            values.next() == Some(value.as_str()) && values.next().is_none()
        };
        if expected.as_deref() != Some(value.as_str()) && !is_only_value() {
            return Err(Invalid::new(
                Code::Metadata,
                format!(
                    "METADATA of the file does not say {} '{}'; leave the annotation out or correct it",
                    field.as_str(),
                    excerpt(value)
                ),
            ));
        }
    }
    Ok(())
}

/// One file in the index of its release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry<'a> {
    /// The file's name.
    pub file: &'a str,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: &'a str,
    /// The file's `Requires-Python`.
    pub requires_python: Option<&'a str>,
    /// The digest of the file's manifest, with its algorithm.
    pub manifest_digest: &'a str,
    /// The size of the file's manifest in bytes.
    pub manifest_size: u64,
}

/// The index of a release. The entries are sorted by file name, so their order before does not matter.
pub fn release_index(entries: &mut [IndexEntry<'_>]) -> Vec<u8> {
    entries.sort_unstable_by_key(|entry| entry.file);
    let manifests = entries
        .iter()
        .map(|entry| {
            let mut descriptor =
                Descriptor::new(MANIFEST_TYPE, entry.manifest_digest.to_owned(), entry.manifest_size);
            descriptor.artifact_type = Some(ARTIFACT_TYPE);
            let annotations = [
                (FILE_NAME_ANNOTATION, Some(entry.file)),
                (SHA256_ANNOTATION, Some(entry.sha256)),
                (REQUIRES_PYTHON_ANNOTATION, entry.requires_python),
            ];
            descriptor.annotations = annotations
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
                .collect();
            descriptor
        })
        .collect();
    to_json(&ImageIndex {
        schema_version: 2,
        media_type: INDEX_TYPE,
        artifact_type: ARTIFACT_TYPE,
        manifests,
    })
}

/// The manifest of an attestation about a file: its subject is the file's manifest, given by digest (with its
/// algorithm) and size in bytes; its layer is the attestation, given by SHA-256 (in hexadecimal) and size.
pub fn attestation_manifest(
    subject_digest: &str,
    subject_size: u64,
    attestation_sha256: &str,
    attestation_size: u64,
    predicate_type: &str,
) -> Vec<u8> {
    let layer = Descriptor::new(ATTESTATION_TYPE, format!("sha256:{attestation_sha256}"), attestation_size);
    let mut manifest = ImageManifest::new(ATTESTATION_TYPE, layer);
    manifest.subject = Some(Descriptor::new(MANIFEST_TYPE, subject_digest.to_owned(), subject_size));
    manifest.annotations.insert(PREDICATE_TYPE_ANNOTATION.to_owned(), predicate_type.to_owned());
    manifest.to_json()
}

/// The value of the annotation for a field, `None` if the file does not have it.
fn annotation_value(metadata: &Metadata, field: Field) -> Option<String> {
    if field.is_multiple_use() {
        let values: Vec<&str> = metadata.all(field.as_str()).collect();
        (!values.is_empty()).then(|| serde_json::to_string(&values).expect("texts are always JSON"))
    } else {
        metadata.get(field.as_str()).map(str::to_owned)
    }
}

fn leave_out(annotations: &mut BTreeMap<String, String>, key: &str) {
    if annotations.remove(key).is_some() && key == Field::Description.as_str() {
        annotations.insert(DESCRIPTION_TRUNCATED_ANNOTATION.to_owned(), "true".to_owned());
    }
}

fn annotation_bytes(annotations: &BTreeMap<String, String>) -> usize {
    annotations.iter().map(|(key, value)| key.len() + value.len()).sum()
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers are always JSON")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageManifest {
    schema_version: u8,
    media_type: &'static str,
    artifact_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
}

impl ImageManifest {
    fn new(artifact_type: &'static str, layer: Descriptor) -> Self {
        let config_bytes = u64::try_from(EMPTY_CONFIG.len()).expect("two bytes");
        let mut config = Descriptor::new(EMPTY_CONFIG_TYPE, EMPTY_CONFIG_SHA256.to_owned(), config_bytes);
        config.data = Some(EMPTY_CONFIG_DATA);
        Self {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            artifact_type,
            config,
            layers: [layer],
            subject: None,
            annotations: BTreeMap::from([(CREATED_ANNOTATION.to_owned(), CREATED.to_owned())]),
        }
    }

    fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageIndex {
    schema_version: u8,
    media_type: &'static str,
    artifact_type: &'static str,
    manifests: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Descriptor {
    fn new(media_type: &'static str, digest: String, size: u64) -> Self {
        Self { media_type, digest, size, artifact_type: None, data: None, annotations: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests;
