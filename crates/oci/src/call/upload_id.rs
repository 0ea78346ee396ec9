//! Identifiers of upload sessions.

use std::str::FromStr;

use crate::excerpt::excerpt;

/// A text that cannot identify an upload session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no upload \"{value}\"; begin a new one with POST")]
pub struct UploadIdError {
    /// The offending text, already made harmless by [`excerpt`].
    pub value: String,
}

/// The identifier of an upload session: a UUID in lower case, with or without hyphens (RFC 9562, section 4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(String);

impl UploadId {
    /// The identifier as the server gave it out.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(text: &str) -> Result<Self, UploadIdError> {
        const HYPHENS: [usize; 4] = [8, 13, 18, 23];
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let valid = match text.len() {
            32 => text.bytes().all(is_hex),
            36 => text
                .bytes()
                .enumerate()
                .all(|(at, byte)| if HYPHENS.contains(&at) { byte == b'-' } else { is_hex(byte) }),
            _ => false,
        };
        if valid { Ok(Self(text.to_owned())) } else { Err(UploadIdError { value: excerpt(text) }) }
    }
}

text_type!(UploadId);
