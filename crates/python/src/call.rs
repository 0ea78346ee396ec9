//! From a method and a path to one typed value: the only place that reads the paths of the Python surface.
//!
//! A registry's index lives under `/api/v1/<organization>/<registry>/python`. That is where uploads go; the
//! simple repository API is under `simple/` below it, and `+simple/` is the same for clients that look there.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::name::NormalizedName;
use crate::version::Version;

/// One request of the Python surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which registry it is aimed at.
    pub place: Place,
    /// What it is aimed at there.
    pub target: Target,
}

/// The registry that a path names. Both names are as they came, decoded: they need not be possible ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The organization's name.
    pub organization: String,
    /// The registry's name.
    pub registry: String,
}

/// What a request is aimed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The page for people who open the upload URL in a browser.
    Help,
    /// An upload of one file.
    Upload,
    /// The list of projects (simple repository API, "Project list").
    ProjectList,
    /// The files of a project (simple repository API, "Project detail").
    Project {
        /// Which.
        name: NormalizedName,
    },
    /// A wheel or a source distribution.
    File(FilePath),
    /// The METADATA of a wheel (simple repository API, "Serve distribution metadata").
    Metadata(FilePath),
    /// What is attested about a file (index hosted attestations, "Provenance").
    Provenance {
        /// The project.
        name: NormalizedName,
        /// The release.
        version: Version,
        /// The file.
        filename: String,
    },
    /// The same page under its one right path.
    Redirect {
        /// The path, percent-encoded, without a query.
        location: String,
    },
}

/// The names in the path of a file. The digest is in the path so that what is under it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath {
    /// The project.
    pub name: NormalizedName,
    /// SHA-256 of the file, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The file's name, without the `.metadata` that may have followed it.
    pub filename: String,
}

/// A request that is not a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CallError {
    /// The registry, if the path got as far as naming one. Ask for a right over it before answering: what is
    /// wrong with the rest is not for everybody.
    pub place: Option<Place>,
    /// What is wrong.
    pub reason: CallErrorReason,
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallErrorReason {
    /// No endpoint has this path.
    #[error("nothing is at this path; the index is under python/simple/ and uploads go to python/")]
    NotFound,
    /// The path names a project in a way that no project can be named.
    #[error("no project can have this name; names are letters and digits with . - _ between them")]
    Name,
    /// Something is uploaded to the index.
    #[error("upload to the URL that ends in /python, not to the simple index below it")]
    UploadToIndex {
        /// The value of the `Allow` header.
        allow: &'static str,
    },
    /// The endpoint does not take this method.
    #[error("this endpoint does not take the method; use {allow}")]
    MethodNotAllowed {
        /// The value of the `Allow` header.
        allow: &'static str,
    },
}

const READ: &str = "GET, HEAD";
const READ_OR_UPLOAD: &str = "GET, HEAD, POST";

/// The longest file name that a path is searched for, in bytes; no stored name is longer.
const MAX_FILE_NAME_BYTES: usize = 255;

impl Place {
    /// The registry whose Python surface a path belongs to. `path` is as it came, percent-encoded.
    pub fn find(path: &str) -> Option<Self> {
        split(path).map(|(place, _, _)| place)
    }
}

/// The registry, the path to its index as it came, and what follows that.
fn split(path: &str) -> Option<(Place, &str, &str)> {
    let mut pieces = path.strip_prefix("/api/v1/")?.splitn(4, '/');
    let (organization, registry) = (pieces.next()?, pieces.next()?);
    let surface = pieces.next()?;
    let place =
        Place { organization: decode(organization)?.into_owned(), registry: decode(registry)?.into_owned() };
    if decode(surface)? != "python" {
        return None;
    }
    let rest = pieces.next().map_or("", |rest| &path[path.len() - rest.len() - 1..]);
    Some((place, &path[..path.len() - rest.len()], rest))
}

/// One piece of a path, decoded once. What would change the path for somebody who decodes first is none.
fn decode(piece: &str) -> Option<Cow<'_, str>> {
    let decoded = percent_decode_str(piece).decode_utf8().ok()?;
    let plain = !decoded.is_empty()
        && !decoded.contains(['/', '\\'])
        && !decoded.chars().any(char::is_control)
        && !matches!(decoded.as_ref(), "." | "..");
    plain.then_some(decoded)
}

impl Call {
    /// Reads a request. `path` is as it came in the request line, percent-encoded.
    pub fn parse(method: &Method, path: &str) -> Result<Self, CallError> {
        let Some((place, base, rest)) = split(path) else {
            return Err(CallError { place: None, reason: CallErrorReason::NotFound });
        };
        match target(method, base, rest) {
            Ok(target) => Ok(Self { place, target }),
            Err(reason) => Err(CallError { place: Some(place), reason }),
        }
    }

    /// A stable label of the operation, for metrics.
    pub fn endpoint(&self) -> &'static str {
        match self.target {
            Target::Help => "python_help",
            Target::Upload => "python_upload",
            Target::ProjectList => "python_project_list",
            Target::Project { .. } => "python_project",
            Target::File(_) => "python_file",
            Target::Metadata(_) => "python_metadata",
            Target::Provenance { .. } => "python_provenance",
            Target::Redirect { .. } => "python_redirect",
        }
    }
}

/// `rest` is empty or begins with a slash.
fn target(method: &Method, base: &str, rest: &str) -> Result<Target, CallErrorReason> {
    let is_read = *method == Method::GET || *method == Method::HEAD;
    let path = rest.strip_prefix('/').unwrap_or(rest);
    if path.is_empty() {
        return match *method {
            Method::POST => Ok(Target::Upload),
            _ if is_read => Ok(Target::Help),
            _ => Err(CallErrorReason::MethodNotAllowed { allow: READ_OR_UPLOAD }),
        };
    }
    // A slash at the end is part of the path of a page, and of no other.
    let (path, is_folder) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
    let pieces: Option<Vec<Cow<'_, str>>> = path.split('/').map(decode).collect();
    let pieces = pieces.ok_or(CallErrorReason::NotFound)?;
    let pieces: Vec<&str> = pieces.iter().map(AsRef::as_ref).collect();
    if let ["simple" | "+simple", below @ ..] = pieces.as_slice() {
        if !is_read {
            return Err(CallErrorReason::UploadToIndex { allow: READ });
        }
        return index_target(below, base, is_folder);
    }
    if is_folder {
        return Err(CallErrorReason::NotFound);
    }
    let target = match pieces.as_slice() {
        ["files", name, sha256, filename] => file_target(name, sha256, filename),
        ["integrity", name, version, filename, "provenance"] => provenance_target(name, version, filename),
        _ => None,
    };
    let target = target.ok_or(CallErrorReason::NotFound)?;
    if is_read { Ok(target) } else { Err(CallErrorReason::MethodNotAllowed { allow: READ }) }
}

fn index_target(below: &[&str], base: &str, is_folder: bool) -> Result<Target, CallErrorReason> {
    match below {
        [] if is_folder => Ok(Target::ProjectList),
        [] => Ok(Target::Redirect { location: format!("{base}/simple/") }),
        [text] => {
            let name: NormalizedName = text.parse().map_err(|_| CallErrorReason::Name)?;
            if is_folder && name.as_str() == *text {
                return Ok(Target::Project { name });
            }
            // Both corrections in one step. A normalized name needs no encoding.
            Ok(Target::Redirect { location: format!("{base}/simple/{}/", name.as_str()) })
        }
        _ => Err(CallErrorReason::NotFound),
    }
}

fn file_target(name: &str, sha256: &str, filename: &str) -> Option<Target> {
    let is_digest =
        sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_digest {
        return None;
    }
    let (filename, is_metadata) =
        filename.strip_suffix(".metadata").map_or((filename, false), |filename| (filename, true));
    let path = FilePath {
        name: name.parse().ok()?,
        sha256: sha256.to_owned(),
        filename: plausible(filename)?.to_owned(),
    };
    Some(if is_metadata { Target::Metadata(path) } else { Target::File(path) })
}

fn provenance_target(name: &str, version: &str, filename: &str) -> Option<Target> {
    Some(Target::Provenance {
        name: name.parse().ok()?,
        version: version.parse().ok()?,
        filename: plausible(filename)?.to_owned(),
    })
}

fn plausible(filename: &str) -> Option<&str> {
    Some(filename).filter(|name| (1..=MAX_FILE_NAME_BYTES).contains(&name.len()) && name.is_ascii())
}
