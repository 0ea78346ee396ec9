//! Names and references: whatever parses prints as it came, and its parts make up the whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{OrganizationName, Reference, RegistryName, RepositoryName, Tag};

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<RepositoryName>() {
        assert_eq!(format!("{}/{}/{}", name.organization(), name.registry(), name.repository()), text);
        assert!(name.registry().parse::<RegistryName>().is_ok());
    }
    if let Ok(name) = text.parse::<OrganizationName>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert_eq!(tag.as_str(), text);
    }
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string(), text);
    }
});
