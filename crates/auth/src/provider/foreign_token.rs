//! Verification of tokens that somebody else signed: JSON Web Tokens (RFC 7519) as OpenID Connect and the platforms
//! of build jobs use them, with what RFC 8725 advises.
//!
//! Everything that can be told from the token alone is checked before anything is fetched, so no token makes us
//! ask an issuer unless it is meant for us and its time has come. Of the header only the algorithm, held against a
//! list, and the name of a key in the issuer's own set count: keys and addresses of keys that a token brings along
//! are not looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::egress::EgressError;
use super::issuer::Issuers;
use super::keys::{KeySet, LONGEST_NAME};
use super::settings::SigningAlgorithm;

/// Bytes of a token at the most.
pub(crate) const LONGEST: usize = 16 * 1024;
/// How far two clocks may be apart, in seconds.
const LEEWAY_SECS: i64 = 60;
/// Bytes of a subject at the most (OpenID Connect Core 1.0 §2).
const LONGEST_SUBJECT: usize = 255;
/// How long after it was issued a job's token counts at the most, whatever it says itself.
const LONGEST_JOB: Duration = Duration::from_hours(24);

/// What a token has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation<'a> {
    /// Who has to have issued it.
    pub(crate) issuer: &'a str,
    /// Where the issuer's keys come from.
    pub(crate) keys: Keys<'a>,
    /// Whom it has to be for.
    pub(crate) audience: Audience<'a>,
    /// What it has to be for.
    pub(crate) token_use: TokenUse,
    /// Further claims with the values that they have to have.
    pub(crate) required_claims: Option<&'a BTreeMap<String, String>>,
    /// The nonce that was sent along, if one was.
    pub(crate) nonce: Option<&'a str>,
    /// The access token that came with it, if one did: an ID token that has a hash of one has to have its hash.
    pub(crate) access_token: Option<&'a str>,
    /// How long ago it may have been issued.
    pub(crate) longest_age: Duration,
}

impl<'a> Expectation<'a> {
    /// Of the token of a job: from this issuer, and for this audience alone.
    pub(crate) fn of_job(issuer: &'a str, audience: &'a str) -> Self {
        Self {
            issuer,
            keys: Keys::Fetched,
            audience: Audience::Claim(audience),
            token_use: TokenUse::Job,
            required_claims: None,
            nonce: None,
            access_token: None,
            longest_age: LONGEST_JOB,
        }
    }
}

/// Where an issuer's keys come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keys<'a> {
    /// From the issuer.
    Fetched,
    /// From this key set (RFC 7517 §5), for issuers that cannot be reached.
    Given(&'a str),
}

/// Whom a token has to be for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Audience<'a> {
    /// Named by `aud`.
    Claim(&'a str),
    /// Named by `client_id`, in a token that has no other audience.
    ClientId(&'a str),
}

/// What a token is for. One kind does not count in the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenUse {
    /// Tells a client who signed in.
    Id,
    /// Opens an interface.
    Access,
    /// Tells who a job is.
    Job,
}

/// Why a token of somebody else does not count. Never told to the one who brought it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForeignTokenError {
    /// Not a signed token.
    #[error("this is not a signed JSON web token")]
    Malformed,
    /// Signed with something that does not count here.
    #[error("the signature algorithm is not one of those that this issuer may use")]
    Algorithm,
    /// A kind of token that does not count here.
    #[error("this kind of token does not count here")]
    Kind,
    /// Another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// Another audience, or none.
    #[error("the token is for another audience, ask for one with exactly the expected audience")]
    Audience,
    /// More than one audience.
    #[error("the token has several audiences, ask for one with exactly the expected audience")]
    SeveralAudiences,
    /// Made for another client.
    #[error("the token was made for another client")]
    AuthorizedParty,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet, check the clocks of both machines")]
    NotYetValid,
    /// It was issued too long ago.
    #[error("the token was issued too long ago")]
    TooOld,
    /// A claim that has to be there is not, or is not of its type.
    #[error("the claim {0:?} is missing or not of its type")]
    Missing(&'static str),
    /// A claim has another value.
    #[error("the claim {0:?} does not have the required value")]
    Claim(String),
    /// Made for another sign-in.
    #[error("the token was made for another sign-in")]
    Nonce,
    /// The issuer has no key of this name for this algorithm.
    #[error("the issuer has no key with the name that the token gives")]
    Key,
    /// Not signed by the issuer, or changed since.
    #[error("the signature is not the issuer's")]
    Signature,
    /// The issuer could not be asked for its keys.
    #[error("the keys of the issuer could not be fetched: {0}")]
    Unavailable(EgressError),
}

/// What a token says.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Claims(pub(crate) Map<String, Value>);

impl Claims {
    /// A claim that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// When the token ends. Only for claims that were verified, which always have it.
    pub(crate) fn expires_at(&self) -> Timestamp {
        Timestamp::from_millis(self.secs("exp").unwrap_or_default().saturating_mul(1000))
    }

    /// A moment in seconds since the Unix epoch (RFC 7519 §2, "`NumericDate`").
    fn secs(&self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        value.as_i64().or_else(|| {
            // Fractions are allowed. The year 9999 is far enough.
            let secs = value.as_f64().filter(|secs| (0.0..253_402_300_800.0).contains(secs))?;
            #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
            let whole = secs as i64;
            Some(whole)
        })
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // They are about people.
        formatter.debug_struct("Claims").field("iss", &self.text("iss")).finish_non_exhaustive()
    }
}

/// What a token says, without any check: to find out who might trust it.
#[derive(Clone, Debug)]
pub(crate) struct Peeked {
    pub(crate) claims: Claims,
}

impl Peeked {
    /// Reads a token; none when it is not a signed JSON web token.
    pub(crate) fn of(token: &str) -> Option<Self> {
        Parts::of(token).map(|parts| Self { claims: parts.claims })
    }

    /// Who the token says has issued it.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.claims.text("iss")
    }
}

/// Whether this has the form of a JSON web token, good or bad. What has it is never tried as a password.
pub(crate) fn looks_foreign(text: &str) -> bool {
    let parts: Vec<_> = text.split('.').collect();
    let [header, claims, signature] = parts[..] else { return false };
    let is_base64 = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='))
    };
    is_base64(claims)
        && is_base64(signature)
        && json(header.trim_end_matches('=')).is_some_and(|header| header.contains_key("alg"))
}

/// Whether this is a key set with at least one usable key.
pub(crate) fn check_jwks(text: &str) -> Result<(), &'static str> {
    match KeySet::parse(text.as_bytes()) {
        None => Err("expected a JSON web key set, an object with \"keys\""),
        Some(keys) if keys.is_empty() => Err(
            "expected at least one public RSA (2048 bits or more), P-256, P-384 or Ed25519 key with a \"kid\"",
        ),
        Some(_) => Ok(()),
    }
}

fn json(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// A token in its parts.
struct Parts<'t> {
    header: Map<String, Value>,
    claims: Claims,
    /// What is signed.
    message: &'t str,
    signature: &'t str,
}

impl<'t> Parts<'t> {
    fn of(token: &'t str) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        Some(Self { header: json(header)?, claims: Claims(json(claims)?), message, signature })
    }

    fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }
}

impl Issuers {
    /// Checks everything about a token, and returns what it says.
    pub(crate) async fn verify(
        &self,
        token: &str,
        expected: &Expectation<'_>,
    ) -> Result<Claims, ForeignTokenError> {
        let parts = Parts::of(token).ok_or(ForeignTokenError::Malformed)?;
        let issuer = self.get(expected.issuer);
        let algorithm = parts
            .header_text("alg")
            .and_then(|name| name.parse::<SigningAlgorithm>().ok())
            .filter(|algorithm| issuer.algorithms.contains(algorithm))
            .ok_or(ForeignTokenError::Algorithm)?;
        // Extensions that must be understood (RFC 7515 §4.1.11): there are none here.
        if parts.header.contains_key("crit") {
            return Err(ForeignTokenError::Kind);
        }
        let key_name = parts
            .header_text("kid")
            .filter(|name| (1..=LONGEST_NAME).contains(&name.len()))
            .ok_or(ForeignTokenError::Key)?;
        check_kind(&parts, expected.token_use)?;
        check_claims(&parts.claims, expected, self.clock.now().as_secs())?;
        check_access_token_hash(&parts.claims, expected, algorithm)?;
        let verifies = |keys: &KeySet| {
            let key = keys.find(key_name, algorithm).ok_or(ForeignTokenError::Key)?;
            let is_signed = key.verifies(parts.message, parts.signature, algorithm);
            if is_signed { Ok(()) } else { Err(ForeignTokenError::Signature) }
        };
        match expected.keys {
            Keys::Given(keys) => {
                verifies(&KeySet::parse(keys.as_bytes()).ok_or(ForeignTokenError::Key)?)?;
            }
            Keys::Fetched => {
                let keys = self.keys(&issuer, key_name).await;
                verifies(&*keys.map_err(ForeignTokenError::Unavailable)?)?;
            }
        }
        Ok(parts.claims)
    }
}

/// Whether the token is of the kind that is expected, as far as it says (RFC 8725 §3.11).
fn check_kind(parts: &Parts<'_>, token_use: TokenUse) -> Result<(), ForeignTokenError> {
    let kind = match parts.header.get("typ") {
        None => String::new(),
        Some(Value::String(kind)) => kind.to_ascii_lowercase(),
        Some(_) => return Err(ForeignTokenError::Kind),
    };
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    let claims = &parts.claims;
    let is_expected = match token_use {
        TokenUse::Id | TokenUse::Job => matches!(kind, "" | "jwt"),
        // Who knows only plain tokens marks them by what an ID token does not have (RFC 9068 §2.2).
        TokenUse::Access => {
            let is_marked = kind == "at+jwt";
            let is_like_one = ["client_id", "scope", "scp"].iter().any(|name| claims.has(name));
            let is_id_token =
                claims.has("at_hash") || claims.has("c_hash") || claims.text("typ") == Some("ID");
            (is_marked || matches!(kind, "" | "jwt") && is_like_one) && !is_id_token
        }
    };
    if is_expected { Ok(()) } else { Err(ForeignTokenError::Kind) }
}

fn check_claims(claims: &Claims, expected: &Expectation<'_>, now: i64) -> Result<(), ForeignTokenError> {
    if claims.text("iss") != Some(expected.issuer) {
        return Err(ForeignTokenError::Issuer);
    }
    check_audience(claims, expected)?;
    let expires_at = claims.secs("exp").ok_or(ForeignTokenError::Missing("exp"))?;
    if now >= expires_at.saturating_add(LEEWAY_SECS) {
        return Err(ForeignTokenError::Expired);
    }
    let issued_at = claims.secs("iat").ok_or(ForeignTokenError::Missing("iat"))?;
    let not_before = match claims.secs("nbf") {
        None if claims.has("nbf") => return Err(ForeignTokenError::Missing("nbf")),
        not_before => not_before.unwrap_or(issued_at),
    };
    if issued_at.max(not_before) > now.saturating_add(LEEWAY_SECS) {
        return Err(ForeignTokenError::NotYetValid);
    }
    let longest_age = i64::try_from(expected.longest_age.as_secs()).unwrap_or(i64::MAX);
    if now.saturating_sub(issued_at) > longest_age.saturating_add(LEEWAY_SECS) {
        return Err(ForeignTokenError::TooOld);
    }
    if expected.token_use != TokenUse::Job {
        let subject = claims.text("sub").unwrap_or_default();
        if !(1..=LONGEST_SUBJECT).contains(&subject.len()) {
            return Err(ForeignTokenError::Missing("sub"));
        }
    }
    for (name, value) in expected.required_claims.into_iter().flatten() {
        let has_value = match claims.0.get(name) {
            Some(Value::String(text)) => text == value,
            Some(Value::Bool(truth)) => value == if *truth { "true" } else { "false" },
            Some(Value::Number(number)) => number.to_string() == *value,
            _ => false,
        };
        if !has_value {
            return Err(ForeignTokenError::Claim(name.clone()));
        }
    }
    if expected.nonce.is_some_and(|nonce| claims.text("nonce") != Some(nonce)) {
        return Err(ForeignTokenError::Nonce);
    }
    Ok(())
}

fn check_audience(claims: &Claims, expected: &Expectation<'_>) -> Result<(), ForeignTokenError> {
    let audiences: Vec<&str> = match claims.0.get("aud") {
        None => Vec::new(),
        Some(Value::String(audience)) => vec![audience],
        Some(Value::Array(audiences)) => {
            let texts: Option<Vec<_>> = audiences.iter().map(Value::as_str).collect();
            texts.ok_or(ForeignTokenError::Audience)?
        }
        Some(_) => return Err(ForeignTokenError::Audience),
    };
    match expected.audience {
        Audience::ClientId(client) => {
            let is_for_us = claims.text("client_id") == Some(client);
            let is_for_others = audiences.iter().any(|audience| *audience != client);
            if is_for_us && !is_for_others { Ok(()) } else { Err(ForeignTokenError::Audience) }
        }
        Audience::Claim(audience) => {
            if !audiences.contains(&audience) {
                return Err(ForeignTokenError::Audience);
            }
            let is_alone = audiences.len() == 1;
            match expected.token_use {
                // One for several clients has to say which of them asked (OpenID Connect Core 1.0 §3.1.3.7).
                TokenUse::Id => match claims.text("azp") {
                    Some(party) if party == audience => Ok(()),
                    None if is_alone && !claims.has("azp") => Ok(()),
                    _ => Err(ForeignTokenError::AuthorizedParty),
                },
                TokenUse::Access | TokenUse::Job if is_alone => Ok(()),
                TokenUse::Access | TokenUse::Job => Err(ForeignTokenError::SeveralAudiences),
            }
        }
    }
}

/// Whether the ID token came with this access token, if it says with which (OpenID Connect Core 1.0 §3.1.3.6).
fn check_access_token_hash(
    claims: &Claims,
    expected: &Expectation<'_>,
    algorithm: SigningAlgorithm,
) -> Result<(), ForeignTokenError> {
    use SigningAlgorithm as A;
    let (TokenUse::Id, Some(stated), Some(token)) =
        (expected.token_use, claims.0.get("at_hash"), expected.access_token)
    else {
        return Ok(());
    };
    let hash = match algorithm {
        A::Rs256 | A::Ps256 | A::Es256 => Sha256::digest(token).to_vec(),
        A::Rs384 | A::Ps384 | A::Es384 => Sha384::digest(token).to_vec(),
        A::Rs512 | A::Ps512 | A::EdDsa => Sha512::digest(token).to_vec(),
    };
    let half = URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2]);
    if stated.as_str() == Some(&half) { Ok(()) } else { Err(ForeignTokenError::Claim("at_hash".to_owned())) }
}

#[cfg(test)]
mod tests;
