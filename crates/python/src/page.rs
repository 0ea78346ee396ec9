//! The pages of the simple repository API (packaging specification "Simple repository API", version 1.4, with
//! the project status of PEP 792). Both serializations are made from one value, so they list the same files.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::filename::FileName;
use crate::version::Version;

mod html;
mod json;

/// The version of the API that the pages follow. The HTML form has none beyond it.
pub const API_VERSION: &str = "1.4";

/// What an unreserved character of a URL is (RFC 3986, section 2.3): nothing else stays as it is in a path.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The page of one project. Files and versions may come in any order: the page lists files by version and file
/// name, versions by version.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The project's name in normal form.
    pub name: &'a str,
    /// The status of the project. No file of a quarantined project is listed, whatever `files` holds.
    pub status: Status,
    /// Why the project has this status. Nothing is said about an active one.
    pub reason: Option<&'a str>,
    /// The files.
    pub files: &'a [PageFile],
    /// The releases, each in the spelling in which it is displayed.
    pub versions: &'a [String],
}

impl<'a> Page<'a> {
    /// The page as JSON: [`crate::Format::Json`].
    pub fn to_json(&self) -> Vec<u8> {
        json::page(self)
    }

    /// The page as HTML: [`crate::Format::HtmlV1`] and [`crate::Format::Html`].
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    fn visible_files(&self) -> Vec<&'a PageFile> {
        if self.status == Status::Quarantined {
            return Vec::new();
        }
        let mut files: Vec<&PageFile> = self.files.iter().collect();
        files.sort_by_cached_key(|file| {
            let version = file.filename.parse::<FileName>().ok().map(|name| name.version().clone());
            (version, file.filename.as_str())
        });
        files
    }

    fn sorted_versions(&self) -> Vec<&'a str> {
        let mut versions: Vec<&str> = self.versions.iter().map(String::as_str).collect();
        versions.sort_by_cached_key(|text| (text.parse::<Version>().ok(), *text));
        versions
    }

    fn shown_reason(&self) -> Option<&'a str> {
        self.reason.filter(|reason| self.status != Status::Active && !reason.is_empty())
    }
}

/// One file on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFile {
    /// The file's name.
    pub filename: String,
    /// Where it is, absolute, without a fragment.
    pub url: String,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was uploaded, in milliseconds since 1970-01-01T00:00:00Z.
    pub uploaded_at_millis: i64,
    /// Its own `Requires-Python`.
    pub requires_python: Option<String>,
    /// Whether it is yanked, and why; an empty text is no reason.
    pub yanked: Option<String>,
    /// The SHA-256 of its METADATA in hexadecimal, if that is served beside it.
    pub metadata_sha256: Option<String>,
    /// Where its provenance is, absolute.
    pub provenance: Option<String>,
}

/// The status of a project (packaging specification "Project status markers").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// In use.
    Active,
    /// Takes no more uploads.
    Archived,
    /// Superseded or obsolete.
    Deprecated,
    /// Considered unsafe: no uploads, no downloads.
    Quarantined,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Active, Self::Archived, Self::Deprecated, Self::Quarantined];

    /// The status as pages write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
            Self::Deprecated => "deprecated",
            Self::Quarantined => "quarantined",
        }
    }
}

/// A text that is no project status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a project status is one of active, archived, deprecated and quarantined")]
pub struct UnknownStatus;

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The list of projects as JSON. The names are in normal form; they are listed in the order in which they
/// come.
pub fn project_list_json<S: AsRef<str>>(names: &[S]) -> Vec<u8> {
    json::project_list(names)
}

/// The list of projects as HTML. The names are in normal form; links are relative to the list.
pub fn project_list_html<S: AsRef<str>>(names: &[S]) -> String {
    html::project_list(names)
}

/// A file name as a segment of a URL's path: everything but the unreserved characters is escaped, so that
/// no client takes the `+` of a local version for a space.
pub fn file_path_segment(filename: &str) -> String {
    utf8_percent_encode(filename, PATH_SEGMENT).to_string()
}

/// The instant as the API writes it, with six fraction digits. An instant beyond the year 9999 is written as
/// the nearest one that can be.
fn upload_time(millis: i64) -> String {
    let limit = if millis < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let timestamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(limit);
    format!("{timestamp:.6}")
}

#[cfg(test)]
mod tests;
