//! `GET …/python/simple/` and `GET …/python/simple/{project}/`: the simple repository API.

use std::sync::Arc;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use python::page::file_path_segment;
use python::{Format, NormalizedName, Page, PageFile};
use registry::{Granted, PackagesRead, ProjectPage, ProjectPageFile, ProjectState};

use super::encoding::accepts_gzip;
use super::error::Failure;
use super::pages::{PageKey, Rendered, Subject};
use super::{Exchange, audience, set};
use crate::body::{Body, Response, empty};

pub(super) async fn list(exchange: &Exchange<'_>) -> Result<Response, Failure> {
    let granted = exchange.grant::<PackagesRead>().await?;
    let format = negotiate(exchange)?;
    let state = exchange.state.registry.python_projects(&granted)?;
    let key = PageKey { subject: Subject::Projects(state.registry_id), serial: state.serial, format };
    answer(exchange, key, state.public, async {
        let names = exchange.state.registry.python_project_names(&granted).await?;
        render(move || match format {
            Format::Json => python::page::project_list_json(&names),
            Format::HtmlV1 | Format::Html => python::page::project_list_html(&names).into_bytes(),
        })
        .await
    })
    .await
}

pub(super) async fn project(exchange: &Exchange<'_>, name: &NormalizedName) -> Result<Response, Failure> {
    let granted = exchange.grant::<PackagesRead>().await?;
    let format = negotiate(exchange)?;
    let state = exchange.state.registry.python_project(&granted, name).await?;
    let key = PageKey { subject: Subject::Project(state.id), serial: state.serial, format };
    let public = state.public;
    answer(exchange, key, public, render_project(exchange, &granted, state, format)).await
}

async fn render_project(
    exchange: &Exchange<'_>,
    granted: &Granted<PackagesRead>,
    state: ProjectState,
    format: Format,
) -> Result<Arc<Rendered>, Failure> {
    let page = exchange.state.registry.python_page(granted, &state).await?;
    let links = Links { base: exchange.base_url(), is_absolute: exchange.public_url().is_some() };
    render(move || links.page(&state, page, format)).await
}

/// Makes a page off the threads that serve requests.
async fn render(make: impl FnOnce() -> Vec<u8> + Send + 'static) -> Result<Arc<Rendered>, Failure> {
    let rendered = tokio::task::spawn_blocking(move || Arc::new(Rendered::new(make())));
    rendered.await.map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Failure::unavailable()
    })
}

/// Where the files of a project are.
struct Links {
    base: String,
    is_absolute: bool,
}

impl Links {
    fn page(&self, state: &ProjectState, page: ProjectPage, format: Format) -> Vec<u8> {
        let ProjectPage { versions, files } = page;
        let files: Vec<PageFile> = files.into_iter().map(|file| self.file(&state.name, file)).collect();
        let page = Page {
            name: &state.name,
            status: state.status,
            reason: state.status_reason.as_deref(),
            files: &files,
            versions: &versions,
        };
        match format {
            Format::Json => page.to_json(),
            Format::HtmlV1 | Format::Html => page.to_html().into_bytes(),
        }
    }

    fn file(&self, project: &str, file: ProjectPageFile) -> PageFile {
        let base = &self.base;
        let segment = file_path_segment(&file.filename);
        // It has to be an absolute URL, and without a configured one there is none to be sure of.
        let provenance = (file.attested && self.is_absolute).then(|| {
            let version = file_path_segment(&file.version);
            format!("{base}/integrity/{project}/{version}/{segment}/provenance")
        });
        PageFile {
            url: format!("{base}/files/{project}/{}/{segment}", file.sha256),
            filename: file.filename,
            sha256: file.sha256,
            size: file.size,
            uploaded_at_millis: file.uploaded_at.as_millis(),
            requires_python: file.requires_python,
            yanked: file.yanked,
            metadata_sha256: file.metadata_sha256,
            provenance,
        }
    }
}

/// The format that the client wants most.
fn negotiate(exchange: &Exchange<'_>) -> Result<Format, Failure> {
    let accept = joined(exchange.headers, ACCEPT);
    let wanted = exchange.query.and_then(|query| {
        form_urlencoded::parse(query.as_bytes())
            .find_map(|(name, value)| (name == "format").then(|| value.into_owned()))
    });
    python::negotiate(accept.as_deref(), wanted.as_deref()).ok_or_else(|| {
        Failure::new(
            StatusCode::NOT_ACCEPTABLE,
            "UNSUPPORTED",
            format!(
                "this page comes as {}, {} or {}; accept one of them",
                Format::Json.content_type(),
                Format::HtmlV1.content_type(),
                Format::Html.content_type()
            ),
        )
        .varying(VARY_ON)
    })
}

/// A header that may come on several lines.
fn joined(headers: &HeaderMap, name: http::HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
    if lines.is_empty() { None } else { Some(lines.join(", ")) }
}

/// What an answer depends on. Never on credentials: some clients keep what they sent under the names here in a
/// file. That an answer is `private` keeps it from being shared.
const VARY_ON: &str = "Accept, Accept-Encoding";

async fn answer(
    exchange: &Exchange<'_>,
    key: PageKey,
    public: bool,
    rendered: impl Future<Output = Result<Arc<Rendered>, Failure>>,
) -> Result<Response, Failure> {
    let gzip = joined(exchange.headers, ACCEPT_ENCODING).as_deref().is_some_and(accepts_gzip);
    let tag = entity_tag(&key, &exchange.base_url(), public, gzip);
    let mut response = if joined(exchange.headers, IF_NONE_MATCH).is_some_and(|tags| names_tag(&tags, &tag)) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        let page = exchange.state.pages.get(key, rendered).await?;
        whole(&page, key.format, gzip)
    };
    let headers = response.headers_mut();
    set(headers, ETAG, &tag);
    // Asked about each time, so that a release is seen as soon as it is there; mostly answered 304.
    set(headers, CACHE_CONTROL, &format!("{}, no-cache", audience(public)));
    headers.insert(VARY, HeaderValue::from_static(VARY_ON));
    if public {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    Ok(response)
}

fn whole(page: &Rendered, format: Format, gzip: bool) -> Response {
    let gzip = page.gzip.as_ref().filter(|_| gzip);
    let body = gzip.unwrap_or(&page.plain).clone();
    let mut response = http::Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    if gzip.is_some() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if !matches!(format, Format::Json) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    }
    response
}

/// Names what a page shows and how: its subject, its changes, its format, and what else its text depends on. The
/// tag is a strong one, because one client asks about no other; so what is compressed has another.
fn entity_tag(key: &PageKey, base_url: &str, public: bool, gzip: bool) -> String {
    let (kind, id) = match key.subject {
        Subject::Projects(id) => ("projects", id),
        Subject::Project(id) => ("project", id),
    };
    let format = match key.format {
        Format::Json => "json",
        Format::HtmlV1 => "html1",
        Format::Html => "html",
    };
    let version = env!("CARGO_PKG_VERSION");
    let view = fingerprint(&format!("{kind} {id} {base_url} {public} {version}"));
    let coding = if gzip { "-gzip" } else { "" };
    format!("\"{}-{format}-{view:016x}{coding}\"", key.serial)
}

/// FNV-1a: the same on all replicas and after each start, which the standard library's hashes do not promise.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether an `If-None-Match` header names a tag (RFC 9110 §13.1.2). The tags made here hold no comma.
pub(super) fn names_tag(header: &str, tag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let tag = opaque(tag);
    header.trim() == "*" || header.split(',').any(|named| opaque(named.trim()) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(serial: i64, format: Format) -> PageKey {
        PageKey { subject: Subject::Project(7), serial, format }
    }

    #[test]
    fn a_tag_changes_with_everything_that_the_page_depends_on() {
        let base = "https://a.example/api/v1/acme/main/python";
        let tag = entity_tag(&key(3, Format::Json), base, true, false);
        assert!(tag.starts_with("\"3-json-"), "{tag}");
        assert_eq!(tag, entity_tag(&key(3, Format::Json), base, true, false));
        let list = PageKey { subject: Subject::Projects(7), ..key(3, Format::Json) };
        for other in [
            entity_tag(&key(4, Format::Json), base, true, false),
            entity_tag(&key(3, Format::Html), base, true, false),
            entity_tag(&key(3, Format::HtmlV1), base, true, false),
            entity_tag(&key(3, Format::Json), "/api/v1/acme/main/python", true, false),
            entity_tag(&key(3, Format::Json), base, false, false),
            entity_tag(&list, base, true, false),
            entity_tag(&key(3, Format::Json), base, true, true),
        ] {
            assert_ne!(other, tag);
        }
    }

    #[test]
    fn tags_that_match() {
        for header in ["*", "W/\"a\"", "\"a\"", "\"b\", W/\"a\"", "\"b\",\"a\" "] {
            assert!(names_tag(header, "W/\"a\""), "{header}");
            assert!(names_tag(header, "\"a\""), "{header}");
        }
        for header in ["", "a", "\"b\"", "\"a-gzip\"", "W/"] {
            assert!(!names_tag(header, "W/\"a\""), "{header}");
        }
    }

    #[test]
    fn links_are_escaped_and_provenance_is_absolute() {
        let file = ProjectPageFile {
            version: "1!1.0+cu118".to_owned(),
            filename: "demo-1!1.0+cu118-py3-none-any.whl".to_owned(),
            sha256: "ab".repeat(32),
            size: 1,
            requires_python: None,
            metadata_sha256: None,
            yanked: None,
            attested: true,
            uploaded_at: clock::Timestamp::from_millis(0),
        };
        let base = "/api/v1/acme/main/python".to_owned();
        let relative = Links { base: base.clone(), is_absolute: false }.file("demo", file.clone());
        let digest = "ab".repeat(32);
        assert_eq!(relative.url, format!("{base}/files/demo/{digest}/demo-1%211.0%2Bcu118-py3-none-any.whl"));
        assert_eq!(relative.provenance, None);
        let base = format!("https://a.example{base}");
        let absolute = Links { base: base.clone(), is_absolute: true }.file("demo", file);
        assert_eq!(
            absolute.provenance.unwrap(),
            format!("{base}/integrity/demo/1%211.0%2Bcu118/demo-1%211.0%2Bcu118-py3-none-any.whl/provenance")
        );
    }
}
