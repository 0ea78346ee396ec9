//! Digests: the two types agree, and whatever parses prints as it came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{AnyDigest, Digest, DigestError};

fuzz_target!(|text: &str| {
    let any = text.parse::<AnyDigest>();
    match text.parse::<Digest>() {
        Ok(digest) => {
            assert_eq!(digest.as_str(), text);
            assert_eq!(digest.hex().len(), digest.algorithm().hex_len());
            assert_eq!(any.as_ref(), Ok(&AnyDigest::from(&digest)));
        }
        Err(DigestError::UnsupportedAlgorithm { .. }) => {
            assert!(any.expect("only its algorithm is unsupported").to_supported().is_err());
        }
        Err(error @ DigestError::Malformed { .. }) => {
            assert_eq!(any, Err(error));
        }
    }
});
