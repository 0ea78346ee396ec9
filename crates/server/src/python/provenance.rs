//! `GET …/python/integrity/{project}/{version}/{filename}/provenance`.

use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use python::{NormalizedName, Version};
use registry::PackagesRead;

use super::error::Failure;
use super::{Exchange, audience, set};
use crate::body::{Body, Response};

/// The media type of a provenance object (index hosted attestations).
const PROVENANCE_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.pypi.integrity.v1+json");

pub(super) async fn get(
    exchange: &Exchange<'_>,
    name: &NormalizedName,
    version: &Version,
    filename: &str,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<PackagesRead>().await?;
    let registry = &exchange.state.registry;
    let document = registry.python_provenance(&granted, name, version, filename).await?;
    let mut response = http::Response::new(Body::from(document));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROVENANCE_TYPE);
    // More can be attested later.
    set(headers, CACHE_CONTROL, &format!("{}, no-cache", audience(granted.is_public())));
    Ok(response)
}
