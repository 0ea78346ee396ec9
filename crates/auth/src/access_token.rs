//! Access tokens: short signed statements of who asks and what it may do (JWT, RFC 7519).
//!
//! Clients treat them as opaque. The claim `access` has the shape of the distribution project's token
//! documentation, with what was refused beside what was granted: an empty list of actions alone would not
//! tell "asked and refused" from "asked for something else".

use std::sync::Arc;

use access::{ActionSet, Anchor, Limit, ScopeGrant, ScopeVerdict};
use clock::Timestamp;
use jsonwebtoken::{Algorithm, Header, Validation};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::identity::Identity;
use crate::{Auth, BearerError, random};

/// Longest token that is looked at, in bytes; also what common proxies let through in a header.
const LONGEST: usize = 8 * 1024;
/// Bytes of `access` that a token carries at the most, so that it stays within [`LONGEST`] when encoded.
const LONGEST_ACCESS: usize = 5_000;
/// `typ` of the header: no other kind of token that is ever signed with these keys has it.
const TYPE: &str = "larder+jwt";
/// Seconds by which the clocks of two replicas may differ.
const LEEWAY_SECS: i64 = 5;

const REPOSITORY: &str = "repository";
const REGISTRY: &str = "registry";
const CATALOG: &str = "catalog";

/// An access token, ready to be handed out.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: SecretString,
    /// Seconds until it expires.
    pub expires_in_secs: u64,
}

/// The claims, with the names of RFC 7519 §4.1 where it has one.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    /// User name; empty for an anonymous caller. For people who look: the user is found by `uid`.
    sub: String,
    aud: String,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: String,
    access: Vec<Entry>,
    /// Key of the user; absent for an anonymous caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<i64>,
    /// Epoch of the user: when the user's is another one, the token is over.
    #[serde(default)]
    epoch: i64,
    /// Key of the stored token from which this one came: when that is deleted, this one is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tid: Option<i64>,
    /// Key of the binding through which this one came: when that is deleted, this one is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bid: Option<i64>,
}

impl Claims {
    fn anchor(&self) -> Anchor {
        match (self.tid, self.bid) {
            (Some(token), _) => Anchor::Token(token),
            (None, Some(binding)) => Anchor::Binding(binding),
            (None, None) => Anchor::Account,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: ActionSet,
    #[serde(default)]
    denied: ActionSet,
}

impl Entry {
    fn of(grant: ScopeGrant) -> Self {
        let (kind, name) = if grant.name == ScopeGrant::CATALOG {
            (REGISTRY, CATALOG.to_owned())
        } else {
            (REPOSITORY, grant.name)
        };
        Self { kind: kind.to_owned(), name, actions: grant.granted, denied: grant.denied }
    }

    /// An entry of another kind grants nothing.
    fn into_grant(self) -> Option<ScopeGrant> {
        let name = match (self.kind.as_str(), self.name.as_str()) {
            (REPOSITORY, name) if name != ScopeGrant::CATALOG => self.name,
            (REGISTRY, CATALOG) => ScopeGrant::CATALOG.to_owned(),
            _ => return None,
        };
        Some(ScopeGrant { name, granted: self.actions, denied: self.denied })
    }
}

/// What a token says, once it was verified.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) user_id: Option<i64>,
    pub(crate) epoch: i64,
    pub(crate) anchor: Anchor,
    pub(crate) grants: Arc<[ScopeGrant]>,
    pub(crate) expires_at: Timestamp,
}

impl Verified {
    /// Refuses once the time is over.
    pub(crate) fn still_valid(self: Arc<Self>, now: Timestamp) -> Result<Arc<Self>, BearerError> {
        if now.as_secs() < self.expires_at.as_secs() + LEEWAY_SECS {
            Ok(self)
        } else {
            Err(BearerError::Expired)
        }
    }
}

/// What every access token has to satisfy.
pub(crate) struct Verifier(Validation);

impl Verifier {
    pub(crate) fn new(service: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[service]);
        validation.set_issuer(&[service]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // Compared here, with the clock that was handed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self(validation)
    }
}

impl Auth {
    /// Issues an access token to this identity. It carries the grants as they are: the caller has decided
    /// them. An identity whose own credentials are limited gets no more than those allow, and no token
    /// outlives the credentials it was issued for.
    ///
    /// Grants that do not fit a token of 8 KiB are left out from the end; the token says nothing about
    /// them, so that the client is asked to fetch another one when it needs them.
    pub fn access_token(&self, identity: &Identity, grants: Vec<ScopeGrant>) -> IssuedToken {
        let now = self.0.clock.now();
        let mut expires_at = now + self.0.settings.access_token_ttl;
        if let Some(end) = identity.source.expires_at {
            expires_at = expires_at.min(end);
        }
        let user = identity.principal.user();
        let service = &self.0.settings.service;
        let claims = Claims {
            iss: service.clone(),
            sub: user.map(|user| user.name.to_string()).unwrap_or_default(),
            aud: service.clone(),
            exp: expires_at.as_secs(),
            nbf: now.as_secs(),
            iat: now.as_secs(),
            jti: uuid::Uuid::from_bytes(random::bytes()).simple().to_string(),
            access: entries(&identity.limit, grants),
            uid: user.map(|user| user.id),
            epoch: identity.source.epoch,
            tid: if let Anchor::Token(id) = identity.source.anchor { Some(id) } else { None },
            bid: if let Anchor::Binding(id) = identity.source.anchor { Some(id) } else { None },
        };
        let key = self.0.keys.signing();
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.id.clone());
        let token = jsonwebtoken::encode(&header, &claims, &key.encoding)
            .expect("plain claims have a JSON form and a shared secret signs anything");
        IssuedToken {
            token: token.into(),
            expires_in_secs: u64::try_from(claims.exp - claims.iat).unwrap_or_default(),
        }
    }

    /// Checks signature, kind, audience and time; not whether the user is still there.
    pub(crate) async fn verify_access_token(&self, token: &str) -> Result<Arc<Verified>, BearerError> {
        let now = self.0.clock.now();
        if token.len() > LONGEST {
            return Err(BearerError::Invalid);
        }
        // The whole token under a full hash: whoever finds another text with the same hash may come in.
        let cache_key = crate::secret_token::hash(token);
        if let Some(verified) = self.0.verified_tokens.get(&cache_key) {
            return verified.still_valid(now);
        }
        // Of the header only the name of the key counts, and that only as a name in our own table. Whatever
        // key it brings along is not looked at (RFC 8725 §3.10).
        let header = jsonwebtoken::decode_header(token).map_err(|_| BearerError::Invalid)?;
        let is_ours =
            header.typ.as_deref() == Some(TYPE) && header.alg == Algorithm::HS256 && header.crit.is_none();
        let Some(key_id) = header.kid.filter(|_| is_ours) else {
            return Err(BearerError::Invalid);
        };
        let key = self.0.keys.verifying(&key_id).await?.ok_or(BearerError::Invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &self.0.verifier.0)
            .map_err(|_| BearerError::Invalid)?
            .claims;
        if claims.nbf > now.as_secs() + LEEWAY_SECS {
            return Err(BearerError::Invalid);
        }
        let verified = Arc::new(Verified {
            user_id: claims.uid,
            epoch: claims.epoch,
            anchor: claims.anchor(),
            grants: claims.access.into_iter().filter_map(Entry::into_grant).collect(),
            expires_at: Timestamp::from_millis(claims.exp.saturating_mul(1000)),
        });
        let verified = verified.still_valid(now)?;
        self.0.verified_tokens.insert(cache_key, Arc::clone(&verified));
        Ok(verified)
    }
}

/// What goes into the claim: no more than the limit of the one who asks, and no more than fits.
fn entries(limit: &Limit, grants: Vec<ScopeGrant>) -> Vec<Entry> {
    let mut room = LONGEST_ACCESS;
    grants
        .into_iter()
        .map(|grant| attenuate(limit, grant))
        .map(Entry::of)
        .take_while(|entry| {
            let length = serde_json::to_string(entry).map_or(usize::MAX, |json| json.len().saturating_add(1));
            let left = room.checked_sub(length);
            room = left.unwrap_or(0);
            left.is_some()
        })
        .collect()
}

fn attenuate(limit: &Limit, grant: ScopeGrant) -> ScopeGrant {
    if grant.name == ScopeGrant::CATALOG && limit.grants().is_none() {
        return grant;
    }
    let allowed: ActionSet = grant
        .granted
        .iter()
        .filter(|action| limit.verdict(&grant.name, *action) == ScopeVerdict::Granted)
        .collect();
    ScopeGrant {
        denied: grant.denied.union(grant.granted.difference(allowed)),
        granted: allowed,
        name: grant.name,
    }
}

#[cfg(test)]
mod tests;
