//! From a user name and a password, or a token in its place, to an identity.

use std::net::IpAddr;

use clock::Timestamp;
use db::params;
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::flight::Flights;
use crate::identity::{Credential, Identity, Source};
use crate::secret_token::{Kind, PREFIX};
use crate::{Auth, BearerError, SignInError, random};

/// User name that stands for "see the token", as Python clients send it.
const ANY_OWNER: &str = "__token__";
/// Longest user name that is looked at, in bytes.
const LONGEST_USERNAME: usize = 255;
/// Longest password or token that is looked at, in bytes.
pub(crate) const LONGEST_SECRET: usize = 1024;

/// A password that was right, for some time.
#[derive(Clone, Copy)]
pub(crate) struct Remembered {
    user_id: i64,
    /// Epoch of the user when it was right; with another one it may not be.
    epoch: i64,
    until: Timestamp,
}

/// A password that was wrong, for a short time.
#[derive(Clone, Copy)]
struct Refused {
    /// Key and epoch of the user then, or that there was none; with others it may be right.
    user: Option<(i64, i64)>,
    until: Timestamp,
}

/// How long a wrong password is remembered. Clients repeat one for every request of a push; a repetition tells
/// nothing new to anybody, so it neither costs a slow hash nor counts as another guess.
const REFUSED_TTL: std::time::Duration = std::time::Duration::from_secs(30);

/// Verified passwords, refused ones, and those that are being verified.
pub(crate) struct Credentials {
    /// Made anew at each start and never stored: what is remembered says nothing to anybody else.
    key: [u8; 32],
    remembered: Cache<[u8; 32], Remembered>,
    refused: Cache<[u8; 32], Refused>,
    flights: Flights<Result<Remembered, SignInError>>,
}

impl Credentials {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            key: random::bytes(),
            remembered: Cache::new(capacity),
            refused: Cache::new(capacity),
            flights: Flights::default(),
        }
    }

    fn fingerprint(&self, username: &str, secret: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        // The length keeps "ab" + "c" apart from "a" + "bc".
        hasher.update((username.len() as u64).to_le_bytes());
        hasher.update(username);
        hasher.update(secret);
        hasher.finalize().into()
    }
}

impl Auth {
    /// Who signs in with this name and secret: a password, or a personal token under its owner's name or
    /// under `__token__`. Both empty is how some clients ask anonymously.
    ///
    /// After failures of this account or from this address (`origin`) the answer takes longer. A password
    /// that was right a moment ago is answered at once, and so is a token: nobody guesses those.
    pub async fn identify_basic(
        &self,
        username: &str,
        secret: &SecretString,
        origin: IpAddr,
    ) -> Result<Identity, SignInError> {
        let exposed = secret.expose_secret();
        if username.is_empty() && exposed.is_empty() {
            return Ok(Identity::anonymous());
        }
        let is_plausible =
            (1..=LONGEST_USERNAME).contains(&username.len()) && (1..=LONGEST_SECRET).contains(&exposed.len());
        if !is_plausible {
            return Err(SignInError::Wrong);
        }
        if exposed.starts_with(PREFIX) {
            return self.identify_token_as_password(username, exposed).await;
        }
        let credentials = &self.0.credentials;
        let fingerprint = credentials.fingerprint(username, exposed);
        if let Some(remembered) = self.recall(&fingerprint) {
            if let Some(identity) = self.identify_remembered(remembered).await? {
                return Ok(identity);
            }
            // Somebody may have remembered the new epoch meanwhile: only the old one goes.
            credentials.remembered.remove_if(&fingerprint, |entry| entry.epoch == remembered.epoch);
        }
        if self.was_refused(&fingerprint, username).await? {
            return Err(SignInError::Wrong);
        }
        let check = || self.check_password(fingerprint, username, secret, origin);
        let remembered = credentials.flights.share(fingerprint, check).await?;
        self.identify_remembered(remembered).await?.ok_or(SignInError::Wrong)
    }

    async fn identify_token_as_password(&self, username: &str, token: &str) -> Result<Identity, SignInError> {
        let identity = match self.identify_stored(token, Kind::Personal).await {
            Ok(identity) => identity,
            Err(BearerError::Invalid | BearerError::Expired) => return Err(SignInError::Wrong),
            Err(BearerError::Unavailable(error)) => return Err(SignInError::Unavailable(error)),
        };
        let is_owner = identity.principal.user().is_some_and(|user| *user.name == *username);
        if is_owner || username == ANY_OWNER { Ok(identity) } else { Err(SignInError::Wrong) }
    }

    fn recall(&self, fingerprint: &[u8; 32]) -> Option<Remembered> {
        let remembered = self.0.credentials.remembered.get(fingerprint)?;
        (self.0.clock.now() < remembered.until).then_some(remembered)
    }

    /// Whether this very password was wrong a moment ago and the user is still as it was then.
    async fn was_refused(&self, fingerprint: &[u8; 32], username: &str) -> Result<bool, db::Error> {
        let Some(refused) = self.0.credentials.refused.get(fingerprint) else { return Ok(false) };
        if self.0.clock.now() >= refused.until {
            self.0.credentials.refused.remove(fingerprint);
            return Ok(false);
        }
        let now: Option<(i64, i64)> =
            self.0.db.opt("SELECT id, epoch FROM users WHERE username = $1", params![username]).await?;
        Ok(now == refused.user)
    }

    async fn identify_remembered(&self, remembered: Remembered) -> Result<Option<Identity>, db::Error> {
        let Some((user, epoch)) = self.user_now(remembered.user_id, None).await? else {
            return Ok(None);
        };
        let source = Source { epoch, ..Source::default() };
        Ok((epoch == remembered.epoch).then(|| Identity::of_user(user, Credential::Password, source)))
    }

    /// Compares a password with the stored hash, after its turn came. Unknown users take the same way.
    async fn check_password(
        &self,
        fingerprint: [u8; 32],
        username: &str,
        secret: &SecretString,
        origin: IpAddr,
    ) -> Result<Remembered, SignInError> {
        // An earlier flight may have landed between our look at the memory and our take-off.
        if let Some(remembered) = self.recall(&fingerprint) {
            return Ok(remembered);
        }
        let attempt = self
            .0
            .throttle
            .reserve(username, origin)
            .map_err(|retry_after| SignInError::Throttled { retry_after })?;
        attempt.turn().await;
        match self.compare(username, secret).await {
            Ok(Compared { user: Some((user_id, epoch)), matches: true }) => {
                attempt.succeeded();
                let until = self.0.clock.now() + self.0.settings.credential_cache_ttl;
                let remembered = Remembered { user_id, epoch, until };
                self.0.credentials.remembered.insert(fingerprint, remembered);
                Ok(remembered)
            }
            Ok(Compared { user, .. }) => {
                let until = self.0.clock.now() + REFUSED_TTL;
                self.0.credentials.refused.insert(fingerprint, Refused { user, until });
                Err(SignInError::Wrong)
            }
            Err(error) => {
                attempt.withdrawn();
                Err(error)
            }
        }
    }

    /// Who the user is now, and whether the password is right.
    async fn compare(&self, username: &str, secret: &SecretString) -> Result<Compared, SignInError> {
        let row: Option<(i64, i64, Option<String>)> = self
            .0
            .db
            .opt("SELECT id, epoch, password_hash FROM users WHERE username = $1", params![username])
            .await?;
        let (user, stored) = match row {
            Some((id, epoch, stored)) => (Some((id, epoch)), stored),
            None => (None, None),
        };
        let matches = self.0.passwords.verify(secret, stored).await?;
        Ok(Compared { user, matches: matches && user.is_some() })
    }
}

/// How a comparison ended.
struct Compared {
    /// Key and epoch of the user, when there is one.
    user: Option<(i64, i64)>,
    matches: bool,
}

#[cfg(test)]
mod tests;
