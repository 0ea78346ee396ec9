//! Opening a store: its folders, and the lock that keeps a second server out.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::store::{OBJECTS, Store};

/// The file in the root folder that the serving process holds locked.
const LOCK: &str = "lock";

/// Whether acknowledged content must survive a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// [`Staged::sync`](crate::Staged::sync) returns when content and name are on the medium.
    #[default]
    Durable,
    /// Nothing waits for the medium. For throw-away stores: content can be lost or torn after a power failure,
    /// though not after the death of the process.
    Relaxed,
}

/// Where a store lies and how it behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The store's own folder.
    pub root: PathBuf,
    /// What a power failure may cost.
    pub durability: Durability,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process serves this folder.
    #[error(
        "the blob store in {} is in use by another server process; stop that one, or give this one a folder \
         of its own", .root.display()
    )]
    InUse {
        /// The store's folder.
        root: PathBuf,
    },
    /// There is no store here to attach to.
    #[error("there is no blob store in {}; check the path, or start the server once to create it", .root.display())]
    Missing {
        /// The store's folder.
        root: PathBuf,
    },
    /// The folder cannot be used.
    #[error(
        "the blob store could not {action} {}: {source}; check that the path is a folder on a mounted disk \
         and that this user may write there", .path.display()
    )]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Store {
    /// Opens the store for serving, creating its folders if they are missing, and locks it for the life of the
    /// last clone. The lock is the kernel's, so it ends with the process however that ends.
    ///
    /// Waits for the disk: meant for the start of the program.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let root = &options.root;
        let synced = options.durability == Durability::Durable;
        create_folders(root, synced).map_err(failed("create", root))?;
        let lock_path = root.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::InUse { root: root.clone() }),
            Err(error) => return Err(failed("lock", &lock_path)(error.into())),
        }
        let objects = root.join(OBJECTS);
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&objects);
        created.map_err(failed("create", &objects))?;
        if synced {
            sync_folder(root).map_err(failed("sync", root))?;
        }
        Self::from_folders(options, Some(lock))
    }

    /// Opens a store that a server may be serving at the same time: for checks and maintenance from a second
    /// process. Creates nothing and does not lock; single objects are still written by one writer only.
    ///
    /// Waits for the disk: meant for the start of the program.
    pub fn attach(options: &Options) -> Result<Self, OpenError> {
        if !options.root.join(OBJECTS).is_dir() {
            return Err(OpenError::Missing { root: options.root.clone() });
        }
        Self::from_folders(options, None)
    }

    fn from_folders(options: &Options, lock: Option<File>) -> Result<Self, OpenError> {
        // An absolute path, so that a later change of the working folder changes nothing.
        let root_path = options.root.canonicalize().map_err(failed("find", &options.root))?;
        let objects_path = root_path.join(OBJECTS);
        let objects = File::open(&objects_path).map_err(failed("open", &objects_path))?;
        Ok(Self::new(root_path, objects, options.durability, lock))
    }
}

/// Creates the folder and those above it. When `synced`, each new name is made durable in the folder above it.
fn create_folders(root: &Path, synced: bool) -> io::Result<()> {
    let missing: Vec<&Path> =
        root.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    DirBuilder::new().recursive(true).create(root)?;
    if synced {
        for path in missing {
            let above = path.parent().filter(|above| !above.as_os_str().is_empty());
            sync_folder(above.unwrap_or(Path::new(".")))?;
        }
    }
    Ok(())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(root: PathBuf) -> Options {
        Options { root, durability: Durability::Durable }
    }

    #[test]
    fn a_second_server_is_refused_and_a_second_process_may_attach() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path().join("several/new/folders"));
        assert!(matches!(Store::attach(&options), Err(OpenError::Missing { .. })));

        let store = Store::open(&options).unwrap();
        let error = Store::open(&options).unwrap_err();
        assert!(matches!(error, OpenError::InUse { .. }));
        assert!(error.to_string().contains("in use by another server process"), "{error}");
        Store::attach(&options).unwrap();

        let clone = store.clone();
        drop(store);
        assert!(Store::open(&options).is_err());
        drop(clone);
        Store::open(&options).unwrap();
    }

    #[test]
    fn a_root_that_is_a_file_is_explained() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Store::open(&options(file.path().to_owned())).unwrap_err();
        assert!(error.to_string().starts_with("the blob store could not create /"), "{error}");
    }
}
