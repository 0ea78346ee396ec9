//! Emptying the trash: bytes are deleted outside any transaction, by the worker that took them for a while.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};

use super::run::{Collected, Pace};
use crate::error::Error;
use crate::store::trash::TrashRow;
use crate::{Registry, blob_key, store};

/// Objects taken at once.
const BATCH: u32 = 64;
/// How long nobody else deletes what a worker has taken. Should the worker die, somebody does after that. Deleting
/// twice does no harm, so where there are no other servers nobody has to wait.
const LEASE: Duration = Duration::from_mins(1);
/// How long something that could not be deleted waits the first time; each time it waits twice as long.
const FIRST_RETRY: Duration = Duration::from_mins(1);
/// How long it waits at most.
const LONGEST_RETRY: Duration = Duration::from_hours(6);
/// Backups copy objects by what the database named when they began, so nothing is deleted while one is under
/// way: its lease has a name between these two.
const BACKUPS: (&str, &str) = ("backup", "backuq");

impl Registry {
    /// Deletes the bytes of what has been in the trash long enough.
    pub(super) async fn trash_empty(&self, collected: &mut Collected, pace: Pace) -> Result<(), Error> {
        loop {
            let now = self.now();
            if store::leases::lease_between_is_held(self.db(), BACKUPS.0, BACKUPS.1, now).await? {
                return Ok(());
            }
            let lease = if self.db().is_shared() { LEASE } else { Duration::ZERO };
            let taken = self
                .db()
                .write::<_, Error, _>(db::Durability::Relaxed, move |transaction| {
                    Box::pin(async move {
                        Ok(store::trash::trash_claim_in(transaction, now, now + lease, BATCH).await?)
                    })
                })
                .await?;
            if taken.is_empty() {
                return Ok(());
            }
            let deleting = taken.into_iter().map(|row| async {
                let begun = Instant::now();
                let deleted = self.object_delete(&row).await;
                pace.rest(begun.elapsed()).await;
                (row, deleted)
            });
            let ended: Vec<_> = stream::iter(deleting).buffer_unordered(pace.at_once()).collect().await;
            crash_point!("registry::trash_between");
            self.trash_settle(ended, collected).await?;
        }
    }

    /// Deletes one object with whatever an unfinished upload of it left.
    async fn object_delete(&self, row: &TrashRow) -> Result<(), Error> {
        let key = blob_key(&row.key)?;
        let deleted = match &row.staged {
            Some(state) => self.blobs().discard(&key, &blobs::StagedState::from_bytes(state.clone())).await,
            None => self.blobs().delete(&key).await.map(|_| ()),
        };
        deleted.map_err(|error| Error::unavailable("cannot delete an object from the storage", error))
    }

    /// Takes out of the trash what is gone, and lets wait what is not.
    async fn trash_settle(
        &self,
        ended: Vec<(TrashRow, Result<(), Error>)>,
        collected: &mut Collected,
    ) -> Result<(), Error> {
        let (mut gone, mut bytes, mut left) = (Vec::new(), 0, Vec::new());
        for (row, deleted) in ended {
            match deleted {
                Ok(()) => {
                    bytes += row.size;
                    gone.push(row.key);
                }
                Err(error) => {
                    let doublings = u32::try_from(row.attempts).unwrap_or(u32::MAX).saturating_sub(1).min(16);
                    let wait = (FIRST_RETRY * (1 << doublings)).min(LONGEST_RETRY);
                    tracing::warn!(
                        error = %std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
                        object.key = row.key,
                        attempts = row.attempts,
                        "an object could not be deleted; it is tried again later"
                    );
                    left.push((row.key, self.now() + wait));
                }
            }
        }
        let objects = gone.len() as u64;
        collected.objects += objects;
        collected.bytes += bytes;
        collected.failed += left.len() as u64;
        self.db()
            .write::<(), Error, _>(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move {
                    store::trash::trash_remove_in(transaction, &gone).await?;
                    for (key, again) in &left {
                        store::trash::trash_postpone_in(transaction, key, *again).await?;
                    }
                    store::trash::collection_totals_add_in(transaction, objects, bytes).await?;
                    Ok(())
                })
            })
            .await
    }
}
