use std::pin::Pin;
use std::task::{Context, Poll};

use blake2::Blake2b;
use blake2::digest::consts::U32;
use blobs::{AppendLimits, AppendOutcome, ContentHash, Finished, Hashes, ObjectKey, Staged};
use bytes::Bytes;
use futures_core::Stream;
use md5::Md5;
use oci::UploadId;
use python::Digests;
use sha2::Digest as _;

use crate::Registry;
use crate::blob::{storage_failed, storage_full};
use crate::error::{Error, ErrorKind, PackageFault};
use crate::grant::{Granted, PackagesPush};

/// Where sessions of the Python index are filed while nobody knows the project yet. No repository can have this
/// name, so no other request reaches such a session.
pub(super) const STAGING: &str = "~python";

/// A file that has arrived and that nothing names yet.
#[derive(Debug)]
pub struct StagedFile {
    pub(super) session: UploadId,
    pub(super) staged: Staged,
    pub(super) key: ObjectKey,
    pub(super) digests: Digests,
    pub(super) finished: Finished,
}

impl Registry {
    /// Takes in the content of a file while it is hashed in every way that uploads are checked by. What comes of
    /// it is told to [`python_publish`](Self::python_publish) or [`python_discard`](Self::python_discard);
    /// what is told to neither expires.
    pub async fn python_stage<S, E>(
        &self,
        granted: &Granted<PackagesPush>,
        body: S,
    ) -> Result<StagedFile, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let place = (granted.resource.registry_id, STAGING.to_owned());
        let (session, key) = self.session_open(place, granted.caller.user_id(), Hashes::Sha256).await?;
        let staged = self.stage_into(granted, &key, body).await;
        match staged {
            Ok((staged, digests, finished)) => Ok(StagedFile { session, staged, key, digests, finished }),
            Err(error) => {
                self.upload_abandon(&session).await?;
                Err(error)
            }
        }
    }

    async fn stage_into<S, E>(
        &self,
        granted: &Granted<PackagesPush>,
        key: &ObjectKey,
        body: S,
    ) -> Result<(Staged, Digests, Finished), Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let limit = granted.resource.settings.file_bytes;
        let mut staged = self.object_stage(key).await?;
        let mut body = Digesting { body, blake2b: Blake2b::default(), md5: Md5::default() };
        let limits = AppendLimits { length: Some(limit), idle: self.settings().body_stall };
        let appended = staged.append(ContentHash::new(Hashes::Sha256), limits, &mut body).await;
        match appended.outcome {
            AppendOutcome::Complete => {}
            AppendOutcome::BodyFailed(error) => {
                return Err(Error::new(
                    ErrorKind::BodyIncomplete,
                    format!("the upload ended early ({error}); send it again"),
                ));
            }
            AppendOutcome::Stalled => {
                let seconds = self.settings().body_stall.as_secs();
                return Err(Error::new(
                    ErrorKind::BodyIncomplete,
                    format!("no data came for {seconds} seconds; send the file again"),
                ));
            }
            AppendOutcome::TooLong => return Err(too_large(limit)),
            AppendOutcome::Full => return Err(storage_full()),
            AppendOutcome::Lost => return Err(storage_failed("an object vanished while it was written")),
            AppendOutcome::Io(error) => return Err(storage_failed(error)),
        }
        let finished = appended.hash.finish();
        let digests = Digests {
            sha256: finished.sha256,
            blake2b_256: body.blake2b.finalize().into(),
            md5: body.md5.finalize().into(),
        };
        Ok((staged, digests, finished))
    }

    /// Throws away what was staged.
    pub async fn python_discard(&self, staged: StagedFile) -> Result<(), Error> {
        let StagedFile { session, staged, .. } = staged;
        drop(staged);
        self.upload_abandon(&session).await.map(|_| ())
    }

    /// Refuses at once a body that says itself that it is too long.
    pub fn python_check_length(granted: &Granted<PackagesPush>, length: u64) -> Result<(), Error> {
        // The other parts of the form are small beside the file, but not nothing.
        const FORM_BYTES: u64 = 10 * 1024 * 1024;
        let limit = granted.resource.settings.file_bytes;
        if length > limit.saturating_add(FORM_BYTES) { Err(too_large(limit)) } else { Ok(()) }
    }
}

/// What somebody hears whose file is larger than the registry takes.
pub(super) fn too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::Package(PackageFault::TooLarge),
        format!(
            "the file is larger than {limit} bytes, which is the limit of this registry; an administrator of it \
             can raise the limit"
        ),
    )
}

/// A body that is hashed as it passes, in the ways that only Python clients name.
struct Digesting<S> {
    body: S,
    blake2b: Blake2b<U32>,
    md5: Md5,
}

impl<S, E> Stream for Digesting<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Bytes, E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_next(context);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            this.blake2b.update(piece);
            this.md5.update(piece);
        }
        polled
    }
}
