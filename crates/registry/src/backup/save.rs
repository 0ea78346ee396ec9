//! Saving everything into another store.

use std::collections::HashSet;
use std::path::Path;

use blobs::{ObjectKey, Store};
use futures_util::StreamExt as _;

use super::copy::{Present, Tally, copy_all};
use super::hold::Hold;
use super::objects::objects;
use super::scratch::Scratch;
use super::{BackupEvent, DUMP, file_name, write_failed};
use crate::error::{Error, ErrorKind};
use crate::{Registry, store};

/// There while a backup is being written. What the next one finds there may be half an object.
const UNFINISHED: &str = "backup/unfinished";
/// Objects that may have to go, looked up in the dump at once.
const CANDIDATES: usize = 100_000;

/// How to save.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupOptions {
    /// Remove the objects that this backup does not name.
    pub prune: bool,
    /// Read the objects that are there already, and copy those that are damaged again.
    pub verify: bool,
}

/// What was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Rows of the database.
    pub rows: u64,
    /// Objects that were copied.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were there.
    pub present: u64,
    /// Objects that are missing or damaged here, and so are not in the backup.
    pub bad: u64,
    /// Objects that were removed from the backup.
    pub removed: u64,
}

impl Registry {
    /// Saves the database and all content into `target`, beside the running servers. `folder` is one that only
    /// this program writes to, on a disk with room for the dump. Objects that `target` has from an earlier
    /// backup are not copied again.
    pub async fn backup(
        &self,
        target: &Store,
        folder: &Path,
        options: BackupOptions,
        mut watch: impl FnMut(BackupEvent) + Send,
    ) -> Result<BackupReport, Error> {
        let failed = write_failed("to the backup");
        let own = self.blobs().identity().await.map_err(&failed)?;
        if own == target.identity().await.map_err(&failed)? {
            return Err(Error::new(
                ErrorKind::Conflict,
                "that is the place where the registry keeps its own content; name another one",
            ));
        }
        let hold = Hold::take(self).await?;
        let (dump, summary) = self.dump_and_verify(folder).await?;
        watch(BackupEvent::Database {
            rows: summary.rows(),
            objects: summary.rows_of("objects"),
            written_at: summary.header.written_at.clone(),
        });
        let (unfinished, finished) = (file_name(UNFINISHED)?, file_name(DUMP)?);
        let interrupted =
            target.files("backup").await.map_err(&failed)?.iter().any(|file| file.name == unfinished);
        let present = if interrupted || options.verify { Present::Read } else { Present::Trusted };
        // The dump itself, because it is at hand.
        target.file_write(&unfinished, dump.path()).await.map_err(&failed)?;
        let copied = copy_all(self.blobs(), target, objects(dump.open()?), present, &mut watch).await?;
        target.file_write(&finished, dump.path()).await.map_err(&failed)?;
        target.file_delete(&unfinished).await.map_err(&failed)?;
        let removed = if options.prune { self.backup_prune(target, &dump).await? } else { 0 };
        hold.release().await;
        let Tally { copied, bytes, present, bad } = copied;
        Ok(BackupReport { rows: summary.rows(), copied, bytes, present, bad, removed })
    }

    /// Removes what the dump does not name. An object that the database names still may be named by the dump
    /// too, and the others are few; so memory does not grow with the number of objects.
    async fn backup_prune(&self, target: &Store, dump: &Scratch) -> Result<u64, Error> {
        let mut listing = target.list();
        let mut removed = 0;
        loop {
            let mut candidates = HashSet::new();
            let mut at_end = false;
            while candidates.len() < CANDIDATES && !at_end {
                let batch = listing.next_batch().await;
                let batch = batch.map_err(|error| Error::unavailable("cannot list the backup", error))?;
                at_end = batch.is_empty();
                for listed in batch {
                    if !store::blobs::object_key_exists(self.db(), listed.key.as_str()).await? {
                        candidates.insert(listed.key);
                    }
                }
            }
            removed += remove_unnamed(target, dump, candidates).await?;
            if at_end {
                return Ok(removed);
            }
        }
    }
}

async fn remove_unnamed(
    target: &Store,
    dump: &Scratch,
    mut candidates: HashSet<ObjectKey>,
) -> Result<u64, Error> {
    if candidates.is_empty() {
        return Ok(0);
    }
    let mut named = std::pin::pin!(objects(dump.open()?));
    while let Some(object) = named.next().await {
        candidates.remove(&object?.key);
    }
    for key in &candidates {
        target.delete(key).await.map_err(write_failed("to the backup"))?;
    }
    Ok(candidates.len() as u64)
}
