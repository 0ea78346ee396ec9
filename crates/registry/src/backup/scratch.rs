//! A dump on its way: on the local disk between the database and a store.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blobs::{FileName, ReadError, Store};
use db::dump::{About, Reader, Summary};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::{dump_failed, write_failed};
use crate::Registry;
use crate::error::{Error, ErrorKind, What};

/// Always the same, so that one that a crash left behind is written over.
const NAME: &str = "dump.partial";

/// A dump in a folder that only this program writes to. It goes when this is dropped.
pub(super) struct Scratch {
    path: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next one is written over it.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Scratch {
    fn create(folder: &Path) -> Result<(Self, File), Error> {
        let path = folder.join(NAME);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            // It holds the hashes of passwords and the keys that sign tokens.
            .mode(0o600)
            .open(&path)
            .map_err(write_failed(&path.display().to_string()))?;
        Ok((Self { path }, file))
    }

    /// Fetches a dump out of a store and checks that it is whole.
    pub(super) async fn fetch(
        folder: &Path,
        store: &Store,
        name: &FileName,
    ) -> Result<(Self, Summary), Error> {
        let mut content = match store.file_read(name).await {
            Ok(content) => content,
            Err(ReadError::Missing) => {
                return Err(Error::not_found(What::File, format!("there is no {name} in it")));
            }
            Err(error) => return Err(Error::unavailable(format!("cannot read {name}"), error)),
        };
        let (scratch, file) = Self::create(folder)?;
        let failed = write_failed("a temporary file");
        let mut file = tokio::fs::File::from_std(file);
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|error| Error::unavailable(format!("cannot read {name}"), error))?;
            file.write_all(&piece).await.map_err(&failed)?;
        }
        file.flush().await.map_err(&failed)?;
        let summary = scratch.verify(format!("{name} cannot be used")).await?;
        Ok((scratch, summary))
    }

    /// Reads it from start to end.
    async fn verify(&self, what: String) -> Result<Summary, Error> {
        let file = self.open()?;
        let read = tokio::task::spawn_blocking(move || Reader::open(file).and_then(Reader::finish));
        let read = read.await.map_err(|error| Error::unavailable("the program is ending", error))?;
        read.map_err(|error| Error::unavailable(what, error))
    }

    pub(super) fn open(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(|error| Error::unavailable("cannot read a temporary file", error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Registry {
    /// Dumps the database into a scratch file. Ends soon when its caller goes away.
    pub(super) async fn dump_to_scratch(&self, folder: &Path) -> Result<(Scratch, Summary), Error> {
        let store = self.blobs().identity().await;
        let store = store
            .map_err(|error| Error::unavailable("the blob store does not say which one it is", error))?;
        let about = About { written_at: self.time_text("%Y-%m-%dT%H:%M:%SZ"), store };
        let (scratch, file) = Scratch::create(folder)?;
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let sink = Sink { file, wanted: Arc::clone(&wanted.0) };
        let (summary, _) =
            self.db().dump(about, sink).await.map_err(dump_failed("cannot write a dump of the database"))?;
        Ok((scratch, summary))
    }

    /// The same, read again from the disk to be sure of it.
    pub(super) async fn dump_and_verify(&self, folder: &Path) -> Result<(Scratch, Summary), Error> {
        let (scratch, written) = self.dump_to_scratch(folder).await?;
        let read = scratch.verify("the dump that was just written cannot be read".to_owned()).await?;
        if read != written {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the dump that was just written is not what was read from the database; check disk and memory",
            ));
        }
        Ok((scratch, read))
    }
}

/// While it lives, somebody waits for the dump.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The file, until nobody waits for it any more: a thread that writes cannot be stopped from outside.
struct Sink {
    file: File,
    wanted: Arc<AtomicBool>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.wanted.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody waits for the dump any more"));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
