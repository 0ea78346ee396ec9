//! Manifests: the first line is the content type (empty for none), the rest is the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::Manifest;
use oci::manifest::MAX_DESCRIPTORS;

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (content_type, body) = (&data[..end], &data[end + 1..]);
    let Ok(content_type) = std::str::from_utf8(content_type) else { return };
    match Manifest::parse(Some(content_type), body) {
        Ok(manifest) => {
            assert_eq!(manifest.media_type, manifest.kind.as_str());
            assert!(manifest.blobs.len() + manifest.children.len() <= MAX_DESCRIPTORS);
            assert!(manifest.children.is_empty() || manifest.kind.is_index());
            assert_eq!(manifest.config_media_type.is_some(), manifest.kind.is_image());
            // The same body under its own type is the same manifest.
            assert_eq!(Manifest::parse(Some(manifest.kind.as_str()), body), Ok(manifest));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
