//! File names, one or two: whatever parses prints as it came, its canonical form is a file name of the same file,
//! its tag is a tag, and versions sort as bytes as they compare.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::Tag;
use python::{FileName, file_tag, parse_version_tag, version_tag};

fuzz_target!(|text: &str| {
    let files: Vec<FileName> = text.lines().take(2).filter_map(parse).collect();
    for file in &files {
        check(file);
    }
    if let [one, other] = files.as_slice() {
        let (left, right) = (one.version(), other.version());
        assert_eq!(left.sort_key().cmp(&right.sort_key()), left.cmp(right), "{left} and {right}");
        assert_eq!(left.release_key() == right.release_key(), left == right, "{left} and {right}");
        assert_eq!(version_tag(left) == version_tag(right), left.to_string() == right.to_string());
        if one.canonical() == other.canonical() {
            assert_eq!((one.project(), left, one.kind()), (other.project(), right, other.kind()));
        }
    }
});

fn parse(text: &str) -> Option<FileName> {
    match text.parse::<FileName>() {
        Ok(file) => {
            assert_eq!(file.as_str(), text);
            Some(file)
        }
        Err(invalid) => {
            assert!(!invalid.message.contains(char::is_control) && invalid.message.len() < 1000);
            None
        }
    }
}

fn check(file: &FileName) {
    let canonical = file.canonical();
    let again: FileName = canonical.parse().expect("a canonical name is a file name");
    assert_eq!(again.canonical(), canonical);
    assert_eq!((again.project(), again.version()), (file.project(), file.version()));
    assert_eq!(again.kind(), file.kind());
    assert_eq!(file.tags().is_some(), file.kind() == python::Kind::Wheel);

    let tag = file_tag(file, file.version());
    assert!(tag.parse::<Tag>().is_ok(), "{tag} is no tag");
    assert_eq!(parse_version_tag(&tag), None, "the tag of a file reads like that of a release");
    let tag = version_tag(file.version());
    assert!(tag.len() > 128 || tag.parse::<Tag>().is_ok(), "{tag} is no tag");
    let version = parse_version_tag(&tag).expect("the tag of a release leads back to it");
    assert_eq!(version.to_string(), file.version().to_string());
}
