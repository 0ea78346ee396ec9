//! What credentials stood for a moment ago, for whoever asks the database something else anyway: what it stands on can
//! be asked in the same statement, which saves a question of its own.
//!
//! Nothing here says that it still holds. [`Recalled`] is therefore no [`Identity`], and nothing but a right over a
//! repository can be asked for with one.

use std::time::Duration;

use access::{Basis, Limit, Principal};
use clock::Timestamp;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::identity::{Credential, Identity};
use crate::{Auth, random};

/// How long something is recalled before it is read anew, which also writes down that a token is in use.
const RECALLED_FOR: Duration = Duration::from_secs(30);

/// Credentials as the memory knows them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// What credentials stood for, and the rows that have to be the same for it to hold now.
#[derive(Clone, Debug)]
pub struct Recalled {
    /// Who it was.
    pub principal: Principal,
    /// What the credentials allowed at most.
    pub limit: Limit,
    /// What that stands on.
    pub basis: Basis,
}

#[derive(Clone)]
struct Entry {
    recalled: Recalled,
    until: Timestamp,
}

pub(crate) struct Recall {
    /// Made anew at each start and never stored: what is remembered says nothing to anybody else.
    key: [u8; 32],
    entries: Cache<Fingerprint, Entry>,
}

impl Recall {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { key: random::bytes(), entries: Cache::new(capacity) }
    }

    fn fingerprint(&self, username: Option<&str>, secret: &str) -> Fingerprint {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        // The length keeps "ab" + "c" apart from "a" + "bc", and no name is as long as none.
        hasher.update(username.map_or(u64::MAX, |name| name.len() as u64).to_le_bytes());
        hasher.update(username.unwrap_or_default());
        hasher.update(secret);
        Fingerprint(hasher.finalize().into())
    }
}

impl Auth {
    /// A user name with its secret, for [`Auth::recall`].
    pub fn fingerprint_basic(&self, username: &str, secret: &str) -> Fingerprint {
        self.0.recall.fingerprint(Some(username), secret)
    }

    /// A bearer token, for [`Auth::recall`].
    pub fn fingerprint_bearer(&self, token: &str) -> Fingerprint {
        self.0.recall.fingerprint(None, token)
    }

    /// What these credentials stood for when they were last identified, if that is not long ago.
    pub fn recall(&self, fingerprint: &Fingerprint) -> Option<Recalled> {
        let entry = self.0.recall.entries.get(fingerprint)?;
        (self.0.clock.now() < entry.until).then_some(entry.recalled)
    }

    /// Keeps what credentials were just found to stand for, where rows here are all that it stands on. What
    /// somebody else has a word in (an identity provider, an issuer of jobs' tokens) is asked for each time.
    pub fn remember(&self, fingerprint: Fingerprint, identity: &Identity) {
        let is_ours = matches!(
            identity.credential,
            Credential::Password
                | Credential::PersonalToken
                | Credential::ServiceToken
                | Credential::JobToken
                | Credential::AccessToken
        );
        let Some(basis) = identity.basis().filter(|_| is_ours) else { return };
        let most = self.0.clock.now() + RECALLED_FOR;
        let until = identity.source.expires_at.map_or(most, |end| end.min(most));
        let recalled =
            Recalled { principal: identity.principal.clone(), limit: identity.limit.clone(), basis };
        self.0.recall.entries.insert(fingerprint, Entry { recalled, until });
    }
}

#[cfg(test)]
mod tests;
