//! Who is calling: users and passwords, tokens, and what a request's credentials stand for.
//!
//! The one door is [`Auth`]. [`Auth::identify_basic`] and [`Auth::identify_bearer`] turn what a request
//! carries into an [`Identity`]; [`Auth::access_token`] issues the short token that clients then bring.
//! Whether that identity may do something is decided elsewhere (`access`).
//!
//! Three things make it quick without making it stale. A verified password is remembered for a short time
//! under a keyed hash, a verified access token until it expires, and both are worth nothing without the
//! one read by primary key that tells the user's present epoch: a new password, a deleted user or a deleted
//! token counts from the next request on.
//!
//! * `basic`, `bearer`: from credentials to identity; `recall` for those who ask the database for more anyway.
//! * `access_token`, `keys`: the signed tokens and the keys behind them.
//! * `users`, `tokens`: the rows, and what may be in them.
//! * `password`, `throttle`, `flight`, `gate`: what a password check costs, and how often one may try.
//! * `sessions`, `sign_in`, `second_factor`, `totp`: browsers.
//! * `sign_up`, `mail_codes`, `mail`, `password_change`: what people do about their own account.
//! * `service_accounts`, `bindings`, `job_token`, `exchange`: machines.
//! * `provider`, `identities`: people who sign in elsewhere, and tokens that somebody else signed.
//! * `seal`: secrets at rest that have to be read again.

mod access_token;
mod basic;
mod bearer;
mod bindings;
mod error;
mod exchange;
mod flight;
mod gate;
mod identities;
mod identity;
mod job_token;
mod keys;
mod mail;
mod mail_codes;
mod password;
mod password_change;
mod provider;
mod random;
mod recall;
mod seal;
mod second_factor;
mod secret_token;
mod service_accounts;
mod sessions;
mod settings;
mod sign_in;
mod sign_up;
mod throttle;
mod tokens;
mod totp;
mod users;

#[cfg(test)]
mod testing;

use std::fmt;
use std::sync::Arc;

use clock::Clock;
use db::Db;
use quick_cache::sync::Cache;

pub use access_token::IssuedToken;
pub use bindings::{BindingTrial, BindingView, ClaimMatch, ClaimRule, NewBinding};
pub use error::{AccountError, BearerError, OpenError, SignInError, Unavailable, UserDeleteError};
pub use exchange::IssuedJobToken;
pub use gate::{Allowance, Gate};
pub use identities::IdentityView;
pub use identity::{Credential, Identity};
pub use job_token::JobTokenError;
pub use provider::{
    AudienceClaim, Callback, ClientAuthentication, Endpoints, Finished, PasswordGrant, ProviderAccessTokens,
    ProviderError, ProviderSettings, ProviderView, SigningAlgorithm, Started, UnknownAlgorithm,
};
pub use recall::{Fingerprint, Recalled};
pub use second_factor::{NewSecondFactor, SecondFactorView};
pub use service_accounts::ServiceAccountView;
pub use sessions::{BrowserInfo, SessionFound, SessionView};
pub use settings::{FailureDelays, MailSettings, PasswordCost, SessionLife, Settings, SignUp};
pub use sign_in::{Proof, SignedIn};
pub use sign_up::SignedUp;
pub use tokens::{NewToken, TokenView};
pub use users::{NewUser, UserView};

/// How many verified passwords, verified tokens and noted token uses are remembered, each.
const REMEMBERED: usize = 10_000;

/// Everything about who is calling. Clones share the same keys, caches and counters.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    settings: Settings,
    keys: keys::KeyRing,
    verifier: access_token::Verifier,
    verified_tokens: Cache<[u8; 32], Arc<access_token::Verified>>,
    passwords: password::Passwords,
    credentials: basic::Credentials,
    throttle: Arc<throttle::Throttle>,
    recall: recall::Recall,
    noted_uses: Cache<i64, clock::Timestamp>,
    jobs: job_token::Jobs,
    sealer: Arc<seal::Sealer>,
    gates: gate::Gates,
    mailer: Option<mail::Mailer>,
    providers: provider::Providers,
    noted_sessions: Cache<i64, clock::Timestamp>,
}

impl Auth {
    /// Makes ready to identify: loads the signing keys, creating or rotating them if due.
    pub async fn open(db: Db, clock: Clock, settings: Settings) -> Result<Self, OpenError> {
        sign_up::check(&settings)?;
        let sealer = Arc::new(seal::Sealer::new(&settings)?);
        let mailer = settings.mail.as_ref().map(mail::Mailer::new).transpose()?;
        let providers = provider::Providers::new(&settings, clock.clone())?;
        let token_ttl = settings.access_token_ttl;
        let keys = keys::KeyRing::open(db.clone(), clock.clone(), Arc::clone(&sealer), token_ttl).await?;
        let passwords = password::Passwords::new(&settings.password_cost, settings.hashing_permits).await?;
        Ok(Self(Arc::new(Inner {
            keys,
            passwords,
            verifier: access_token::Verifier::new(&settings.service),
            verified_tokens: Cache::new(REMEMBERED),
            credentials: basic::Credentials::new(REMEMBERED),
            throttle: Arc::new(throttle::Throttle::new(settings.failure_delays.clone())),
            recall: recall::Recall::new(REMEMBERED),
            noted_uses: Cache::new(REMEMBERED),
            jobs: job_token::Jobs::new(REMEMBERED),
            sealer,
            gates: gate::Gates::new(),
            mailer,
            providers,
            noted_sessions: Cache::new(REMEMBERED),
            db,
            clock,
            settings,
        })))
    }

    /// What the registry calls itself in a challenge's `service` and in the tokens that it issues.
    pub fn service(&self) -> &str {
        &self.0.settings.service
    }

    /// What time it is for everything that expires here.
    pub fn now(&self) -> clock::Timestamp {
        self.0.clock.now()
    }

    /// Makes a new signing key when the newest is older than 30 days, removes those that nothing valid can
    /// be signed with, and takes up what other replicas made. For the background worker, at least hourly.
    pub async fn rotate_keys(&self) -> Result<(), Unavailable> {
        Ok(self.0.keys.rotate().await?)
    }

    /// How many passwords were compared with a slow hash since the start. Remembered credentials and tokens
    /// do not count: this shows whether a password costs once or on every request.
    pub fn password_verifications(&self) -> u64 {
        self.0.passwords.verifications()
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Auth").field("service", &self.0.settings.service).finish_non_exhaustive()
    }
}
