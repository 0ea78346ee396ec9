//! Tags and references (OCI distribution-spec, "Pulling manifests", the grammar of `<tag>`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::digest::{Digest, DigestError};
use crate::excerpt::excerpt;

/// The longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 128;

/// A text that is not a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{value}\" is not a tag: use at most 128 letters, digits, '.', '_' and '-', and do not begin with '.' or '-'"
)]
pub struct TagError {
    /// The offending text, already made harmless by [`excerpt`].
    pub value: String,
}

/// A valid tag, `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`. Case matters. Cloning it copies no text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let bytes = text.as_bytes();
        let valid = bytes.len() <= MAX_TAG_BYTES
            && bytes.first().copied().is_some_and(is_word)
            && bytes.iter().all(|byte| is_word(*byte) || b".-".contains(byte));
        if valid { Ok(Self(text.into())) } else { Err(TagError { value: excerpt(text) }) }
    }
}

text_type!(Tag);

/// Why a text is neither a tag nor a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It holds a colon, so it was meant as a digest, and is not one that can be used here.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// It holds no colon, so it was meant as a tag, and is not one.
    #[error(transparent)]
    Tag(#[from] TagError),
}

/// What names a manifest inside a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// By a movable name.
    Tag(Tag),
    /// By its content.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// A colon makes it a digest: no tag can hold one.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { Ok(Self::Tag(text.parse()?)) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(formatter),
            Self::Digest(digest) => digest.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags() {
        for text in ["latest", "_", "V1.2-rc_3", "sha256-0000.sig", &"a".repeat(128)] {
            assert_eq!(text.parse::<Tag>().unwrap().as_str(), text);
        }
        for text in ["", ".x", "-x", "a b", "a/b", "é", "a:b", &"a".repeat(129)] {
            assert!(text.parse::<Tag>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_colon_makes_a_digest() {
        let bad = "sha256:baddigest".parse::<Reference>();
        assert!(matches!(bad, Err(ReferenceError::Digest(DigestError::Malformed { .. }))));
        assert!(matches!("v1".parse::<Reference>(), Ok(Reference::Tag(_))));
        assert!(matches!("-".parse::<Reference>(), Err(ReferenceError::Tag(_))));
    }

    proptest! {
        #[test]
        fn grammar_round_trips(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            prop_assert_eq!(text.parse::<Tag>().unwrap().to_string(), text.clone());
            prop_assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string(), text);
            }
        }
    }
}
