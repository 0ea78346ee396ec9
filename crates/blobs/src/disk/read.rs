//! Reading ranges of an object as a stream.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio::task::JoinHandle;

use crate::blocking::{blocking, settle};
use crate::disk::page_cache::{ReadPlan, advise};
use crate::disk::{Disk, Inner, piece_length};
use crate::{ObjectKey, ReadError};

/// How many buffers a reader remembers to use again. A consumer rarely holds more than two pieces at once.
const KEPT_BUFFERS: usize = 3;
/// From this length on it pays to tell the kernel that the object is read in order.
const LARGE: u64 = 1024 * 1024;
/// How far ahead a reader that had to wait for the disk asks for the bytes after those it waits for.
const READ_AHEAD: u64 = 2 * 1024 * 1024;

/// A range of an object, as a stream of pieces of up to 256 KiB.
///
/// What the kernel has in memory is read right away by whoever polls; what it has not is read on the blocking
/// pool. Buffers are used again as soon as the consumer has dropped the pieces in them, so memory follows how
/// many pieces the consumer holds, not the length of the object. An error ends the stream, and a file that is
/// shorter than the range is an error ([`io::ErrorKind::UnexpectedEof`]).
#[derive(Debug)]
pub(crate) struct Reader {
    inner: Arc<Inner>,
    file: Arc<File>,
    position: u64,
    end: u64,
    buffers: Vec<Arc<Vec<u8>>>,
    waiting: Option<JoinHandle<io::Result<Filled>>>,
    #[cfg(test)]
    pub(crate) allocated: usize,
}

/// A buffer with as many bytes of content at its start.
#[derive(Debug)]
struct Filled {
    buffer: Arc<Vec<u8>>,
    length: usize,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Disk {
    /// Opens `length` bytes of an object, from offset `first` on. Fails right away when the object does not
    /// reach that far, before anybody has been promised the bytes.
    pub(crate) async fn read(&self, key: &ObjectKey, first: u64, length: u64) -> Result<Reader, ReadError> {
        let path = key.path();
        let cached = self.inner.page_cache.open(&self.inner.objects, &path);
        let opened = if let Some(opened) = cached {
            opened
        } else {
            let inner = Arc::clone(&self.inner);
            blocking(move || inner.open_object(&path)).await
        };
        let file = opened.map_err(ReadError::from_open)?;
        let size = file.metadata().map_err(ReadError::Io)?.len();
        let end = first.checked_add(length).filter(|end| *end <= size).ok_or_else(|| {
            ReadError::Io(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("object {key} has {size} bytes, and {length} from offset {first} on were expected"),
            ))
        })?;
        if length >= LARGE {
            advise(&file, first, length, ReadPlan::InOrder);
        }
        Ok(Reader::new(Arc::clone(&self.inner), file, first, end))
    }
}

impl Reader {
    /// The bytes of `file` from `first` up to `end`.
    pub(super) fn new(inner: Arc<Inner>, file: File, first: u64, end: u64) -> Self {
        Self {
            inner,
            file: Arc::new(file),
            position: first,
            end,
            buffers: Vec::new(),
            waiting: None,
            #[cfg(test)]
            allocated: 0,
        }
    }

    /// How many bytes are still to come.
    pub(crate) fn remaining(&self) -> u64 {
        self.end - self.position
    }

    /// A buffer that nobody else holds.
    fn take_buffer(&mut self) -> Arc<Vec<u8>> {
        let free = self.buffers.iter_mut().position(|buffer| Arc::get_mut(buffer).is_some());
        if let Some(free) = free {
            return self.buffers.swap_remove(free);
        }
        #[cfg(test)]
        {
            self.allocated += 1;
        }
        Arc::new(vec![0; piece_length(self.remaining())])
    }

    /// Remembers a buffer for later. When the consumer holds all that we remember, the oldest is left to it.
    fn keep_buffer(&mut self, buffer: Arc<Vec<u8>>) {
        if self.buffers.len() == KEPT_BUFFERS {
            self.buffers.remove(0);
        }
        self.buffers.push(buffer);
    }

    fn deliver(&mut self, filled: io::Result<Filled>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(Some(match filled {
            Ok(filled) => {
                self.position += filled.length as u64;
                self.keep_buffer(Arc::clone(&filled.buffer));
                Ok(Bytes::from_owner(filled))
            }
            Err(error) => {
                self.position = self.end;
                Err(error)
            }
        }))
    }
}

impl Stream for Reader {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let reader = self.get_mut();
        loop {
            if let Some(waiting) = &mut reader.waiting {
                let joined = ready!(Pin::new(waiting).poll(context));
                reader.waiting = None;
                return reader.deliver(settle(joined));
            }
            if reader.remaining() == 0 {
                return Poll::Ready(None);
            }
            let wanted = piece_length(reader.remaining());
            let mut buffer = reader.take_buffer();
            let space = Arc::get_mut(&mut buffer).expect("a taken buffer is held by nobody else");
            if let Some(read) =
                reader.inner.page_cache.read(&reader.file, &mut space[..wanted], reader.position)
            {
                return reader.deliver(read.map(|length| Filled { buffer, length }));
            }
            let (file, position, end) = (Arc::clone(&reader.file), reader.position, reader.end);
            reader.waiting = Some(tokio::task::spawn_blocking(move || {
                let space = Arc::get_mut(&mut buffer).expect("a taken buffer is held by nobody else");
                read_from_disk(&file, &mut space[..wanted], position, end)?;
                Ok(Filled { buffer, length: wanted })
            }));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let remaining = usize::try_from(self.remaining()).unwrap_or(usize::MAX);
        (usize::from(remaining > 0), Some(remaining))
    }
}

fn read_from_disk(file: &File, space: &mut [u8], position: u64, end: u64) -> io::Result<()> {
    let ahead = READ_AHEAD.min(end - position);
    advise(file, position, ahead, ReadPlan::Soon);
    file.read_exact_at(space, position).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the stored object ended before offset {end} while it was being read"),
        ),
        _ => error,
    })
}

#[cfg(test)]
mod tests;
