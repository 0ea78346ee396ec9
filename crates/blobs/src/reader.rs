//! What is read out of a store, as a stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use crate::{bucket, disk};

/// A range of an object, or a whole file, as a stream of pieces.
///
/// It gives exactly the bytes that were asked for, or an error: an error ends the stream, and content that is
/// shorter than the range is one ([`io::ErrorKind::UnexpectedEof`]). Memory follows how many pieces the consumer
/// holds, not the length of the object.
#[derive(Debug)]
pub struct Reader(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Disk(disk::Reader),
    Bucket(bucket::Reader),
}

impl Reader {
    /// How many bytes are still to come.
    pub fn remaining(&self) -> u64 {
        match &self.0 {
            Kind::Disk(reader) => reader.remaining(),
            Kind::Bucket(reader) => reader.remaining(),
        }
    }
}

impl Stream for Reader {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.get_mut().0 {
            Kind::Disk(reader) => Pin::new(reader).poll_next(context),
            Kind::Bucket(reader) => Pin::new(reader).poll_next(context),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let remaining = usize::try_from(self.remaining()).unwrap_or(usize::MAX);
        (usize::from(remaining > 0), Some(remaining))
    }
}
