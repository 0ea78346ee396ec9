//! Signing in with a provider: the authorization code flow (OpenID Connect Core 1.0 §3.1) with PKCE (RFC 7636).
//!
//! What has to be remembered while somebody is away lies sealed in the browser that went: nobody else can bring the
//! answer back, nobody can read or forge it, and strangers cannot fill a table with sign-ins that they never end.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::admit::Linking;
use super::client::Endpoint;
use super::egress::EgressError;
use super::{Provider, ProviderError};
use crate::seal::Purpose;
use crate::{AccountError, Auth, BrowserInfo, random, secret_token, sessions};

/// How long somebody may be away.
const LONGEST_ABSENCE: Duration = Duration::from_mins(10);
/// Bytes of what a provider sends back, at the most.
const LONGEST_CODE: usize = 4096;

/// A provider as the sign-in page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderView {
    /// Name in paths.
    pub name: String,
    /// Name to be shown.
    pub label: String,
}

/// A sign-in that was begun.
pub struct Started {
    /// Where to send the browser.
    pub url: String,
    /// What the browser keeps until it comes back: letters, digits, `-` and `_`.
    pub sealed_state: SecretString,
}

impl fmt::Debug for Started {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address has the state and the nonce in it.
        formatter.debug_struct("Started").finish_non_exhaustive()
    }
}

/// What a browser brings back from a provider (RFC 6749 §4.1.2).
#[derive(Clone, Default)]
pub struct Callback {
    /// Parameter `state`.
    pub state: Option<String>,
    /// Parameter `code`.
    pub code: Option<String>,
    /// Parameter `error`.
    pub error: Option<String>,
    /// Parameter `iss` (RFC 9207).
    pub issuer: Option<String>,
    /// The session that the browser has, if it has one: an account is linked only to the one who asked for it.
    pub present_session: Option<SecretString>,
}

impl fmt::Debug for Callback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Callback").field("error", &self.error).finish_non_exhaustive()
    }
}

/// A sign-in that was completed.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Internal key of the user.
    pub user_id: i64,
    /// Name of the user.
    pub username: String,
    /// Value for the session cookie: that of a new session or, when an account was linked, the new one of the
    /// session that asked for it.
    pub session: SecretString,
    /// Where the browser wanted to go.
    pub return_to: String,
    /// Whether the user was made just now.
    pub is_new: bool,
}

/// What is sealed into the browser.
#[derive(Serialize, Deserialize)]
struct Away {
    state: String,
    nonce: String,
    verifier: String,
    redirect_uri: String,
    return_to: String,
    link_user: Option<i64>,
    /// Seconds since the Unix epoch.
    until: i64,
}

impl Auth {
    /// The providers that people can sign in with, in the order of the configuration.
    pub fn providers(&self) -> Vec<ProviderView> {
        let view = |provider: &Provider| ProviderView {
            name: provider.settings.name.clone(),
            label: provider.settings.label.clone(),
        };
        self.0.providers.list.iter().map(view).collect()
    }

    /// Begins a sign-in with a provider. The browser comes back to `redirect_uri`, which the provider has to know,
    /// and goes on to `return_to`, which the caller has checked. With `link_user` the account is linked to that
    /// user, who is signed in.
    pub async fn provider_start(
        &self,
        name: &str,
        return_to: &str,
        link_user: Option<i64>,
        redirect_uri: &str,
    ) -> Result<Started, ProviderError> {
        let provider = self.0.providers.find(name).ok_or(ProviderError::Unknown)?;
        let failed = |error: EgressError| ProviderError::failed(name, "authorization endpoint", &error);
        let endpoint = provider
            .endpoint(&self.0.providers.issuers, Endpoint::Authorization)
            .await
            .map_err(failed)?
            .and_then(|endpoint| Url::parse(&endpoint).ok())
            .filter(|url| url.scheme() == "https" || provider.issuer.reach.contains(url.as_str()));
        let mut url = endpoint.ok_or_else(|| {
            failed(EgressError::Unusable(
                "its authorization_endpoint is not an address that begins with https://",
            ))
        })?;
        let away = Away {
            state: secret(),
            nonce: secret(),
            verifier: secret(),
            redirect_uri: redirect_uri.to_owned(),
            return_to: return_to.to_owned(),
            link_user,
            until: (self.0.clock.now() + LONGEST_ABSENCE).as_secs(),
        };
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &provider.settings.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &provider.settings.scopes.join(" "))
            .append_pair("state", &away.state)
            .append_pair("nonce", &away.nonce)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(&away.verifier)))
            .append_pair("code_challenge_method", "S256");
        let plain = serde_json::to_vec(&away).expect("plain text and numbers have a JSON form");
        let sealed = self.0.sealer.seal(Purpose::SignInState, name, &plain);
        Ok(Started { url: url.into(), sealed_state: URL_SAFE_NO_PAD.encode(sealed).into() })
    }

    /// Completes a sign-in with what the browser kept and what it brings back. The first sign-in of somebody makes a
    /// user.
    pub async fn provider_finish(
        &self,
        name: &str,
        sealed_state: &SecretString,
        callback: &Callback,
        browser: BrowserInfo,
    ) -> Result<Finished, ProviderError> {
        let provider = self.0.providers.find(name).ok_or(ProviderError::Unknown)?;
        let away = self.open_away(name, sealed_state).ok_or(ProviderError::State)?;
        let state = callback.state.as_deref().unwrap_or_default();
        if !is_same(state, &away.state) {
            return Err(ProviderError::State);
        }
        let linking = match away.link_user {
            Some(user_id) => Some(self.linking(user_id, callback).await?),
            None => None,
        };
        self.check_sender(provider, callback).await?;
        if let Some(error) = &callback.error {
            let error: String = error.chars().take(64).collect();
            tracing::info!(provider = name, ?error, "identity provider sent somebody back without a code");
            return Err(ProviderError::Refused);
        }
        let code = callback.code.as_deref().unwrap_or_default();
        if !(1..=LONGEST_CODE).contains(&code.len()) {
            return Err(ProviderError::State);
        }
        let issuers = &self.0.providers.issuers;
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &away.redirect_uri),
            ("code_verifier", &away.verifier),
        ];
        let tokens = provider.tokens(issuers, &grant).await?;
        let claims = provider.claims(issuers, &tokens, Some(&away.nonce)).await?;
        let admitted = self.admit(provider, &claims, linking.as_ref().map(|(linking, _)| *linking)).await?;
        let session = if let Some((_, secret)) = linking {
            secret
        } else {
            let opened = self.session_open(admitted.user_id, Some(name), browser).await;
            let (secret, _) = opened.map_err(|error| match error {
                AccountError::Unavailable(error) => ProviderError::Unavailable(error),
                // Disabled in this very moment.
                _ => ProviderError::NotAllowed,
            })?;
            secret
        };
        Ok(Finished {
            user_id: admitted.user_id,
            username: admitted.username,
            session,
            return_to: away.return_to,
            is_new: admitted.is_new,
        })
    }

    /// What linking takes, and the new value of the cookie. The browser is signed in still, as the one who asked.
    async fn linking(
        &self,
        user_id: i64,
        callback: &Callback,
    ) -> Result<(Linking, SecretString), ProviderError> {
        let cookie = callback.present_session.as_ref().map_or("", |cookie| cookie.expose_secret());
        let held = self.session_held(cookie).await?;
        let held = held.filter(|held| !held.is_partial && held.user.id == user_id);
        let session_id = held.ok_or(ProviderError::State)?.id;
        let secret = sessions::generate();
        let secret_hash = secret_token::hash(secret.expose_secret());
        Ok((Linking { user_id, session_id, secret_hash }, secret))
    }

    fn open_away(&self, name: &str, sealed_state: &SecretString) -> Option<Away> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed_state.expose_secret()).ok()?;
        // Sealed for this provider: what was begun with one is not completed with another (RFC 9700 §4.4).
        let plain = self.0.sealer.open(Purpose::SignInState, name, &sealed)?;
        let away: Away = serde_json::from_slice(&plain).ok()?;
        (self.0.clock.now() < Timestamp::from_millis(away.until.saturating_mul(1000))).then_some(away)
    }

    /// Whether the answer is from this provider, if it says from whom it is (RFC 9207 §2.4).
    async fn check_sender(&self, provider: &Provider, callback: &Callback) -> Result<(), ProviderError> {
        match &callback.issuer {
            Some(issuer) if *issuer == provider.settings.issuer => Ok(()),
            Some(_) => Err(ProviderError::State),
            // With every endpoint set by hand there may be no document, and nothing that it promises.
            None if provider.settings.endpoints.token.is_some() => Ok(()),
            None => {
                let document = self.0.providers.issuers.document(&provider.issuer).await;
                let document = document
                    .map_err(|error| ProviderError::failed(provider.name(), "discovery document", &error))?;
                if document.names_itself { Err(ProviderError::State) } else { Ok(()) }
            }
        }
    }
}

/// 256 bits that nobody guesses, in the letters that a code verifier may have (RFC 7636 §4.1).
fn secret() -> String {
    URL_SAFE_NO_PAD.encode(random::bytes::<32>())
}

/// Compares two texts in a time that tells nothing about where they differ.
fn is_same(left: &str, right: &str) -> bool {
    Sha256::digest(left) == Sha256::digest(right)
}

#[cfg(test)]
mod tests;
