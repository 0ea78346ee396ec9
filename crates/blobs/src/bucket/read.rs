//! Reading ranges of an object as a stream that is never silently short.

use std::fmt;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::client::Client;
use super::fault::io_error;
use super::{Bucket, short};
use crate::{ObjectKey, ReadError};

/// How often a body that breaks is taken up again where it stood.
const RESUMED: u32 = 5;
/// How long a body may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long to wait before a body is taken up again for the first time; twice as long for each time after that.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A range of an object.
pub(crate) struct Reader {
    remaining: u64,
    pieces: BoxStream<'static, io::Result<Bytes>>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

impl Bucket {
    pub(crate) async fn read(&self, key: &ObjectKey, first: u64, length: u64) -> Result<Reader, ReadError> {
        Reader::open(self.inner.client.clone(), self.inner.object(key), first, length).await
    }
}

impl Reader {
    /// Opens `length` bytes of an object, from offset `first` on. Fails when it does not reach that far.
    pub(super) async fn open(
        client: Client,
        path: ObjectPath,
        first: u64,
        length: u64,
    ) -> Result<Self, ReadError> {
        let end = first.checked_add(length);
        let mut source = Source { client, path, etag: None, at: first, end: first, resumed: 0, body: None };
        let beyond = match end {
            Some(end) if length > 0 => {
                source.end = end;
                match source.ask().await {
                    Ok(()) => None,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::Missing),
                    Err(error) => Some(error),
                }
            }
            _ => Some(io::ErrorKind::UnexpectedEof.into()),
        };
        if let Some(error) = beyond {
            // Stores say in many ways that a range is beyond the end, so ask for the end itself.
            let size = match source.client.store.head(&source.path).await {
                Ok(meta) => meta.size,
                Err(object_store::Error::NotFound { .. }) => return Err(ReadError::Missing),
                Err(_) => return Err(ReadError::Io(error)),
            };
            if end.is_none_or(|end| end > size) {
                return Err(ReadError::Io(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!(
                        "{} has {size} bytes, and {length} from offset {first} on were expected",
                        source.path
                    ),
                )));
            }
            if length > 0 {
                return Err(ReadError::Io(error));
            }
        }
        let pieces = futures_util::stream::try_unfold(source, Source::next).boxed();
        Ok(Self { remaining: length, pieces })
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl Stream for Reader {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let reader = self.get_mut();
        let polled = reader.pieces.poll_next_unpin(context);
        match &polled {
            Poll::Ready(Some(Ok(piece))) => reader.remaining -= piece.len() as u64,
            Poll::Ready(Some(Err(_))) => {
                reader.remaining = 0;
                reader.pieces = futures_util::stream::empty().boxed();
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }
}

/// Where the bytes come from: one request after the other, should a body break.
struct Source {
    client: Client,
    path: ObjectPath,
    /// Which version of the object the first bytes came from.
    etag: Option<String>,
    at: u64,
    end: u64,
    resumed: u32,
    body: Option<BoxStream<'static, object_store::Result<Bytes>>>,
}

impl Source {
    /// Asks for what is still to come.
    async fn ask(&mut self) -> io::Result<()> {
        let range = Range { start: self.at, end: self.end };
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: self.etag.clone(),
            ..GetOptions::default()
        };
        let got = self.client.store.get_opts(&self.path, options).await.map_err(|error| io_error(&error))?;
        if got.range != range {
            return Err(short(&self.path, self.end));
        }
        self.etag = self.etag.take().or_else(|| got.meta.e_tag.clone());
        self.body = Some(got.into_stream());
        Ok(())
    }

    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        while self.at < self.end {
            let broken = match self.piece().await {
                Ok(piece) => {
                    // More than was asked for is not passed on.
                    let wanted = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
                    let piece = if piece.len() > wanted { piece.slice(..wanted) } else { piece };
                    self.at += piece.len() as u64;
                    if piece.is_empty() {
                        continue;
                    }
                    return Ok(Some((piece, self)));
                }
                Err(error) => error,
            };
            self.body = None;
            if self.resumed == RESUMED || broken.kind() == io::ErrorKind::NotFound {
                return Err(broken);
            }
            tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(self.resumed)).await;
            self.resumed += 1;
        }
        Ok(None)
    }

    /// The next bytes. An error when the body broke, went silent, or ended too soon.
    async fn piece(&mut self) -> io::Result<Bytes> {
        if self.body.is_none() {
            self.ask().await?;
        }
        let Some(body) = &mut self.body else { return Err(short(&self.path, self.end)) };
        match tokio::time::timeout(SILENCE, body.try_next()).await {
            Ok(Ok(Some(piece))) => Ok(piece),
            Ok(Ok(None)) => Err(short(&self.path, self.end)),
            Ok(Err(error)) => Err(io_error(&error)),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the object store went silent in the middle of {}", self.path),
            )),
        }
    }
}
