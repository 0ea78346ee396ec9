//! A store in a folder of a local disk.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::blocking::blocking;
use crate::{ContentHash, Durability, Finished, Hashes, ObjectKey, ReadError, ReadSeek};
use page_cache::{PageCache, ReadPlan, advise};

mod files;
mod list;
mod open;
mod page_cache;
mod probe;
mod read;
mod stage;

pub(crate) use list::Listing;
pub(crate) use read::Reader;
pub(crate) use stage::Staged;

/// The folder of all objects, inside the root folder.
pub(crate) const OBJECTS: &str = "objects";
/// How much is read into memory at once.
pub(crate) const PIECE: usize = 256 * 1024;
/// How many pieces are hashed in one task of the blocking pool, so that an abandoned hash ends soon.
const PIECES_A_TASK: usize = 32;

/// The store. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) root_path: PathBuf,
    pub(crate) objects: File,
    pub(crate) durability: Durability,
    pub(crate) page_cache: PageCache,
    /// For each of the 256 folders, whether this process has made its name durable.
    folder_names_durable: [AtomicBool; 256],
    /// Held, never read: closing it ends the lock.
    _lock: Option<File>,
}

impl Disk {
    pub(crate) fn new(root_path: PathBuf, objects: File, durability: Durability, lock: Option<File>) -> Self {
        let inner = Inner {
            root_path,
            objects,
            durability,
            page_cache: PageCache::default(),
            folder_names_durable: [const { AtomicBool::new(false) }; 256],
            _lock: lock,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The length of an object in bytes, or `None` if there is none.
    pub(crate) async fn size(&self, key: &ObjectKey) -> io::Result<Option<u64>> {
        let (inner, path) = (Arc::clone(&self.inner), key.path());
        blocking(move || match statat(&inner.objects, &path, AtFlags::empty()) {
            Ok(status) => Ok(Some(size_of(&status))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    /// Deletes an object. `false`: there was none, which is no error, so a deletion may be repeated.
    ///
    /// Readers that have the object open read on to its end. The deletion is not synced: should a power failure
    /// bring the object back, it is one that no row names, and [`list`](Self::list) shows it.
    pub(crate) async fn delete(&self, key: &ObjectKey) -> io::Result<bool> {
        let (inner, path) = (Arc::clone(&self.inner), key.path());
        blocking(move || {
            crash_point!("blobs::before_delete");
            let deleted = match unlinkat(&inner.objects, &path, AtFlags::empty()) {
                Ok(()) => true,
                Err(Errno::NOENT) => false,
                Err(error) => return Err(error.into()),
            };
            crash_point!("blobs::after_delete");
            Ok(deleted)
        })
        .await
    }

    /// Lets `look` read an object back and forth, off the asynchronous threads. It gets the object and its length
    /// in bytes, and must not keep what it reads in proportion to that.
    pub(crate) async fn inspect<T: Send + 'static>(
        &self,
        key: &ObjectKey,
        look: impl FnOnce(&mut dyn ReadSeek, u64) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let (inner, path) = (Arc::clone(&self.inner), key.path());
        blocking(move || {
            let mut file = inner.open_object(&path)?;
            let length = file.metadata()?.len();
            Ok(look(&mut file, length))
        })
        .await
        .map_err(ReadError::from_open)
    }

    /// Reads an object from start to end and says what it is. Asks the kernel not to keep it in memory for that,
    /// so that checking everything does not push out what is being pulled.
    pub(crate) async fn verify(&self, key: &ObjectKey, hashes: Hashes) -> Result<Finished, ReadError> {
        let (inner, path) = (Arc::clone(&self.inner), key.path());
        let (file, length) = blocking(move || {
            let file = inner.open_object(&path)?;
            advise(&file, 0, 0, ReadPlan::Once);
            let length = file.metadata()?.len();
            Ok((file, length))
        })
        .await
        .map_err(ReadError::from_open)?;
        let hash = hash_prefix(Arc::new(file), length, hashes).await.map_err(ReadError::Io)?;
        Ok(hash.finish())
    }

    /// How many bytes can still be written.
    pub(crate) async fn free_bytes(&self) -> io::Result<u64> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let status = rustix::fs::fstatvfs(&inner.objects)?;
            Ok(status.f_bavail.saturating_mul(status.f_frsize))
        })
        .await
    }
}

impl Inner {
    /// Opens an object for reading; may wait for the disk.
    pub(crate) fn open_object(&self, path: &str) -> io::Result<File> {
        Ok(openat(&self.objects, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    /// Opens an object for writing, creating it and the folder it lies in; may wait for the disk.
    pub(crate) fn create_object(&self, key: &ObjectKey) -> io::Result<File> {
        let path = key.path();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let open = || openat(&self.objects, &path, flags, Mode::RUSR | Mode::WUSR);
        let opened = match open() {
            Err(Errno::NOENT) => {
                match mkdirat(&self.objects, key.folder(), Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                self.folder_names_durable[key.folder_index()].store(false, Ordering::Relaxed);
                open()
            }
            opened => opened,
        };
        Ok(opened?.into())
    }

    /// Whether `file` is what lies under the key now.
    pub(crate) fn is_current(&self, key: &ObjectKey, file: &File) -> io::Result<bool> {
        let held = rustix::fs::fstat(file)?;
        match statat(&self.objects, key.path(), AtFlags::empty()) {
            Ok(named) => Ok((held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the name of an object durable: its entry in its folder, and the entry of that folder.
    pub(crate) fn sync_name(&self, key: &ObjectKey) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(&self.objects, key.folder(), flags, Mode::empty())?;
        rustix::fs::fsync(folder)?;
        // Another process or an earlier run may have made the folder and died before syncing it, so the first
        // object of each folder syncs the entry whoever made it.
        let durable = &self.folder_names_durable[key.folder_index()];
        if !durable.load(Ordering::Relaxed) {
            self.objects.sync_all()?;
            durable.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The size in a file's status, which the kernel never reports as negative.
pub(crate) fn size_of(status: &rustix::fs::Stat) -> u64 {
    u64::try_from(status.st_size).unwrap_or_default()
}

/// Hashes the first `length` bytes of a file on the blocking pool. A shorter file is an error.
pub(crate) async fn hash_prefix(file: Arc<File>, length: u64, hashes: Hashes) -> io::Result<ContentHash> {
    let mut hash = ContentHash::new(hashes);
    let mut buffer = vec![0; piece_length(length)];
    while hash.len() < length {
        let file = Arc::clone(&file);
        (hash, buffer) = blocking(move || {
            for _ in 0..PIECES_A_TASK {
                let wanted = piece_length(length - hash.len());
                if wanted == 0 {
                    break;
                }
                let piece = &mut buffer[..wanted];
                std::os::unix::fs::FileExt::read_exact_at(&*file, piece, hash.len())?;
                hash.update(piece);
            }
            Ok((hash, buffer))
        })
        .await?;
    }
    Ok(hash)
}

/// The length of the next piece when `remaining` bytes are left.
pub(crate) fn piece_length(remaining: u64) -> usize {
    usize::try_from(remaining).map_or(PIECE, |remaining| remaining.min(PIECE))
}
