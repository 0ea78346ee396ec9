//! Named files beside the objects: snapshots of the database, and what else belongs to a store as a whole.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// The name of a file beside the objects: a folder and a name within it, such as
/// `snapshots/20261121T180000Z.larder`. Both consist of ASCII letters, digits, `.`, `-` and `_`, and start with
/// a letter or digit; the folder is none of those that the store itself uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

/// Names in the store's folder that are not for files.
const RESERVED: [&str; 3] = ["objects", "staged", "probe"];

impl FileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder of the file.
    pub(crate) fn folder(&self) -> &str {
        self.0.split_once('/').map_or("", |(folder, _)| folder)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The text does not name a file beside the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file beside the objects is named folder/name, each of ASCII letters, digits, '.', '-' and '_'")]
pub struct ParseFileNameError;

impl FromStr for FileName {
    type Err = ParseFileNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (folder, name) = text.split_once('/').ok_or(ParseFileNameError)?;
        let reserved = RESERVED.contains(&folder);
        if is_segment(folder) && is_segment(name) && !reserved {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseFileNameError)
        }
    }
}

/// Whether the text can be one of the two halves of a name.
pub(crate) fn is_segment(text: &str) -> bool {
    text.len() <= 200
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// A file beside the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name.
    pub name: FileName,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: SystemTime,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_folder_and_a_plain_name_make_a_name() {
        for text in ["snapshots/20261121T180000Z.larder", "a/b", "A-1/0_x"] {
            assert_eq!(text.parse::<FileName>().unwrap().as_str(), text);
        }
        for text in
            ["", "a", "/a", "a/", "a/b/c", "../a", "a/..", "a/.b", "objects/a", "staged/a", "a/b c", "a/é"]
        {
            assert_eq!(text.parse::<FileName>(), Err(ParseFileNameError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_name_never_leaves_its_folder(text in "\\PC{0,40}|[a-z./]{1,12}") {
            if let Ok(name) = text.parse::<FileName>() {
                prop_assert!(std::path::Path::new(name.as_str()).components().count() == 2);
                prop_assert!(!text.split('/').any(|segment| segment.starts_with('.')));
            }
        }
    }
}
