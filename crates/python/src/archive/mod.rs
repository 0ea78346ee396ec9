//! The two archives that people upload: wheels, which are ZIP files, and source distributions, which are
//! gzipped tar files.
//!
//! Both are read from beginning to end, and nothing is ever written to disk. An archive is accepted only if
//! every program that unpacks it must find the same files in it: where two readers could disagree (a local
//! header that contradicts the central directory, a second name for one entry, bytes that no record accounts
//! for) the answer is no. Memory does not grow with the content: beside one small buffer there is the table of
//! entries and the few text files that describe the package, each with a limit.

mod budget;
mod entry_points;
mod license;
mod notes;
mod path;
mod record;
mod sdist;
mod source;
mod tar;
mod wheel;
mod wheel_file;
mod zip;

#[cfg(test)]
mod testing;

use crate::{Code, FileName, Invalid, NormalizedName, Refused, Version};

pub use self::sdist::read_sdist;
pub use self::wheel::read_wheel;

/// What is said to somebody whose wheel was put together wrongly.
const REBUILD_WHEEL: &str = "rebuild the wheel with a current build backend";
/// What is said to somebody whose source distribution was put together wrongly.
const REBUILD_SDIST: &str = "rebuild it with `python -m build --sdist`";

/// The size of the buffer through which content passes, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// How much an archive may hold, and what happens to the faults that many old packages have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest METADATA or PKG-INFO, in bytes.
    pub metadata_bytes: u64,
    /// The most entries in a wheel.
    pub entries: u32,
    /// The most entries in a source distribution.
    pub sdist_entries: u32,
    /// The longest name of an entry, in bytes.
    pub name_bytes: usize,
    /// The expanded size in bytes up to which the ratios do not matter.
    pub free_expansion: u64,
    /// How many times its own size a wheel may expand to.
    pub wheel_ratio: u64,
    /// How many times its own size a source distribution may expand to.
    pub sdist_ratio: u64,
    /// The largest expanded size of a wheel, in bytes.
    pub wheel_expanded: u64,
    /// The largest expanded size of a source distribution, in bytes.
    pub sdist_expanded: u64,
    /// What happens to a wheel whose RECORD does not match its files.
    pub record: RecordPolicy,
    /// What happens to a file without the license files that its metadata names.
    pub license_files: LicenseFilePolicy,
}

impl Default for Limits {
    fn default() -> Self {
        const MEBIBYTE: u64 = 1024 * 1024;
        const GIBIBYTE: u64 = 1024 * MEBIBYTE;
        Self {
            metadata_bytes: 4 * MEBIBYTE,
            entries: 100_000,
            sdist_entries: 200_000,
            name_bytes: 1024,
            free_expansion: 64 * MEBIBYTE,
            wheel_ratio: 50,
            sdist_ratio: 100,
            wheel_expanded: 20 * GIBIBYTE,
            sdist_expanded: 10 * GIBIBYTE,
            record: RecordPolicy::Reject,
            license_files: LicenseFilePolicy::Warn,
        }
    }
}

/// What happens to a wheel whose RECORD does not match its files. A wheel without RECORD is never accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPolicy {
    /// The wheel is refused.
    Reject,
    /// The wheel is accepted with a warning.
    Warn,
}

/// What happens to a file that lacks a license file which its metadata names (core metadata 2.4 and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LicenseFilePolicy {
    /// The file is accepted with a warning.
    Warn,
    /// The file is refused.
    Reject,
}

/// What was found in an archive that passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// METADATA or PKG-INFO, byte for byte.
    pub metadata: Vec<u8>,
    /// What is odd but not refused, a sentence each; a bounded number of them.
    pub warnings: Vec<String>,
}

/// A fault of the archive as such.
fn archive_fault(message: impl Into<String>) -> Refused {
    Refused::Invalid(Invalid::new(Code::Archive, message))
}

/// Whether `text` is `{name}-{version}` of the project and the version that `file` is named after, in any
/// spelling. Both parts may hold hyphens in old archives, hence every hyphen is tried.
fn is_name_and_version(text: &str, file: &FileName) -> bool {
    text.match_indices('-').any(|(hyphen, _)| {
        let (name, version) = (&text[..hyphen], &text[hyphen + 1..]);
        name.parse::<NormalizedName>().is_ok_and(|name| name == *file.project())
            && version.parse::<Version>().is_ok_and(|version| version == *file.version())
    })
}
