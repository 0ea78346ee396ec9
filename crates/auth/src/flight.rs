//! One flight for all who ask the same at the same time.
//!
//! A client that opens several connections sends the same password on each of them. The first one checks it,
//! the others wait for that answer.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

type Key = [u8; 32];

/// The questions that are being answered right now.
pub(crate) struct Flights<T>(Mutex<HashMap<Key, Arc<OnceCell<T>>>>);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Flights<T> {
    /// The answer of `work`, or of somebody else's `work` under the same key that is under way. When the one
    /// who works goes away, another one who waits takes over.
    pub(crate) async fn share<F>(&self, key: Key, work: impl FnOnce() -> F) -> T
    where
        F: Future<Output = T>,
    {
        let cell = Arc::clone(self.0.lock().entry(key).or_default());
        let seat = Seat { flights: self, key, cell };
        seat.cell.get_or_init(work).await.clone()
    }
}

/// One who waits for the answer.
struct Seat<'f, T> {
    flights: &'f Flights<T>,
    key: Key,
    cell: Arc<OnceCell<T>>,
}

impl<T> Drop for Seat<'_, T> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock();
        let is_present = flights.get(&self.key).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        // Two holders: the map and this seat. With an answer the flight is over for those who come later,
        // even while others still read it.
        if is_present && (self.cell.initialized() || Arc::strong_count(&self.cell) <= 2) {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_come_meanwhile_share_the_answer_and_later_ones_do_not() {
        let flights = Flights::default();
        let runs = AtomicU32::new(0);
        let ask = || {
            flights.share([1; 32], || async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                runs.fetch_add(1, Ordering::SeqCst) + 1
            })
        };
        assert_eq!(tokio::join!(ask(), ask(), ask()), (1, 1, 1));
        assert_eq!(ask().await, 2);
        assert!(flights.0.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_first_goes_away_the_next_takes_over() {
        let flights = Flights::default();
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            7
        };
        let first = tokio::time::timeout(Duration::from_secs(1), flights.share([1; 32], slow));
        let second = flights.share([1; 32], slow);
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_err());
        assert_eq!(second, 7);
        let alone = tokio::time::timeout(Duration::from_secs(1), flights.share([2; 32], slow));
        assert!(alone.await.is_err());
        assert!(flights.0.lock().is_empty());
    }
}
