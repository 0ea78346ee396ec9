//! Access tokens of a provider as bearer tokens.

use std::sync::Arc;
use std::time::Duration;

use clock::Timestamp;
use db::params;

use super::foreign_token::{Audience, Expectation, ForeignTokenError, Keys, Peeked, TokenUse, looks_foreign};
use super::settings::{AudienceClaim, ProviderAccessTokens};
use super::{Provider, admit};
use crate::bearer::Standing;
use crate::identity::{Credential, Source};
use crate::{Auth, BearerError, Identity, secret_token};

/// How long after it was issued an access token counts at the most, whatever it says itself.
const LONGEST_AGE: Duration = Duration::from_hours(24);

/// An access token that was verified.
pub(crate) struct VerifiedToken {
    issuer: String,
    subject: String,
    expires_at: Timestamp,
}

impl Auth {
    /// Who brings this access token of a provider. Somebody who has signed in here with the provider before: an
    /// access token says too little about people to make a user of. None when it is not a token of a provider whose
    /// access tokens count here, so that it may still be something else.
    pub(crate) async fn identify_provider_token(&self, token: &str) -> Result<Option<Identity>, BearerError> {
        let providers = &self.0.providers;
        if providers.list.iter().all(|provider| provider.settings.access_tokens.is_none())
            || !looks_foreign(token)
        {
            return Ok(None);
        }
        let now = self.0.clock.now();
        let cache_key = secret_token::hash(token);
        let remembered = providers.verified.get(&cache_key).filter(|verified| now < verified.expires_at);
        let verified = if let Some(verified) = remembered {
            verified
        } else {
            let Some(verified) = self.verify_provider_token(token).await? else { return Ok(None) };
            let verified = Arc::new(verified);
            providers.verified.insert(cache_key, Arc::clone(&verified));
            verified
        };
        let standing: Option<Standing> = self
            .0
            .db
            .opt(
                "SELECT users.id, users.username, users.system_admin, users.epoch, users.kind, NULL \
                 FROM identities JOIN users ON users.id = identities.user_id \
                 WHERE identities.issuer = $1 AND identities.subject = $2 AND users.disabled_at IS NULL",
                params![&verified.issuer, &verified.subject],
            )
            .await?;
        let standing = standing.ok_or(BearerError::Invalid)?;
        let source = Source { expires_at: Some(verified.expires_at), ..Source::default() };
        Ok(Some(standing.identity(Credential::ProviderToken, source)))
    }

    async fn verify_provider_token(&self, token: &str) -> Result<Option<VerifiedToken>, BearerError> {
        let providers = &self.0.providers;
        let Some(peeked) = Peeked::of(token) else { return Ok(None) };
        let found = providers.list.iter().find_map(|provider| {
            let accepted = provider.settings.access_tokens.as_ref()?;
            (peeked.issuer() == Some(provider.settings.issuer.as_str())).then_some((provider, accepted))
        });
        let Some((provider, accepted)) = found else { return Ok(None) };
        let settings = &provider.settings;
        let claims = match providers.issuers.verify(token, &expectation(provider, accepted)).await {
            Ok(claims) => claims,
            Err(ForeignTokenError::Expired) => return Err(BearerError::Expired),
            // The same issuer may sign the tokens of jobs.
            Err(ForeignTokenError::Audience) => return Ok(None),
            Err(error) => {
                tracing::info!(provider = settings.name, %error, "access token of the provider was refused");
                return Err(BearerError::Invalid);
            }
        };
        // Whoever left the groups that may come in is out with the next token that says so. A token that says
        // nothing about groups leaves it at what was said at the last sign-in.
        let allowed = &settings.allowed_groups;
        if !allowed.is_empty() && admit::at(&claims, &settings.groups_claim).is_some() {
            let groups = admit::groups(&claims, &settings.groups_claim);
            if !allowed.iter().any(|group| groups.contains(group)) {
                return Err(BearerError::Invalid);
            }
        }
        Ok(Some(VerifiedToken {
            issuer: settings.issuer.clone(),
            subject: claims.text("sub").unwrap_or_default().to_owned(),
            expires_at: claims.expires_at(),
        }))
    }
}

fn expectation<'a>(provider: &'a Provider, accepted: &'a ProviderAccessTokens) -> Expectation<'a> {
    let audience = accepted.audience.as_deref().unwrap_or(&provider.settings.client_id);
    Expectation {
        issuer: &provider.settings.issuer,
        keys: Keys::Fetched,
        audience: match accepted.audience_claim {
            AudienceClaim::Aud => Audience::Claim(audience),
            AudienceClaim::ClientId => Audience::ClientId(audience),
        },
        token_use: TokenUse::Access,
        required_claims: Some(&accepted.required_claims),
        nonce: None,
        access_token: None,
        longest_age: LONGEST_AGE,
    }
}

#[cfg(test)]
mod tests;
