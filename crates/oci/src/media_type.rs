//! Media types that decide how a manifest is read (OCI image-spec, media-types.md; Docker image manifest v2
//! schema 2; ORAS artifact manifest).

use std::fmt;
use std::str::FromStr;

use crate::excerpt::excerpt;

/// The OCI image index, which is also the type of a referrers response.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const ORAS_ARTIFACT: &str = "application/vnd.cncf.oras.artifact.manifest.v1+json";
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";

const DOCKER_SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// Layers that may live elsewhere: both families go on with the archive's form (`tar`, `tar+gzip`, …).
const NON_DISTRIBUTABLE_PREFIXES: [&str; 2] =
    ["application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign."];

/// The kinds of manifest that can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// OCI image manifest.
    OciManifest,
    /// OCI image index.
    OciIndex,
    /// Docker image manifest, version 2, schema 2.
    DockerManifest,
    /// Docker manifest list.
    DockerList,
    /// ORAS artifact manifest.
    OrasArtifact,
    /// The artifact manifest that OCI withdrew before image-spec 1.1; some clients still send it.
    OciArtifact,
}

impl ManifestKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::OciManifest,
        Self::OciIndex,
        Self::DockerManifest,
        Self::DockerList,
        Self::OrasArtifact,
        Self::OciArtifact,
    ];

    /// The media type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciManifest => OCI_MANIFEST,
            Self::OciIndex => OCI_INDEX,
            Self::DockerManifest => DOCKER_MANIFEST,
            Self::DockerList => DOCKER_LIST,
            Self::OrasArtifact => ORAS_ARTIFACT,
            Self::OciArtifact => OCI_ARTIFACT,
        }
    }

    /// Whether it lists other manifests.
    pub const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }

    /// Whether it is an image manifest: a config and layers.
    pub const fn is_image(self) -> bool {
        matches!(self, Self::OciManifest | Self::DockerManifest)
    }
}

impl fmt::Display for ManifestKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A media type that is not that of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{value}\" is not a manifest type that can be stored; use an OCI image manifest or index, or a Docker \
     schema 2 manifest or list"
)]
pub struct UnknownManifestType {
    /// The offending type, already made harmless by [`excerpt`].
    pub value: String,
}

impl FromStr for ManifestKind {
    type Err = UnknownManifestType;

    /// Without parameters ([`essence`] cuts them off); letter case does not matter (RFC 9110, section 8.3.1).
    fn from_str(text: &str) -> Result<Self, UnknownManifestType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownManifestType { value: excerpt(text) })
    }
}

/// The type and subtype of a `Content-Type` header, without its parameters.
pub fn essence(content_type: &str) -> &str {
    content_type.split_once(';').map_or(content_type, |(essence, _)| essence).trim()
}

/// Whether a layer of this type may be absent from the registry if it says where else to find it.
pub fn is_non_distributable(media_type: &str) -> bool {
    NON_DISTRIBUTABLE_PREFIXES.iter().any(|prefix| media_type.starts_with(prefix))
}

/// Whether it is one of the retired Docker schema 1 types.
pub fn is_docker_schema_1(media_type: &str) -> bool {
    DOCKER_SCHEMA_1.iter().any(|known| known.eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_parses_back() {
        for kind in ManifestKind::ALL {
            assert_eq!(kind.as_str().parse::<ManifestKind>().unwrap(), kind);
            assert_eq!(kind.as_str().to_uppercase().parse::<ManifestKind>().unwrap(), kind);
            assert!(!(kind.is_index() && kind.is_image()));
        }
        assert!("application/json".parse::<ManifestKind>().is_err());
    }

    #[test]
    fn parameters_are_cut_off() {
        assert_eq!(essence(" text/plain ; charset=utf-8"), "text/plain");
        assert_eq!(essence("text/plain"), "text/plain");
    }

    #[test]
    fn families() {
        assert!(is_non_distributable("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"));
        assert!(is_non_distributable("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"));
        assert!(!is_non_distributable("application/vnd.oci.image.layer.v1.tar+gzip"));
        assert!(is_docker_schema_1("application/vnd.docker.distribution.manifest.v1+prettyjws"));
        assert!(!is_docker_schema_1(DOCKER_MANIFEST));
    }
}
