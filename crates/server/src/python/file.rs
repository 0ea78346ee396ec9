//! `GET` and `HEAD` of `…/python/files/{project}/{sha256}/{filename}` and of the METADATA beside it.

use std::pin::Pin;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use oci::ByteRange;
use python::FilePath;
use registry::{PackagesRead, PythonFile};

use super::error::Failure;
use super::simple::names_tag;
use super::{Exchange, audience, set};
use crate::body::{Body, Response, empty};
use crate::redirect;

pub(super) async fn get(exchange: &Exchange<'_>, path: &FilePath) -> Result<Response, Failure> {
    let granted = exchange.grant::<PackagesRead>().await?;
    let registry = &exchange.state.registry;
    let file = registry.python_file(&granted, &path.name, &path.sha256, &path.filename).await?;
    let about = About::file(&file, path);
    if exchange.header(IF_NONE_MATCH).is_some_and(|tags| names_tag(tags, &about.tag)) {
        return Ok(about.unchanged());
    }
    let size = file.content.size;
    if !exchange.head
        && !redirect::is_declined(exchange.headers)
        && let Some(address) = registry.blob_redirect(&file.content).await?
    {
        return Ok(redirect::to(&address));
    }
    let range = match exchange.header(RANGE) {
        Some(range) if about.is_current(exchange.header(IF_RANGE)) => ByteRange::parse(range, size),
        _ => ByteRange::Full,
    };
    let (status, first, length) = match range {
        ByteRange::Full => (StatusCode::OK, 0, size),
        ByteRange::Partial { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        ByteRange::Unsatisfiable => return Err(Failure::outside(size)),
    };
    let body = if exchange.head || length == 0 {
        Body::empty()
    } else {
        let reader = registry.blob_read(&file.content, first, length).await?;
        Body::Stream(Pin::from(Box::new(reader)), length)
    };
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    about.describe(headers);
    set(headers, CONTENT_LENGTH, &length.to_string());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Installers take the file's name from here. The grammar of file names has nothing that needs an escape.
    set(headers, CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", path.filename));
    if status == StatusCode::PARTIAL_CONTENT {
        set(headers, CONTENT_RANGE, &format!("bytes {first}-{}/{size}", first + length - 1));
    }
    Ok(response)
}

pub(super) async fn metadata(exchange: &Exchange<'_>, path: &FilePath) -> Result<Response, Failure> {
    let granted = exchange.grant::<PackagesRead>().await?;
    let registry = &exchange.state.registry;
    let metadata = registry.python_metadata(&granted, &path.name, &path.sha256, &path.filename).await?;
    let about = About {
        tag: format!("\"{}.metadata\"", path.sha256),
        last_modified: None,
        public: granted.is_public(),
    };
    if exchange.header(IF_NONE_MATCH).is_some_and(|tags| names_tag(tags, &about.tag)) {
        return Ok(about.unchanged());
    }
    let length = metadata.len();
    let mut response = http::Response::new(Body::from(metadata));
    let headers = response.headers_mut();
    about.describe(headers);
    set(headers, CONTENT_LENGTH, &length.to_string());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

/// What is said of content that never changes under its path.
struct About {
    tag: String,
    last_modified: Option<String>,
    public: bool,
}

impl About {
    fn file(file: &PythonFile, path: &FilePath) -> Self {
        Self {
            tag: format!("\"sha256:{}\"", path.sha256),
            last_modified: http_date(file.uploaded_at),
            public: file.public,
        }
    }

    fn describe(&self, headers: &mut HeaderMap) {
        set(headers, ETAG, &self.tag);
        if let Some(date) = &self.last_modified {
            set(headers, LAST_MODIFIED, date);
        }
        let audience = audience(self.public);
        set(headers, CACHE_CONTROL, &format!("{audience}, max-age=31536000, immutable"));
    }

    fn unchanged(&self) -> Response {
        let mut response = empty(StatusCode::NOT_MODIFIED);
        self.describe(response.headers_mut());
        response
    }

    /// A range under `If-Range` counts only for the very content that the client has a part of
    /// (RFC 9110 §13.1.5). The content under a path never changes, so the date is as good as the tag.
    fn is_current(&self, if_range: Option<&str>) -> bool {
        let Some(given) = if_range.map(str::trim) else { return true };
        given == self.tag || self.last_modified.as_deref() == Some(given)
    }
}

/// A moment as headers write it (RFC 9110 §5.6.7).
fn http_date(moment: clock::Timestamp) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(moment.as_millis()).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        let moment = clock::Timestamp::from_millis(784_111_777_999);
        assert_eq!(http_date(moment).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    }

    #[test]
    fn a_range_counts_for_the_same_content_only() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let about =
            About { tag: "\"sha256:ab\"".to_owned(), last_modified: Some(date.to_owned()), public: true };
        for given in [None, Some("\"sha256:ab\""), Some(date)] {
            assert!(about.is_current(given), "{given:?}");
        }
        for given in ["\"sha256:cd\"", "W/\"sha256:ab\"", "Sun, 06 Nov 1994 08:49:36 GMT", ""] {
            assert!(!about.is_current(Some(given)), "{given}");
        }
    }
}
