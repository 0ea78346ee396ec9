//! The keys that access tokens are signed with.
//!
//! They lie in the database, so that any replica verifies what another issued. Only this registry reads its
//! access tokens, so a shared secret is enough (HS256, RFC 7518 §3.2) and costs a tenth of a signature.
//! They are sealed with a key that the database does not hold: who reads the database signs nothing with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Timestamp};
use db::{Db, Durability, Lock, params};
use jsonwebtoken::{DecodingKey, EncodingKey};
use parking_lot::RwLock;
use secrecy::zeroize::Zeroizing;

use crate::random;
use crate::seal::{Purpose, Sealer};

/// Age at which the newest key is followed by another.
const ROTATE_AFTER: Duration = Duration::from_hours(30 * 24);
/// How much longer than the life of a token a retired key verifies: a replica signs with it until it hears
/// of the new one, at its next rotation.
const REPLICAS_LEARN_WITHIN: Duration = Duration::from_hours(2);
/// How often a token with an unknown key makes us look for new keys.
const RELOAD_EVERY: Duration = Duration::from_secs(1);
/// Bytes of a key: as many as SHA-256 gives.
const KEY_LENGTH: usize = 32;

/// One key.
pub(crate) struct SigningKey {
    pub(crate) id: String,
    pub(crate) encoding: EncodingKey,
    pub(crate) decoding: DecodingKey,
    /// For a retired key: until when it verifies.
    verifies_until: Option<Timestamp>,
}

/// The keys as they were last read.
struct Ring {
    signing: Arc<SigningKey>,
    by_id: HashMap<String, Arc<SigningKey>>,
}

/// The keys, kept up to date.
pub(crate) struct KeyRing {
    db: Db,
    clock: Clock,
    sealer: Arc<Sealer>,
    /// How long a key is needed after it was retired.
    retirement: Duration,
    ring: RwLock<Ring>,
    /// When an unknown key last made us read; held while reading, so that one read serves all who wait.
    reloaded_at: tokio::sync::Mutex<Option<Timestamp>>,
}

impl KeyRing {
    pub(crate) async fn open(
        db: Db,
        clock: Clock,
        sealer: Arc<Sealer>,
        token_ttl: Duration,
    ) -> Result<Self, db::Error> {
        let retirement = token_ttl + REPLICAS_LEARN_WITHIN;
        write_rotation(&db, &sealer, clock.now(), retirement).await?;
        let ring = RwLock::new(read(&db, &sealer, retirement).await?);
        Ok(Self { db, clock, sealer, retirement, ring, reloaded_at: tokio::sync::Mutex::default() })
    }

    /// Makes a new key if it is time, removes dead ones, and takes up the present set.
    pub(crate) async fn rotate(&self) -> Result<(), db::Error> {
        write_rotation(&self.db, &self.sealer, self.clock.now(), self.retirement).await?;
        self.reload().await
    }

    /// The key to sign with.
    pub(crate) fn signing(&self) -> Arc<SigningKey> {
        Arc::clone(&self.ring.read().signing)
    }

    /// The key of this name, if there is one that still verifies. Another replica may have made it a moment
    /// ago, so an unknown name makes us read again, at most once a second.
    pub(crate) async fn verifying(&self, id: &str) -> Result<Option<Arc<SigningKey>>, db::Error> {
        if let Some(key) = self.present(id) {
            return Ok(self.if_valid(key));
        }
        let mut reloaded_at = self.reloaded_at.lock().await;
        if let Some(key) = self.present(id) {
            return Ok(self.if_valid(key));
        }
        let now = self.clock.now();
        if reloaded_at.is_some_and(|at| now.since(at) < RELOAD_EVERY) {
            return Ok(None);
        }
        *reloaded_at = Some(now);
        self.reload().await?;
        Ok(self.present(id).and_then(|key| self.if_valid(key)))
    }

    fn present(&self, id: &str) -> Option<Arc<SigningKey>> {
        self.ring.read().by_id.get(id).cloned()
    }

    fn if_valid(&self, key: Arc<SigningKey>) -> Option<Arc<SigningKey>> {
        let now = self.clock.now();
        key.verifies_until.is_none_or(|until| now <= until).then_some(key)
    }

    async fn reload(&self) -> Result<(), db::Error> {
        let ring = read(&self.db, &self.sealer, self.retirement).await?;
        *self.ring.write() = ring;
        Ok(())
    }
}

async fn read(db: &Db, sealer: &Sealer, retirement: Duration) -> Result<Ring, db::Error> {
    // Rotation keeps the table at two or three rows; the limit only says so.
    let rows: Vec<(String, Vec<u8>, Option<i64>)> = db
        .all("SELECT kid, secret, retired_at FROM signing_keys ORDER BY created_at DESC LIMIT 64", params![])
        .await?;
    let mut signing = None;
    let mut by_id = HashMap::new();
    for (id, secret, retired_at) in rows {
        let Some(secret) = sealer.open(Purpose::SigningKey, &id, &secret) else { continue };
        let key = Arc::new(SigningKey {
            id: id.clone(),
            encoding: EncodingKey::from_secret(&secret),
            decoding: DecodingKey::from_secret(&secret),
            verifies_until: retired_at.map(|at| Timestamp::from_millis(at) + retirement),
        });
        if retired_at.is_none() {
            signing.get_or_insert_with(|| Arc::clone(&key));
        }
        by_id.insert(id, key);
    }
    Ok(Ring { signing: signing.ok_or(db::Error::NoRow)?, by_id })
}

async fn write_rotation(
    db: &Db,
    sealer: &Arc<Sealer>,
    now: Timestamp,
    retirement: Duration,
) -> Result<(), db::Error> {
    let id = uuid::Uuid::from_bytes(random::bytes()).simple().to_string();
    let secret = Zeroizing::new(random::bytes::<KEY_LENGTH>());
    let blob = sealer.seal(Purpose::SigningKey, &id, secret.as_slice());
    let sealer = Arc::clone(sealer);
    db.write(Durability::Durable, move |tx| {
        Box::pin(async move {
            tx.lock(Lock::Identity, 0).await?;
            let newest: Option<(String, Vec<u8>, i64)> = tx
                .opt(
                    "SELECT kid, secret, created_at FROM signing_keys WHERE retired_at IS NULL \
                     ORDER BY created_at DESC LIMIT 1",
                    params![],
                )
                .await?;
            let due = newest.is_none_or(|(id, secret, made)| {
                // Sealed with a key that is gone, or never: nobody can sign with it, so another takes its place.
                let is_lost = sealer.open(Purpose::SigningKey, &id, &secret).is_none();
                if is_lost {
                    tracing::warn!(
                        kid = id,
                        "a signing key cannot be opened with the sealing key, making a new one"
                    );
                }
                is_lost || now.since(Timestamp::from_millis(made)) >= ROTATE_AFTER
            });
            if due {
                tx.exec(
                    "UPDATE signing_keys SET retired_at = $1 WHERE retired_at IS NULL",
                    params![now.as_millis()],
                )
                .await?;
                tx.exec(
                    "INSERT INTO signing_keys (kid, secret, created_at) VALUES ($1, $2, $3)",
                    params![id, blob, now.as_millis()],
                )
                .await?;
            }
            tx.exec(
                "DELETE FROM signing_keys WHERE retired_at < $1",
                params![(now - retirement).as_millis()],
            )
            .await?;
            Ok(())
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sealing_key;

    const TTL: Duration = Duration::from_mins(5);

    async fn open(db: &Db, clock: &Clock) -> KeyRing {
        open_sealed(db, clock, &sealer(7)).await
    }

    async fn open_sealed(db: &Db, clock: &Clock, sealer: &Arc<Sealer>) -> KeyRing {
        KeyRing::open(db.clone(), clock.clone(), Arc::clone(sealer), TTL).await.unwrap()
    }

    fn sealer(first: u8) -> Arc<Sealer> {
        Arc::new(
            Sealer::new(&crate::Settings { sealing_key: Some(sealing_key(first)), ..Default::default() })
                .unwrap(),
        )
    }

    #[tokio::test]
    async fn a_second_opening_takes_up_the_same_key() {
        let (db, _folder) = db::testing::temporary().await;
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let first = open(&db, &clock).await.signing().id.clone();
        assert_eq!(open(&db, &clock).await.signing().id, first);
    }

    #[tokio::test]
    async fn after_thirty_days_a_new_key_signs_and_the_old_one_verifies_for_a_while() {
        let (db, _folder) = db::testing::temporary().await;
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let ring = open(&db, &clock).await;
        let old = ring.signing().id.clone();
        clock.advance(Duration::from_hours(30 * 24 - 1));
        ring.rotate().await.unwrap();
        assert_eq!(ring.signing().id, old);
        clock.advance(Duration::from_hours(1));
        ring.rotate().await.unwrap();
        assert_ne!(ring.signing().id, old);
        assert!(ring.verifying(&old).await.unwrap().is_some());
        clock.advance(TTL + REPLICAS_LEARN_WITHIN + Duration::from_secs(1));
        assert!(ring.verifying(&old).await.unwrap().is_none());
        ring.rotate().await.unwrap();
        let (left,): (i64,) = db.one("SELECT count(*) FROM signing_keys", params![]).await.unwrap();
        assert_eq!(left, 1);
    }

    #[tokio::test]
    async fn keys_are_sealed_and_those_of_a_lost_sealing_key_are_replaced() {
        let (db, _folder) = db::testing::temporary().await;
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let lost = open(&db, &clock).await.signing().id.clone();
        let ring = open_sealed(&db, &clock, &sealer(8)).await;
        assert_ne!(ring.signing().id, lost);
        assert!(ring.verifying(&lost).await.unwrap().is_none());
        // The same again finds its own.
        assert_eq!(open_sealed(&db, &clock, &sealer(8)).await.signing().id, ring.signing().id);
        let rows: Vec<(Vec<u8>,)> = db.all("SELECT secret FROM signing_keys", params![]).await.unwrap();
        assert!(rows.iter().all(|(secret,)| secret.len() > KEY_LENGTH + 16));
    }

    #[tokio::test]
    async fn a_key_swapped_into_another_row_does_not_verify() {
        let (db, _folder) = db::testing::temporary().await;
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let ring = open(&db, &clock).await;
        let swapped: Result<(), db::Error> = db
            .write(Durability::Relaxed, |tx| {
                Box::pin(async move {
                    tx.exec(
                        "INSERT INTO signing_keys (kid, secret, created_at) \
                         SELECT 'swapped', secret, created_at FROM signing_keys",
                        params![],
                    )
                    .await
                    .map(|_| ())
                })
            })
            .await;
        swapped.unwrap();
        assert!(ring.verifying("swapped").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_key_of_another_replica_is_found_at_most_once_a_second() {
        let (db, _folder) = db::testing::temporary().await;
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let ours = open(&db, &clock).await;
        assert!(ours.verifying("unknown").await.unwrap().is_none());
        clock.advance(ROTATE_AFTER);
        let theirs = open(&db, &clock).await;
        assert!(ours.verifying(&theirs.signing().id).await.unwrap().is_some());
        // Within the same second nothing is read again.
        db.write(Durability::Relaxed, |tx| {
            Box::pin(async move {
                tx.exec(
                    "INSERT INTO signing_keys (kid, secret, created_at) VALUES ($1, $2, $3)",
                    params![
                        "later",
                        sealer(7).seal(Purpose::SigningKey, "later", &[7; KEY_LENGTH]),
                        2_000_000_i64
                    ],
                )
                .await
                .map(|_| ())
            })
        })
        .await
        .unwrap_or_else(|error: db::Error| panic!("{error}"));
        assert!(ours.verifying("later").await.unwrap().is_none());
        clock.advance(RELOAD_EVERY);
        assert!(ours.verifying("later").await.unwrap().is_some());
    }
}
