//! How large the parts of a multipart upload are, and how much memory all of them may take.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const KIBIBYTE: u64 = 1024;
const MEBIBYTE: u64 = 1024 * KIBIBYTE;

/// The length of the first parts. Object stores take none below 5 MiB, apart from the last.
const FIRST_PART: u64 = 8 * MEBIBYTE;
/// How many parts have that length: 8 GB of content, more than nearly every object has. Stores that want parts
/// of equal length are served until there.
const EQUAL_PARTS: u64 = 1000;
/// How much longer each part after those is than the one before it.
const GROWTH: u64 = 136 * KIBIBYTE;
/// The most parts that an upload may have.
pub(super) const MOST_PARTS: usize = 10_000;

/// The length of part `number`, counted from 0; the last one of an upload may be shorter. It follows from the
/// number alone, so every process cuts an upload alike.
pub(super) fn part_length(number: usize) -> usize {
    let grown = (number as u64).saturating_sub(EQUAL_PARTS - 1).saturating_mul(GROWTH);
    usize::try_from(FIRST_PART.saturating_add(grown)).unwrap_or(usize::MAX)
}

/// How much memory the parts of all uploads of this process may take, in bytes.
pub(super) const MEMORY: usize = 512 * 1024 * 1024;
/// The smallest amount that is accounted for.
const UNIT: usize = 64 * 1024;
/// A body up to this length is not accounted for: it costs no more than the connection it comes on.
pub(super) const FREE: usize = 128 * 1024;
/// How long an upload waits for memory before it fails.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The memory that parts may take.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    units: Arc<Semaphore>,
    all: usize,
}

/// Memory that was granted. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Grant(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        let all = (bytes / UNIT).max(1);
        Self { units: Arc::new(Semaphore::new(all)), all }
    }

    /// Memory for a part. An upload waits for it while it holds none, so no two wait for one another. A part
    /// larger than all there is takes all there is.
    pub(super) async fn take(&self, bytes: usize) -> io::Result<Grant> {
        let acquired = Arc::clone(&self.units).acquire_many_owned(self.units_for(bytes));
        match tokio::time::timeout(LONGEST_WAIT, acquired).await {
            Ok(Ok(permit)) => Ok(Grant(permit)),
            Ok(Err(_)) | Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "too many uploads are under way at once, and no memory came free for this one; try again",
            )),
        }
    }

    /// The same, if it is there right now.
    pub(super) fn try_take(&self, bytes: usize) -> Option<Grant> {
        Arc::clone(&self.units).try_acquire_many_owned(self.units_for(bytes)).ok().map(Grant)
    }

    fn units_for(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT).min(self.all)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn five_tebibytes_fit_in_the_parts_there_are() {
        let whole: u64 = (0..MOST_PARTS).map(|number| part_length(number) as u64).sum();
        assert!(whole >= 5 * MEBIBYTE * MEBIBYTE, "{whole}");
        // Five gibibytes are the most that a part may have.
        assert!(part_length(MOST_PARTS - 1) as u64 <= 2 * 1024 * MEBIBYTE);
    }

    proptest! {
        #[test]
        fn any_length_up_to_five_tebibytes_fits(length in 0..=5 * MEBIBYTE * MEBIBYTE) {
            let (mut left, mut number) = (length, 0);
            while left > 0 {
                let part = part_length(number) as u64;
                prop_assert!(part >= 5 * MEBIBYTE);
                left = left.saturating_sub(part);
                number += 1;
            }
            prop_assert!(number <= MOST_PARTS, "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_granted_up_to_its_end_and_comes_back() {
        let budget = Budget::new(10 * UNIT);
        let first = budget.take(6 * UNIT).await.unwrap();
        assert!(budget.try_take(5 * UNIT).is_none());
        assert_eq!(budget.take(5 * UNIT).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let second = budget.try_take(4 * UNIT).unwrap();
        drop(first);
        drop(second);
        // More than all there is waits for all there is.
        let whole = budget.take(1000 * UNIT).await.unwrap();
        assert!(budget.try_take(1).is_none());
        drop(whole);
        assert!(budget.try_take(1).is_some());
    }
}
