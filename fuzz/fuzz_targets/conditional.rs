//! Conditional requests: ends for any header, and a tag at the end of a list is found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{Algorithm, Digest, if_none_match};

fuzz_target!(|header: &str| {
    let digest = Digest::of(Algorithm::Sha256, b"content");
    let _ = if_none_match(header, &digest);
    let listed = format!("\"{}\", W/\"{digest}\"", header.replace('"', ""));
    assert!(if_none_match(&listed, &digest));
});
