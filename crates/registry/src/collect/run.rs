//! One round of collection, in small batches so that a push waits for a few milliseconds at most.

use std::time::Duration;

use clock::Timestamp;
use db::Transaction;

use super::condemned;
use super::review::{Judged, Times, judge_in};
use crate::error::{Error, ErrorKind};
use crate::{Registry, store};

/// Entries judged in one transaction at the most.
const BATCH: u32 = 64;

/// How much of the machine a round of collection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As much as there is: for a command that somebody waits for.
    Fast,
    /// Small steps, and after each a rest three times as long, so that requests find the database and the
    /// storage free most of the time.
    BesideRequests,
}

impl Pace {
    /// The longest rest, for a step that had to wait for something else.
    const LONGEST_REST: Duration = Duration::from_millis(250);

    pub(super) async fn rest(self, worked: Duration) {
        if self == Self::BesideRequests {
            tokio::time::sleep((worked * 3).min(Self::LONGEST_REST)).await;
        }
    }

    /// Entries judged in one transaction.
    fn batch(self) -> u32 {
        match self {
            Self::Fast => BATCH,
            Self::BesideRequests => BATCH / 2,
        }
    }

    /// Objects that are being deleted at once: in a bucket each costs a round trip, and each stands in the way of
    /// whoever reads there.
    pub(super) fn at_once(self) -> usize {
        match self {
            Self::Fast => 8,
            Self::BesideRequests => 1,
        }
    }
}

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
    /// How many bytes that were.
    pub bytes: u64,
    /// Objects that the storage did not delete; they are tried again later.
    pub failed: u64,
    /// Rows of deleted registries that were taken away.
    pub condemned: u64,
}

impl Collected {
    fn count(&mut self, judged: Judged) {
        self.blobs += judged.blobs;
        self.manifests += judged.manifests;
        self.kept += judged.due.saturating_sub(judged.blobs + judged.manifests);
    }

    /// Whether anything was removed.
    pub fn is_empty(&self) -> bool {
        Self { kept: 0, ..*self } == Self::default()
    }
}

impl Registry {
    /// Collects everything that is due now. Any number of servers may do so at once: each takes what no other
    /// has taken.
    pub async fn collect(&self, pace: Pace) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        let step = async |collected: &mut Collected| -> Result<bool, Error> {
            // A deleted registry waits for its sessions, and its sessions for nothing.
            Ok(self.registries_dismantle(collected).await?
                || self.uploads_expire(collected).await?
                || self.review(collected, pace.batch()).await?)
        };
        loop {
            let begun = std::time::Instant::now();
            if !step(&mut collected).await? {
                break;
            }
            pace.rest(begun.elapsed()).await;
        }
        self.trash_empty(&mut collected, pace).await?;
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
                        let judged = judge_in(transaction, times, BATCH).await?;
                        if judged.due == 0 {
                            break;
                        }
                        collected.count(judged);
                    }
                    (collected.objects, collected.bytes) =
                        store::trash::trash_due_in(transaction, times.now, BATCHES * BATCH).await?;
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
    async fn review(&self, collected: &mut Collected, batch: u32) -> Result<bool, Error> {
        let times = self.times();
        crash_point!("registry::review_before");
        let judged = self
            .db()
            .write::<Judged, Error, _>(db::Durability::Durable, move |transaction| {
                Box::pin(async move { judge_in(transaction, times, batch).await })
            })
            .await?;
        crash_point!("registry::review_after");
        collected.count(judged);
        Ok(judged.due > 0)
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
}

/// Ends a batch of expired upload sessions and tells how many.
async fn uploads_expire_in(transaction: &mut Transaction, now: Timestamp) -> Result<u64, Error> {
    let expired = store::uploads::uploads_expired_in(transaction, now, BATCH).await?;
    let ended = expired.len() as u64;
    for upload in expired {
        store::uploads::upload_delete_in(transaction, &upload.id).await?;
        if !upload.complete {
            store::uploads::upload_discard_in(transaction, upload.abandoned, now).await?;
        }
    }
    Ok(ended)
}
