//! `GET`, `HEAD`, `PUT` and `DELETE` of `/v2/<name>/manifests/<reference>`.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH, WARNING};
use http::{HeaderName, HeaderValue, StatusCode};
use oci::{Digest, ErrorCode, MAX_MANIFEST_BYTES, Reference, RepositoryName, Tag};
use registry::{Delete, ManifestStat, Pull, Push};

use super::Exchange;
use super::error::Failure;
use super::respond::{created, set, set_digest};
use crate::body::{self, Body, CollectError, Response, empty};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// How long the body of a manifest may stand still.
const STALL: std::time::Duration = std::time::Duration::from_secs(30);

pub(super) async fn get(
    exchange: &Exchange<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Pull>(name).await?;
    let content = exchange.state.registry.manifest_pull(&granted, reference).await?;
    if not_modified(exchange, &content.stat.digest) {
        return Ok(unchanged(&content.stat));
    }
    let mut response = http::Response::new(Body::from(content.body));
    describe(&mut response, &content.stat);
    Ok(response)
}

pub(super) async fn head(
    exchange: &Exchange<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Pull>(name).await?;
    let stat = exchange.state.registry.manifest_stat(&granted, reference).await?;
    if not_modified(exchange, &stat.digest) {
        return Ok(unchanged(&stat));
    }
    let mut response = empty(StatusCode::OK);
    describe(&mut response, &stat);
    Ok(response)
}

pub(super) async fn put(
    exchange: Exchange<'_>,
    name: &RepositoryName,
    reference: &Reference,
    tags: &[Tag],
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Push>(name).await?;
    let content_type = exchange.header(CONTENT_TYPE).map(str::to_owned);
    let Exchange { state, body, .. } = exchange;
    // One byte more than allowed is enough to know; the parser then says what the limit is.
    let body = match body::collect(body, MAX_MANIFEST_BYTES, STALL).await {
        Ok(body) => body,
        Err(CollectError::TooLong) => return Err(too_large()),
        Err(CollectError::Incomplete(reason)) => {
            return Err(Failure::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::ManifestInvalid,
                format!("the manifest did not arrive whole ({reason}); push it again"),
            ));
        }
    };
    let pushed =
        state.registry.manifest_push(&granted, reference, tags, content_type.as_deref(), body).await?;
    let mut response = created(&format!("/v2/{name}/manifests/{}", pushed.digest), &pushed.digest);
    let headers = response.headers_mut();
    if let Some(subject) = &pushed.subject {
        set(headers, OCI_SUBJECT, subject.as_str());
    }
    for tag in &pushed.tags {
        if let Ok(value) = HeaderValue::from_str(tag.as_str()) {
            headers.append(OCI_TAG, value);
        }
    }
    if pushed.missing > 0 {
        // Clients of OCI 1.1 show this to whoever pushes (OCI distribution-spec, "Warnings").
        let warning =
            format!("299 - \"{} digests that it names are not in this repository yet\"", pushed.missing);
        set(headers, WARNING, &warning);
    }
    Ok(response)
}

pub(super) async fn delete(
    exchange: &Exchange<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Delete>(name).await?;
    exchange.state.registry.manifest_delete(&granted, reference).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

fn too_large() -> Failure {
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::SizeInvalid,
        format!(
            "the manifest is longer than {MAX_MANIFEST_BYTES} bytes, which clients could not pull; move long \
             annotations and data into a blob"
        ),
    )
}

fn describe(response: &mut Response, stat: &ManifestStat) {
    let headers = response.headers_mut();
    set_digest(headers, &stat.digest);
    set(headers, CONTENT_TYPE, &stat.media_type);
    set(headers, CONTENT_LENGTH, &stat.size.to_string());
}

fn not_modified(exchange: &Exchange<'_>, digest: &Digest) -> bool {
    exchange.header(IF_NONE_MATCH).is_some_and(|value| oci::if_none_match(value, digest))
}

fn unchanged(stat: &ManifestStat) -> Response {
    let mut response = empty(StatusCode::NOT_MODIFIED);
    set_digest(response.headers_mut(), &stat.digest);
    response
}
