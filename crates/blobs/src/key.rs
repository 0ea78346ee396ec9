//! Names of stored objects.

use std::fmt;
use std::str::FromStr;

/// The name of a stored object: 128 random bits, written as 32 lower-case hexadecimal characters.
///
/// It says nothing about the content, so two uploads of the same bytes never meet, and knowing a digest does
/// not lead to an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey([u8; Self::LENGTH]);

impl ObjectKey {
    /// How many characters a key has.
    pub const LENGTH: usize = 32;

    /// A new key from the operating system's random numbers.
    pub fn random() -> Self {
        let mut bits = [0; Self::LENGTH / 2];
        getrandom::fill(&mut bits).expect("the operating system has random numbers once it has started");
        Self::from_bits(bits)
    }

    /// The key for these bits, for callers that hold the source of randomness themselves.
    pub fn from_bits(bits: [u8; Self::LENGTH / 2]) -> Self {
        let mut text = [0; Self::LENGTH];
        hex::encode_to_slice(bits, &mut text).expect("the text is exactly twice as long as the bits");
        Self(text)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a key holds hexadecimal characters only")
    }

    /// The name of the folder that the object lies in: the first two characters, so that no folder grows huge.
    pub(crate) fn folder(&self) -> &str {
        &self.as_str()[..2]
    }

    /// Which of the 256 folders that is.
    pub(crate) fn folder_index(&self) -> usize {
        usize::from_str_radix(self.folder(), 16).expect("a key holds hexadecimal characters only")
    }

    /// Where the object lies, relative to the folder of all objects.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.folder(), self.as_str())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ObjectKey({})", self.as_str())
    }
}

/// The text is not an object key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an object key is 32 lower-case hexadecimal characters")]
pub struct ParseObjectKeyError;

impl FromStr for ObjectKey {
    type Err = ParseObjectKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; Self::LENGTH] = text.as_bytes().try_into().map_err(|_| ParseObjectKeyError)?;
        let hexadecimal = bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hexadecimal { Ok(Self(bytes)) } else { Err(ParseObjectKeyError) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn random_keys_differ_and_lie_in_their_folder() {
        let key = ObjectKey::random();
        assert_ne!(key, ObjectKey::random());
        assert_eq!(key.path(), format!("{}/{key}", &key.as_str()[..2]));
        assert_eq!(ObjectKey::from_bits([0xab; 16]).folder_index(), 0xab);
    }

    #[test]
    fn only_the_canonical_text_is_a_key() {
        for text in [
            "",
            "ab",
            "0123456789ABCDEF0123456789abcdef",
            "../../../../../../../etc/passwd.",
            "0123456789abcdef0123456789abcdef0",
            "0123456789abcdef0123456789abcdeé",
        ] {
            assert_eq!(text.parse::<ObjectKey>(), Err(ParseObjectKeyError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn keys_round_trip(bits: [u8; 16]) {
            let key = ObjectKey::from_bits(bits);
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }

        #[test]
        fn what_parses_is_printed_unchanged(text in "\\PC{0,40}|[0-9a-g]{32}") {
            if let Ok(key) = text.parse::<ObjectKey>() {
                prop_assert_eq!(key.as_str(), text);
            }
        }
    }
}
