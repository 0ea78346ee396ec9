//! Uploads: `POST /v2/<name>/blobs/uploads/` and everything under the location that it answers.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderName, HeaderValue, StatusCode};
use oci::{ContentRange, Digest, ErrorCode, RepositoryName, UploadId, UploadStart};
use registry::{ErrorKind, Granted, Mounted, Pull, Push, Pushed, Refusal, UploadStatus};

use super::challenge;
use super::error::Failure;
use super::respond::{blob_location, created, set, upload_location, upload_range, upload_range_truthful};
use super::{Exchange, Ungranted};
use crate::body::{Response, empty, pieces};
use crate::limit::BodyPermit;

const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

pub(super) async fn start(
    exchange: Exchange<'_>,
    name: &RepositoryName,
    mode: UploadStart,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Push>(name).await.map_err(|failure| match &mode {
        // A client that follows challenges one at a time is told both scopes of a mount at once.
        UploadStart::Mount { from: Some(source), .. } => failure.asking_for(challenge::mount(name, source)),
        _ => failure,
    })?;
    match mode {
        UploadStart::Mount { digest, from, from_given } => {
            mount(&exchange, &granted, &digest, from.as_ref(), from_given).await
        }
        UploadStart::Monolithic { digest } => monolithic(exchange, &granted, &digest).await,
        UploadStart::Session { algorithm } => {
            let status = exchange.state.registry.upload_start(&granted, algorithm).await?;
            Ok(accepted(name, &status))
        }
    }
}

/// A mount that does not succeed opens a session: nothing tells why, and the client sends the bytes.
async fn mount(
    exchange: &Exchange<'_>,
    granted: &Granted<Push>,
    digest: &Digest,
    from: Option<&RepositoryName>,
    from_given: bool,
) -> Result<Response, Failure> {
    let registry = &exchange.state.registry;
    let mounted = match from {
        None if from_given => Mounted::No,
        None => registry.blob_mount(granted, digest, None).await?,
        Some(source) => match exchange.authorize::<Pull>(source).await {
            Ok(source) => registry.blob_mount(granted, digest, Some(&source)).await?,
            Err(Ungranted::Right(error)) => match error.kind() {
                // The token says nothing about the source; one that does may succeed.
                ErrorKind::Refused(Refusal::Unasked) => {
                    let scope = challenge::mount(granted.name(), source);
                    return Err(Failure::unasked(error.message(), exchange.asker.presumed(), scope));
                }
                ErrorKind::Refused(_) | ErrorKind::NotFound(_) => Mounted::No,
                _ => return Err(error.into()),
            },
            Err(Ungranted::Credentials(error)) => {
                let scope = challenge::mount(granted.name(), source);
                return Err(Failure::not_identified(&error, Some(scope)));
            }
            Err(Ungranted::Unsteady) => return Err(Failure::unavailable()),
        },
    };
    match mounted {
        Mounted::Yes => Ok(created(&blob_location(granted.name(), digest), digest)),
        Mounted::No => {
            let status = registry.upload_start(granted, Some(digest.algorithm())).await?;
            Ok(accepted(granted.name(), &status))
        }
    }
}

async fn monolithic(
    exchange: Exchange<'_>,
    granted: &Granted<Push>,
    digest: &Digest,
) -> Result<Response, Failure> {
    let _permit = permit(&exchange)?;
    let Exchange { state, body, .. } = exchange;
    match state.registry.blob_push(granted, digest, pieces(body)).await? {
        Pushed::Stored => Ok(created(&blob_location(granted.name(), digest), digest)),
        Pushed::Session(status) => Ok(accepted(granted.name(), &status)),
    }
}

pub(super) async fn status(
    exchange: &Exchange<'_>,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Push>(name).await?;
    let status = exchange.state.registry.upload_status(&granted, id).await?;
    let mut response = empty(StatusCode::NO_CONTENT);
    set(response.headers_mut(), LOCATION, &upload_location(name, id));
    set(response.headers_mut(), RANGE, &upload_range_truthful(status.offset));
    set(response.headers_mut(), UPLOAD_UUID, id.as_str());
    Ok(response)
}

pub(super) async fn patch(
    exchange: Exchange<'_>,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Push>(name).await?;
    let start = chunk_start(&exchange, &granted, id).await?;
    let _permit = permit(&exchange)?;
    let Exchange { state, body, .. } = exchange;
    let appended = state.registry.upload_append(&granted, id, start, pieces(body)).await;
    match appended {
        Ok(status) => Ok(accepted(name, &status)),
        Err(error) => Err(resumable(error, name, id)),
    }
}

pub(super) async fn put(
    exchange: Exchange<'_>,
    name: &RepositoryName,
    id: &UploadId,
    digest: Option<Digest>,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Push>(name).await?;
    let Some(digest) = digest else {
        // Asks for the session so that an unknown one is told as that.
        exchange.state.registry.upload_status(&granted, id).await?;
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::DigestInvalid,
            "closing an upload takes ?digest=<algorithm>:<hex> in the URL; the upload is still open",
        ));
    };
    let empty_body = http_body::Body::is_end_stream(&exchange.body);
    // Some clients send a range with an empty last request that names no byte at all.
    let start = if empty_body { None } else { chunk_start(&exchange, &granted, id).await? };
    let _permit = permit(&exchange)?;
    let Exchange { state, body, .. } = exchange;
    match state.registry.upload_finish(&granted, id, start, &digest, pieces(body)).await {
        Ok(()) => Ok(created(&blob_location(name, &digest), &digest)),
        Err(error) => Err(resumable(error, name, id)),
    }
}

pub(super) async fn cancel(
    exchange: &Exchange<'_>,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Push>(name).await?;
    exchange.state.registry.upload_cancel(&granted, id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// The byte at which a chunk says that it begins. A range that cannot be read is out of order too: the
/// client is told where the upload stands.
async fn chunk_start(
    exchange: &Exchange<'_>,
    granted: &Granted<Push>,
    id: &UploadId,
) -> Result<Option<u64>, Failure> {
    let Some(header) = exchange.headers.get(CONTENT_RANGE) else { return Ok(None) };
    match ContentRange::parse(header.to_str().unwrap_or_default()) {
        Ok(range) => Ok(Some(range.first)),
        Err(error) => {
            let status = exchange.state.registry.upload_status(granted, id).await?;
            let failure = Failure::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                ErrorCode::BlobUploadInvalid,
                error.to_string(),
            );
            Err(failure.with_upload(granted.name(), id, status.offset))
        }
    }
}

/// An error after which the upload can go on says where.
fn resumable(error: registry::Error, name: &RepositoryName, id: &UploadId) -> Failure {
    let offset = match error.kind() {
        ErrorKind::OutOfOrder { offset } => Some(*offset),
        _ => None,
    };
    let failure = Failure::from(error);
    match offset {
        Some(offset) => failure.with_upload(name, id, offset),
        None => failure,
    }
}

fn permit(exchange: &Exchange<'_>) -> Result<BodyPermit, Failure> {
    let user_id = exchange.asker.presumed().principal.user_id().unwrap_or_default();
    exchange.state.bodies.begin(user_id).ok_or_else(|| {
        Failure::busy(
            "too many uploads of this user are under way; let some finish, then try again",
            std::time::Duration::from_secs(1),
        )
    })
}

fn accepted(name: &RepositoryName, status: &UploadStatus) -> Response {
    let mut response = empty(StatusCode::ACCEPTED);
    let headers = response.headers_mut();
    set(headers, LOCATION, &upload_location(name, &status.id));
    set(headers, RANGE, &upload_range(status.offset));
    set(headers, UPLOAD_UUID, status.id.as_str());
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}
