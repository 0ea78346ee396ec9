//! What can be wrong with what somebody uploads, and text from outside inside messages.

/// The most characters of an untrusted value that a message quotes.
const MAX_EXCERPT_CHARACTERS: usize = 60;

/// What is wrong with an uploaded file or form.
///
/// The text is one sentence for the person at the terminal: what is wrong, why, and what to do. It may travel
/// in an HTTP reason phrase; values quoted in it are short and hold no control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// The class of the fault, for programs.
    pub code: Code,
    /// The sentence, for people.
    pub message: String,
}

impl Invalid {
    /// A fault of the class `code`, described by `message`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The classes of fault that an upload can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A field of the form is missing, repeated or not understood.
    Form,
    /// A digest is malformed, missing, or not that of the file.
    Digest,
    /// The file name breaks its grammar.
    FileName,
    /// The file is neither a wheel nor a gzipped tar archive of sources, or not what the form says.
    FileType,
    /// The archive is damaged, ambiguous or unsafe to unpack.
    Archive,
    /// The core metadata cannot be read.
    Metadata,
    /// A project name breaks its grammar.
    Name,
    /// Two places name different projects.
    NameMismatch,
    /// A version is not one of the version specifiers specification.
    Version,
    /// Two places state different versions.
    VersionMismatch,
    /// An attestation is malformed or about another file.
    Attestation,
}

impl Code {
    /// The code as it travels in error bodies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "PYTHON_FORM_INVALID",
            Self::Digest => "DIGEST_INVALID",
            Self::FileName => "PYTHON_FILENAME_INVALID",
            Self::FileType => "PYTHON_FILETYPE_INVALID",
            Self::Archive => "PYTHON_ARCHIVE_INVALID",
            Self::Metadata => "PYTHON_METADATA_INVALID",
            Self::Name => "PYTHON_NAME_INVALID",
            Self::NameMismatch => "PYTHON_NAME_MISMATCH",
            Self::Version => "PYTHON_VERSION_INVALID",
            Self::VersionMismatch => "PYTHON_VERSION_MISMATCH",
            Self::Attestation => "PYTHON_ATTESTATION_INVALID",
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Why an archive was not accepted: it is wrong, or it could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The upload is wrong; the uploader can mend it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The stored bytes could not be read; nothing is known about the upload.
    #[error("the uploaded file could not be read: {0}")]
    Io(#[from] std::io::Error),
}

/// A short and harmless form of a value that came from outside, for messages and logs: at most 60 characters,
/// with everything that is not a letter, a digit or printable ASCII replaced by `?`, and `...` where it is
/// cut.
pub fn excerpt(value: &str) -> String {
    const CUT_MARK: &str = "...";
    let harmless = |character: char| {
        if character.is_alphanumeric() || (' '..='~').contains(&character) { character } else { '?' }
    };
    if value.chars().nth(MAX_EXCERPT_CHARACTERS).is_none() {
        return value.chars().map(harmless).collect();
    }
    let kept = MAX_EXCERPT_CHARACTERS - CUT_MARK.len();
    value.chars().take(kept).map(harmless).chain(CUT_MARK.chars()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_values_stay_as_they_are() {
        assert_eq!(excerpt("acmé-1.0"), "acmé-1.0");
        assert_eq!(excerpt(&"a".repeat(60)), "a".repeat(60));
    }

    #[test]
    fn long_values_are_cut_and_say_so() {
        assert_eq!(excerpt(&"é".repeat(61)), format!("{}...", "é".repeat(57)));
    }

    #[test]
    fn control_and_direction_characters_are_replaced() {
        assert_eq!(excerpt("a\r\nb\u{1b}[31m\u{202e}c"), "a??b?[31m?c");
    }

    proptest! {
        #[test]
        fn is_always_short_and_printable(value in any::<String>()) {
            let shown = excerpt(&value);
            prop_assert!(shown.chars().count() <= MAX_EXCERPT_CHARACTERS);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
