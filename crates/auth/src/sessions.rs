//! Sessions of browsers.
//!
//! A browser holds 256 random bits in a cookie that no script can read; the database holds their hash. The value
//! is always made here, at sign-in, and made anew whenever the session is worth more than before: nobody can lend a
//! browser a session to sign in to.

use std::net::IpAddr;
use std::time::Duration;

use access::{Anchor, Limit, UserPrincipal};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::Timestamp;
use db::{Durability, FromRow, Row, Transaction, params};
use secrecy::{ExposeSecret, SecretString};

use crate::bearer::Standing;
use crate::identity::{Credential, Identity, Source};
use crate::secret_token::{self, random_text};
use crate::tokens::public_id;
use crate::{AccountError, Auth, SessionLife, Unavailable, random};

/// Characters of a cookie's value.
const SECRET_LENGTH: usize = 43;
/// Sessions of one user at the most; signing in over and over pushes out the oldest.
const MOST_SESSIONS: i64 = 100;
/// How long a second factor may take.
const PARTIAL_LIFE: Duration = Duration::from_mins(10);
/// How exact the time of the last request is.
const NOTE_SEEN_EVERY: Duration = Duration::from_mins(5);
/// Characters of a browser's name that are kept.
const LONGEST_USER_AGENT: usize = 200;
/// How many sessions that are over one round removes.
const REMOVE_AT_ONCE: i64 = 500;

/// What a browser says of itself and where it is, for its owner to recognize it by.
#[derive(Clone, Debug)]
pub struct BrowserInfo {
    /// The field `User-Agent`. Kept without control characters and not longer than 200 characters.
    pub user_agent: String,
    /// Where it is.
    pub address: IpAddr,
}

/// A session as its owner may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Name of the session in paths. Later sessions have greater ones.
    pub id: String,
    /// The identity provider that vouched; none for a password.
    pub provider: Option<String>,
    /// What the browser said of itself.
    pub user_agent: String,
    /// Where it was at sign-in.
    pub address: String,
    /// When it signed in.
    pub created_at: Timestamp,
    /// When its user last proved who it is.
    pub proved_at: Timestamp,
    /// When it was last seen, to about five minutes.
    pub last_seen_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
}

impl FromRow for SessionView {
    fn from_row(row: &Row<'_>) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.get(0)?,
            provider: row.get(1)?,
            user_agent: row.get(2)?,
            address: row.get(3)?,
            created_at: Timestamp::from_millis(row.get(4)?),
            proved_at: Timestamp::from_millis(row.get(5)?),
            last_seen_at: Timestamp::from_millis(row.get(6)?),
            expires_at: Timestamp::from_millis(row.get(7)?),
        })
    }
}

/// A session that a cookie belongs to.
#[derive(Clone, Debug)]
pub struct SessionFound {
    /// Who is signed in; nobody as long as the second factor is missing.
    pub identity: Identity,
    /// Name of the session in paths.
    pub public_id: String,
    /// Whether the second factor is missing: good for showing it and nothing else.
    pub is_partial: bool,
    /// When the user last proved who it is.
    pub proved_at: Timestamp,
    /// The identity provider that vouched; none for a password.
    pub provider: Option<String>,
}

/// A session's row with its owner.
pub(crate) struct Held {
    pub(crate) id: i64,
    public_id: String,
    provider: Option<String>,
    pub(crate) is_partial: bool,
    proved_at: Timestamp,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    pub(crate) user: UserPrincipal,
    epoch: i64,
}

impl FromRow for Held {
    fn from_row(row: &Row<'_>) -> Result<Self, db::Error> {
        let kind = row.get::<String>(10)?.parse().map_err(|_| db::Error::UnexpectedType { index: 10 })?;
        Ok(Self {
            id: row.get(0)?,
            public_id: row.get(1)?,
            provider: row.get(2)?,
            is_partial: row.get(3)?,
            proved_at: Timestamp::from_millis(row.get(4)?),
            last_seen_at: Timestamp::from_millis(row.get(5)?),
            expires_at: Timestamp::from_millis(row.get(6)?),
            user: UserPrincipal {
                id: row.get(7)?,
                name: row.get::<String>(8)?.into(),
                system_admin: row.get(9)?,
                kind,
            },
            epoch: row.get(11)?,
        })
    }
}

/// What is stored of a new session beside its secret.
#[derive(Clone)]
pub(crate) struct NewSession {
    pub(crate) user_id: i64,
    /// The epoch that the proof was for; with another one it proves nothing. None: the present one.
    pub(crate) epoch: Option<i64>,
    pub(crate) provider: Option<String>,
    pub(crate) is_partial: bool,
    pub(crate) browser: BrowserInfo,
}

/// A new value for a cookie.
pub(crate) fn generate() -> SecretString {
    random_text(&random::bytes::<32>()).into()
}

/// Under what a session is stored, if the cookie has the form of one.
pub(crate) fn hash(cookie: &str) -> Option<[u8; 32]> {
    let well_formed =
        cookie.len() == SECRET_LENGTH && cookie.bytes().all(|byte| byte.is_ascii_alphanumeric());
    well_formed.then(|| secret_token::hash(cookie))
}

/// When a complete session that begins now ends in any case.
pub(crate) fn ends_at(now: Timestamp, life: &SessionLife) -> Timestamp {
    now + life.longest
}

/// Makes a session, pushing out the oldest of too many. None when the account is not there any more, is disabled,
/// or has another epoch.
async fn insert_in(
    tx: &mut Transaction,
    new: NewSession,
    secret_hash: [u8; 32],
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<Option<SessionView>, db::Error> {
    let user: Option<(i64,)> = tx
        .opt(
            "SELECT epoch FROM users WHERE id = $1 AND kind = 'person' AND disabled_at IS NULL \
             AND is_unconfirmed = 0 FOR KEY SHARE",
            params![new.user_id],
        )
        .await?;
    let Some((epoch,)) = user.filter(|(epoch,)| new.epoch.is_none_or(|expected| expected == *epoch)) else {
        return Ok(None);
    };
    tx.exec(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user_id = $1 \
         ORDER BY public_id DESC LIMIT 100 OFFSET $2)",
        params![new.user_id, MOST_SESSIONS - 1],
    )
    .await?;
    let is_plain = |character: &char| !character.is_control();
    let view = SessionView {
        id: public_id(now),
        provider: new.provider,
        user_agent: new.browser.user_agent.chars().filter(is_plain).take(LONGEST_USER_AGENT).collect(),
        address: new.browser.address.to_canonical().to_string(),
        created_at: now,
        proved_at: now,
        last_seen_at: now,
        expires_at,
    };
    tx.exec(
        "INSERT INTO sessions (public_id, secret_hash, user_id, epoch, provider, is_partial, user_agent, \
         address, created_at, proved_at, last_seen_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        params![
            &view.id,
            secret_hash,
            new.user_id,
            epoch,
            view.provider.clone(),
            new.is_partial,
            &view.user_agent,
            &view.address,
            now.as_millis(),
            now.as_millis(),
            now.as_millis(),
            expires_at.as_millis()
        ],
    )
    .await?;
    Ok(Some(view))
}

impl Auth {
    /// Signs a browser in, for one who has proved to be this user: by an identity provider (`provider`), or just
    /// now to the caller. The secret is the cookie's value.
    ///
    /// [`AccountError::NotFound`] when there is no such person, or the account is disabled or not confirmed.
    pub async fn session_open(
        &self,
        user_id: i64,
        provider: Option<&str>,
        browser: BrowserInfo,
    ) -> Result<(SecretString, SessionView), AccountError> {
        let provider = provider.map(str::to_owned);
        let new = NewSession { user_id, epoch: None, provider, is_partial: false, browser };
        self.session_insert(new).await?.ok_or(AccountError::NotFound)
    }

    /// Stores a session with a new secret. None when the account or the proof does not count any more.
    pub(crate) async fn session_insert(
        &self,
        new: NewSession,
    ) -> Result<Option<(SecretString, SessionView)>, db::Error> {
        let secret = generate();
        let secret_hash = secret_token::hash(secret.expose_secret());
        let now = self.0.clock.now();
        let expires_at =
            if new.is_partial { now + PARTIAL_LIFE } else { ends_at(now, &self.0.settings.sessions) };
        let view = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(insert_in(tx, new, secret_hash, (now, expires_at)))
            })
            .await?;
        Ok(view.map(|view| (secret, view)))
    }

    /// The session that this cookie belongs to, if it is still good. One read by the hash tells the session, its
    /// user and the user's epoch as they are now, so what was ended anywhere is over here at once.
    pub async fn session_find(&self, cookie: &str) -> Result<Option<SessionFound>, Unavailable> {
        let Some(held) = self.session_held(cookie).await? else { return Ok(None) };
        self.note_seen(&held);
        let identity = if held.is_partial {
            Identity::anonymous()
        } else {
            let standing = Standing { user: held.user, epoch: held.epoch, limit: Limit::NONE };
            let source =
                Source { anchor: Anchor::Account, expires_at: Some(held.expires_at), ..Source::default() };
            standing.identity(Credential::Session, source)
        };
        Ok(Some(SessionFound {
            identity,
            public_id: held.public_id,
            is_partial: held.is_partial,
            proved_at: held.proved_at,
            provider: held.provider,
        }))
    }

    pub(crate) async fn session_held(&self, cookie: &str) -> Result<Option<Held>, db::Error> {
        let Some(hash) = hash(cookie) else { return Ok(None) };
        let held: Option<Held> = self
            .0
            .db
            .opt(
                "SELECT sessions.id, sessions.public_id, sessions.provider, sessions.is_partial, \
                 sessions.proved_at, sessions.last_seen_at, sessions.expires_at, \
                 users.id, users.username, users.system_admin, users.kind, users.epoch \
                 FROM sessions JOIN users ON users.id = sessions.user_id \
                 WHERE sessions.secret_hash = $1 AND users.epoch = sessions.epoch \
                 AND users.disabled_at IS NULL AND users.is_unconfirmed = 0",
                params![hash],
            )
            .await?;
        let now = self.0.clock.now();
        let idle = self.0.settings.sessions.idle;
        Ok(held.filter(|held| now < held.expires_at && now.since(held.last_seen_at) < idle))
    }

    /// Ends the session that this cookie belongs to, if there is one.
    pub async fn session_close(&self, cookie: &str) -> Result<(), Unavailable> {
        let Some(hash) = hash(cookie) else { return Ok(()) };
        let closed: Result<(), db::Error> = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.exec("DELETE FROM sessions WHERE secret_hash = $1", params![hash]).await.map(|_| ())
                })
            })
            .await;
        Ok(closed?)
    }

    /// The browsers that are signed in as this user, oldest first.
    pub async fn session_list(&self, user_id: i64) -> Result<Vec<SessionView>, Unavailable> {
        let now = self.0.clock.now();
        let seen_after = now - self.0.settings.sessions.idle;
        let sessions = self
            .0
            .db
            .all(
                "SELECT public_id, provider, user_agent, address, created_at, proved_at, last_seen_at, \
                 expires_at FROM sessions WHERE user_id = $1 AND is_partial = 0 AND expires_at > $2 \
                 AND last_seen_at > $3 AND epoch = (SELECT epoch FROM users WHERE id = $1) \
                 ORDER BY public_id LIMIT 1000",
                params![user_id, now.as_millis(), seen_after.as_millis()],
            )
            .await?;
        Ok(sessions)
    }

    /// Ends one session of this user.
    ///
    /// [`AccountError::NotFound`] also when the session is another user's.
    pub async fn session_delete(&self, user_id: i64, id: &str) -> Result<(), AccountError> {
        let id = id.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    let deleted = tx
                        .exec(
                            "DELETE FROM sessions WHERE user_id = $1 AND public_id = $2",
                            params![user_id, id],
                        )
                        .await?;
                    if deleted == 0 { Err(AccountError::NotFound) } else { Ok(()) }
                })
            })
            .await
    }

    /// Ends all sessions of this user but the one named `keep`, and tells how many.
    pub async fn sessions_delete_others(&self, user_id: i64, keep: &str) -> Result<u64, Unavailable> {
        let keep = keep.to_owned();
        let deleted: Result<u64, db::Error> = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.exec(
                        "DELETE FROM sessions WHERE user_id = $1 AND public_id <> $2",
                        params![user_id, keep],
                    )
                    .await
                })
            })
            .await;
        Ok(deleted?)
    }

    /// Removes some of the sessions that are over, and tells how many. For the background worker, to be called again
    /// while there are any.
    pub async fn sessions_remove_expired(&self) -> Result<u64, Unavailable> {
        let now = self.0.clock.now().as_millis();
        let removed: Result<u64, db::Error> = self
            .0
            .db
            .write(Durability::Relaxed, move |tx| {
                Box::pin(async move {
                    tx.exec(
                        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 \
                         ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                        params![now, REMOVE_AT_ONCE],
                    )
                    .await
                })
            })
            .await;
        Ok(removed?)
    }

    /// What a request has to carry beside the cookie when it changes something: only pages of ours can know it, and
    /// it does not tell the cookie.
    pub fn csrf_token(&self, cookie: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&csrf_key(cookie), CSRF))
    }

    /// Whether this is the token that belongs to the cookie.
    pub fn csrf_matches(&self, cookie: &str, token: &str) -> bool {
        URL_SAFE_NO_PAD.decode(token).is_ok_and(|tag| hmac::verify(&csrf_key(cookie), CSRF, &tag).is_ok())
    }

    /// Writes down that a browser is still there: seldom, beside the request, and never a reason for it to fail.
    fn note_seen(&self, held: &Held) {
        let now = self.0.clock.now();
        let is_recent = |at: Timestamp| now.since(at) < NOTE_SEEN_EVERY;
        if is_recent(held.last_seen_at) || self.0.noted_sessions.get(&held.id).is_some_and(is_recent) {
            return;
        }
        self.0.noted_sessions.insert(held.id, now);
        let (db, id) = (self.0.db.clone(), held.id);
        tokio::spawn(async move {
            let written: Result<(), db::Error> = db
                .write(Durability::Relaxed, move |tx| {
                    Box::pin(async move {
                        tx.exec(
                            "UPDATE sessions SET last_seen_at = $1 WHERE id = $2",
                            params![now.as_millis(), id],
                        )
                        .await
                        .map(|_| ())
                    })
                })
                .await;
            if let Err(error) = written {
                tracing::warn!(%error, "time of a session's last request was not written");
            }
        });
    }
}

const CSRF: &[u8] = b"csrf";

fn csrf_key(cookie: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes())
}

#[cfg(test)]
mod tests;
