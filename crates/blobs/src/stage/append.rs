//! Streaming a request's body into an object.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;

use super::Staged;
use super::pieces::Pieces;
use crate::ContentHash;
use crate::blocking::{blocking, is_full};

/// How much and how slowly a body may come.
#[derive(Debug, Clone, Copy)]
pub struct AppendLimits {
    /// The most bytes this one body may have, whatever was there before. `None`: as many as the disk takes.
    pub length: Option<u64>,
    /// The longest time without a byte from the body. The whole body may take as long as it takes.
    pub idle: Duration,
}

/// What became of a body.
#[derive(Debug)]
pub struct Appended<E> {
    /// How many bytes of the body the object has now. Zero unless the outcome keeps them.
    pub written: u64,
    /// The hash over the whole object as it is now, so its length is the object's length.
    pub hash: ContentHash,
    /// How it ended.
    pub outcome: AppendOutcome<E>,
}

/// How appending a body ended.
#[derive(Debug)]
pub enum AppendOutcome<E> {
    /// The body came to its end, and all of it is in the object.
    Complete,
    /// The body failed. What came before is kept, so the upload can go on from there.
    BodyFailed(E),
    /// The body sent nothing for too long. What came before is kept.
    Stalled,
    /// The body is longer than allowed. Nothing of it is kept.
    TooLong,
    /// The disk is full or a quota of the file system is used up. Nothing of the body is kept.
    Full,
    /// The object is shorter than the hash says: its bytes were lost, and the upload has to start again.
    /// Nothing was read from the body.
    Lost,
    /// The disk failed. Nothing of the body is kept.
    Io(io::Error),
}

/// How the body ended, before its last bytes are written.
enum BodyEnd<E> {
    Complete,
    Failed(E),
    Stalled,
    TooLong,
}

impl Staged {
    /// Appends a body at the offset that `hash` has reached, and runs `hash` over it.
    ///
    /// Bytes beyond that offset, left by a request whose end was never recorded, are cut off first; so every
    /// request that closes an upload goes through here, with an empty body if it has none. Memory is bounded by
    /// two buffers of 256 KiB, and small bodies take less. Nothing is synced; see [`Staged::sync`].
    ///
    /// If the returned future is dropped, the object keeps some part of the body, which the next append cuts off.
    pub async fn append<S, E>(&mut self, hash: ContentHash, limits: AppendLimits, body: S) -> Appended<E>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        if let Err(error) = self.begin() {
            return Appended { written: 0, hash, outcome: AppendOutcome::Io(error) };
        }
        let appended = self.append_from(hash, limits, body).await;
        self.under_way = false;
        appended
    }

    async fn append_from<S, E>(&mut self, before: ContentHash, limits: AppendLimits, body: S) -> Appended<E>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let start = before.len();
        let refused = match self.file.metadata() {
            Ok(metadata) if metadata.len() < start => Some(AppendOutcome::Lost),
            Ok(metadata) if metadata.len() > start => self.cut(start).await.err().map(fault),
            Ok(_) => None,
            Err(error) => Some(AppendOutcome::Io(error)),
        };
        if let Some(outcome) = refused {
            return Appended { written: 0, hash: before, outcome };
        }

        let mut pieces = Pieces::new(Arc::clone(&self.file), before.clone());
        let outcome = match take_in(&mut pieces, limits, body).await {
            Ok(BodyEnd::TooLong) => {
                pieces.discard().await;
                AppendOutcome::TooLong
            }
            Ok(end) => match pieces.finish().await {
                Ok(hash) => return Appended { written: hash.len() - start, hash, outcome: end.into() },
                Err(error) => fault(error),
            },
            Err(error) => fault(error),
        };
        // When the cut fails as well, bytes remain that nothing names, and the next append cuts them off.
        let _ = self.cut(start).await;
        Appended { written: 0, hash: before, outcome }
    }

    fn cut(&self, length: u64) -> impl Future<Output = io::Result<()>> + use<> {
        let file = Arc::clone(&self.file);
        blocking(move || file.set_len(length))
    }
}

impl<E> From<BodyEnd<E>> for AppendOutcome<E> {
    fn from(end: BodyEnd<E>) -> Self {
        match end {
            BodyEnd::Complete => Self::Complete,
            BodyEnd::Failed(error) => Self::BodyFailed(error),
            BodyEnd::Stalled => Self::Stalled,
            BodyEnd::TooLong => Self::TooLong,
        }
    }
}

/// Takes in the body until it ends. An error is the disk's, and no write is in flight then.
async fn take_in<S, E>(pieces: &mut Pieces, limits: AppendLimits, mut body: S) -> io::Result<BodyEnd<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut allowed = limits.length.unwrap_or(u64::MAX);
    loop {
        let frame = match tokio::time::timeout(limits.idle, body.next()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Ok(BodyEnd::Failed(error)),
            Ok(None) => return Ok(BodyEnd::Complete),
            Err(_) => return Ok(BodyEnd::Stalled),
        };
        let Some(rest) = allowed.checked_sub(frame.len() as u64) else {
            return Ok(BodyEnd::TooLong);
        };
        allowed = rest;
        pieces.take_in(&frame).await?;
    }
}

fn fault<E>(error: io::Error) -> AppendOutcome<E> {
    if is_full(&error) { AppendOutcome::Full } else { AppendOutcome::Io(error) }
}
