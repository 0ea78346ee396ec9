//! Upload sessions: bytes go straight to their final place while they are hashed; finishing an upload is
//! one transaction and moves nothing.

use std::pin::Pin;

use blobs::{AppendLimits, AppendOutcome, Finished, Hashes, ObjectKey, SyncError};
use bytes::Bytes;
use futures_core::Stream;
use oci::{Algorithm, Digest, UploadId};

use super::adopt::object_adopt_in;
use super::session::{OpenUpload, out_of_order, resume, storage_failed, storage_full, sync_failed, unknown};
use crate::error::{Error, ErrorKind};
use crate::grant::{Granted, Push};
use crate::store::review::Kind;
use crate::store::uploads::UploadRow;
use crate::{Registry, store};

/// How long a finished session still answers, for a client that lost the first answer.
const COMPLETED_TTL: std::time::Duration = std::time::Duration::from_mins(10);

/// Where an upload stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// The session's identifier.
    pub id: UploadId,
    /// Bytes received so far.
    pub offset: u64,
}

/// How a push of a whole blob in one request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The blob is in the repository.
    Stored,
    /// The request carried no bytes, so it only opened a session.
    Session(UploadStatus),
}

/// What a request does with a session after its body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Wait,
    Finish,
}

impl Registry {
    /// Opens an upload session.
    pub async fn upload_start(
        &self,
        granted: &Granted<Push>,
        algorithm: Option<Algorithm>,
    ) -> Result<UploadStatus, Error> {
        let hashes = match algorithm {
            Some(Algorithm::Sha512) => Hashes::Both,
            Some(Algorithm::Sha256) | None => Hashes::Sha256,
        };
        let place = (granted.resource.registry_id, granted.name().repository().to_owned());
        let (id, _) = self.session_open(place, granted.caller.user_id(), hashes).await?;
        Ok(UploadStatus { id, offset: 0 })
    }

    /// Where a session stands.
    pub async fn upload_status(&self, granted: &Granted<Push>, id: &UploadId) -> Result<UploadStatus, Error> {
        let row = self.upload_row(granted, id).await?;
        if row.completed.is_some() {
            return Err(unknown(id));
        }
        Ok(UploadStatus { id: id.clone(), offset: row.offset })
    }

    /// Ends a session and throws its bytes away.
    pub async fn upload_cancel(&self, granted: &Granted<Push>, id: &UploadId) -> Result<(), Error> {
        self.upload_row(granted, id).await?;
        if self.upload_abandon(id).await? { Ok(()) } else { Err(unknown(id)) }
    }

    /// Appends a request's body to a session. With `start`, the body has to begin exactly there.
    pub async fn upload_append<S, E>(
        &self,
        granted: &Granted<Push>,
        id: &UploadId,
        start: Option<u64>,
        body: S,
    ) -> Result<UploadStatus, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut upload = self.upload_open(granted, id).await?;
        check_start(&upload.row, start)?;
        self.append(&mut upload, id, body, Then::Wait).await?;
        Ok(UploadStatus { id: id.clone(), offset: upload.row.offset })
    }

    /// Appends what the closing request still carries and makes the whole a blob of the repository.
    pub async fn upload_finish<S, E>(
        &self,
        granted: &Granted<Push>,
        id: &UploadId,
        start: Option<u64>,
        digest: &Digest,
        body: S,
    ) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let row = self.upload_row(granted, id).await?;
        if let Some(completed) = row.completed {
            // The first answer was lost on its way, and the client asks again.
            // It is answered only while the blob is still there.
            let same = completed == digest.as_str() && self.is_linked(granted, digest).await?;
            if same {
                // A body that is not read would end the connection behind the client's back.
                drain(body, self.settings().body_stall).await;
            }
            return if same { Ok(()) } else { Err(unknown(id)) };
        }
        let mut upload = self.upload_open(granted, id).await?;
        check_start(&upload.row, start)?;
        self.append(&mut upload, id, body, Then::Finish).await?;
        self.finish(granted, id, upload, digest).await
    }

    /// A whole blob in one request. An empty body for content that is not empty only opens a session.
    pub async fn blob_push<S, E>(
        &self,
        granted: &Granted<Push>,
        digest: &Digest,
        body: S,
    ) -> Result<Pushed, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let status = self.upload_start(granted, Some(digest.algorithm())).await?;
        let mut upload = self.upload_open(granted, &status.id).await?;
        let received = self.append(&mut upload, &status.id, body, Then::Finish).await;
        if let Err(error) = received {
            // Nobody knows the session, so nobody can go on with it.
            drop(upload);
            self.upload_abandon(&status.id).await?;
            return Err(error);
        }
        if upload.row.offset == 0 && !digest.matches(b"") {
            return Ok(Pushed::Session(status));
        }
        self.finish(granted, &status.id, upload, digest).await.map(|()| Pushed::Stored)
    }

    async fn is_linked(&self, granted: &Granted<Push>, digest: &Digest) -> Result<bool, Error> {
        let Some(repository_id) = granted.resource.id else { return Ok(false) };
        Ok(store::blobs::blob_get(self.db(), repository_id, digest.as_str()).await?.is_some())
    }

    async fn append<S, E>(
        &self,
        upload: &mut OpenUpload,
        id: &UploadId,
        body: S,
        then: Then,
    ) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let from = upload.row.offset;
        let hash = resume(&mut upload.staged, &upload.row).await?;
        let limits = AppendLimits { length: None, idle: self.settings().body_stall };
        let appended = upload.staged.append(hash, limits, body).await;
        let failure = match appended.outcome {
            AppendOutcome::Complete => None,
            AppendOutcome::BodyFailed(error) => Some((
                ErrorKind::BodyIncomplete,
                format!(
                    "the request's body ended early ({error}); the upload keeps what came, go on from there"
                ),
            )),
            AppendOutcome::Stalled => Some((
                ErrorKind::BodyIncomplete,
                format!(
                    "no data came for {} seconds; the upload keeps what came, go on from there",
                    self.settings().body_stall.as_secs()
                ),
            )),
            AppendOutcome::TooLong => {
                Some((ErrorKind::SizeMismatch, "the request's body is longer than it declared".to_owned()))
            }
            AppendOutcome::Full => return Err(storage_full()),
            AppendOutcome::Lost => return Err(self.upload_lost(id, from).await?),
            AppendOutcome::Io(error) => return Err(storage_failed(error)),
        };
        let to = from + appended.written;
        let hash_state = appended.hash.to_bytes();
        // A session that ends with this request has no use for a record of where it stood.
        if to > from && (failure.is_some() || then == Then::Wait) {
            // Bytes before the row: a row must never promise bytes that a power cut takes away.
            let kept = match upload.staged.keep().await {
                Ok(kept) => kept,
                Err(SyncError::Lost) => return Err(self.upload_lost(id, from).await?),
                Err(error) => return Err(sync_failed(error)),
            };
            let staged = Some(kept.into_bytes()).filter(|state| !state.is_empty());
            let (text, state) = (id.as_str().to_owned(), hash_state.clone());
            let expires_at = self.now() + self.settings().upload_ttl;
            crash_point!("registry::upload_before_advance");
            let advanced = self
                .db()
                .write::<u64, Error, _>(db::Durability::Relaxed, move |transaction| {
                    Box::pin(async move {
                        Ok(store::uploads::upload_advance_in(
                            transaction,
                            &text,
                            from,
                            to,
                            state,
                            staged,
                            expires_at,
                        )
                        .await?)
                    })
                })
                .await?;
            if advanced == 0 {
                return Err(self.upload_lost(id, from).await?);
            }
            upload.recorded = to;
        }
        upload.row.offset = to;
        upload.row.hash_state = hash_state;
        failure.map_or(Ok(()), |(kind, message)| Err(Error::new(kind, message)))
    }

    /// From a session's bytes to a blob of the repository.
    async fn finish(
        &self,
        granted: &Granted<Push>,
        id: &UploadId,
        upload: OpenUpload,
        digest: &Digest,
    ) -> Result<(), Error> {
        let OpenUpload { row, recorded, mut staged, key } = upload;
        let mut hash = resume(&mut staged, &row).await?;
        if digest.algorithm() == Algorithm::Sha512 && hash.hashes() == Hashes::Sha256 {
            // The client names SHA-512 only now; most never do, so nobody pays for it in advance. What lies in
            // a bucket can be read only once it is whole.
            self.upload_seal(&mut staged, id, recorded).await?;
            hash = staged.rehash(row.offset, Hashes::Both).await.map_err(storage_failed)?;
        }
        let finished = hash.finish();
        let actual = actual_digest(&finished, digest.algorithm());
        if actual != *digest {
            drop(staged);
            self.upload_lost(id, recorded).await?;
            return Err(Error::new(
                ErrorKind::DigestMismatch,
                format!(
                    "the content hashes to {actual} and not to {digest}; the upload is discarded, send it again"
                ),
            ));
        }
        crash_point!("registry::upload_before_sync");
        self.upload_seal(&mut staged, id, recorded).await?;
        crash_point!("registry::upload_before_commit");
        self.commit(granted, id, &key, digest, finished).await?;
        crash_point!("registry::upload_after_commit");
        Ok(())
    }

    async fn commit(
        &self,
        granted: &Granted<Push>,
        id: &UploadId,
        key: &ObjectKey,
        digest: &Digest,
        finished: Finished,
    ) -> Result<(), Error> {
        let stored = self.object_stored(key, finished).await?;
        let target = granted.resource.clone();
        let (id, digest) = (id.clone(), digest.as_str().to_owned());
        let (now, grace, trash_delay) = (self.now(), self.settings().grace, self.settings().trash_delay);
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    let row = store::uploads::upload_get_in(transaction, id.as_str()).await?;
                    if row.is_none_or(|row| row.completed.is_some()) {
                        return Err(unknown(&id));
                    }
                    let repository_id = store::repositories::repository_ensure_in(
                        transaction,
                        target.registry_id,
                        target.name.repository(),
                        now,
                    )
                    .await?;
                    store::review::review_add_in(
                        transaction,
                        repository_id,
                        Kind::Blob,
                        &digest,
                        now + grace,
                    )
                    .await?;
                    let object_id = object_adopt_in(transaction, &stored, now, trash_delay).await?;
                    store::blobs::blob_link_in(transaction, repository_id, &digest, object_id, now).await?;
                    let answers_until = now + COMPLETED_TTL;
                    store::uploads::upload_complete_in(transaction, id.as_str(), &digest, answers_until)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

/// Reads a body to its end and throws it away; gives up when nothing comes for `stall`.
async fn drain<S, E>(mut body: S, stall: std::time::Duration)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: Send,
{
    loop {
        let next = std::future::poll_fn(|context| Pin::new(&mut body).poll_next(context));
        match tokio::time::timeout(stall, next).await {
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(_)) | None) | Err(_) => return,
        }
    }
}

fn actual_digest(finished: &Finished, algorithm: Algorithm) -> Digest {
    match (algorithm, &finished.sha512) {
        (Algorithm::Sha512, Some(sha512)) => Digest::from_hash(Algorithm::Sha512, sha512),
        _ => Digest::from_hash(Algorithm::Sha256, &finished.sha256),
    }
}

fn check_start(row: &UploadRow, start: Option<u64>) -> Result<(), Error> {
    match start {
        Some(start) if start != row.offset => {
            Err(out_of_order(row.offset, &format!("this chunk begins at byte {start}")))
        }
        _ => Ok(()),
    }
}
