//! One round of collection, in small batches so that a push waits for a few milliseconds at most.

use clock::Timestamp;
use db::Transaction;

use super::condemned;
use super::review::{Times, Verdict, judge_in};
use crate::blob_key;
use crate::error::{Error, ErrorKind};
use crate::{Registry, store};

/// Entries judged in one transaction.
const BATCH: u32 = 64;

/// What a round of collection did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Upload sessions that expired.
    pub uploads: u64,
    /// Links to blobs that nothing named.
    pub blobs: u64,
    /// Manifests that lost what they belonged to.
    pub manifests: u64,
    /// Entries of the queue that are still needed.
    pub kept: u64,
    /// Objects whose bytes were deleted.
    pub objects: u64,
    /// Rows of deleted registries that were taken away.
    pub condemned: u64,
}

impl Collected {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Kept => self.kept += 1,
            Verdict::BlobRemoved => self.blobs += 1,
            Verdict::ManifestRemoved => self.manifests += 1,
        }
    }

    /// Whether anything was removed.
    pub fn is_empty(&self) -> bool {
        Self { kept: 0, ..*self } == Self::default()
    }
}

impl Registry {
    /// Collects everything that is due now.
    pub async fn collect(&self) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        // A deleted registry waits for its sessions, and its sessions for nothing.
        while self.registries_dismantle(&mut collected).await? || self.uploads_expire(&mut collected).await? {
        }
        while self.review(&mut collected).await? {}
        self.trash_empty(&mut collected).await?;
        Ok(collected)
    }

    /// Says what collecting now would do: does it, in one transaction that is not kept. It looks at no more
    /// than some thousand entries of each kind, so that pushes do not wait long for it.
    pub async fn collect_dry_run(&self) -> Result<Collected, Error> {
        const BATCHES: u32 = 10_000 / BATCH;
        let times = self.times();
        let (sender, receiver) = std::sync::mpsc::channel();
        let rolled_back = self
            .db()
            .write::<(), Error, _>(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move {
                    let mut collected = Collected::default();
                    for _ in 0..BATCHES {
                        let removed = condemned::dismantle_in(transaction, times).await?;
                        let expired = match removed {
                            0 => uploads_expire_in(transaction, times.now).await?,
                            _ => 0,
                        };
                        if removed + expired == 0 {
                            break;
                        }
                        collected.condemned += removed;
                        collected.uploads += expired;
                    }
                    for _ in 0..BATCHES {
                        let due = store::review::review_due_in(transaction, times.now, BATCH).await?;
                        if due.is_empty() {
                            break;
                        }
                        for row in due {
                            collected.count(judge_in(transaction, &row, times).await?);
                        }
                    }
                    let trash = store::trash::trash_due_in(transaction, times.now, BATCHES * BATCH).await?;
                    collected.objects = trash.len() as u64;
                    let _ = sender.send(collected);
                    // An error is what rolls a transaction back.
                    Err(Error::new(ErrorKind::Conflict, "dry run"))
                })
            })
            .await;
        match (receiver.try_recv(), rolled_back) {
            (Ok(collected), _) => Ok(collected),
            (Err(_), Err(error)) => Err(error),
            (Err(_), Ok(())) => Ok(Collected::default()),
        }
    }

    fn times(&self) -> Times {
        let now = self.now();
        Times {
            now,
            blob_review_after: now + self.settings().grace,
            delete_after: now + self.settings().trash_delay,
        }
    }

    /// One batch of the review queue. `false` when nothing more is due.
    async fn review(&self, collected: &mut Collected) -> Result<bool, Error> {
        let times = self.times();
        crash_point!("registry::review_before");
        let verdicts = self
            .db()
            .write::<Vec<Verdict>, Error, _>(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    let mut verdicts = Vec::new();
                    for row in store::review::review_due_in(transaction, times.now, BATCH).await? {
                        verdicts.push(judge_in(transaction, &row, times).await?);
                        crash_point!("registry::review_between");
                    }
                    Ok(verdicts)
                })
            })
            .await?;
        crash_point!("registry::review_after");
        let more = !verdicts.is_empty();
        for verdict in verdicts {
            collected.count(verdict);
        }
        Ok(more)
    }

    /// One batch of expired upload sessions. `false` when no more are.
    async fn uploads_expire(&self, collected: &mut Collected) -> Result<bool, Error> {
        let now = self.now();
        let expired = self
            .db()
            .write::<u64, Error, _>(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move { uploads_expire_in(transaction, now).await })
            })
            .await?;
        collected.uploads += expired;
        Ok(expired > 0)
    }

    /// One step of taking deleted registries apart. `false` when there is nothing to do.
    async fn registries_dismantle(&self, collected: &mut Collected) -> Result<bool, Error> {
        let times = self.times();
        let removed = self
            .db()
            .write::<u64, Error, _>(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move { condemned::dismantle_in(transaction, times).await })
            })
            .await?;
        collected.condemned += removed;
        Ok(removed > 0)
    }

    /// Deletes the bytes of what has been in the trash long enough.
    async fn trash_empty(&self, collected: &mut Collected) -> Result<(), Error> {
        loop {
            let due = store::trash::trash_due(self.db(), self.now(), BATCH).await?;
            if due.is_empty() {
                return Ok(());
            }
            for (key,) in &due {
                self.blobs()
                    .delete(&blob_key(key)?)
                    .await
                    .map_err(|error| Error::unavailable("cannot delete an object from the storage", error))?;
                collected.objects += 1;
            }
            crash_point!("registry::trash_between");
            self.db()
                .write::<(), Error, _>(db::Durability::Relaxed, move |transaction| {
                    Box::pin(async move {
                        for (key,) in &due {
                            store::trash::trash_remove_in(transaction, key).await?;
                        }
                        Ok(())
                    })
                })
                .await?;
        }
    }
}

/// Ends a batch of expired upload sessions and tells how many.
async fn uploads_expire_in(transaction: &mut Transaction, now: Timestamp) -> Result<u64, Error> {
    let expired = store::uploads::uploads_expired_in(transaction, now, BATCH).await?;
    for (id, key, complete) in &expired {
        store::uploads::upload_delete_in(transaction, id).await?;
        if !complete {
            store::trash::trash_add_in(transaction, key, now).await?;
        }
    }
    Ok(expired.len() as u64)
}
