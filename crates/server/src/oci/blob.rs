//! `GET`, `HEAD` and `DELETE` of `/v2/<name>/blobs/<digest>`.

use std::pin::Pin;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderValue, StatusCode};
use oci::{ByteRange, Digest, ErrorCode, RepositoryName};
use registry::{Delete, Pull};

use super::Exchange;
use super::error::Failure;
use super::respond::{set, set_digest};
use crate::body::{Body, Response, empty};
use crate::redirect;

/// Content under a digest never changes, so it may be kept for a year; it is for this caller alone.
const CACHE: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

pub(super) async fn get(
    exchange: &Exchange<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Pull>(name).await?;
    let content = exchange.state.registry.blob_pull(&granted, digest).await?;
    if not_modified(exchange, digest) {
        return Ok(unchanged(digest));
    }
    if !redirect::is_declined(&exchange.headers)
        && let Some(address) = exchange.state.registry.blob_redirect(&content).await?
    {
        let mut response = redirect::to(&address);
        set_digest(response.headers_mut(), digest);
        return Ok(response);
    }
    let range = match exchange.header(RANGE) {
        Some(range) if range_applies(exchange, digest) => ByteRange::parse(range, content.size),
        _ => ByteRange::Full,
    };
    let (status, first, length) = match range {
        ByteRange::Full => (StatusCode::OK, 0, content.size),
        ByteRange::Partial { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        ByteRange::Unsatisfiable => return Err(unsatisfiable(content.size)),
    };
    let body = if length == 0 {
        Body::empty()
    } else {
        let reader = exchange.state.registry.blob_read(&content, first, length).await?;
        Body::Stream(Pin::from(Box::new(reader)), length)
    };
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    describe(&mut response, digest, length);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{}", first + length - 1, content.size);
        set(response.headers_mut(), CONTENT_RANGE, &range);
    }
    Ok(response)
}

pub(super) async fn head(
    exchange: &Exchange<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Pull>(name).await?;
    let stat = exchange.state.registry.blob_stat(&granted, digest).await?;
    if not_modified(exchange, digest) {
        return Ok(unchanged(digest));
    }
    let mut response = empty(StatusCode::OK);
    describe(&mut response, digest, stat.size);
    Ok(response)
}

pub(super) async fn delete(
    exchange: &Exchange<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Delete>(name).await?;
    exchange.state.registry.blob_delete(&granted, digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

fn describe(response: &mut Response, digest: &Digest, length: u64) {
    let headers = response.headers_mut();
    set_digest(headers, digest);
    set(headers, CONTENT_LENGTH, &length.to_string());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, CACHE);
}

fn not_modified(exchange: &Exchange<'_>, digest: &Digest) -> bool {
    exchange.header(IF_NONE_MATCH).is_some_and(|value| oci::if_none_match(value, digest))
}

fn unchanged(digest: &Digest) -> Response {
    let mut response = empty(StatusCode::NOT_MODIFIED);
    set_digest(response.headers_mut(), digest);
    response
}

/// A range under `If-Range` counts only for the very content that the client has a part of (RFC 9110 §13.1.5).
fn range_applies(exchange: &Exchange<'_>, digest: &Digest) -> bool {
    exchange.header(IF_RANGE).is_none_or(|tag| tag.trim() == format!("\"{digest}\""))
}

fn unsatisfiable(size: u64) -> Failure {
    Failure::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        ErrorCode::SizeInvalid,
        format!("the range is outside this blob, which has {size} bytes"),
    )
    .with_content_range(size)
}
