//! Reading an object back and forth.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path as ObjectPath;
use tokio::runtime::Handle;

use super::client::Client;
use super::{Bucket, Reader};
use crate::{ObjectKey, ReadError, ReadSeek};

/// How much is fetched at once.
const WINDOW: u64 = 1024 * 1024;

impl Bucket {
    pub(crate) async fn inspect<T: Send + 'static>(
        &self,
        key: &ObjectKey,
        look: impl FnOnce(&mut dyn ReadSeek, u64) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let path = self.inner.object(key);
        let meta = self.inner.head(&path).await.map_err(ReadError::Io)?.ok_or(ReadError::Missing)?;
        let mut cursor = Cursor {
            runtime: Handle::current(),
            client: self.inner.client.clone(),
            path,
            size: meta.size,
            at: 0,
            window_start: 0,
            window: Bytes::new(),
        };
        let looked_at = crate::blocking::blocking(move || Ok(look(&mut cursor, meta.size)));
        looked_at.await.map_err(ReadError::Io)
    }
}

/// A place in an object, with the bytes around it.
struct Cursor {
    runtime: Handle,
    client: Client,
    path: ObjectPath,
    size: u64,
    at: u64,
    window_start: u64,
    window: Bytes,
}

impl Cursor {
    fn fetch(&mut self) -> io::Result<()> {
        let length = WINDOW.min(self.size - self.at);
        let fetched = async {
            let opened = Reader::open(self.client.clone(), self.path.clone(), self.at, length).await;
            let reader = opened.map_err(|error| match error {
                ReadError::Missing => io::Error::from(io::ErrorKind::NotFound),
                ReadError::Io(error) => error,
            })?;
            reader.try_collect::<Vec<_>>().await
        };
        self.window = self.runtime.block_on(fetched)?.concat().into();
        self.window_start = self.at;
        Ok(())
    }
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let window_end = self.window_start + self.window.len() as u64;
        if !(self.window_start..window_end).contains(&self.at) {
            self.fetch()?;
        }
        let inside = usize::try_from(self.at - self.window_start).unwrap_or(usize::MAX);
        let there = self.window.get(inside..).unwrap_or_default();
        let length = there.len().min(buffer.len());
        buffer[..length].copy_from_slice(&there[..length]);
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a place before the start of the object was sought")
        })?;
        Ok(self.at)
    }
}
