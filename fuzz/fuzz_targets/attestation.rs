//! Attestations: the whole field, or one statement in an envelope that is sound. What is accepted is about this file
//! and comes back in the provenance object.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use python::{FileName, parse_attestations, provenance};
use serde_json::Value;

fuzz_target!(|text: &str| {
    let file: FileName = "acme_demo-1.0-py3-none-any.whl".parse().expect("a sound name");
    let wrapped;
    let json = match text.strip_prefix("statement ") {
        Some(statement) => {
            wrapped = envelope(statement);
            &wrapped
        }
        None => text,
    };
    match parse_attestations(json, &file, &[7; 32]) {
        Ok(attestations) => {
            assert!((1..=8).contains(&attestations.len()));
            let objects = attestations.iter().map(|attestation| attestation.json.as_slice());
            let provenance: Value = serde_json::from_slice(&provenance(objects)).expect("it is JSON");
            let bundle = provenance["attestation_bundles"][0]["attestations"].as_array().expect("a list");
            assert_eq!(bundle.len(), attestations.len());
        }
        Err(invalid) => assert!(!invalid.message.contains(char::is_control) && invalid.message.len() < 1000),
    }
});

fn envelope(statement: &str) -> String {
    serde_json::json!([{
        "version": 1,
        "verification_material": { "certificate": "AA==", "transparency_entries": [{}] },
        "envelope": { "statement": STANDARD.encode(statement), "signature": "AA==" },
    }])
    .to_string()
}
