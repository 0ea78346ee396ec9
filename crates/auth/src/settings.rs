//! What can be set, with the values that suit most.

use std::time::Duration;

use secrecy::SecretString;

use crate::ProviderSettings;

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
    /// Key that secrets at rest are sealed with: the base64 of 32 random bytes. Without one a key is made that
    /// lasts until the program ends, and second factors cannot be set up.
    pub sealing_key: Option<SecretString>,
    /// Earlier sealing keys, which still open what was sealed with them.
    pub sealing_keys_before: Vec<SecretString>,
    /// How long browsers stay signed in.
    pub sessions: SessionLife,
    /// Who may make an account.
    pub sign_up: SignUp,
    /// Domains of addresses that may sign up without an invitation; empty for any. Needs mail.
    pub sign_up_domains: Vec<String>,
    /// How mail is sent; none when it is not.
    pub mail: Option<MailSettings>,
    /// Identity providers that people sign in with.
    pub providers: Vec<ProviderSettings>,
    /// Origins such as `https://kubernetes.default.svc` of issuers in the operator's own network: they may have
    /// private addresses and speak plain HTTP. Those of the providers count among them for themselves.
    pub internal_issuers: Vec<String>,
    /// How often the keys of an issuer are fetched again because a token names one that is not known.
    pub issuer_refresh_interval: Duration,
    /// How long an issuer may take to answer.
    pub egress_timeout: Duration,
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
            sealing_key: None,
            sealing_keys_before: Vec::new(),
            sessions: SessionLife::default(),
            sign_up: SignUp::Closed,
            sign_up_domains: Vec::new(),
            mail: None,
            providers: Vec::new(),
            internal_issuers: Vec::new(),
            issuer_refresh_interval: Duration::from_mins(1),
            egress_timeout: Duration::from_secs(5),
        }
    }
}

/// How long browsers stay signed in.
#[derive(Clone, Debug)]
pub struct SessionLife {
    /// Without any request for this long, a session is over.
    pub idle: Duration,
    /// After this long it is over in any case.
    pub longest: Duration,
}

impl Default for SessionLife {
    fn default() -> Self {
        Self { idle: Duration::from_hours(12), longest: Duration::from_hours(7 * 24) }
    }
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUp {
    /// Nobody: administrators make accounts, and identity providers where there are any.
    #[default]
    Closed,
    /// Who brings an invitation.
    Invited,
    /// Anybody, or whoever gets mail in certain domains.
    Open,
}

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// `smtps://user:password@host:port` for TLS from the first byte, `smtp://…` for STARTTLS, which only a
    /// server on this machine may do without.
    pub url: SecretString,
    /// The sender: `larder@example.org`, or `Larder <larder@example.org>`.
    pub from: String,
    /// What links in mails begin with, such as `https://registry.example.org`. Never taken from a request:
    /// that could be made up.
    pub public_url: String,
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
