//! From the token that a platform gave to a job to the service account that a binding leads to.
//!
//! Nothing in such a token is believed before its signature was checked with the keys of its issuer, and no issuer
//! is asked for keys unless some binding names it. The keys that a binding brings along count for that binding
//! alone.

use std::time::Duration;

use access::Anchor;
use clock::Timestamp;
use db::{Durability, params};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::bindings::Bound;
use crate::identity::{Credential, Identity, Source};
use crate::provider::{Claims, Expectation, ForeignTokenError, Keys, Peeked};
use crate::{AccountError, Auth, SignInError, Unavailable};

/// User name that stands for "see the token".
pub(crate) const ANY_ACCOUNT: &str = "oidc";
/// How long a token that was right is remembered at the most: as long as keys that its issuer took back may still
/// count.
const REMEMBER: Duration = Duration::from_mins(5);
/// How long after its end a token still counts, because two clocks may differ.
const LEEWAY: Duration = Duration::from_mins(1);
/// How many bindings are looked at in one read.
const PAGE: u32 = 200;
/// How exact the time of a binding's last use is.
const NOTE_USE_EVERY: Duration = Duration::from_mins(10);

/// Why a job's token was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JobTokenError {
    /// Not a token of an issuer that is trusted here, or not for this registry, or its time is over.
    #[error("token is not one that this registry accepts, check its issuer, its audience and its time")]
    Invalid,
    /// The token is good and nothing here is meant for it.
    #[error("no binding matches this token, ask an administrator of the organization to test it")]
    NoBinding,
    /// More than one binding matches, so nobody can tell which account is meant.
    #[error(
        "more than one binding matches this token, name the service account or make the bindings stricter"
    )]
    SeveralBindings,
    /// It was exchanged before, and each is good for that once.
    #[error("token was used before, get a new one from the platform")]
    Used,
    /// The question could not be answered.
    #[error("token could not be checked")]
    Unavailable(#[source] Unavailable),
}

impl From<Unavailable> for JobTokenError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

impl From<db::Error> for JobTokenError {
    fn from(error: db::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

/// What stands in the way of writing a job's token: the account is gone, or the database is.
impl From<AccountError> for JobTokenError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Unavailable(error) => Self::Unavailable(error),
            _ => Self::NoBinding,
        }
    }
}

impl From<JobTokenError> for SignInError {
    fn from(error: JobTokenError) -> Self {
        match error {
            JobTokenError::Unavailable(error) => Self::Unavailable(error),
            _ => Self::Wrong,
        }
    }
}

/// Where a job's token led.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    user_id: i64,
    binding_id: i64,
    expires_at: Timestamp,
    until: Timestamp,
}

/// Jobs' tokens that were right, and uses of bindings that were written down.
pub(crate) struct Jobs {
    remembered: Cache<[u8; 32], Remembered>,
    noted_uses: Cache<i64, Timestamp>,
}

impl Jobs {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { remembered: Cache::new(capacity), noted_uses: Cache::new(capacity) }
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
struct Search<'t> {
    token: &'t str,
    issuer: &'t str,
    audience: &'t str,
    /// The only account whose bindings count, if one was named.
    account_id: Option<i64>,
}

/// Where the keys come from that have to have signed the token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeysFrom {
    Issuer,
    Binding,
}

/// What was found.
#[derive(Default)]
struct Outcome {
    /// Whether the issuer made the token, whatever matches it.
    is_genuine: bool,
    found: Vec<Job>,
}

/// A job's token that was verified, with the binding that it matches.
pub(crate) struct Job {
    pub(crate) bound: Bound,
    pub(crate) claims: Claims,
}

impl Auth {
    /// Who brings this job's token under this user name: `oidc` when exactly one binding matches, or the name of a
    /// service account for one of its bindings. It is good until its own end, as often as it is shown.
    pub(crate) async fn identify_job(&self, username: &str, token: &str) -> Result<Identity, SignInError> {
        let key = fingerprint(username, token);
        let jobs = &self.0.jobs;
        let now = self.0.clock.now();
        let known = jobs.remembered.get(&key).filter(|entry| now < entry.until);
        let remembered = if let Some(known) = known {
            known
        } else {
            let account = Some(username).filter(|name| *name != ANY_ACCOUNT);
            let Job { bound, claims } = self.job_find(token, account).await?;
            let expires_at = claims.expires_at() + LEEWAY;
            let until = expires_at.min(now + REMEMBER);
            let found =
                Remembered { user_id: bound.user_id, binding_id: bound.binding_id, expires_at, until };
            note_arrival(&bound, &claims, "a job signed in with its own token");
            self.note_binding_use(bound.binding_id);
            jobs.remembered.insert(key, found);
            found
        };
        let anchor = Anchor::Binding(remembered.binding_id);
        let standing = self.standing(remembered.user_id, anchor).await?.ok_or(SignInError::Wrong)?;
        let source = Source { anchor, expires_at: Some(remembered.expires_at), ..Source::default() };
        Ok(standing.identity(Credential::JobAssertion, source))
    }

    /// Finds the binding that a token matches, verified: of the account with this user name the oldest one, and
    /// without a name the only one.
    pub(crate) async fn job_find(&self, token: &str, account: Option<&str>) -> Result<Job, JobTokenError> {
        let peeked = Peeked::of(token).ok_or(JobTokenError::Invalid)?;
        let issuer = peeked.issuer().ok_or(JobTokenError::Invalid)?;
        let audience = sole_audience(&peeked.claims.0).ok_or(JobTokenError::Invalid)?;
        // Nothing that is stored holds a NUL, and PostgreSQL takes no text with one.
        if [Some(issuer), Some(audience), account].into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(JobTokenError::Invalid);
        }
        let account_id = match account {
            None => None,
            Some(name) => Some(self.account_enabled(name).await?.ok_or(JobTokenError::Invalid)?),
        };
        let search = Search { token, issuer, audience, account_id };
        let mut outcome = Outcome::default();
        self.match_fetched(&search, &mut outcome).await?;
        self.match_given(&search, &peeked, &mut outcome).await?;
        let Outcome { is_genuine, mut found } = outcome;
        found.sort_by_key(|job| job.bound.binding_id);
        if account_id.is_none() && found.len() > 1 {
            tracing::info!(?issuer, "a job's token matches more than one binding");
            return Err(JobTokenError::SeveralBindings);
        }
        match found.into_iter().next() {
            Some(job) => Ok(job),
            None if is_genuine => {
                tracing::info!(?issuer, "a job's token matches no binding");
                Err(JobTokenError::NoBinding)
            }
            None => Err(JobTokenError::Invalid),
        }
    }

    /// Those whose keys are fetched from the issuer. The signature comes first: nobody gets to search through
    /// bindings with a token that somebody made up.
    async fn match_fetched(&self, search: &Search<'_>, outcome: &mut Outcome) -> Result<(), JobTokenError> {
        let mut page = self.bindings_page(search, KeysFrom::Issuer, 0).await?;
        if page.is_empty() {
            return Ok(());
        }
        let expectation = Expectation::of_job(search.issuer, search.audience);
        let Some(claims) = self.job_verified(search, &expectation).await else { return Ok(()) };
        outcome.is_genuine = true;
        while let Some(last) = page.last().map(|bound| bound.binding_id) {
            for bound in page {
                if bound.binding.mismatches(&claims.0).is_empty() {
                    outcome.found.push(Job { bound, claims: claims.clone() });
                }
            }
            if outcome.found.len() > 1 {
                break;
            }
            page = self.bindings_page(search, KeysFrom::Issuer, last).await?;
        }
        Ok(())
    }

    /// Those that bring the issuer's keys along. Each set speaks for its own binding alone, and is looked at only
    /// when everything else agrees.
    async fn match_given(
        &self,
        search: &Search<'_>,
        peeked: &Peeked,
        outcome: &mut Outcome,
    ) -> Result<(), JobTokenError> {
        let mut page = self.bindings_page(search, KeysFrom::Binding, 0).await?;
        while let Some(last) = page.last().map(|bound| bound.binding_id) {
            for bound in page {
                let Some(keys) = bound.binding.jwks.as_deref() else { continue };
                if !bound.binding.mismatches(&peeked.claims.0).is_empty() {
                    continue;
                }
                let mut expectation = Expectation::of_job(search.issuer, search.audience);
                expectation.keys = Keys::Given(keys);
                if let Some(claims) = self.job_verified(search, &expectation).await {
                    outcome.found.push(Job { bound, claims });
                }
            }
            if outcome.found.len() > 1 {
                break;
            }
            page = self.bindings_page(search, KeysFrom::Binding, last).await?;
        }
        Ok(())
    }

    async fn job_verified(&self, search: &Search<'_>, expectation: &Expectation<'_>) -> Option<Claims> {
        match self.0.providers.issuers.verify(search.token, expectation).await {
            Ok(claims) => Some(claims),
            Err(error @ ForeignTokenError::Unavailable(_)) => {
                tracing::warn!(issuer = ?search.issuer, %error, "a job's token could not be checked");
                None
            }
            Err(error) => {
                tracing::info!(issuer = ?search.issuer, %error, "a job's token was not accepted");
                None
            }
        }
    }

    /// Key of the service account with this user name, unless it is disabled.
    async fn account_enabled(&self, username: &str) -> Result<Option<i64>, db::Error> {
        let row: Option<(i64,)> = self
            .0
            .db
            .opt(
                "SELECT id FROM users WHERE username = $1 AND kind = 'service' AND disabled_at IS NULL",
                params![username],
            )
            .await?;
        Ok(row.map(|(id,)| id))
    }

    /// The bindings that trust this issuer for this audience, oldest first, after the one with this key.
    async fn bindings_page(
        &self,
        search: &Search<'_>,
        keys: KeysFrom,
        after: i64,
    ) -> Result<Vec<Bound>, db::Error> {
        let db = &self.0.db;
        let Search { issuer, audience, account_id, .. } = *search;
        let Some(account_id) = account_id else {
            let sql = match keys {
                KeysFrom::Issuer => {
                    "SELECT bindings.public_id, bindings.name, bindings.issuer, bindings.audience, \
                     bindings.claims, bindings.scopes, bindings.token_ttl, bindings.jwks, \
                     bindings.created_by, bindings.created_at, bindings.last_used_at, bindings.id, \
                     users.id, users.username, users.disabled_at \
                     FROM bindings JOIN users ON users.id = bindings.user_id \
                     WHERE bindings.issuer = $1 AND bindings.audience = $2 AND bindings.id > $3 \
                     AND bindings.jwks IS NULL AND users.disabled_at IS NULL ORDER BY bindings.id LIMIT $4"
                }
                KeysFrom::Binding => {
                    "SELECT bindings.public_id, bindings.name, bindings.issuer, bindings.audience, \
                     bindings.claims, bindings.scopes, bindings.token_ttl, bindings.jwks, \
                     bindings.created_by, bindings.created_at, bindings.last_used_at, bindings.id, \
                     users.id, users.username, users.disabled_at \
                     FROM bindings JOIN users ON users.id = bindings.user_id \
                     WHERE bindings.issuer = $1 AND bindings.audience = $2 AND bindings.id > $3 \
                     AND bindings.jwks IS NOT NULL AND users.disabled_at IS NULL ORDER BY bindings.id LIMIT $4"
                }
            };
            return db.all(sql, params![issuer, audience, after, PAGE]).await;
        };
        // An account has so few that one page holds all of them, and that sorting them here costs nothing.
        if after > 0 {
            return Ok(Vec::new());
        }
        let mut found: Vec<Bound> = db
            .all(
                "SELECT bindings.public_id, bindings.name, bindings.issuer, bindings.audience, \
                 bindings.claims, bindings.scopes, bindings.token_ttl, bindings.jwks, \
                 bindings.created_by, bindings.created_at, bindings.last_used_at, bindings.id, \
                 users.id, users.username, users.disabled_at \
                 FROM bindings JOIN users ON users.id = bindings.user_id \
                 WHERE bindings.user_id = $1 AND bindings.issuer = $2 AND bindings.audience = $3 LIMIT $4",
                params![account_id, issuer, audience, PAGE],
            )
            .await?;
        found.retain(|bound| bound.binding.jwks.is_some() == (keys == KeysFrom::Binding));
        Ok(found)
    }

    /// Writes down that a binding was used: seldom, beside the request, and never a reason for it to fail.
    fn note_binding_use(&self, binding_id: i64) {
        let now = self.0.clock.now();
        let noted = &self.0.jobs.noted_uses;
        if noted.get(&binding_id).is_some_and(|at| now.since(at) < NOTE_USE_EVERY) {
            return;
        }
        noted.insert(binding_id, now);
        let db = self.0.db.clone();
        tokio::spawn(async move {
            let written: Result<(), db::Error> = db
                .write(Durability::Relaxed, move |tx| {
                    Box::pin(async move {
                        tx.exec(
                            "UPDATE bindings SET last_used_at = $1 WHERE id = $2",
                            params![now.as_millis(), binding_id],
                        )
                        .await
                        .map(|_| ())
                    })
                })
                .await;
            if let Err(error) = written {
                tracing::warn!(%error, binding_id, "time of last use of a binding was not written");
            }
        });
    }
}

/// Writes into the log which job came in, by what its platform says about it. Debug form: a claim may hold anything,
/// and a line of the log is one line.
pub(crate) fn note_arrival(bound: &Bound, claims: &Claims, what: &str) {
    let claim = |name: &str| claims.text(name).map(|text| text.chars().take(200).collect::<String>());
    tracing::info!(
        account = %bound.account,
        binding = %bound.binding.id,
        issuer = ?bound.binding.issuer,
        subject = ?claim("sub"),
        run = ?claim("run_id").or_else(|| claim("job_id")),
        commit = ?claim("sha"),
        actor = ?claim("actor").or_else(|| claim("user_login")),
        workflow = ?claim("job_workflow_ref"),
        "{what}"
    );
}

/// The audience, when there is exactly one: a token that is good elsewhere too could be brought here by whoever got
/// it there.
pub(crate) fn sole_audience(claims: &Map<String, Value>) -> Option<&str> {
    match claims.get("aud")? {
        Value::String(audience) => Some(audience),
        Value::Array(audiences) => match audiences.as_slice() {
            [Value::String(audience)] => Some(audience),
            _ => None,
        },
        _ => None,
    }
}

fn fingerprint(username: &str, token: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    // The length keeps "ab" + "c" apart from "a" + "bc".
    hasher.update((username.len() as u64).to_le_bytes());
    hasher.update(username);
    hasher.update(token);
    hasher.finalize().into()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
