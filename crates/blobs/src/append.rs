//! The body of a request on its way into an object.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;

use crate::ContentHash;
use crate::blocking::is_full;

/// How much and how slowly a body may come.
#[derive(Debug, Clone, Copy)]
pub struct AppendLimits {
    /// The most bytes this one body may have, whatever was there before. `None`: as many as the store takes.
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
    /// The object has fewer bytes than the hash says. Either they were lost, and the upload has to start again,
    /// or another process that shares the bucket has moved the upload on, which its recorded state shows.
    Lost,
    /// The store failed. Nothing of the body is kept.
    Io(io::Error),
}

/// How the body ended, before its last bytes are written.
pub(crate) enum BodyEnd<E> {
    Complete,
    Failed(E),
    Stalled,
    TooLong,
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

/// Takes in the body until it ends, handing each frame to `sink`. An error is the sink's.
pub(crate) async fn take_in<S, E>(
    sink: &mut impl Sink,
    limits: AppendLimits,
    mut body: S,
) -> io::Result<BodyEnd<E>>
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
        sink.take_in(&frame).await?;
    }
}

/// What a body is poured into: the pieces of a file, or the parts of a multipart upload.
pub(crate) trait Sink {
    /// Takes in some bytes, waiting while the store is behind.
    async fn take_in(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// The outcome that stands for a fault of the store.
pub(crate) fn fault<E>(error: io::Error) -> AppendOutcome<E> {
    if is_full(&error) { AppendOutcome::Full } else { AppendOutcome::Io(error) }
}
