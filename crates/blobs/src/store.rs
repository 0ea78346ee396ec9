//! The store: one face for a local disk and for a bucket.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::bucket::Bucket;
use crate::disk::Disk;
use crate::{
    FileName, Finished, Hashes, Listing, Location, ObjectKey, OpenError, Options, ProbeError, ReadError,
    Reader, StageError, Staged, StagedState, StoredFile, listing, reader, staged,
};

/// What an object is read back and forth through.
pub trait ReadSeek: io::Read + io::Seek {}

impl<T: io::Read + io::Seek> ReadSeek for T {}

/// A blob store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Disk(Disk),
    Bucket(Bucket),
}

impl Store {
    /// Opens the store for serving, creating what is missing. A folder of a disk is locked for the life of the
    /// last clone; a bucket may be used by any number of servers, and is checked with a small object first.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        match &options.location {
            Location::Disk(root) => {
                let (root, durability) = (root.clone(), options.durability);
                let disk = waiting(move || Disk::open(&root, durability)).await?;
                Ok(Self(Backend::Disk(disk)))
            }
            Location::Url(url) => Bucket::open(url).await.map(|bucket| Self(Backend::Bucket(bucket))),
        }
    }

    /// Opens a store that a server may be serving at the same time: for checks and maintenance from a second
    /// process. Creates nothing and does not lock; single objects are still written by one writer only.
    pub async fn attach(options: &Options) -> Result<Self, OpenError> {
        match &options.location {
            Location::Disk(root) => {
                let (root, durability) = (root.clone(), options.durability);
                let disk = waiting(move || Disk::attach(&root, durability)).await?;
                Ok(Self(Backend::Disk(disk)))
            }
            Location::Url(url) => Bucket::attach(url).await.map(|bucket| Self(Backend::Bucket(bucket))),
        }
    }

    /// Whether several servers may use the store at once.
    pub fn is_shared(&self) -> bool {
        match &self.0 {
            Backend::Disk(_) => false,
            Backend::Bucket(_) => true,
        }
    }

    /// The text that tells this store from every other, made once and kept in the store itself.
    pub async fn identity(&self) -> io::Result<String> {
        match &self.0 {
            Backend::Disk(disk) => disk.identity().await,
            Backend::Bucket(bucket) => Ok(bucket.identity().to_owned()),
        }
    }

    /// Takes the right to write the object from the state on that an earlier [`Staged::keep`] gave; the state of
    /// an object that is only begun is the empty one.
    pub async fn stage(&self, key: &ObjectKey, state: &StagedState) -> Result<Staged, StageError> {
        match &self.0 {
            // The file itself says how far it has come.
            Backend::Disk(disk) => {
                let _ = state;
                disk.stage(key).await.map(|staged| Staged(staged::Kind::Disk(staged)))
            }
            Backend::Bucket(bucket) => {
                bucket.stage(key, state).await.map(|staged| Staged(staged::Kind::Bucket(Box::new(staged))))
            }
        }
    }

    /// Throws away an object with all that its uploads have left, however far they came. May be repeated.
    pub async fn discard(&self, key: &ObjectKey, state: &StagedState) -> io::Result<()> {
        match &self.0 {
            Backend::Disk(disk) => {
                let _ = state;
                disk.delete(key).await.map(|_| ())
            }
            Backend::Bucket(bucket) => bucket.discard(key, state).await,
        }
    }

    /// The length of a finished object in bytes, or `None` if there is none.
    pub async fn size(&self, key: &ObjectKey) -> io::Result<Option<u64>> {
        match &self.0 {
            Backend::Disk(disk) => disk.size(key).await,
            Backend::Bucket(bucket) => bucket.size(key).await,
        }
    }

    /// Deletes an object. `false`: there was none, as far as the store tells, which is no error, so a deletion
    /// may be repeated. What an unfinished upload left in a bucket stays; see [`discard`](Self::discard).
    ///
    /// On a disk, readers that have the object open read on to its end, and the deletion is not synced: should a
    /// power failure bring the object back, it is one that no row names, and [`list`](Self::list) shows it.
    pub async fn delete(&self, key: &ObjectKey) -> io::Result<bool> {
        match &self.0 {
            Backend::Disk(disk) => disk.delete(key).await,
            Backend::Bucket(bucket) => bucket.delete(key).await,
        }
    }

    /// Opens `length` bytes of an object, from offset `first` on. Fails right away when the object does not
    /// reach that far, before anybody has been promised the bytes.
    pub async fn read(&self, key: &ObjectKey, first: u64, length: u64) -> Result<Reader, ReadError> {
        match &self.0 {
            Backend::Disk(disk) => {
                disk.read(key, first, length).await.map(|reader| Reader(reader::Kind::Disk(reader)))
            }
            Backend::Bucket(bucket) => {
                bucket.read(key, first, length).await.map(|reader| Reader(reader::Kind::Bucket(reader)))
            }
        }
    }

    /// Lets `look` read an object back and forth, off the asynchronous threads. It gets the object and its length
    /// in bytes, and must not keep what it reads in proportion to that.
    pub async fn inspect<T: Send + 'static>(
        &self,
        key: &ObjectKey,
        look: impl FnOnce(&mut dyn ReadSeek, u64) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        match &self.0 {
            Backend::Disk(disk) => disk.inspect(key, look).await,
            Backend::Bucket(bucket) => bucket.inspect(key, look).await,
        }
    }

    /// Reads an object from start to end and says what it is. A disk's kernel is asked not to keep it in memory
    /// for that, so that checking everything does not push out what is being pulled.
    pub async fn verify(&self, key: &ObjectKey, hashes: Hashes) -> Result<Finished, ReadError> {
        match &self.0 {
            Backend::Disk(disk) => disk.verify(key, hashes).await,
            Backend::Bucket(bucket) => bucket.verify(key, hashes).await,
        }
    }

    /// Walks through all objects in no particular order. This reads the whole store: for the scrubber alone,
    /// never for a request. Objects that come or go meanwhile may or may not be shown.
    pub fn list(&self) -> Listing {
        match &self.0 {
            Backend::Disk(disk) => Listing(listing::Kind::Disk(disk.list())),
            Backend::Bucket(bucket) => Listing(listing::Kind::Bucket(bucket.list())),
        }
    }

    /// Walks through what uploads have left in the store beside finished objects: bytes that wait for more, and
    /// leftovers of processes that died, which [`discard`](Self::discard) with the empty state takes away. For
    /// the scrubber alone. A disk has nothing to show: there, such bytes are the object.
    pub fn list_staged(&self) -> Listing {
        match &self.0 {
            Backend::Disk(_) => Listing(listing::Kind::Empty),
            Backend::Bucket(bucket) => Listing(listing::Kind::Bucket(bucket.list_staged())),
        }
    }

    /// Writes and deletes a small object, to find out whether the store can take content.
    pub async fn probe(&self) -> Result<(), ProbeError> {
        match &self.0 {
            Backend::Disk(disk) => disk.probe().await,
            Backend::Bucket(bucket) => bucket.probe().await,
        }
    }

    /// How many bytes can still be written, where the store has a known end.
    pub async fn free_bytes(&self) -> io::Result<Option<u64>> {
        match &self.0 {
            Backend::Disk(disk) => disk.free_bytes().await.map(Some),
            Backend::Bucket(_) => Ok(None),
        }
    }

    /// An address that gives the object to whoever asks for it within `lifetime`, without any credentials.
    /// `None`: the store has no such thing. Whether the object exists is not looked up.
    pub async fn presign(&self, key: &ObjectKey, lifetime: Duration) -> io::Result<Option<String>> {
        match &self.0 {
            Backend::Disk(_) => Ok(None),
            Backend::Bucket(bucket) => bucket.presign(key, lifetime).await.map(Some),
        }
    }

    /// Stores a copy of the file at `source` under a name, in place of what was there. It appears whole and
    /// durable, or not at all.
    pub async fn file_write(&self, name: &FileName, source: &Path) -> io::Result<()> {
        match &self.0 {
            Backend::Disk(disk) => disk.file_write(name, source).await,
            Backend::Bucket(bucket) => bucket.file_write(name, source).await,
        }
    }

    /// Opens a file from start to end.
    pub async fn file_read(&self, name: &FileName) -> Result<Reader, ReadError> {
        match &self.0 {
            Backend::Disk(disk) => {
                disk.file_read(name).await.map(|reader| Reader(reader::Kind::Disk(reader)))
            }
            Backend::Bucket(bucket) => {
                bucket.file_read(name).await.map(|reader| Reader(reader::Kind::Bucket(reader)))
            }
        }
    }

    /// The files in a folder, such as `snapshots`, by name. An unknown folder is an empty one.
    pub async fn files(&self, folder: &str) -> io::Result<Vec<StoredFile>> {
        if !crate::file::is_segment(folder) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, crate::ParseFileNameError));
        }
        match &self.0 {
            Backend::Disk(disk) => disk.files(folder).await,
            Backend::Bucket(bucket) => bucket.files(folder).await,
        }
    }

    /// Deletes a file. `false`: there was none.
    pub async fn file_delete(&self, name: &FileName) -> io::Result<bool> {
        match &self.0 {
            Backend::Disk(disk) => disk.file_delete(name).await,
            Backend::Bucket(bucket) => bucket.file_delete(name).await,
        }
    }
}

/// Runs the opening of a folder, which waits for the disk, off the asynchronous threads.
async fn waiting(open: impl FnOnce() -> Result<Disk, OpenError> + Send + 'static) -> Result<Disk, OpenError> {
    match tokio::task::spawn_blocking(open).await {
        Ok(opened) => opened,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(OpenError::Bucket("the server is shutting down".to_owned())),
    }
}
