//! Writing an object: in as many requests as it takes.

use std::io;

use bytes::Bytes;
use futures_core::Stream;

use crate::{AppendLimits, Appended, ContentHash, Hashes, ObjectKey, StagedState, SyncError, bucket, disk};

/// The right to write one object. It ends when this is dropped and the last write in flight has ended.
///
/// An operation whose future was dropped before its end may still be writing; from then on this `Staged` refuses
/// everything, and the way on is to drop it and stage the object again.
#[derive(Debug)]
pub struct Staged(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Disk(disk::Staged),
    Bucket(Box<bucket::Staged>),
}

impl Staged {
    /// The object being written.
    pub fn key(&self) -> &ObjectKey {
        match &self.0 {
            Kind::Disk(staged) => staged.key(),
            Kind::Bucket(staged) => staged.key(),
        }
    }

    /// Appends a body at the offset that `hash` has reached, and runs `hash` over it.
    ///
    /// Bytes beyond that offset, left by a request whose end was never recorded, are cut off first; so every
    /// request that closes an upload goes through here, with an empty body if it has none. Memory is bounded by
    /// two buffers, and small bodies take less. Nothing is durable yet; see [`keep`](Self::keep) and
    /// [`seal`](Self::seal).
    ///
    /// If the returned future is dropped, the object keeps some part of the body, which the next append cuts off.
    pub async fn append<S, E>(&mut self, hash: ContentHash, limits: AppendLimits, body: S) -> Appended<E>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        match &mut self.0 {
            Kind::Disk(staged) => staged.append(hash, limits, body).await,
            Kind::Bucket(staged) => staged.append(hash, limits, body).await,
        }
    }

    /// Makes what was appended survive a power failure and the end of this process. Whoever records the state
    /// beside the hash may go on from there, in any process that uses the store.
    ///
    /// On a disk, when this fails, the object is emptied, and its next [`append`](Self::append) answers
    /// [`Lost`](crate::AppendOutcome::Lost).
    pub async fn keep(&mut self) -> Result<StagedState, SyncError> {
        match &mut self.0 {
            Kind::Disk(staged) => staged.sync().await.map(|()| StagedState::default()),
            Kind::Bucket(staged) => staged.keep().await,
        }
    }

    /// Makes the object complete, durable and readable under its key. Only after this may a database row name
    /// it as finished. May be called again after it failed, by this or by another process from the same state.
    pub async fn seal(&mut self) -> Result<(), SyncError> {
        match &mut self.0 {
            Kind::Disk(staged) => staged.sync().await,
            Kind::Bucket(staged) => staged.seal().await,
        }
    }

    /// Reads the first `length` bytes again and hashes them: for a hash that nobody asked for at the start, or
    /// a stored state of another version. A shorter object is an error.
    ///
    /// In a bucket the bytes can be read only once the object is sealed, so [`seal`](Self::seal) comes first
    /// there; before it this is an error ([`io::ErrorKind::Unsupported`]).
    pub async fn rehash(&mut self, length: u64, hashes: Hashes) -> io::Result<ContentHash> {
        match &mut self.0 {
            Kind::Disk(staged) => staged.rehash(length, hashes).await,
            Kind::Bucket(staged) => staged.rehash(length, hashes).await,
        }
    }
}
