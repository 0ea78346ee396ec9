//! Pages as JSON.

use serde::Serialize;

use super::{API_VERSION, Page, PageFile, upload_time};

pub(super) fn page(page: &Page<'_>) -> Vec<u8> {
    let files = page.visible_files();
    to_json(&ProjectJson {
        meta: Meta::CURRENT,
        name: page.name,
        project_status: ProjectStatus { status: page.status.as_str(), reason: page.shown_reason() },
        versions: page.sorted_versions(),
        files: files.into_iter().map(FileJson::of).collect(),
    })
}

pub(super) fn project_list<S: AsRef<str>>(names: &[S]) -> Vec<u8> {
    let projects = names.iter().map(|name| NameJson { name: name.as_ref() }).collect();
    to_json(&ListJson { meta: Meta::CURRENT, projects })
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts, numbers and flags are always JSON")
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Meta {
    api_version: &'static str,
}

impl Meta {
    const CURRENT: Self = Self { api_version: API_VERSION };
}

#[derive(Serialize)]
struct ListJson<'a> {
    meta: Meta,
    projects: Vec<NameJson<'a>>,
}

#[derive(Serialize)]
struct NameJson<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ProjectJson<'a> {
    meta: Meta,
    name: &'a str,
    project_status: ProjectStatus<'a>,
    versions: Vec<&'a str>,
    files: Vec<FileJson<'a>>,
}

#[derive(Serialize)]
struct ProjectStatus<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FileJson<'a> {
    filename: &'a str,
    url: &'a str,
    hashes: Hashes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requires_python: Option<&'a str>,
    size: u64,
    upload_time: String,
    yanked: Yanked<'a>,
    /// Under this name alone: a pip that knows only the first one (PEP 714) fails on a value with hashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    core_metadata: Option<Hashes<'a>>,
    provenance: Option<&'a str>,
}

#[derive(Serialize)]
struct Hashes<'a> {
    sha256: &'a str,
}

impl<'a> FileJson<'a> {
    fn of(file: &'a PageFile) -> Self {
        Self {
            filename: &file.filename,
            url: &file.url,
            hashes: Hashes { sha256: &file.sha256 },
            requires_python: file.requires_python.as_deref(),
            size: file.size,
            upload_time: upload_time(file.uploaded_at_millis),
            yanked: Yanked::of(file.yanked.as_deref()),
            core_metadata: file.metadata_sha256.as_deref().map(|sha256| Hashes { sha256 }),
            provenance: file.provenance.as_deref(),
        }
    }
}

/// `false`, `true`, or the reason: an empty text would be read as "not yanked" by clients that test its truth.
#[derive(Serialize)]
#[serde(untagged)]
enum Yanked<'a> {
    Flag(bool),
    Reason(&'a str),
}

impl<'a> Yanked<'a> {
    fn of(yanked: Option<&'a str>) -> Self {
        match yanked {
            None => Self::Flag(false),
            Some("") => Self::Flag(true),
            Some(reason) => Self::Reason(reason),
        }
    }
}
