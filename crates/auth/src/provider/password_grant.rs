//! Passwords of a provider, for clients that have no browser. Off unless a provider's settings turn it on.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::admit::Admitted;
use super::client::Tokens;
use super::egress::{EgressError, Outgoing};
use super::settings::PasswordGrant;
use super::{Provider, ProviderError};
use crate::{Auth, Unavailable};

/// How long all providers together may take: a password is checked while a client waits.
const LONGEST: Duration = Duration::from_secs(10);

/// The answer of `InitiateAuth`; without a result the provider wants something more than a password.
#[derive(Deserialize)]
struct Initiated {
    #[serde(rename = "AuthenticationResult")]
    result: Option<InitiatedTokens>,
}

#[derive(Deserialize)]
struct InitiatedTokens {
    #[serde(rename = "IdToken")]
    id_token: Option<SecretString>,
}

impl Auth {
    /// Whether any provider checks passwords for clients without a browser.
    pub fn has_password_grant(&self) -> bool {
        self.0.providers.list.iter().any(|provider| provider.settings.password_grant != PasswordGrant::Off)
    }

    /// The user, with its epoch, whom one of the providers with a password grant knows by this name and password. The
    /// first sign-in of somebody makes a user. None for every other outcome: a wrong password, nobody of that name,
    /// a second factor that is asked for, a disabled user, a provider that is away.
    ///
    /// It neither slows anybody down nor remembers anything: the check of passwords that calls it does both.
    pub(crate) async fn identify_provider_password(
        &self,
        username: &str,
        secret: &SecretString,
    ) -> Result<Option<(i64, i64)>, Unavailable> {
        let ask = async {
            for provider in &self.0.providers.list {
                match self.provider_password(provider, username, secret).await {
                    Ok(Some(admitted)) => return Ok(Some((admitted.user_id, admitted.epoch))),
                    Err(ProviderError::Unavailable(error)) => return Err(error),
                    // Why is in the log, as far as it is the provider's fault.
                    Ok(None) | Err(_) => {}
                }
            }
            Ok(None)
        };
        tokio::time::timeout(LONGEST, ask).await.unwrap_or(Ok(None))
    }

    async fn provider_password(
        &self,
        provider: &Provider,
        username: &str,
        secret: &SecretString,
    ) -> Result<Option<Admitted>, ProviderError> {
        let issuers = &self.0.providers.issuers;
        let settings = &provider.settings;
        let claims = match &settings.password_grant {
            PasswordGrant::Off => return Ok(None),
            PasswordGrant::OAuth2 => {
                let scope = settings.scopes.join(" ");
                let grant = [
                    ("grant_type", "password"),
                    ("username", username),
                    ("password", secret.expose_secret()),
                    ("scope", &scope),
                ];
                let tokens = provider.tokens(issuers, &grant).await?;
                provider.claims(issuers, &tokens, None).await?
            }
            PasswordGrant::Cognito { endpoint } => {
                let id_token = self.initiate_auth(provider, endpoint.as_deref(), username, secret).await?;
                // Its access token opens Cognito's own interface and nothing else, so there is no more to ask.
                let tokens = Tokens { access_token: None, id_token };
                provider.claims(issuers, &tokens, None).await?
            }
        };
        self.admit(provider, &claims, None).await.map(Some)
    }

    async fn initiate_auth(
        &self,
        provider: &Provider,
        endpoint: Option<&str>,
        username: &str,
        secret: &SecretString,
    ) -> Result<Option<SecretString>, ProviderError> {
        let settings = &provider.settings;
        let failed = |error: EgressError| ProviderError::failed(provider.name(), "password endpoint", &error);
        let url = if let Some(endpoint) = endpoint {
            endpoint.to_owned()
        } else {
            let issuer = url::Url::parse(&settings.issuer)
                .map_err(|_| failed(EgressError::Unusable("its issuer is not an address")))?;
            format!("{}/", issuer.origin().ascii_serialization())
        };
        let mut parameters = json!({ "USERNAME": username, "PASSWORD": secret.expose_secret() });
        if let Some(client_secret) = &settings.client_secret {
            parameters["SECRET_HASH"] = secret_hash(username, &settings.client_id, client_secret).into();
        }
        let request = json!({
            "AuthFlow": "USER_PASSWORD_AUTH",
            "ClientId": settings.client_id,
            "AuthParameters": parameters,
        });
        let mut outgoing = Outgoing::get(&url)
            .header("x-amz-target", "AWSCognitoIdentityProviderService.InitiateAuth".to_owned());
        outgoing.body = Some(("application/x-amz-json-1.1", request.to_string().into_bytes()));
        let issuers = &self.0.providers.issuers;
        let answer = issuers.egress.send(outgoing, &provider.issuer.reach).await.map_err(failed)?;
        match answer.status {
            200 => {}
            // Wrong, unknown, disabled, to be reset: all the same to whoever asks.
            400 => return Err(ProviderError::Refused),
            status => return Err(failed(EgressError::Status(status))),
        }
        let initiated: Initiated = serde_json::from_slice(&answer.body)
            .map_err(|_| failed(EgressError::Unusable("its answer to InitiateAuth is not one")))?;
        let result = initiated.result.ok_or_else(|| {
            tracing::info!(provider = provider.name(), "the provider asks for more than a password");
            ProviderError::Refused
        })?;
        Ok(result.id_token)
    }
}

/// What proves the client's secret to Cognito: HMAC-SHA256 of user name and client.
fn secret_hash(username: &str, client_id: &str, client_secret: &SecretString) -> String {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA256, client_secret.expose_secret().as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{username}{client_id}").as_bytes()))
}

#[cfg(test)]
mod tests;
