//! What can go wrong, sorted by what the caller does about it.

use std::time::Duration;

/// Why something could not be moved. Every message is one line that says what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The other side does not have it. For some questions that is an answer and not a failure.
    #[error("{0}")]
    Missing(String),
    /// The credentials are wrong, or do not give the right. Asking again does not help.
    #[error("{0}")]
    Refused(String),
    /// It may work a little later, and is tried again.
    #[error("{message}")]
    Temporary {
        /// What happened.
        message: String,
        /// How long the other side asked us to wait.
        retry_after: Option<Duration>,
    },
    /// It was tried as often as makes sense, and never worked.
    #[error("{0}")]
    Exhausted(String),
    /// The content is not what its digest promises.
    #[error("{0}")]
    Corrupt(String),
    /// The disk is full, so that everything that follows would fail too.
    #[error("{0}")]
    Full(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Error {
    pub(crate) fn temporary(message: impl Into<String>) -> Self {
        Self::Temporary { message: message.into(), retry_after: None }
    }

    /// The same failure with more in front of its message.
    pub(crate) fn within(self, place: &str) -> Self {
        let add = |message: String| format!("{place}: {message}");
        match self {
            Self::Missing(message) => Self::Missing(add(message)),
            Self::Refused(message) => Self::Refused(add(message)),
            Self::Temporary { message, retry_after } => {
                Self::Temporary { message: add(message), retry_after }
            }
            Self::Exhausted(message) => Self::Exhausted(add(message)),
            Self::Corrupt(message) => Self::Corrupt(add(message)),
            Self::Full(message) => Self::Full(add(message)),
            Self::Other(message) => Self::Other(add(message)),
        }
    }

    /// A failure of the file system at `path`, while `doing` something to it.
    pub(crate) fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let message = format!("cannot {doing} {}: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing(message),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::Full(format!("{message}; make room and run the same command again"))
            }
            _ => Self::Other(message),
        }
    }
}

/// One thing that was not moved, while the rest went on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The repository, as the source names it.
    pub repository: String,
    /// The tag or digest, or empty for the repository as a whole.
    pub item: String,
    /// What went wrong and what to do.
    pub error: Error,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { repository, item, error } = self;
        match item.as_str() {
            "" => write!(formatter, "{repository}: {error}"),
            item if item.contains(':') => write!(formatter, "{repository}@{item}: {error}"),
            item => write!(formatter, "{repository}:{item}: {error}"),
        }
    }
}

/// Text from elsewhere, fit for a line of a terminal: no control characters, not longer than 300 characters.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST + 1).collect();
    if line.chars().count() > LONGEST {
        line = line.chars().take(LONGEST).collect();
        line.push_str("...");
    }
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_item_as_a_reference() {
        let failure = |item: &str| {
            let error = Error::Other("broken".to_owned());
            Failure { repository: "a/b".to_owned(), item: item.to_owned(), error }.to_string()
        };
        assert_eq!(failure(""), "a/b: broken");
        assert_eq!(failure("1.0"), "a/b:1.0: broken");
        assert_eq!(failure("sha256:00"), "a/b@sha256:00: broken");
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert!(matches!(Error::file("write", std::path::Path::new("/x"), &error), Error::Full(_)));
    }

    #[test]
    fn foreign_text_stays_on_its_line() {
        assert_eq!(one_line("a\r\n\u{1b}[31mb"), "a   [31mb");
        assert_eq!(one_line(&"é".repeat(400)).chars().count(), 303);
    }
}
