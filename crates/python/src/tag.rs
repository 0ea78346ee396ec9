//! Tags under which the files and releases of a project are found in the registry (OCI distribution-spec,
//! "Pulling manifests", the grammar of a tag).
//!
//! A canonical version holds no `_`, no `-` and no capital letter, which leaves `_` to stand for the two
//! characters that a tag cannot hold and `-` to separate a version from the rest of a file name: a version's
//! tag has no `-`, a file's tag always has one.

use sha2::{Digest as _, Sha256};

use crate::filename::FileName;
use crate::version::Version;

/// The longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 128;

/// How much of the version begins a tag that would be too long.
const SHORTENED_VERSION_BYTES: usize = 63;

/// How many bytes of the file name's SHA-256 end a tag that would be too long.
const SHORTENED_HASH_BYTES: usize = 20;

/// The tag of a release: the canonical version with `!` as `__` and `+` as `_`.
pub fn version_tag(version: &Version) -> String {
    version.to_string().replace('!', "__").replace('+', "_")
}

/// The version whose tag this is; `None` for the tag of a file and for any other text.
pub fn parse_version_tag(tag: &str) -> Option<Version> {
    let version: Version = tag.replace("__", "!").replace('_', "+").parse().ok()?;
    (version_tag(&version) == tag).then_some(version)
}

/// The tag of a file: the tag of its release, `-`, and what follows the version in the name of a wheel or
/// `sdist`. The release's spelling of the version is used, so that all tags of a release begin alike. A tag
/// that would be too long ends in a hash of the file name instead.
pub fn file_tag(file: &FileName, display: &Version) -> String {
    let version = version_tag(display);
    let tag = format!("{version}-{}", file.wheel_tail().unwrap_or("sdist"));
    if tag.len() <= MAX_TAG_BYTES {
        return tag;
    }
    let hash = Sha256::digest(file.as_str().as_bytes());
    let kept = version.len().min(SHORTENED_VERSION_BYTES);
    format!("{}-x{}", &version[..kept], hex::encode(&hash[..SHORTENED_HASH_BYTES]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::tests::any_spelling;

    fn version(text: &str) -> Version {
        text.parse().expect(text)
    }

    fn file(text: &str) -> FileName {
        text.parse().expect(text)
    }

    fn is_tag(text: &str) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !text.is_empty()
            && text.len() <= MAX_TAG_BYTES
            && text.bytes().all(allowed)
            && !text.starts_with(['.', '-'])
    }

    #[test]
    fn tags_of_releases() {
        for (text, tag) in [
            ("1.17.0", "1.17.0"),
            ("1!2.0", "1__2.0"),
            ("1.0+cu118.abc", "1.0_cu118.abc"),
            ("1!2.0+a", "1__2.0_a"),
        ] {
            assert_eq!(version_tag(&version(text)), tag);
            assert_eq!(parse_version_tag(tag).expect(tag).to_string(), text);
        }
    }

    #[test]
    fn texts_that_are_no_version_tags() {
        for text in
            ["", "latest", "1.0-sdist", "1.0-py3-none-any", "1.0RC1", "1.0+a", "1!2", "v1.0", "01.0", "1___0"]
        {
            assert_eq!(parse_version_tag(text), None, "{text}");
        }
    }

    #[test]
    fn tags_of_files() {
        let wrapt = "wrapt-1.17.0-cp311-cp311-manylinux_2_5_x86_64.manylinux1_x86_64.manylinux_2_17_x86_64.manylinux2014_x86_64.whl";
        for (name, display, tag) in [
            ("six-1.17.0-py2.py3-none-any.whl", "1.17.0", "1.17.0-py2.py3-none-any"),
            ("six-1.17.0.tar.gz", "1.17.0", "1.17.0-sdist"),
            ("six-1.0.0-1a-py3-none-any.whl", "1.0", "1.0-1a-py3-none-any"),
            ("acme-1!2.0+cu118-py3-none-any.whl", "1!2.0+cu118", "1__2.0_cu118-py3-none-any"),
        ] {
            assert_eq!(file_tag(&file(name), &version(display)), tag);
        }
        let tag = file_tag(&file(wrapt), &version("1.17.0"));
        assert_eq!(tag.len(), 100);
        assert_eq!(
            tag,
            wrapt.strip_prefix("wrapt-").and_then(|rest| rest.strip_suffix(".whl")).expect("a wheel")
        );
    }

    #[test]
    fn long_tags_end_in_a_hash() {
        let name = format!("acme-1.0-py3-none-{}.whl", "a".repeat(150));
        let tag = file_tag(&file(&name), &version("1.0"));
        assert_eq!(tag.len(), "1.0-x".len() + 40);
        assert!(tag.starts_with("1.0-x"));
        let other = format!("acme-1.0-py3-none-{}b.whl", "a".repeat(150));
        assert_ne!(tag, file_tag(&file(&other), &version("1.0")));

        let long = format!("1.0+{}", "a".repeat(90));
        let name = format!("acme-{long}-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl");
        let tag = file_tag(&file(&name), &version(&long));
        assert_eq!(tag.len(), 63 + 2 + 40);
        assert!(is_tag(&tag));
    }

    proptest! {
        #[test]
        fn a_version_tag_leads_back(written in any_spelling()) {
            let version = version(&written);
            let tag = version_tag(&version);
            prop_assert!(is_tag(&tag), "{}", tag);
            prop_assert!(!tag.contains('-'));
            let back = parse_version_tag(&tag).expect("the tag of a version");
            prop_assert_eq!(back.to_string(), version.to_string());
        }

        #[test]
        fn different_spellings_have_different_tags(left in any_spelling(), right in any_spelling()) {
            let (left, right) = (version(&left), version(&right));
            prop_assert_eq!(version_tag(&left) == version_tag(&right), left.to_string() == right.to_string());
        }

        #[test]
        fn any_tag_is_read_or_not(text in "[0-9a-z_.!+-]{0,12}|\\PC*") {
            if let Some(version) = parse_version_tag(&text) {
                prop_assert_eq!(version_tag(&version), text);
            }
        }

        #[test]
        fn file_tags_are_tags(written in any_spelling(), platform in "[a-z0-9_.]{1,3}[a-z0-9]{1,120}") {
            prop_assume!(!platform.contains("..") && !platform.starts_with('.'));
            let version = version(&written);
            let name = file(&format!("acme-{version}-py3-none-{platform}.whl"));
            let tag = file_tag(&name, &version);
            prop_assert!(is_tag(&tag), "{}", tag);
            prop_assert!(tag.contains('-'));
            prop_assert_eq!(parse_version_tag(&tag), None);
        }
    }
}
