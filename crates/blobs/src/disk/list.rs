//! Everything in the store, for the scrubber.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::blocking::blocking;
use crate::disk::{Disk, Inner, size_of};
use crate::{ListedObject, ObjectKey};

/// How many objects one batch has at most.
const BATCH: usize = 1000;
/// How many folders the objects are spread over.
const FOLDERS: usize = 256;

/// A walk through all objects, folder by folder; see [`Store::list`](crate::Store::list).
#[derive(Debug)]
pub(crate) struct Listing {
    inner: Arc<Inner>,
    /// `None` while a batch is being read.
    walk: Option<Walk>,
}

#[derive(Debug, Default)]
struct Walk {
    next_folder: usize,
    folder: Option<Dir>,
}

impl Disk {
    /// Walks through all objects in no particular order. This reads the whole store's folders: for the scrubber
    /// alone, never for a request. Objects that come or go meanwhile may or may not be shown.
    pub(crate) fn list(&self) -> Listing {
        Listing { inner: Arc::clone(&self.inner), walk: Some(Walk::default()) }
    }
}

impl Listing {
    /// The next objects, at most a thousand; an empty batch is the end. Files that are not objects are passed
    /// over. After an error, or when the future is dropped before its end, the listing cannot go on.
    pub(crate) async fn next_batch(&mut self) -> io::Result<Vec<ListedObject>> {
        let mut walk = self.walk.take().ok_or_else(|| {
            io::Error::other("the listing of the blob store was interrupted; start a new one")
        })?;
        let inner = Arc::clone(&self.inner);
        let (walk, batch) = blocking(move || {
            let batch = walk.next_batch(&inner)?;
            Ok((walk, batch))
        })
        .await?;
        self.walk = Some(walk);
        Ok(batch)
    }
}

impl Walk {
    fn next_batch(&mut self, inner: &Inner) -> io::Result<Vec<ListedObject>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(folder) = &mut self.folder else {
                if self.next_folder == FOLDERS {
                    break;
                }
                let name = format!("{:02x}", self.next_folder);
                self.next_folder += 1;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                match openat(&inner.objects, name, flags, Mode::empty()) {
                    Ok(opened) => self.folder = Some(Dir::new(opened)?),
                    Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
                continue;
            };
            match folder.read() {
                None => self.folder = None,
                Some(entry) => {
                    let name = entry?.file_name().to_owned();
                    let key = name.to_str().ok().and_then(|name| name.parse::<ObjectKey>().ok());
                    if let Some(key) = key {
                        batch.extend(look_at(inner, key)?);
                    }
                }
            }
        }
        Ok(batch)
    }
}

/// `None`: it went away, or is not a file where it would be looked for.
fn look_at(inner: &Inner, key: ObjectKey) -> io::Result<Option<ListedObject>> {
    match statat(&inner.objects, key.path(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) if !rustix::fs::FileType::from_raw_mode(status.st_mode).is_file() => Ok(None),
        Ok(status) => {
            // Times before 1970 do not occur on files that we write; they would count as old.
            let seconds = Duration::from_secs(u64::try_from(status.st_mtime).unwrap_or_default());
            Ok(Some(ListedObject { key, size: size_of(&status), modified: SystemTime::UNIX_EPOCH + seconds }))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
