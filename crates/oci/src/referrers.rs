//! Bodies of the referrers listings: the OCI index (OCI distribution-spec, "Listing Referrers") and the two
//! shapes of the ORAS artifacts-spec that came before it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::media_type;

/// One manifest that refers to the subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerDescriptor {
    /// The type it was pushed with.
    pub media_type: String,
    /// Its digest, as pushed.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// As [`crate::Manifest::artifact_type`] has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact_type: Option<String>,
    /// All annotations of the manifest itself, and no others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [ReferrerDescriptor],
}

#[derive(Serialize)]
struct OrasDraft<'a> {
    references: &'a [ReferrerDescriptor],
}

#[derive(Serialize)]
struct OrasReleaseCandidate<'a> {
    referrers: &'a [ReferrerDescriptor],
}

/// The OCI form, an image index; send it as [`media_type::OCI_INDEX`] without parameters.
pub fn render_oci_index(referrers: &[ReferrerDescriptor]) -> Vec<u8> {
    to_json(&Index { schema_version: 2, media_type: media_type::OCI_INDEX, manifests: referrers })
}

/// The form of the ORAS drafts, `{"references":[…]}`, sent as `application/json`.
pub fn render_oras_draft(referrers: &[ReferrerDescriptor]) -> Vec<u8> {
    to_json(&OrasDraft { references: referrers })
}

/// The form of the ORAS release candidates, `{"referrers":[…]}`, sent as `application/json`.
pub fn render_oras_rc(referrers: &[ReferrerDescriptor]) -> Vec<u8> {
    to_json(&OrasReleaseCandidate { referrers })
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("only strings, numbers and maps with string keys are in it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    fn referrer() -> ReferrerDescriptor {
        ReferrerDescriptor {
            media_type: media_type::OCI_INDEX.to_owned(),
            digest: Digest::of(Algorithm::Sha256, b""),
            size: 7,
            artifact_type: Some("application/spdx+json".to_owned()),
            annotations: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        }
    }

    #[test]
    fn empty_lists_are_arrays() {
        assert_eq!(
            render_oci_index(&[]),
            br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
        );
        assert_eq!(render_oras_draft(&[]), br#"{"references":[]}"#);
        assert_eq!(render_oras_rc(&[]), br#"{"referrers":[]}"#);
    }

    #[test]
    fn an_entry_has_the_fields_of_a_descriptor() {
        let body: serde_json::Value = serde_json::from_slice(&render_oci_index(&[referrer()])).unwrap();
        assert_eq!(
            body["manifests"][0],
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "size": 7,
                "artifactType": "application/spdx+json",
                "annotations": {"a": "b"},
            })
        );
        let bare = ReferrerDescriptor { artifact_type: None, annotations: BTreeMap::new(), ..referrer() };
        let text = String::from_utf8(render_oras_rc(std::slice::from_ref(&bare))).unwrap();
        assert!(!text.contains("artifactType") && !text.contains("annotations"));
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::from_value::<ReferrerDescriptor>(back["referrers"][0].clone()).unwrap(), bare);
    }
}
