//! A store in a bucket of an object store.
//!
//! | Key | Holds |
//! |---|---|
//! | `objects/<two characters>/<key>` | a finished object |
//! | `staged/<key>/<name>-piece` | bytes of an upload that do not fill a part yet |
//! | `staged/<key>/<name>-multipart` | the identifier of a multipart upload under way |
//! | `staged/<key>/sealing` | the hash of the content that is about to be finished |
//! | `probe/<name>` | a small object that a check has just written |
//! | `larder-store` | the store's own name |
//!
//! Any number of processes work on a bucket at once, without locks between them. Each works on a state that was
//! recorded by whoever calls, and leaves what others may still go on from; so the caller's record decides who
//! goes on, and the others' bytes are never named.
//!
//! An object is written once. Whoever finishes one must not replace what another process has finished under the
//! same key, whose content may have been acknowledged. A small object is put under the condition that there is
//! none. A multipart upload cannot be completed under a condition in every store, so there it takes two looks:
//! the finisher first puts `sealing`, which only one content can be in, and then looks for the object; whoever
//! puts a small object looks for `sealing` afterwards. As the store shows at once what was written, at least
//! one of two that meet sees the other and gives way.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parking_lot::Mutex;

use crate::{ContentHash, Finished, Hashes, ObjectKey, ProbeError, ReadError};
use client::Client;
use conflict::{CONFLICTS, unless_in_conflict};
use fault::io_error;
use part::Budget;
use settings::Settings;

mod client;
mod conflict;
mod fault;
mod files;
mod inspect;
mod list;
mod open;
mod part;
mod profile;
mod progress;
mod read;
mod settings;
mod stage;

pub(crate) use list::Listing;
pub(crate) use read::Reader;
pub(crate) use stage::Staged;

/// How long one look at the store's health counts.
const PROBE_COUNTS: Duration = Duration::from_secs(5);
/// How long a check of the store may take in all.
const PROBE_LIMIT: Duration = Duration::from_secs(10);
/// How long a conditional request is repeated whose answer was lost.
const PUT_AGAIN: Duration = Duration::from_secs(5);
/// How long a small object is asked for again whose bytes did not all come.
const GET_AGAIN: Duration = Duration::from_secs(5);
/// How much content is hashed in one task of the blocking pool.
const HASHED_AT_ONCE: usize = 4 * 1024 * 1024;

/// The store. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    inner: Arc<Inner>,
}

struct Inner {
    /// For content.
    client: Client,
    /// For checks, which somebody waits for.
    impatient: Client,
    settings: Settings,
    identity: String,
    budget: Budget,
    /// The objects that this process is writing.
    held: Mutex<HashSet<ObjectKey>>,
    /// When the store was last found healthy.
    healthy: tokio::sync::Mutex<Option<Instant>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Bucket").field("place", &self.settings.place()).finish_non_exhaustive()
    }
}

impl Bucket {
    pub(crate) fn identity(&self) -> &str {
        &self.inner.identity
    }

    pub(crate) async fn size(&self, key: &ObjectKey) -> io::Result<Option<u64>> {
        Ok(self.inner.head(&self.inner.object(key)).await?.map(|meta| meta.size))
    }

    pub(crate) async fn delete(&self, key: &ObjectKey) -> io::Result<bool> {
        self.inner.delete(&self.inner.object(key)).await
    }

    pub(crate) async fn verify(&self, key: &ObjectKey, hashes: Hashes) -> Result<Finished, ReadError> {
        let path = self.inner.object(key);
        let meta = self.inner.head(&path).await.map_err(ReadError::Io)?.ok_or(ReadError::Missing)?;
        self.inner.hash_object(path, meta.size, hashes).await.map(ContentHash::finish)
    }

    pub(crate) async fn presign(&self, key: &ObjectKey, lifetime: Duration) -> io::Result<String> {
        let method = "GET".parse().map_err(|_| io::Error::other("GET is a method"))?;
        let signed = self.inner.client.signer.signed_url(method, &self.inner.object(key), lifetime).await;
        signed.map(|url| url.to_string()).map_err(|error| io_error(&error))
    }

    pub(crate) async fn probe(&self) -> Result<(), ProbeError> {
        let mut healthy = self.inner.healthy.lock().await;
        if healthy.is_some_and(|at| at.elapsed() < PROBE_COUNTS) {
            return Ok(());
        }
        *healthy = None;
        let probed = tokio::time::timeout(PROBE_LIMIT, self.inner.write_and_delete()).await;
        probed
            .unwrap_or_else(|_| Err(fault::unreachable_line(&self.inner.settings)))
            .map_err(ProbeError::Bucket)?;
        *healthy = Some(Instant::now());
        Ok(())
    }
}

impl Inner {
    /// Where a name inside the store lies in the bucket.
    fn path(&self, name: &str) -> ObjectPath {
        match self.settings.prefix.as_str() {
            "" => ObjectPath::from(name),
            prefix => ObjectPath::from(format!("{prefix}/{name}")),
        }
    }

    fn object(&self, key: &ObjectKey) -> ObjectPath {
        self.path(&format!("objects/{}", key.path()))
    }

    fn staged(&self, key: &ObjectKey, name: &str) -> ObjectPath {
        self.path(&format!("staged/{key}/{name}"))
    }

    async fn head(&self, path: &ObjectPath) -> io::Result<Option<ObjectMeta>> {
        match self.client.store.head(path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(io_error(&error)),
        }
    }

    /// The content of a small object.
    async fn get(&self, path: &ObjectPath) -> io::Result<Option<Bytes>> {
        let begun = Instant::now();
        loop {
            let got = async {
                let got = self.client.store.get(path).await?;
                let size = got.meta.size;
                Ok((size, got.bytes().await?))
            };
            match got.await {
                Ok((size, bytes)) if bytes.len() as u64 == size => return Ok(Some(bytes)),
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                // The library repeats a request, and not the reading of an answer that broke off.
                Ok(_) | Err(object_store::Error::Generic { .. }) if begun.elapsed() < GET_AGAIN => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Ok((size, _)) => return Err(short(path, size)),
                Err(error) => return Err(io_error(&error)),
            }
        }
    }

    /// `false`: there is an object already.
    async fn put_new(&self, path: &ObjectPath, content: PutPayload) -> io::Result<bool> {
        let begun = Instant::now();
        let mut conflicts = 0;
        loop {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match self.client.store.put_opts(path, content.clone(), options).await {
                Ok(_) => return Ok(true),
                // A conflict with something else at the same place looks the same; then there is no object.
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                    conflicts += 1;
                    if conflicts == CONFLICTS || self.head(path).await?.is_some() {
                        return Ok(false);
                    }
                    tokio::time::sleep(conflict::pause(conflicts)).await;
                }
                // The library repeats no conditional request whose answer was lost. Here it may be: whoever is
                // told that there is an object compares it.
                Err(error @ object_store::Error::Generic { .. })
                    if fault::code_of(&error).is_none() && begun.elapsed() < PUT_AGAIN =>
                {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(io_error(&error)),
            }
        }
    }

    async fn put(&self, path: &ObjectPath, content: PutPayload) -> io::Result<()> {
        let put = unless_in_conflict(|| self.client.store.put(path, content.clone())).await;
        put.map(|_| ()).map_err(|error| io_error(&error))
    }

    async fn delete(&self, path: &ObjectPath) -> io::Result<bool> {
        match self.client.store.delete(path).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(io_error(&error)),
        }
    }

    /// Deletes what is not needed any more. What stays is found again by listing.
    async fn delete_all(&self, paths: Vec<ObjectPath>) -> io::Result<()> {
        let mut deleted = futures_util::stream::iter(paths)
            .map(|path| async move { self.delete(&path).await })
            .buffer_unordered(8);
        while deleted.try_next().await?.is_some() {}
        Ok(())
    }

    /// Reads an object and hashes it, off the asynchronous threads.
    async fn hash_object(
        &self,
        path: ObjectPath,
        size: u64,
        hashes: Hashes,
    ) -> Result<ContentHash, ReadError> {
        let mut reader = Reader::open(self.client.clone(), path, 0, size).await?;
        let mut hash = ContentHash::new(hashes);
        let mut gathered = Vec::new();
        loop {
            let piece = reader.try_next().await.map_err(ReadError::Io)?;
            let ended = piece.is_none();
            gathered.extend(piece);
            if ended || gathered.iter().map(Bytes::len).sum::<usize>() >= HASHED_AT_ONCE {
                let pieces = std::mem::take(&mut gathered);
                hash = crate::blocking::blocking(move || {
                    for piece in &pieces {
                        hash.update(piece);
                    }
                    Ok(hash)
                })
                .await
                .map_err(ReadError::Io)?;
            }
            if ended {
                return Ok(hash);
            }
        }
    }
}

/// An object gave fewer bytes than it has.
fn short(path: &ObjectPath, size: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the object store ended {path} before its {size} bytes were there"),
    )
}

fn modified(meta: &ObjectMeta) -> SystemTime {
    meta.last_modified.into()
}
