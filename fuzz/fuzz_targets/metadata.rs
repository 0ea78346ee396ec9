//! Core metadata: what is read from it has the fields that it must have, and every refusal can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use python::Metadata;

fuzz_target!(|bytes: &[u8]| {
    match Metadata::parse(bytes) {
        Ok(metadata) => {
            let fields = metadata.fields();
            assert!(fields.iter().all(|(name, _)| !name.is_empty() && name.is_ascii()));
            assert!(
                fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
                    <= bytes.len() + 64
            );
            assert_eq!(metadata.get("nAME"), Some(metadata.name().as_str()));
            assert!(metadata.version().to_string().len() <= 2 * 100);
            assert!(metadata.warnings().len() <= 32);
            for warning in metadata.warnings() {
                assert!(!warning.contains(char::is_control) && warning.len() < 1000);
            }
        }
        Err(invalid) => assert!(!invalid.message.contains(char::is_control) && invalid.message.len() < 1000),
    }
});
