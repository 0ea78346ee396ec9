//! From a user name and a password, or a token in its place, to an identity.

use std::net::IpAddr;

use clock::Timestamp;
use db::{FromRow, Row, params};
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::bearer::{OUTAGE, Standing};
use crate::flight::Flights;
use crate::identity::{Credential, Identity, Source};
use crate::job_token::ANY_ACCOUNT;
use crate::secret_token::{Kind, PREFIX};
use crate::{Auth, BearerError, SignInError, provider, random};

/// User name that stands for "see the token", as Python clients send it.
const ANY_OWNER: &str = "__token__";
/// Longest user name that is looked at, in bytes.
const LONGEST_USERNAME: usize = 255;
/// Longest password or token that is looked at, in bytes.
pub(crate) const LONGEST_SECRET: usize = 1024;

/// A password that was right, for some time.
#[derive(Clone, Copy)]
pub(crate) struct Remembered {
    owner: PasswordOwner,
    until: Timestamp,
}

/// Whose password it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PasswordOwner {
    pub(crate) user_id: i64,
    /// Epoch of the user when it was right; with another one it may not be.
    pub(crate) epoch: i64,
    /// [`Credential::Password`], or [`Credential::ProviderPassword`] when an identity provider checked it.
    pub(crate) credential: Credential,
}

/// A user as it is now, and whether a password alone is enough for it.
struct PasswordStanding {
    standing: Standing,
    has_second_factor: bool,
}

impl FromRow for PasswordStanding {
    fn from_row(row: &Row<'_>) -> Result<Self, db::Error> {
        Ok(Self { standing: Standing::from_row(row)?, has_second_factor: row.get(6)? })
    }
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
    flights: Flights<Result<PasswordOwner, SignInError>>,
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
    /// Who signs in with this name and secret: a password, or one of our tokens under its owner's name or under
    /// `__token__`, or the token that a platform gave to a job under the name of a service account or under `oidc`.
    /// Both empty is how some clients ask anonymously.
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
        if username.is_empty() || username.len() > LONGEST_USERNAME {
            return Err(SignInError::Wrong);
        }
        if exposed.starts_with(PREFIX) {
            return self.identify_token_as_password(username, exposed, origin).await;
        }
        // Whatever has this form was given by somebody else for a short time. It is never taken for a password,
        // so it never gets to where passwords go.
        if provider::looks_foreign(exposed) {
            return self.identify_foreign_as_password(username, exposed).await;
        }
        if exposed.is_empty() || exposed.len() > LONGEST_SECRET {
            return Err(SignInError::Wrong);
        }
        let fingerprint = self.0.credentials.fingerprint(username, exposed);
        if let Some(owner) = self.password_recall(&fingerprint)
            && let Some(identity) = self.identify_owner(owner).await?
        {
            return Ok(identity);
        }
        let owner = self.password_check(username, secret, origin).await?;
        self.identify_owner(owner).await?.ok_or(SignInError::Wrong)
    }

    /// The one whose password was shown, if it is still there and still as it was when the password was right.
    async fn identify_owner(&self, owner: PasswordOwner) -> Result<Option<Identity>, SignInError> {
        let now: Option<PasswordStanding> = self
            .0
            .db
            .opt_or_last(
                OUTAGE,
                "SELECT id, username, system_admin, epoch, kind, NULL, \
                 (SELECT count(*) FROM second_factors \
                  WHERE second_factors.user_id = users.id AND second_factors.confirmed_at IS NOT NULL) \
                 FROM users WHERE id = $1 AND disabled_at IS NULL AND is_unconfirmed = 0",
                params![owner.user_id],
            )
            .await?;
        match now.filter(|now| now.standing.epoch == owner.epoch) {
            Some(now) if now.has_second_factor => Err(SignInError::SecondFactor),
            now => Ok(now.map(|now| now.standing.identity(owner.credential, Source::default()))),
        }
    }

    /// Whose password this is, whatever else that user has to show. The answer may be as old as passwords are
    /// remembered, so it counts only while the user's epoch is the same.
    ///
    /// Service accounts, disabled accounts and those that were not confirmed have no password that is right.
    pub(crate) async fn password_check(
        &self,
        username: &str,
        secret: &SecretString,
        origin: IpAddr,
    ) -> Result<PasswordOwner, SignInError> {
        let exposed = secret.expose_secret();
        // Nobody has a name with a NUL, and PostgreSQL takes no text with one.
        let is_plausible = (1..=LONGEST_USERNAME).contains(&username.len())
            && (1..=LONGEST_SECRET).contains(&exposed.len())
            && !username.contains('\0');
        if !is_plausible || provider::looks_foreign(exposed) {
            return Err(SignInError::Wrong);
        }
        let credentials = &self.0.credentials;
        let fingerprint = credentials.fingerprint(username, exposed);
        if let Some(owner) = self.password_recall(&fingerprint) {
            let now: Option<(i64,)> = self
                .0
                .db
                .opt_or_last(
                    OUTAGE,
                    "SELECT epoch FROM users WHERE id = $1 AND disabled_at IS NULL AND is_unconfirmed = 0",
                    params![owner.user_id],
                )
                .await?;
            if now == Some((owner.epoch,)) {
                return Ok(owner);
            }
            // Somebody may have remembered the new epoch meanwhile: only the old one goes.
            credentials.remembered.remove_if(&fingerprint, |entry| entry.owner.epoch == owner.epoch);
        }
        if self.was_refused(&fingerprint, username).await? {
            return Err(SignInError::Wrong);
        }
        let check = || self.check_password(fingerprint, username, secret, origin);
        credentials.flights.share(fingerprint, check).await
    }

    async fn identify_token_as_password(
        &self,
        username: &str,
        token: &str,
        origin: IpAddr,
    ) -> Result<Identity, SignInError> {
        let identity = self
            .identify_stored(token, &Kind::CREDENTIALS, Some(origin))
            .await
            .map_err(wrong_or_unavailable)?;
        let is_owner = identity.principal.user().is_some_and(|user| *user.name == *username);
        if is_owner || username == ANY_OWNER { Ok(identity) } else { Err(SignInError::Wrong) }
    }

    /// Who brings a token that somebody else signed, as password.
    async fn identify_foreign_as_password(
        &self,
        username: &str,
        token: &str,
    ) -> Result<Identity, SignInError> {
        let is_any = username == ANY_ACCOUNT || username == ANY_OWNER;
        match self.identify_provider_token(token).await.map_err(wrong_or_unavailable)? {
            Some(identity) => {
                let is_owner = identity.principal.user().is_some_and(|user| *user.name == *username);
                if is_owner || is_any { Ok(identity) } else { Err(SignInError::Wrong) }
            }
            None => self.identify_job(if is_any { ANY_ACCOUNT } else { username }, token).await,
        }
    }

    fn password_recall(&self, fingerprint: &[u8; 32]) -> Option<PasswordOwner> {
        let remembered = self.0.credentials.remembered.get(fingerprint)?;
        (self.0.clock.now() < remembered.until).then_some(remembered.owner)
    }

    /// Key and epoch of the one whose password could be right.
    async fn password_epoch(&self, username: &str) -> Result<Option<(i64, i64)>, db::Error> {
        self.0
            .db
            .opt_or_last(
                OUTAGE,
                "SELECT id, epoch FROM users WHERE username = $1 AND kind = 'person' \
                 AND disabled_at IS NULL AND is_unconfirmed = 0",
                params![username],
            )
            .await
    }

    /// Whether this very password was wrong a moment ago and the user is still as it was then.
    async fn was_refused(&self, fingerprint: &[u8; 32], username: &str) -> Result<bool, db::Error> {
        let Some(refused) = self.0.credentials.refused.get(fingerprint) else { return Ok(false) };
        if self.0.clock.now() >= refused.until {
            self.0.credentials.refused.remove(fingerprint);
            return Ok(false);
        }
        Ok(self.password_epoch(username).await? == refused.user)
    }

    /// Compares a password with the stored hash, after its turn came. Unknown users take the same way.
    async fn check_password(
        &self,
        fingerprint: [u8; 32],
        username: &str,
        secret: &SecretString,
        origin: IpAddr,
    ) -> Result<PasswordOwner, SignInError> {
        // An earlier flight may have landed between our look at the memory and our take-off.
        if let Some(owner) = self.password_recall(&fingerprint) {
            return Ok(owner);
        }
        let attempt = self
            .0
            .throttle
            .reserve(username, origin)
            .map_err(|retry_after| SignInError::Throttled { retry_after })?;
        attempt.turn().await;
        match self.compare(username, secret).await {
            Ok(Compared { owner: Some(owner), .. }) => {
                attempt.succeeded();
                let until = self.0.clock.now() + self.0.settings.credential_cache_ttl;
                self.0.credentials.remembered.insert(fingerprint, Remembered { owner, until });
                Ok(owner)
            }
            Ok(Compared { user, owner: None }) => {
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

    /// Who the user is now, and whether the password is right: the one that is stored here, else one that an
    /// identity provider knows.
    async fn compare(&self, username: &str, secret: &SecretString) -> Result<Compared, SignInError> {
        let row: Option<(i64, i64, Option<String>)> = self
            .0
            .db
            .opt(
                "SELECT id, epoch, password_hash FROM users WHERE username = $1 AND kind = 'person' \
                 AND disabled_at IS NULL AND is_unconfirmed = 0",
                params![username],
            )
            .await?;
        let (user, stored) = match row {
            Some((id, epoch, stored)) => (Some((id, epoch)), stored),
            None => (None, None),
        };
        if stored.is_none()
            && let Some((user_id, epoch)) = self.identify_provider_password(username, secret).await?
        {
            let credential = Credential::ProviderPassword;
            return Ok(Compared { user, owner: Some(PasswordOwner { user_id, epoch, credential }) });
        }
        let matches = self.0.passwords.verify(secret, stored).await?;
        let owner = user.filter(|_| matches).map(|(user_id, epoch)| PasswordOwner {
            user_id,
            epoch,
            credential: Credential::Password,
        });
        Ok(Compared { user, owner })
    }
}

/// How a comparison ended.
struct Compared {
    /// Key and epoch of the user whose password could be right, when there is one.
    user: Option<(i64, i64)>,
    /// Whose password it is, when it is right.
    owner: Option<PasswordOwner>,
}

fn wrong_or_unavailable(error: BearerError) -> SignInError {
    match error {
        BearerError::Invalid | BearerError::Expired => SignInError::Wrong,
        BearerError::Unavailable(error) => SignInError::Unavailable(error),
    }
}

#[cfg(test)]
mod tests;
