//! Writing an object: its bytes go into the parts of a multipart upload straight under its key, and what does
//! not fill a part yet waits in small objects.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::TryStreamExt;
use object_store::multipart::PartId;
use object_store::{ObjectStore, PutPayload};

use super::fault::io_error;
use super::part::{Grant, MOST_PARTS, part_length};
use super::progress::{Multipart, Piece, Progress};
use super::{Bucket, Inner};
use crate::append::{fault, take_in};
use crate::blocking::is_full;
use crate::{
    AppendLimits, AppendOutcome, Appended, ContentHash, Hashes, ObjectKey, StageError, StagedState, SyncError,
};
use pour::Pour;

mod pour;
mod seal;

/// How the names of gathered bytes end.
const PIECE: &str = "-piece";
/// How the names of objects end that remember a multipart upload.
const MULTIPART: &str = "-multipart";
/// The object that the one content is in which may become the finished object.
const SEALING: &str = "sealing";

/// The right of this process to write one object, from a recorded state on.
///
/// Other processes may write the same object from the same state. Nobody keeps them out, and this is how they do
/// no harm: gathered bytes have random names. Bytes that a recorded state names are deleted only when a later
/// state came back from the record. Parts can collide, as both number theirs from where the state stands; the
/// store then keeps the last one under the number, and completing the upload names each part by its entity tag,
/// so a part that was replaced by other bytes makes completion fail, and the answer is that the upload is lost.
#[derive(Debug)]
pub(crate) struct Staged {
    inner: Arc<Inner>,
    key: ObjectKey,
    /// Requests in flight share it, so that the right covers them to their end.
    held: Arc<Held>,
    /// The state that was recorded as far as is known, to which an append may go back.
    recorded: Progress,
    now: Progress,
    /// The bytes that are in memory only.
    tail: Bytes,
    /// The memory for them.
    grant: Option<Grant>,
    /// The hash after the last append.
    hash: Option<ContentHash>,
    /// Pieces that no recorded state names any more.
    deletable: Vec<String>,
    /// The object was finished before, by a request that was not told or whose end was not recorded. Bytes are
    /// hashed only, and sealing compares the result with the object.
    finished_before: bool,
    sealed: bool,
    under_way: bool,
}

/// An entry among the objects that this process writes.
#[derive(Debug)]
struct Held {
    inner: Arc<Inner>,
    key: ObjectKey,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inner.held.lock().remove(&self.key);
    }
}

impl Bucket {
    #[expect(clippy::unused_async, reason = "nothing has to be asked yet, and the disk's twin waits")]
    pub(crate) async fn stage(&self, key: &ObjectKey, state: &StagedState) -> Result<Staged, StageError> {
        let mut progress = Progress::from_state(state).map_err(StageError::Io)?;
        if !self.inner.held.lock().insert(*key) {
            return Err(StageError::Busy);
        }
        let held = Arc::new(Held { inner: Arc::clone(&self.inner), key: *key });
        let deletable = std::mem::take(&mut progress.spent);
        Ok(Staged {
            inner: Arc::clone(&self.inner),
            key: *key,
            held,
            recorded: progress.clone(),
            now: progress,
            tail: Bytes::new(),
            grant: None,
            hash: None,
            deletable,
            finished_before: false,
            sealed: false,
            under_way: false,
        })
    }

    /// Throws away an object, the multipart uploads for it and what was gathered.
    pub(crate) async fn discard(&self, key: &ObjectKey, state: &StagedState) -> io::Result<()> {
        let inner = &self.inner;
        let object = inner.object(key);
        if let Ok(Progress { multipart: Some(multipart), .. }) = Progress::from_state(state) {
            inner.abort(key, &multipart.id).await?;
        }
        let mut listed = inner.client.store.list(Some(&inner.path(&format!("staged/{key}"))));
        let mut left = Vec::new();
        while let Some(meta) = listed.try_next().await.map_err(|error| io_error(&error))? {
            if meta.location.as_ref().ends_with(MULTIPART)
                && let Some(id) = inner.get(&meta.location).await?
            {
                inner.abort(key, &String::from_utf8_lossy(&id)).await?;
            }
            left.push(meta.location);
        }
        left.push(object);
        inner.delete_all(left).await
    }
}

impl Staged {
    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    pub(crate) async fn append<S, E>(
        &mut self,
        hash: ContentHash,
        limits: AppendLimits,
        body: S,
    ) -> Appended<E>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        if let Err(error) = self.begin() {
            return Appended { written: 0, hash, outcome: AppendOutcome::Io(error) };
        }
        let appended = self.append_from(hash, limits, body).await;
        self.hash = Some(appended.hash.clone());
        self.under_way = false;
        appended
    }

    async fn append_from<S, E>(&mut self, before: ContentHash, limits: AppendLimits, body: S) -> Appended<E>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let start = before.len();
        if let Err(outcome) = self.go_back_to(start) {
            return Appended { written: 0, hash: before, outcome };
        }
        let (now, tail) = (self.now.clone(), self.tail.clone());
        let mut pour = Pour::new(self, before.clone());
        let ended = match take_in(&mut pour, limits, body).await {
            Ok(crate::append::BodyEnd::TooLong) => Err(AppendOutcome::TooLong),
            Ok(end) => pour.finish().await.map(|hash| (hash, end.into())).map_err(refusal),
            Err(error) => Err(refusal(error)),
        };
        match ended {
            Ok((hash, outcome)) => {
                pour.give_back(self);
                Appended { written: hash.len() - start, hash, outcome }
            }
            Err(outcome) => {
                // Nothing may be in flight any more when the same part is sent again.
                let multipart = pour.stop().await;
                (self.now, self.tail) = (now, tail);
                self.adopt(multipart);
                Appended { written: 0, hash: before, outcome }
            }
        }
    }

    /// Drops what was appended beyond an offset.
    fn go_back_to<E>(&mut self, start: u64) -> Result<(), AppendOutcome<E>> {
        if self.finished_before {
            let there = self.hash.as_ref().is_some_and(|hash| hash.len() == start);
            return if there { Ok(()) } else { Err(AppendOutcome::Lost) };
        }
        let stored = self.now.length();
        let there = stored + self.tail.len() as u64;
        if start > there {
            return Err(AppendOutcome::Lost);
        }
        if start >= stored {
            let kept = usize::try_from(start - stored).unwrap_or(usize::MAX);
            self.tail.truncate(kept);
        } else if start == self.recorded.length() {
            let multipart = self.now.multipart.take();
            self.now = self.recorded.clone();
            self.tail = Bytes::new();
            self.adopt(multipart);
        } else {
            return Err(AppendOutcome::Io(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the upload stands at {there} and cannot go back to {start}; open it again"),
            )));
        }
        Ok(())
    }

    /// Goes on with a multipart upload that was begun for bytes which are not kept, rather than forgetting it.
    fn adopt(&mut self, multipart: Option<Multipart>) {
        if let (None, Some(begun)) = (&self.now.multipart, multipart) {
            self.now.multipart = Some(Multipart { parts: Vec::new(), ..begun });
        }
    }

    pub(crate) async fn keep(&mut self) -> Result<StagedState, SyncError> {
        self.begin().map_err(SyncError::Io)?;
        let kept = self.keep_tail().await;
        self.under_way = false;
        kept?;
        self.recorded = self.now.clone();
        Ok(self.now.to_state())
    }

    async fn keep_tail(&mut self) -> Result<(), SyncError> {
        if self.finished_before {
            return Err(SyncError::Lost);
        }
        if !self.tail.is_empty() {
            let waiting = self.now.piece_bytes() + self.tail.len() as u64;
            if waiting == part_length(self.now.part_count()) as u64 {
                self.put_last_part().await?;
            } else {
                self.put_piece().await?;
            }
        }
        let deletable = std::mem::take(&mut self.deletable);
        let paths = deletable.iter().map(|name| self.inner.staged(&self.key, name)).collect();
        if self.inner.delete_all(paths).await.is_err() {
            // The next request tries again.
            self.now.spent.extend(deletable);
        }
        Ok(())
    }

    /// Puts the bytes in memory, with as many pieces as are due, into a new piece.
    async fn put_piece(&mut self) -> Result<(), SyncError> {
        let (count, tier) = self.now.joined_with_next();
        let from = self.now.pieces.len() - count;
        let mut content =
            self.inner.read_pieces(&self.key, &self.now.pieces[from..]).await.map_err(sync_error)?;
        content.push(self.tail.clone());
        let size = content.iter().map(|piece| piece.len() as u64).sum();
        let name = format!("{}{PIECE}", ObjectKey::random());
        let payload = content.into_iter().collect::<PutPayload>();
        self.inner.put(&self.inner.staged(&self.key, &name), payload).await.map_err(sync_error)?;
        let joined = self.now.pieces.split_off(from);
        self.now.spent.extend(joined.into_iter().map(|piece| piece.name));
        self.now.pieces.push(Piece { name, size, tier });
        (self.tail, self.grant) = (Bytes::new(), None);
        Ok(())
    }

    /// Puts what waits into the next part.
    async fn put_last_part(&mut self) -> Result<(), SyncError> {
        let mut content = self.inner.read_pieces(&self.key, &self.now.pieces).await.map_err(sync_error)?;
        content.push(self.tail.clone());
        let payload = content.into_iter().collect::<PutPayload>();
        if self.now.multipart.is_none() {
            self.now.multipart = Some(self.inner.begin_multipart(&self.key).await.map_err(sync_error)?);
        }
        let Some(multipart) = &mut self.now.multipart else { return Ok(()) };
        let number = multipart.parts.len();
        let part =
            self.inner.put_part(&self.key, &multipart.id, number, payload).await.map_err(sync_error)?;
        multipart.parts.push(part);
        self.now.spent.extend(self.now.pieces.drain(..).map(|piece| piece.name));
        (self.tail, self.grant) = (Bytes::new(), None);
        Ok(())
    }

    pub(crate) async fn rehash(&mut self, length: u64, hashes: Hashes) -> io::Result<ContentHash> {
        if !self.sealed {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the parts of an upload to an object store cannot be read back before it is complete",
            ));
        }
        let hash = self.inner.hash_object(self.inner.object(&self.key), length, hashes).await;
        hash.map_err(|error| match error {
            crate::ReadError::Missing => io::ErrorKind::NotFound.into(),
            crate::ReadError::Io(error) => error,
        })
    }

    /// Notes that an operation is under way. Whoever begins resets it at the end, which a dropped future does
    /// not reach.
    fn begin(&mut self) -> io::Result<()> {
        if self.under_way {
            return Err(io::Error::other(
                "an earlier write to this upload was abandoned; open the upload again",
            ));
        }
        self.under_way = true;
        Ok(())
    }
}

impl Inner {
    /// Begins a multipart upload and remembers it where whoever throws the object away finds it.
    async fn begin_multipart(&self, key: &ObjectKey) -> io::Result<Multipart> {
        let path = self.object(key);
        let id = self.client.multipart.create_multipart(&path).await.map_err(|error| io_error(&error))?;
        let marker = format!("{}{MULTIPART}", ObjectKey::random());
        if let Err(error) = self.put(&self.staged(key, &marker), id.clone().into()).await {
            let _ = self.abort(key, &id).await;
            return Err(error);
        }
        Ok(Multipart { id, marker, parts: Vec::new() })
    }

    async fn put_part(
        &self,
        key: &ObjectKey,
        id: &String,
        number: usize,
        content: PutPayload,
    ) -> io::Result<String> {
        if number >= MOST_PARTS {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the object is larger than five tebibytes, which is more than an object store takes",
            ));
        }
        let put = self.client.multipart.put_part(&self.object(key), id, number, content).await;
        put.map(|PartId { content_id }| content_id).map_err(|error| io_error(&error))
    }

    /// Gives up a multipart upload, if it is there.
    async fn abort(&self, key: &ObjectKey, id: &str) -> io::Result<()> {
        match self.client.multipart.abort_multipart(&self.object(key), &id.to_owned()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(io_error(&error)),
        }
    }

    /// The content of pieces, in order. One that is not there is [`io::ErrorKind::NotFound`].
    async fn read_pieces(&self, key: &ObjectKey, pieces: &[Piece]) -> io::Result<Vec<Bytes>> {
        let mut content = Vec::with_capacity(pieces.len() + 1);
        for piece in pieces {
            let path = self.staged(key, &piece.name);
            let bytes = self.get(&path).await?.ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, "bytes of the upload are gone; start it again")
            })?;
            if bytes.len() as u64 != piece.size {
                return Err(super::short(&path, piece.size));
            }
            content.push(bytes);
        }
        Ok(content)
    }
}

/// The outcome of an append that failed. What is not found is an upload, or its pieces.
fn refusal<E>(error: io::Error) -> AppendOutcome<E> {
    if error.kind() == io::ErrorKind::NotFound { AppendOutcome::Lost } else { fault(error) }
}

fn sync_error(error: io::Error) -> SyncError {
    match error.kind() {
        io::ErrorKind::NotFound => SyncError::Lost,
        _ if is_full(&error) => SyncError::Full,
        _ => SyncError::Io(error),
    }
}
