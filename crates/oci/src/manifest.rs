//! Manifests as they are pushed: every check that needs no database (OCI image-spec, manifest.md,
//! image-index.md and descriptor.md; Docker image manifest version 2, schema 2; ORAS artifacts-spec,
//! artifact-manifest.md).
//!
//! The bytes are stored as they came. What is read here is what the registry acts on: which blobs and
//! manifests must exist, which subject is referred to, and what the listings show. Fields that nobody here
//! knows are left alone, but a document that two parsers could read differently is refused.

mod descriptor;
mod json;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::digest::{AnyDigest, DigestError};
use crate::excerpt::excerpt;
use crate::media_type::{self, ManifestKind};
use crate::timestamp;

/// The largest manifest that is accepted, in bytes; one of exactly this size is. Clients refuse to pull
/// larger ones.
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// The most descriptors (config, layers or blobs, index entries) in one manifest.
pub const MAX_DESCRIPTORS: usize = 4096;

/// When an ORAS artifact was made, an RFC 3339 timestamp; the ORAS referrers API sorts by it.
pub const ORAS_CREATED_ANNOTATION: &str = "io.cncf.oras.artifact.created";

/// The longest media type or artifact type, in bytes (RFC 6838 allows 127 on each side of the slash).
const MAX_MEDIA_TYPE_BYTES: usize = 255;

/// Why a manifest cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Larger than [`MAX_MANIFEST_BYTES`]; answered 413.
    #[error(
        "the manifest is {size} bytes long and at most {MAX_MANIFEST_BYTES} are allowed; move large annotations or \
         data into a blob"
    )]
    TooLarge {
        /// The size in bytes.
        size: usize,
    },
    /// Not a manifest that can be stored.
    #[error("{reason}")]
    Invalid {
        /// What is wrong and what to do, a whole message.
        reason: String,
    },
    /// A descriptor whose digest is not one.
    #[error("{place}: {source}")]
    Digest {
        /// Which descriptor, for example `layers[2]`.
        place: String,
        /// What is wrong with its digest.
        source: DigestError,
    },
}

fn invalid(reason: impl Into<String>) -> ManifestError {
    ManifestError::Invalid { reason: reason.into() }
}

/// What a manifest says about one piece of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The content's type, never empty.
    pub media_type: String,
    /// The content's digest. Its algorithm need not be one that can be computed here.
    pub digest: AnyDigest,
    /// The content's length in bytes, at most `i64::MAX`.
    pub size: u64,
    /// Whether the content may be absent from the repository: a layer of a non-distributable type that names
    /// other places to fetch it from.
    pub optional: bool,
}

impl Descriptor {
    /// Whether the content is a manifest, by its type. Entries of an index need not be: build caches list
    /// blobs in an index, and those were pushed as blobs.
    pub fn is_manifest_type(&self) -> bool {
        is_manifest_type(&self.media_type)
    }
}

/// The manifest that this one is about. It need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its digest, as the body has it.
    pub digest: AnyDigest,
    /// Its type, if stated.
    pub media_type: Option<String>,
    /// Its length in bytes, if stated; at most `i64::MAX`.
    pub size: Option<u64>,
}

/// A checked manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Which form it has.
    pub kind: ManifestKind,
    /// The type to serve it with, without parameters: [`ManifestKind::as_str`] of `kind`.
    pub media_type: String,
    /// What the referrers API reports: the body's `artifactType`, else the config's type for image manifests.
    pub artifact_type: Option<String>,
    /// The config's type, of image manifests only.
    pub config_media_type: Option<String>,
    /// Config and layers, or the blobs of an artifact: one entry a digest, in order of first mention. If one
    /// mention is not optional, the entry is not.
    pub blobs: Vec<Descriptor>,
    /// The entries of an index, in order, without those that repeat both digest and type.
    pub children: Vec<Descriptor>,
    /// What it refers to.
    pub subject: Option<Subject>,
    /// The annotations of the manifest itself.
    pub annotations: BTreeMap<String, String>,
    /// [`ORAS_CREATED_ANNOTATION`] in milliseconds since 1970, if it is there and is a timestamp.
    pub created: Option<i64>,
}

impl Manifest {
    /// Reads and checks the body of a manifest push. `content_type` is the header, parameters allowed;
    /// without it the body has to state its type.
    pub fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Self, ManifestError> {
        if body.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge { size: body.len() });
        }
        let content_type = content_type.map(media_type::essence).filter(|essence| !essence.is_empty());
        if content_type.is_some_and(media_type::is_docker_schema_1) {
            return Err(schema_1());
        }
        let document = json::parse_object(body)?;
        let kind = determine_kind(content_type, &document)?;
        check_shape(kind, &document)?;

        let mut descriptors = DescriptorCounter::default();
        let mut config_media_type = None;
        let mut blobs = Vec::new();
        if kind.is_image() {
            let config = document
                .get("config")
                .filter(|value| !value.is_null())
                .ok_or_else(|| invalid("an image manifest needs a \"config\" descriptor"))?;
            descriptors.add(1)?;
            let config = Descriptor { optional: false, ..descriptor::parse(config, "config")? };
            config_media_type = Some(config.media_type.clone());
            blobs.push(config);
            blobs.extend(descriptors.list(&document, "layers", Presence::Required)?);
        } else if !kind.is_index() {
            blobs.extend(descriptors.list(&document, "blobs", Presence::Optional)?);
        }
        let children = if kind.is_index() {
            descriptors.list(&document, "manifests", Presence::Required)?
        } else {
            Vec::new()
        };

        let artifact_type = optional_media_type(&document, "artifactType", "the manifest")?;
        if kind == ManifestKind::OrasArtifact && artifact_type.is_none() {
            return Err(invalid("an ORAS artifact manifest needs a non-empty \"artifactType\""));
        }
        let annotations = annotations(&document)?;
        Ok(Self {
            kind,
            media_type: kind.as_str().to_owned(),
            artifact_type: artifact_type.or_else(|| config_media_type.clone()),
            config_media_type,
            blobs: merge_blobs(blobs),
            children: merge_children(children),
            subject: subject(kind, &document)?,
            created: created(kind, &annotations)?,
            annotations,
        })
    }
}

fn is_manifest_type(media_type: &str) -> bool {
    media_type.parse::<ManifestKind>().is_ok()
}

fn schema_1() -> ManifestError {
    invalid(
        "docker image manifests of schema 1 are not supported; push with docker 1.10 or newer, or convert the image, \
         for example with skopeo copy --format v2s2",
    )
}

/// The kind by header and body, which have to agree.
fn determine_kind(
    content_type: Option<&str>,
    document: &Map<String, Value>,
) -> Result<ManifestKind, ManifestError> {
    if document.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
        return Err(schema_1());
    }
    let stated = optional_media_type(document, "mediaType", "the manifest")?;
    let Some(named) = content_type.or(stated.as_deref()) else {
        return Err(invalid("the type of the manifest is unknown; send a content-type header"));
    };
    if media_type::is_docker_schema_1(named) {
        return Err(schema_1());
    }
    let kind: ManifestKind =
        named.parse().map_err(|error: media_type::UnknownManifestType| invalid(error.to_string()))?;
    match stated {
        // Compared with the exact spelling: the body is stored as it is, and others will compare it too.
        Some(stated) if stated != kind.as_str() => Err(invalid(format!(
            "the manifest says its mediaType is \"{}\" and the content-type header says \"{kind}\"; send the same type \
             in both",
            excerpt(&stated)
        ))),
        _ => Ok(kind),
    }
}

/// Which fields may stand together. A document that is an index to one reader and an image to another is how
/// one digest comes to mean two things, so it is refused whatever its type says.
fn check_shape(kind: ManifestKind, document: &Map<String, Value>) -> Result<(), ManifestError> {
    let has = |field: &str| document.get(field).is_some_and(|value| !value.is_null());
    let of_images = ["config", "layers"].into_iter().find(|field| has(field));
    let of_content = of_images.or_else(|| has("blobs").then_some("blobs"));
    if let (true, Some(field)) = (has("manifests"), of_content) {
        return Err(invalid(format!(
            "the document has both \"manifests\" and \"{field}\"; an index and a manifest are two documents"
        )));
    }
    if kind.is_index() || kind.is_image() {
        if document.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
            return Err(invalid("\"schemaVersion\" has to be 2"));
        }
    } else if let Some(field) = of_images.or_else(|| has("manifests").then_some("manifests")) {
        return Err(invalid(format!("an artifact manifest has \"blobs\" and cannot have \"{field}\"")));
    }
    if kind.is_image() && has("manifests") {
        return Err(invalid("an image manifest cannot have \"manifests\""));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Presence {
    Required,
    Optional,
}

/// Reads lists of descriptors and keeps their total within bounds.
#[derive(Default)]
struct DescriptorCounter {
    count: usize,
}

impl DescriptorCounter {
    fn add(&mut self, count: usize) -> Result<(), ManifestError> {
        self.count += count;
        if self.count > MAX_DESCRIPTORS {
            return Err(invalid(format!(
                "the manifest names more than {MAX_DESCRIPTORS} pieces of content; split it into several manifests"
            )));
        }
        Ok(())
    }

    /// `null` counts as an empty list: that is how Go writes a list that was never filled.
    fn list(
        &mut self,
        document: &Map<String, Value>,
        field: &str,
        presence: Presence,
    ) -> Result<Vec<Descriptor>, ManifestError> {
        match document.get(field) {
            Some(Value::Array(items)) => {
                self.add(items.len())?;
                let parse = |(at, item)| descriptor::parse(item, &format!("{field}[{at}]"));
                items.iter().enumerate().map(parse).collect()
            }
            Some(Value::Null) => Ok(Vec::new()),
            None if presence == Presence::Optional => Ok(Vec::new()),
            _ => Err(invalid(format!(
                "the manifest needs \"{field}\", a list of descriptors (it may be empty)"
            ))),
        }
    }
}

/// A media type in a string field; absent, `null` and empty are the same.
fn optional_media_type(
    object: &Map<String, Value>,
    field: &str,
    place: &str,
) -> Result<Option<String>, ManifestError> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text))
            if text.len() > MAX_MEDIA_TYPE_BYTES || text.chars().any(char::is_control) =>
        {
            Err(invalid(format!("{place}: \"{field}\" is not a media type: \"{}\"", excerpt(text))))
        }
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(format!("{place}: \"{field}\" has to be a string"))),
    }
}

fn annotations(document: &Map<String, Value>) -> Result<BTreeMap<String, String>, ManifestError> {
    match document.get("annotations") {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(entries)) => entries
            .iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key.clone(), text.clone())),
                _ => Err(invalid(format!("the annotation \"{}\" has to be a string", excerpt(key)))),
            })
            .collect(),
        Some(_) => Err(invalid("\"annotations\" has to be an object of strings")),
    }
}

fn subject(kind: ManifestKind, document: &Map<String, Value>) -> Result<Option<Subject>, ManifestError> {
    let present = |field: &'static str| {
        document.get(field).filter(|value| !value.is_null()).map(|value| (field, value))
    };
    // The first ORAS alphas called it `subjectManifest`.
    let alias = || present("subjectManifest").filter(|_| kind == ManifestKind::OrasArtifact);
    let Some((field, value)) = present("subject").or_else(alias) else {
        return Ok(None);
    };
    let subject = descriptor::parse_subject(value, field)?;
    if kind == ManifestKind::OrasArtifact
        && let Some(media_type) = &subject.media_type
        && !is_manifest_type(media_type)
    {
        return Err(invalid(format!(
            "the subject of an ORAS artifact has to be a manifest, not \"{}\"",
            excerpt(media_type)
        )));
    }
    Ok(Some(subject))
}

fn created(kind: ManifestKind, annotations: &BTreeMap<String, String>) -> Result<Option<i64>, ManifestError> {
    let Some(text) = annotations.get(ORAS_CREATED_ANNOTATION) else {
        return Ok(None);
    };
    let created = timestamp::unix_millis(text);
    if created.is_none() && kind == ManifestKind::OrasArtifact {
        return Err(invalid(format!(
            "the annotation {ORAS_CREATED_ANNOTATION} is \"{}\" and has to be an RFC 3339 timestamp, for example \
             2022-04-05T13:04:05Z",
            excerpt(text)
        )));
    }
    Ok(created)
}

fn merge_blobs(blobs: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut positions: HashMap<AnyDigest, usize> = HashMap::with_capacity(blobs.len());
    let mut merged: Vec<Descriptor> = Vec::with_capacity(blobs.len());
    for blob in blobs {
        if let Some(position) = positions.get(&blob.digest) {
            merged[*position].optional &= blob.optional;
        } else {
            positions.insert(blob.digest.clone(), merged.len());
            merged.push(blob);
        }
    }
    merged
}

fn merge_children(mut children: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut seen = HashSet::with_capacity(children.len());
    children.retain(|child| seen.insert((child.digest.clone(), child.media_type.clone())));
    children
}
