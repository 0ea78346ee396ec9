//! Bringing everything back from another store.

use std::path::Path;

use blobs::Store;

use super::copy::{Present, Tally, copy_all};
use super::objects::objects;
use super::scratch::Scratch;
use super::{BackupEvent, DUMP, dump_failed, file_name, not_empty, write_failed};
use crate::Registry;
use crate::error::{Error, ErrorKind, What};

/// The folder with the mark of the backup that is being restored.
const MARKS: &str = "restoring";
/// Tables about bytes that were under way or on their way out. A backup does not hold those bytes.
const OF_THE_OLD_STORE: &[&str] = &["trash", "uploads"];

/// How to restore.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions {
    /// Restore the rest when objects of the backup are missing or damaged.
    pub allow_missing: bool,
}

/// What was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Rows of the database.
    pub rows: u64,
    /// Objects that were copied.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that an earlier run had copied.
    pub present: u64,
    /// Objects that are not there.
    pub bad: u64,
}

impl Registry {
    /// Brings back a backup into this registry, whose database and storage have to be empty. Until the rows are
    /// in, all of them at once and at the end, it can be run again and goes on where it was.
    pub async fn restore(
        &self,
        source: &Store,
        folder: &Path,
        options: RestoreOptions,
        mut watch: impl FnMut(BackupEvent) + Send,
    ) -> Result<RestoreReport, Error> {
        self.expect_empty_database().await?;
        let (dump, summary) = match Scratch::fetch(folder, source, &file_name(DUMP)?).await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => {
                let message =
                    "there is no whole backup there; name the place that `larder backup --to` wrote to";
                return Err(Error::not_found(What::File, message));
            }
            fetched => fetched?,
        };
        watch(BackupEvent::Database {
            rows: summary.rows(),
            objects: summary.rows_of("objects"),
            written_at: summary.header.written_at.clone(),
        });
        let mark = file_name(&format!("{MARKS}/{}", hex::encode(summary.content)))?;
        let failed = write_failed("to the storage");
        let marks = self.blobs().files(MARKS).await.map_err(&failed)?;
        if marks.iter().any(|file| file.name != mark) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "restoring another backup was begun in this storage; go on with that one, or empty the storage",
            ));
        }
        if marks.is_empty() {
            self.expect_empty_store().await?;
            // What is in it does not matter; the dump is a file that is at hand.
            self.blobs().file_write(&mark, dump.path()).await.map_err(&failed)?;
        }
        // Whatever an interrupted run left is read again before it is believed.
        let copied = copy_all(source, self.blobs(), objects(dump.open()?), Present::Read, &mut watch).await?;
        let Tally { copied, bytes, present, bad } = copied;
        if bad > 0 && !options.allow_missing {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "{bad} objects of the backup are missing or damaged, and no row was restored; bring their \
                     files back and run this again, or restore everything else with --allow-missing"
                ),
            ));
        }
        self.load(&dump, OF_THE_OLD_STORE).await?;
        self.blobs().file_delete(&mark).await.map_err(&failed)?;
        Ok(RestoreReport { rows: summary.rows(), copied, bytes, present, bad })
    }

    pub(super) async fn load(&self, dump: &Scratch, leave_out: &'static [&'static str]) -> Result<(), Error> {
        let loaded = self.db().load(dump.open()?, leave_out).await;
        loaded.map_err(dump_failed("cannot bring the dump back into the database"))?;
        // The database belongs to the storage where its content is now.
        self.store_adopt().await
    }

    pub(super) async fn expect_empty_database(&self) -> Result<(), Error> {
        let filled = self.db().filled_table().await.map_err(dump_failed("cannot look into the database"))?;
        match filled {
            Some(table) => Err(not_empty(&db::dump::DumpError::NotEmpty { table })),
            None => Ok(()),
        }
    }

    async fn expect_empty_store(&self) -> Result<(), Error> {
        let first = self.blobs().list().next_batch().await;
        let first = first.map_err(|error| Error::unavailable("cannot list the storage", error))?;
        if first.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "the storage holds objects already; name an empty one with storage.url or --data-dir. If only the \
             database was lost, use `larder restore --from latest`",
        ))
    }
}
