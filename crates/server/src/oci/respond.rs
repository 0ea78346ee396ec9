//! Headers and locations that several handlers share.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LINK, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use oci::{Digest, RepositoryName, UploadId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::body::{Body, Response, empty};

/// Digest of the content, in the algorithm that the client used.
pub(super) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Everything in a query value but the characters that need no escape (RFC 3986 §2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A query value, escaped.
pub(super) fn escape(value: &str) -> String {
    utf8_percent_encode(value, QUERY).to_string()
}

/// Sets a header whose value was made here of harmless parts.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Digest and entity tag of content.
pub(super) fn set_digest(headers: &mut HeaderMap, digest: &Digest) {
    set(headers, DIGEST, digest.as_str());
    set(headers, ETAG, &format!("\"{digest}\""));
}

/// An answer with JSON text of the given type, which has no parameters: some clients compare it whole.
pub(super) fn json(content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = http::Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Points to the next page of a list.
pub(super) fn link_next(headers: &mut HeaderMap, url: &str) {
    set(headers, LINK, &format!("<{url}>; rel=\"next\""));
}

/// Where a blob can be pulled. Locations are relative: then no proxy can make them wrong.
pub(super) fn blob_location(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{name}/blobs/{digest}")
}

/// Where an upload goes on.
pub(super) fn upload_location(name: &RepositoryName, id: &UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{}", id.as_str())
}

/// The bytes that an upload has, as answers to POST and PATCH write it: clients there insist on an end that
/// is no less than the start, so nothing is written as `0-0`.
pub(super) fn upload_range(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

/// The same for answers that a client resumes from, where nothing must differ from one byte.
pub(super) fn upload_range_truthful(offset: u64) -> String {
    offset.checked_sub(1).map_or_else(|| "0--1".to_owned(), |last| format!("0-{last}"))
}

/// A blob or a manifest that is now in the repository.
pub(super) fn created(location: &str, digest: &Digest) -> Response {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    set(headers, LOCATION, location);
    set(headers, DIGEST, digest.as_str());
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}
