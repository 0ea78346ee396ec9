//! Streaming a request's body into an object.

use std::future::Future;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;

use super::Staged;
use super::pieces::Pieces;
use crate::append::{BodyEnd, fault, take_in};
use crate::blocking::blocking;
use crate::{AppendLimits, AppendOutcome, Appended, ContentHash};

impl Staged {
    /// Appends a body at the offset that `hash` has reached, and runs `hash` over it.
    ///
    /// Bytes beyond that offset, left by a request whose end was never recorded, are cut off first; so every
    /// request that closes an upload goes through here, with an empty body if it has none. Memory is bounded by
    /// two buffers of 256 KiB, and small bodies take less. Nothing is synced; see [`Staged::sync`].
    ///
    /// If the returned future is dropped, the object keeps some part of the body, which the next append cuts off.
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
