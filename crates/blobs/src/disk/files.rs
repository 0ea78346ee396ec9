//! Named files beside the objects, and the store's own name.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::blocking::blocking;
use crate::disk::{Disk, Inner, Reader};
use crate::identity::{self, IDENTITY};
use crate::{Durability, FileName, ObjectKey, ReadError, StoredFile};

impl Disk {
    /// The text that tells this store from every other. Made at the first call.
    pub(crate) async fn identity(&self) -> io::Result<String> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let path = inner.root_path.join(IDENTITY);
            loop {
                match std::fs::read_to_string(&path) {
                    Ok(text) => return identity::parse(&text),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
                let hidden = temporary(&inner.root_path);
                inner.write_synced(&hidden, identity::random().as_bytes())?;
                // A link does not replace what another process has put there meanwhile.
                let linked = std::fs::hard_link(&hidden, &path);
                let removed = std::fs::remove_file(&hidden);
                match linked {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    Ok(()) | Err(_) => removed?,
                }
                inner.sync_path(&inner.root_path)?;
            }
        })
        .await
    }

    pub(crate) async fn file_write(&self, name: &FileName, source: &Path) -> io::Result<()> {
        let (inner, name, source) = (Arc::clone(&self.inner), name.clone(), source.to_owned());
        blocking(move || {
            let folder = inner.root_path.join(name.folder());
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            let hidden = temporary(&folder);
            let written = inner
                .copy_synced(&source, &hidden)
                .and_then(|()| std::fs::rename(&hidden, inner.root_path.join(name.as_str())));
            if written.is_err() {
                // What is left is passed over by `files`, as is what a crash leaves.
                let _ = std::fs::remove_file(&hidden);
            }
            written?;
            inner.sync_path(&folder)?;
            inner.sync_path(&inner.root_path)
        })
        .await
    }

    pub(crate) async fn file_read(&self, name: &FileName) -> Result<Reader, ReadError> {
        let (inner, name) = (Arc::clone(&self.inner), name.clone());
        let opened = blocking(move || {
            let file = File::open(inner.root_path.join(name.as_str()))?;
            let length = file.metadata()?.len();
            Ok((file, length))
        });
        let (file, length) = opened.await.map_err(ReadError::from_open)?;
        Ok(Reader::new(Arc::clone(&self.inner), file, 0, length))
    }

    pub(crate) async fn files(&self, folder: &str) -> io::Result<Vec<StoredFile>> {
        let (inner, folder) = (Arc::clone(&self.inner), folder.to_owned());
        blocking(move || {
            let mut files = Vec::new();
            let entries = match std::fs::read_dir(inner.root_path.join(&folder)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let Some(Ok(name)) =
                    entry.file_name().to_str().map(|name| format!("{folder}/{name}").parse::<FileName>())
                else {
                    continue;
                };
                match entry.metadata() {
                    Ok(metadata) if metadata.is_file() => files.push(StoredFile {
                        name,
                        size: metadata.len(),
                        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                    }),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            files.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(files)
        })
        .await
    }

    pub(crate) async fn file_delete(&self, name: &FileName) -> io::Result<bool> {
        let path = self.inner.root_path.join(name.as_str());
        blocking(move || match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }
}

impl Inner {
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        self.sync_file(&file)
    }

    fn copy_synced(&self, source: &Path, path: &Path) -> io::Result<()> {
        let mut from = File::open(source)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        io::copy(&mut from, &mut file)?;
        self.sync_file(&file)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        if self.durability == Durability::Durable { file.sync_all() } else { Ok(()) }
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        if self.durability == Durability::Durable { File::open(path)?.sync_all() } else { Ok(()) }
    }
}

/// A name that nobody else uses and that is not one of a file, because it starts with a dot.
fn temporary(folder: &Path) -> PathBuf {
    folder.join(format!(".{}", ObjectKey::random()))
}
