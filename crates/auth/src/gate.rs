//! Gates: how often one address may ask for what checks a credential or sends mail.
//!
//! Each gate has a bucket per address that holds some attempts and fills up again steadily. Unlike the throttle
//! of passwords nobody waits here: an empty bucket answers at once with the time after which to come again.
//! Buckets are counted by each replica for itself; the numbers are small enough to be multiplied by a few.

use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use quick_cache::unsync::Cache;
use tokio::time::Instant;

use crate::Auth;
use crate::throttle::group;

/// How many buckets are kept. The least active are forgotten first.
const BUCKETS: usize = 20_000;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Signing in from a browser, beside the delays after wrong passwords.
    SignIn,
    /// Making an account.
    SignUp,
    /// Anything that sends mail, or shows a code that was sent.
    Mail,
    /// Codes of a second factor.
    SecondFactor,
    /// Accepting invitations.
    Invitation,
    /// Presenting tokens that turn out not to be valid.
    InvalidToken,
    /// Exchanging the token of a job.
    Exchange,
}

impl Gate {
    /// How many attempts may come at once, and after how long an empty bucket is full again.
    const fn policy(self) -> (u32, Duration) {
        match self {
            Self::SignIn => (60, Duration::from_mins(1)),
            Self::SignUp => (10, Duration::from_hours(1)),
            Self::Mail => (10, Duration::from_mins(20)),
            Self::SecondFactor => (20, Duration::from_mins(10)),
            Self::Invitation => (30, Duration::from_mins(10)),
            Self::InvalidToken => (120, Duration::from_mins(1)),
            Self::Exchange => (300, Duration::from_mins(1)),
        }
    }

    /// Name of the policy in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::SignUp => "sign-up",
            Self::Mail => "mail",
            Self::SecondFactor => "second-factor",
            Self::Invitation => "invitation",
            Self::InvalidToken => "invalid-token",
            Self::Exchange => "exchange",
        }
    }
}

/// What a gate says, with the numbers that the fields `RateLimit-Policy` and `RateLimit` carry (IETF draft
/// "`RateLimit` header fields for HTTP").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Name of the policy.
    pub policy: &'static str,
    /// How many attempts may come at once (`q`).
    pub limit: u32,
    /// After how long an empty bucket is full again (`w`).
    pub window: Duration,
    /// How many attempts are left now (`r`).
    pub remaining: u32,
    /// After how long there is one more than now (`t`); zero when the bucket is full.
    pub next: Duration,
    /// Whether this attempt may go on. If not, `next` is when to come again.
    pub is_allowed: bool,
}

/// What a bucket is counted for.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(Gate, IpAddr),
    Account(Gate, i64),
}

/// A bucket: when it would be full if nothing more was taken. Full is any time that is over.
type Bucket = Instant;

/// All buckets.
pub(crate) struct Gates(Mutex<Cache<Key, Bucket>>);

impl Gates {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Cache::new(BUCKETS)))
    }

    /// Takes `cost` attempts, if there are as many; with 0 it only looks whether there is one.
    fn take(&self, key: Key, name: &'static str, policy: (u32, Duration), cost: u32) -> Allowance {
        let (limit, window) = policy;
        let interval = window / limit;
        let now = Instant::now();
        let mut buckets = self.0.lock();
        let full_at = buckets.get(&key).copied().unwrap_or(now).max(now);
        let after = full_at + interval * cost.max(1);
        let is_allowed = after - now <= window;
        let full_at = if is_allowed && cost > 0 { after } else { full_at };
        if is_allowed && cost > 0 {
            buckets.insert(key, full_at);
        }
        drop(buckets);
        let missing = full_at - now;
        let taken = u32::try_from(missing.as_nanos().div_ceil(interval.as_nanos())).unwrap_or(limit);
        let remaining = limit.saturating_sub(taken);
        let next = missing.saturating_sub(interval * taken.saturating_sub(1));
        Allowance { policy: name, limit, window, remaining, next, is_allowed }
    }
}

impl Auth {
    /// Takes one attempt of this address, if there is one.
    pub fn gate_take(&self, gate: Gate, origin: IpAddr) -> Allowance {
        self.0.gates.take(Key::Address(gate, group(origin)), gate.as_str(), gate.policy(), 1)
    }

    /// Whether this address has an attempt left, without taking it: for what costs an attempt only when it turns
    /// out to be wrong.
    pub fn gate_look(&self, gate: Gate, origin: IpAddr) -> Allowance {
        self.0.gates.take(Key::Address(gate, group(origin)), gate.as_str(), gate.policy(), 0)
    }

    /// Takes one attempt on this account, wherever it comes from. Few, because guesses are spread over addresses.
    pub(crate) fn gate_take_account(&self, gate: Gate, user_id: i64) -> Allowance {
        let policy = (10, Duration::from_mins(10));
        self.0.gates.take(Key::Account(gate, user_id), gate.as_str(), policy, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(gates: &Gates, address: &str) -> Allowance {
        let key = Key::Address(Gate::SignUp, group(address.parse().unwrap()));
        gates.take(key, "sign-up", (3, Duration::from_secs(30)), 1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_empties_and_fills_again() {
        let gates = Gates::new();
        for remaining in [2, 1, 0] {
            let answer = take(&gates, "192.0.2.1");
            assert!(answer.is_allowed);
            assert_eq!((answer.limit, answer.remaining), (3, remaining));
            assert_eq!(answer.next, Duration::from_secs(10));
        }
        let refused = take(&gates, "192.0.2.1");
        assert!(!refused.is_allowed);
        assert_eq!(refused.next, Duration::from_secs(10));
        // To be refused costs nothing, so that waiting as long as was said is enough.
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(take(&gates, "192.0.2.1").next, Duration::from_secs(6));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(take(&gates, "192.0.2.1").is_allowed);
        assert!(!take(&gates, "192.0.2.1").is_allowed);
        tokio::time::advance(Duration::from_mins(5)).await;
        assert_eq!(take(&gates, "192.0.2.1").remaining, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_apart_and_a_customers_own_are_one() {
        let gates = Gates::new();
        for _ in 0..3 {
            assert!(take(&gates, "2001:db8:1:2::1").is_allowed);
        }
        assert!(!take(&gates, "2001:db8:1:2:ffff::9").is_allowed);
        assert!(take(&gates, "2001:db8:1:3::1").is_allowed);
        assert!(take(&gates, "192.0.2.1").is_allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn looking_takes_nothing() {
        let gates = Gates::new();
        let key = || Key::Address(Gate::InvalidToken, group("192.0.2.1".parse().unwrap()));
        let policy = (1, Duration::from_secs(10));
        for _ in 0..5 {
            let answer = gates.take(key(), "x", policy, 0);
            assert!(answer.is_allowed);
            assert_eq!((answer.remaining, answer.next), (1, Duration::ZERO));
        }
        assert!(gates.take(key(), "x", policy, 1).is_allowed);
        assert!(!gates.take(key(), "x", policy, 0).is_allowed);
    }
}
