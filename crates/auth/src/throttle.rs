//! Growing delays after failed passwords, counted per account and per address.
//!
//! Nobody is locked out: an attempt waits for its turn. Turns are reserved when an attempt arrives, so that
//! attempts in parallel queue instead of all running before the first failure is known. What would have to
//! wait too long is refused with the time after which it would not.
//!
//! An account at an address from which it signed in before has one counter of its own in place of both:
//! strangers who try the account from elsewhere do not slow its owner down, nor does a neighbour behind the
//! same address. It also means that signing in to one's own account clears an address only once.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quick_cache::unsync::Cache;
use tokio::time::Instant;

use crate::FailureDelays;

/// How many accounts and addresses are counted, together. The least active are forgotten first.
const COUNTERS: usize = 10_000;

/// The counters.
pub(crate) struct Throttle {
    delays: FailureDelays,
    state: Mutex<State>,
}

struct State {
    counters: Cache<Key, Counter>,
    /// Accounts with the addresses from which they signed in.
    known: Cache<(Arc<str>, IpAddr), ()>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Account(Arc<str>),
    AccountFrom(Arc<str>, IpAddr),
    Address(IpAddr),
}

#[derive(Clone, Copy)]
struct Counter {
    failures: u32,
    /// Attempts that were let in and have no outcome yet.
    pending: u32,
    /// When the next attempt may begin.
    next: Instant,
    /// When the last failure was.
    last: Instant,
}

impl Throttle {
    pub(crate) fn new(delays: FailureDelays) -> Self {
        let state = State { counters: Cache::new(COUNTERS), known: Cache::new(COUNTERS) };
        Self { delays, state: Mutex::new(state) }
    }

    /// Reserves the turn of one attempt, or tells after how long to come again.
    pub(crate) fn reserve(self: &Arc<Self>, account: &str, address: IpAddr) -> Result<Attempt, Duration> {
        let account: Arc<str> = account.into();
        let address = group(address);
        let now = Instant::now();
        let mut state = self.state.lock();
        let keys = if state.known.get(&(Arc::clone(&account), address)).is_some() {
            vec![Key::AccountFrom(Arc::clone(&account), address)]
        } else {
            vec![Key::Account(Arc::clone(&account)), Key::Address(address)]
        };
        let counters: Vec<_> = keys.iter().map(|key| self.counter(&state, key, now)).collect();
        let begins = counters.iter().fold(now, |begins, counter| begins.max(counter.next));
        let wait = begins - now;
        if wait > self.delays.longest_queue {
            return Err(wait);
        }
        for (key, mut counter) in keys.iter().zip(counters) {
            // As if it failed: if it does not, the counter is cleared anyway.
            let load = counter.failures.saturating_add(self.counted_pending(key, counter.pending) + 1);
            counter.next = begins + self.delay(key, load);
            counter.pending += 1;
            state.counters.insert(key.clone(), counter);
        }
        drop(state);
        Ok(Attempt { throttle: Arc::clone(self), keys, known: (account, address), begins, is_open: true })
    }

    fn counter(&self, state: &State, key: &Key, now: Instant) -> Counter {
        let fresh = Counter { failures: 0, pending: 0, next: now, last: now };
        match state.counters.get(key) {
            Some(counter) if counter.pending == 0 && now - counter.last > self.delays.forget_after => fresh,
            Some(counter) => *counter,
            None => fresh,
        }
    }

    fn counted_pending(&self, key: &Key, pending: u32) -> u32 {
        match key {
            Key::Account(_) | Key::AccountFrom(..) => pending,
            Key::Address(_) => pending.saturating_sub(self.delays.parallel_per_address),
        }
    }

    /// How long after this many failures the next attempt has to wait.
    fn delay(&self, key: &Key, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.delays.from_failure) else {
            return Duration::ZERO;
        };
        let longest = match key {
            Key::Account(_) | Key::AccountFrom(..) => self.delays.longest_per_account,
            Key::Address(_) => self.delays.longest_per_address,
        };
        self.delays.first.saturating_mul(2_u32.saturating_pow(doublings)).min(longest)
    }

    fn close(&self, attempt: &Attempt, outcome: Outcome) {
        let now = Instant::now();
        let mut state = self.state.lock();
        for key in &attempt.keys {
            let mut counter = self.counter(&state, key, now);
            counter.pending = counter.pending.saturating_sub(1);
            match outcome {
                Outcome::Succeeded => {
                    counter.failures = 0;
                    counter.next = now;
                }
                Outcome::Failed => {
                    counter.failures = counter.failures.saturating_add(1);
                    counter.last = now;
                    counter.next = counter.next.max(now + self.delay(key, counter.failures));
                }
                Outcome::Withdrawn => {}
            }
            state.counters.insert(key.clone(), counter);
        }
        if matches!(outcome, Outcome::Succeeded) {
            state.known.insert(attempt.known.clone(), ());
        }
    }
}

#[derive(Clone, Copy)]
enum Outcome {
    Succeeded,
    Failed,
    Withdrawn,
}

/// One attempt that was let in. Dropped without an outcome it counts as failed: hanging up is no way around.
pub(crate) struct Attempt {
    throttle: Arc<Throttle>,
    keys: Vec<Key>,
    known: (Arc<str>, IpAddr),
    begins: Instant,
    is_open: bool,
}

impl Attempt {
    /// Waits for its turn.
    pub(crate) async fn turn(&self) {
        tokio::time::sleep_until(self.begins).await;
    }

    /// The password was right.
    pub(crate) fn succeeded(mut self) {
        self.is_open = false;
        self.throttle.close(&self, Outcome::Succeeded);
    }

    /// The password was not compared with anything.
    pub(crate) fn withdrawn(mut self) {
        self.is_open = false;
        self.throttle.close(&self, Outcome::Withdrawn);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.is_open {
            self.throttle.close(self, Outcome::Failed);
        }
    }
}

/// What counts as one address: of IPv6 the 64 bits that are given to one customer at the least.
pub(crate) fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests;
