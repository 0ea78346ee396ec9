//! Snapshots of the database in the blob store, so that losing the one does not lose the names of what is in
//! the other.

use std::path::Path;

use blobs::{FileName, Store};
use futures_util::StreamExt as _;

use super::objects::objects;
use super::scratch::Scratch;
use super::{BackupEvent, RestoreReport, file_name, write_failed};
use crate::Registry;
use crate::error::{Error, ErrorKind, What};

/// The folder that they are in.
const FOLDER: &str = "snapshots";
const ENDING: &str = ".larder";
/// Objects looked up at once.
const AT_ONCE: usize = 16;

/// A snapshot as the store shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name, which tells when it was taken and in whose order they were taken.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
}

/// A snapshot that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotTaken {
    /// Its name; none when the database is as the last one has it.
    pub name: Option<String>,
    /// Rows in it.
    pub rows: u64,
    /// Equal for equal content.
    pub content: [u8; 32],
}

impl Registry {
    /// Puts a snapshot of the database into the blob store, unless its content is `last`, and removes all but
    /// the last `keep`. `folder` is as in [`backup`](Self::backup).
    pub async fn snapshot_take(
        &self,
        folder: &Path,
        last: Option<[u8; 32]>,
        keep: usize,
    ) -> Result<SnapshotTaken, Error> {
        let (dump, summary) = self.dump_to_scratch(folder).await?;
        let mut taken = SnapshotTaken { name: None, rows: summary.rows(), content: summary.content };
        if last == Some(summary.content) {
            return Ok(taken);
        }
        let name = format!("{}{ENDING}", self.time_text("%Y%m%dT%H%M%SZ"));
        let failed = write_failed("a snapshot to the storage");
        self.blobs().file_write(&in_folder(&name)?, dump.path()).await.map_err(&failed)?;
        taken.name = Some(name);
        let all = self.snapshots_list().await?;
        for old in &all[..all.len().saturating_sub(keep)] {
            self.blobs().file_delete(&in_folder(&old.name)?).await.map_err(&failed)?;
        }
        Ok(taken)
    }

    /// What the newest snapshot holds, when it is whole.
    pub async fn snapshot_newest_content(&self, folder: &Path) -> Result<Option<[u8; 32]>, Error> {
        let Some(newest) = self.snapshots_list().await?.pop() else { return Ok(None) };
        let fetched = Scratch::fetch(folder, self.blobs(), &in_folder(&newest.name)?).await;
        Ok(fetched.ok().map(|(_, summary)| summary.content))
    }

    async fn snapshots_list(&self) -> Result<Vec<Snapshot>, Error> {
        snapshots_list(self.blobs()).await
    }

    /// Loads a snapshot into the empty database: the one of this name, else the newest that is whole. The
    /// storage is kept as it is; objects that the snapshot names and the storage does not have are told.
    pub async fn restore_snapshot(
        &self,
        folder: &Path,
        name: Option<&str>,
        mut watch: impl FnMut(BackupEvent) + Send,
    ) -> Result<RestoreReport, Error> {
        self.expect_empty_database().await?;
        let (dump, summary) = match name {
            Some(name) => Scratch::fetch(folder, self.blobs(), &in_folder(name)?).await?,
            None => self.snapshot_newest(folder).await?,
        };
        watch(BackupEvent::Database {
            rows: summary.rows(),
            objects: summary.rows_of("objects"),
            written_at: summary.header.written_at.clone(),
        });
        self.load(&dump, &[]).await?;
        let blobs = self.blobs();
        let looked_up = objects(dump.open()?).map(|object| async move {
            let object = object?;
            let size = blobs.size(&object.key).await;
            let size = size.map_err(|error| Error::unavailable("cannot look up an object", error))?;
            Ok::<_, Error>((object, size))
        });
        let mut looked_up = std::pin::pin!(looked_up.buffer_unordered(AT_ONCE));
        let mut report = RestoreReport { rows: summary.rows(), ..RestoreReport::default() };
        while let Some(found) = looked_up.next().await {
            let (object, size) = found?;
            let reason = match size {
                Some(size) if size == object.size => {
                    report.present += 1;
                    watch(BackupEvent::Object { copied: None });
                    continue;
                }
                Some(size) => format!("it has {size} bytes and should have {}", object.size),
                None => "it is missing".to_owned(),
            };
            report.bad += 1;
            watch(BackupEvent::Bad { key: object.key.to_string(), digest: object.digest(), reason });
        }
        Ok(report)
    }

    async fn snapshot_newest(&self, folder: &Path) -> Result<(Scratch, db::dump::Summary), Error> {
        let mut last = Error::not_found(
            What::File,
            "there is no snapshot in this storage; restore a backup with --from DIR",
        );
        for snapshot in self.snapshots_list().await?.into_iter().rev() {
            match Scratch::fetch(folder, self.blobs(), &in_folder(&snapshot.name)?).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "an older snapshot is tried");
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Finds that a database which nobody has used yet was put beside a storage that holds snapshots of another
    /// one: going on would hide that one's content and, in time, push its snapshots out.
    pub async fn expect_no_lost_database(&self) -> Result<(), Error> {
        if self.first_start_is_complete().await? || self.snapshots_list().await?.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "the database is new, but the storage holds snapshots of one that is gone; `larder restore --from \
             latest` brings it back. To begin anew with this storage all the same, delete its folder snapshots",
        ))
    }
}

/// The snapshots in a blob store, oldest first. Needs no database, which may be gone.
pub async fn snapshots_list(store: &Store) -> Result<Vec<Snapshot>, Error> {
    let files = store.files(FOLDER).await;
    let files = files.map_err(|error| Error::unavailable("cannot list the snapshots", error))?;
    let mut snapshots: Vec<_> = files
        .into_iter()
        .filter_map(|file| {
            let (_, name) = file.name.as_str().split_once('/')?;
            name.ends_with(ENDING).then(|| Snapshot { name: name.to_owned(), size: file.size })
        })
        .collect();
    snapshots.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(snapshots)
}

/// A snapshot's name as a person may write it.
fn in_folder(name: &str) -> Result<FileName, Error> {
    file_name(&format!("{FOLDER}/{name}")).map_err(|_| {
        Error::not_found(What::File, format!("{name:?} is not the name of a snapshot; see --list-snapshots"))
    })
}
