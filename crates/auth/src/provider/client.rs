//! What we ask of a provider as its client (RFC 6749, OpenID Connect Core 1.0).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::egress::{EgressError, Outgoing};
use super::foreign_token::{Audience, Claims, Expectation, Keys, TokenUse};
use super::issuer::Issuers;
use super::settings::ClientAuthentication;
use super::{Provider, ProviderError};

/// How old an ID token may be that a provider gave us just now.
const LONGEST_AGE: Duration = Duration::from_mins(10);

/// Where a provider's part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Authorization,
    Token,
    Userinfo,
    EndSession,
}

/// What a provider gives for a code or a password.
#[derive(Deserialize)]
pub(super) struct Tokens {
    #[serde(default)]
    pub(super) access_token: Option<SecretString>,
    #[serde(default)]
    pub(super) id_token: Option<SecretString>,
}

impl Provider {
    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Where a part of this provider is: as it was set, else as the provider says. None when it has no such part.
    pub(super) async fn endpoint(
        &self,
        issuers: &Issuers,
        endpoint: Endpoint,
    ) -> Result<Option<String>, EgressError> {
        let set = &self.settings.endpoints;
        let set = match endpoint {
            Endpoint::Authorization => &set.authorization,
            Endpoint::Token => &set.token,
            Endpoint::Userinfo => &set.userinfo,
            Endpoint::EndSession => &set.end_session,
        };
        if let Some(url) = set {
            return Ok(Some(url.clone()));
        }
        let document = issuers.document(&self.issuer).await?;
        let found = match endpoint {
            Endpoint::Authorization => &document.authorization_endpoint,
            Endpoint::Token => &document.token_endpoint,
            Endpoint::Userinfo => &document.userinfo_endpoint,
            Endpoint::EndSession => &document.end_session_endpoint,
        };
        Ok(found.clone())
    }

    /// Asks for tokens with a grant. The refusal of the grant is an error of its own: it is about the one who
    /// signs in and not about the provider.
    pub(super) async fn tokens(
        &self,
        issuers: &Issuers,
        grant: &[(&str, &str)],
    ) -> Result<Tokens, ProviderError> {
        let failed = |error: EgressError| ProviderError::failed(self.name(), "token endpoint", &error);
        let url = self.endpoint(issuers, Endpoint::Token).await.map_err(failed)?;
        let url =
            url.ok_or_else(|| failed(EgressError::Unusable("its discovery document has no token_endpoint")))?;
        let mut outgoing = Outgoing::get(&url);
        let mut pairs = grant.to_vec();
        let client_id = self.settings.client_id.as_str();
        match (&self.settings.client_secret, self.settings.client_authentication) {
            (Some(secret), ClientAuthentication::Basic) => {
                outgoing = outgoing.header("authorization", basic(client_id, secret));
            }
            (Some(secret), ClientAuthentication::Post) => {
                pairs.extend([("client_id", client_id), ("client_secret", secret.expose_secret())]);
            }
            (None, _) => pairs.push(("client_id", client_id)),
        }
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        outgoing.body = Some(("application/x-www-form-urlencoded", form.into_bytes()));
        let answer = issuers.egress.send(outgoing, &self.issuer.reach).await.map_err(failed)?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map_err(|_| failed(EgressError::Unusable("its tokens are not JSON"))),
            400 | 401 | 403 if is_about_grant(&answer.body) => Err(ProviderError::Refused),
            status => Err(failed(EgressError::Status(status))),
        }
    }

    /// What is to hold of an ID token that we were given.
    pub(super) fn expectation<'a>(
        &'a self,
        nonce: Option<&'a str>,
        access_token: Option<&'a str>,
    ) -> Expectation<'a> {
        Expectation {
            issuer: &self.settings.issuer,
            keys: Keys::Fetched,
            audience: Audience::Claim(&self.settings.client_id),
            token_use: TokenUse::Id,
            required_claims: Some(&self.settings.required_claims),
            nonce,
            access_token,
            longest_age: LONGEST_AGE,
        }
    }

    /// Whom these tokens are about, with what the provider tells beside the ID token when that says little.
    pub(super) async fn claims(
        &self,
        issuers: &Issuers,
        tokens: &Tokens,
        nonce: Option<&str>,
    ) -> Result<Claims, ProviderError> {
        let id_token = tokens.id_token.as_ref().ok_or_else(|| {
            let missing = EgressError::Unusable("it gave no id_token, check that openid is among the scopes");
            ProviderError::failed(self.name(), "token endpoint", &missing)
        })?;
        let access_token = tokens.access_token.as_ref().map(ExposeSecret::expose_secret);
        let expectation = self.expectation(nonce, access_token);
        let mut claims = issuers
            .verify(id_token.expose_secret(), &expectation)
            .await
            .map_err(|error| ProviderError::token(self.name(), &error))?;
        let is_terse = claims.text("email").is_none()
            || super::admit::at(&claims, &self.settings.groups_claim).is_none();
        if let (true, Some(access_token)) = (is_terse, access_token) {
            let failed = |error: EgressError| ProviderError::failed(self.name(), "userinfo endpoint", &error);
            if let Some(url) = self.endpoint(issuers, Endpoint::Userinfo).await.map_err(failed)? {
                let outgoing = Outgoing::get(&url).bearer(access_token);
                let body = issuers.egress.fetch(outgoing, &self.issuer.reach).await.map_err(failed)?;
                let more: Map<String, Value> = serde_json::from_slice(&body)
                    .map_err(|_| failed(EgressError::Unusable("its answer is not JSON")))?;
                // It may be about somebody else (OpenID Connect Core 1.0 §5.3.2).
                if more.get("sub").and_then(Value::as_str) != claims.text("sub") {
                    return Err(failed(EgressError::Unusable("its answer is about somebody else")));
                }
                for (name, value) in more {
                    // What is signed counts more.
                    claims.0.entry(name).or_insert(value);
                }
            }
        }
        Ok(claims)
    }
}

/// RFC 6749 §2.3.1: both parts are encoded as in a form first.
fn basic(client_id: &str, secret: &SecretString) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = format!("{}:{}", encode(client_id), encode(secret.expose_secret()));
    format!("Basic {}", STANDARD.encode(both))
}

/// Whether an error (RFC 6749 §5.2) tells that the code or the password is not good, rather than that we are not
/// the client that we should be.
fn is_about_grant(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    serde_json::from_slice::<Refusal>(body)
        .is_ok_and(|refusal| matches!(refusal.error.as_str(), "invalid_grant" | "access_denied"))
}
