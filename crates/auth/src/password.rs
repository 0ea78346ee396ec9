//! Slow hashes of passwords.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::{OpenError, PasswordCost, Unavailable};

/// Hashes and compares passwords with argon2id (RFC 9106), off the asynchronous workers and only a few at a
/// time: one takes as much memory as a hundred connections.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    permits: Arc<Semaphore>,
    /// Compared with when there is no user, so that the answer takes as long as when there is one.
    nobody: Arc<str>,
    verifications: AtomicU64,
}

impl Passwords {
    pub(crate) async fn new(cost: &PasswordCost, permits: usize) -> Result<Self, OpenError> {
        let params =
            Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(OpenError::PasswordCost)?;
        let mut passwords = Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            permits: Arc::new(Semaphore::new(permits.max(1))),
            nobody: "".into(),
            verifications: AtomicU64::new(0),
        };
        passwords.nobody = passwords.hash(&SecretString::from("nobody signs in with this")).await?.into();
        Ok(passwords)
    }

    /// What to store of a new password.
    pub(crate) async fn hash(&self, password: &SecretString) -> Result<String, Unavailable> {
        let argon2 = self.argon2.clone();
        let password = password.clone();
        self.run(move || {
            argon2
                .hash_password(password.expose_secret().as_bytes())
                .expect("parameters were checked at the start and the salt is made here")
                .to_string()
        })
        .await
    }

    /// Compares a password with what is stored of one; without anything stored the answer is no, and takes
    /// as long.
    pub(crate) async fn verify(
        &self,
        password: &SecretString,
        stored: Option<String>,
    ) -> Result<bool, Unavailable> {
        self.verifications.fetch_add(1, Ordering::Relaxed);
        let is_somebody = stored.is_some();
        let stored: Arc<str> = stored.map_or_else(|| Arc::clone(&self.nobody), Arc::from);
        let argon2 = self.argon2.clone();
        let password = password.clone();
        self.run(move || {
            let matches = PasswordHash::new(&stored)
                .is_ok_and(|hash| argon2.verify_password(password.expose_secret().as_bytes(), &hash).is_ok());
            matches && is_somebody
        })
        .await
    }

    pub(crate) fn verifications(&self) -> u64 {
        self.verifications.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|_| Unavailable::Stopping)?;
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work and not by the request: a client that hangs up does not make room for more.
            let _permit = permit;
            work()
        });
        task.await.map_err(|_| Unavailable::Stopping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::CHEAP;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new(&CHEAP, 1).await.unwrap();
        let right = SecretString::from("correct horse battery");
        let stored = passwords.hash(&right).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert_ne!(stored, passwords.hash(&right).await.unwrap());
        assert!(passwords.verify(&right, Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(&"correct horse".into(), Some(stored)).await.unwrap());
        assert_eq!(passwords.verifications(), 2);
    }

    #[tokio::test]
    async fn nobody_has_a_password_and_costs_the_same() {
        let passwords = Passwords::new(&CHEAP, 1).await.unwrap();
        assert!(!passwords.verify(&"nobody signs in with this".into(), None).await.unwrap());
        assert!(!passwords.verify(&"x".into(), Some("damaged".to_owned())).await.unwrap());
        assert_eq!(passwords.verifications(), 2);
    }

    #[tokio::test]
    async fn unusable_costs_are_refused() {
        let cost = PasswordCost { memory_kib: 1, passes: 1, lanes: 1 };
        assert!(matches!(Passwords::new(&cost, 1).await, Err(OpenError::PasswordCost(_))));
    }
}
