//! A manifest on its way.

use bytes::Bytes;
use oci::{Algorithm, Digest, Manifest, ManifestKind};

use crate::error::Error;

/// The exact bytes of a manifest, known to hash to its digest.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) digest: Digest,
    pub(crate) kind: ManifestKind,
    pub(crate) bytes: Bytes,
    pub(crate) manifest: Manifest,
}

impl Body {
    /// Checks `bytes` against the digest that was promised and reads them. Without a promise (an answer to a
    /// tag by a registry that does not say) the digest is computed.
    pub(crate) fn verified(
        promised: Option<Digest>,
        content_type: Option<String>,
        bytes: Bytes,
    ) -> Result<Self, Error> {
        let digest = match promised {
            Some(digest) if digest.matches(&bytes) => digest,
            Some(digest) => {
                let found = Digest::of(digest.algorithm(), &bytes);
                return Err(Error::Corrupt(format!(
                    "manifest {digest} is damaged at the source: its content is {found}; push it there again, then run \
                     the same command again"
                )));
            }
            None => Digest::of(Algorithm::Sha256, &bytes),
        };
        let stated = content_type.filter(|stated| {
            let essence = oci::media_type::essence(stated);
            essence.parse::<ManifestKind>().is_ok() || oci::media_type::is_docker_schema_1(essence)
        });
        let stated = stated.or_else(|| guess(&bytes));
        let manifest = Manifest::parse(stated.as_deref(), &bytes)
            .map_err(|error| Error::Other(format!("manifest {digest} cannot be stored: {error}")))?;
        Ok(Self { digest, kind: manifest.kind, bytes, manifest })
    }
}

/// The type of a manifest for which neither the source nor the manifest itself names one: OCI leaves
/// `mediaType` optional, and then only the fields tell an index from an image.
fn guess(bytes: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    if document.get("mediaType").is_some_and(|stated| !stated.is_null()) {
        return None;
    }
    let kind =
        if document.get("manifests").is_some() { ManifestKind::OciIndex } else { ManifestKind::OciManifest };
    Some(kind.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

    #[test]
    fn the_type_is_found_when_nobody_says() {
        for stated in [None, Some("application/json".to_owned()), Some("application/octet-stream".to_owned())]
        {
            let body = Body::verified(None, stated, Bytes::from_static(INDEX)).unwrap();
            assert_eq!(body.kind, ManifestKind::OciIndex);
            assert_eq!(body.digest, Digest::of(Algorithm::Sha256, INDEX));
        }
    }

    #[test]
    fn a_promise_is_checked() {
        let promised = Some(Digest::of(Algorithm::Sha512, b"other"));
        let error = Body::verified(promised, None, Bytes::from_static(INDEX)).unwrap_err();
        assert!(matches!(error, Error::Corrupt(_)));
        let promised = Digest::of(Algorithm::Sha512, INDEX);
        let body = Body::verified(Some(promised.clone()), None, Bytes::from_static(INDEX)).unwrap();
        assert_eq!(body.digest, promised);
    }

    #[test]
    fn retired_forms_are_refused_with_advice() {
        let body = br#"{"schemaVersion":1,"name":"a"}"#;
        let error = Body::verified(None, None, Bytes::from_static(body)).unwrap_err();
        assert!(error.to_string().contains("schema 1"));
    }
}
