//! Opening a store: its folders, and the lock that keeps a second server out.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::disk::{Disk, OBJECTS};
use crate::{Durability, OpenError};

/// The file in the root folder that the serving process holds locked.
const LOCK: &str = "lock";

impl Disk {
    /// Opens the store for serving, creating its folders if they are missing, and locks it for the life of the
    /// last clone. The lock is the kernel's, so it ends with the process however that ends.
    ///
    /// Waits for the disk: meant for the start of the program.
    pub(crate) fn open(root: &Path, durability: Durability) -> Result<Self, OpenError> {
        let synced = durability == Durability::Durable;
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
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::InUse { root: root.to_owned() }),
            Err(error) => return Err(failed("lock", &lock_path)(error.into())),
        }
        let objects = root.join(OBJECTS);
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&objects);
        created.map_err(failed("create", &objects))?;
        if synced {
            sync_folder(root).map_err(failed("sync", root))?;
        }
        Self::from_folders(root, durability, Some(lock))
    }

    /// Opens a store that a server may be serving at the same time: for checks and maintenance from a second
    /// process. Creates nothing and does not lock; single objects are still written by one writer only.
    ///
    /// Waits for the disk: meant for the start of the program.
    pub(crate) fn attach(root: &Path, durability: Durability) -> Result<Self, OpenError> {
        if !root.join(OBJECTS).is_dir() {
            return Err(OpenError::Missing { root: root.to_owned() });
        }
        Self::from_folders(root, durability, None)
    }

    fn from_folders(root: &Path, durability: Durability, lock: Option<File>) -> Result<Self, OpenError> {
        // An absolute path, so that a later change of the working folder changes nothing.
        let root_path = root.canonicalize().map_err(failed("find", root))?;
        let objects_path = root_path.join(OBJECTS);
        let objects = File::open(&objects_path).map_err(failed("open", &objects_path))?;
        Ok(Self::new(root_path, objects, durability, lock))
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

    fn open(root: &Path) -> Result<Disk, OpenError> {
        Disk::open(root, Durability::Durable)
    }

    fn attach(root: &Path) -> Result<Disk, OpenError> {
        Disk::attach(root, Durability::Durable)
    }

    #[test]
    fn a_second_server_is_refused_and_a_second_process_may_attach() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("several/new/folders");
        assert!(matches!(attach(&root), Err(OpenError::Missing { .. })));

        let store = open(&root).unwrap();
        let error = open(&root).unwrap_err();
        assert!(matches!(error, OpenError::InUse { .. }));
        assert!(error.to_string().contains("in use by another server process"), "{error}");
        attach(&root).unwrap();

        let clone = store.clone();
        drop(store);
        assert!(open(&root).is_err());
        drop(clone);
        open(&root).unwrap();
    }

    #[test]
    fn a_root_that_is_a_file_is_explained() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = open(file.path()).unwrap_err();
        assert!(error.to_string().starts_with("the blob store could not create /"), "{error}");
    }
}
