//! What can be set, with the values that suit most.

use std::time::Duration;

/// Settings of [`Auth`](crate::Auth).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this registry in challenges and tokens (`service`, and the claims `iss` and `aud`). All
    /// replicas have to use the same.
    pub service: String,
    /// Life of an access token.
    pub access_token_ttl: Duration,
    /// Life of a refresh token.
    pub refresh_token_ttl: Duration,
    /// How long a verified password is remembered.
    pub credential_cache_ttl: Duration,
    /// Cost of new password hashes. Passwords that are stored keep the cost they were hashed with.
    pub password_cost: PasswordCost,
    /// How many passwords are hashed at a time; each takes the memory that `password_cost` says.
    pub hashing_permits: usize,
    /// How sign-in slows down after failures.
    pub failure_delays: FailureDelays,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            service: "larder".to_owned(),
            access_token_ttl: Duration::from_mins(5),
            refresh_token_ttl: Duration::from_hours(90 * 24),
            credential_cache_ttl: Duration::from_mins(2),
            password_cost: PasswordCost::default(),
            hashing_permits: 2,
            failure_delays: FailureDelays::default(),
        }
    }
}

/// Cost of one argon2id hash (RFC 9106).
#[derive(Clone, Debug)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

/// How sign-in by password slows down after failures, counted per account and per address.
#[derive(Clone, Debug)]
pub struct FailureDelays {
    /// The failure from which on the next attempt has to wait; further ones double the wait.
    pub from_failure: u32,
    /// The first wait.
    pub first: Duration,
    /// The longest wait between two attempts on one account. Short, because anybody can cause it.
    pub longest_per_account: Duration,
    /// The longest wait between two attempts from one address.
    pub longest_per_address: Duration,
    /// An attempt that would have to wait longer than this for its turn is refused at once.
    pub longest_queue: Duration,
    /// Failures are forgotten after this time without one.
    pub forget_after: Duration,
    /// How many attempts from one address may run at the same time before those that run count as failed:
    /// many users can share an address.
    pub parallel_per_address: u32,
}

impl Default for FailureDelays {
    fn default() -> Self {
        Self {
            from_failure: 3,
            first: Duration::from_millis(250),
            longest_per_account: Duration::from_secs(2),
            longest_per_address: Duration::from_secs(8),
            longest_queue: Duration::from_secs(10),
            forget_after: Duration::from_mins(15),
            parallel_per_address: 64,
        }
    }
}
