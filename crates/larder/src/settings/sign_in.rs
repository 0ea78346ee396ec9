//! Sign-in: `[auth]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::MailSettings;
use super::duration::Text;
use super::provider::ProviderSettings;
use super::secret::{mask, mask_all};
use crate::sealing;

/// Sign-in.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthSettings {
    /// Life of the access tokens that clients fetch for each push and pull.
    access_token_ttl: Text,
    /// Life of the tokens that a client may keep in place of a password.
    refresh_token_ttl: Text,
    /// Who may make an account: "closed" for nobody, "invited" for whoever brings an invitation, "open" for
    /// everybody. Administrators always may, and so may people from the providers below.
    sign_up: SignUp,
    /// The domains of the addresses that may sign up when that is open; empty for all. The address is then
    /// confirmed by mail first.
    sign_up_domains: Vec<String>,
    /// Whether somebody who signs in with a provider for the first time gets an organization to begin with.
    pub(super) starting_organization: bool,
    /// A browser that was not used for so long has to sign in again.
    session_idle: Text,
    /// A browser has to sign in again after so long in any case.
    session_lifetime: Text,
    /// The key that seals what is stored and must be read again, from `larder config new-key`; empty for the file
    /// `sealing.key` beside the embedded database.
    #[serde(serialize_with = "mask")]
    sealing_key: SecretString,
    /// Earlier sealing keys. They still open what they have sealed.
    #[serde(serialize_with = "mask_all")]
    sealing_keys_before: Vec<SecretString>,
    /// Issuers inside the own network that are asked for their keys although their address is private or without
    /// TLS: `http://keycloak.internal:8080`. All others have to be public, and https.
    internal_issuers: Vec<String>,
    /// How often the keys of an issuer are asked for again because a token names one that is not known.
    issuer_refresh_interval: Text,
    /// Identity providers, each under the name that its URLs have.
    providers: BTreeMap<String, ProviderSettings>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum SignUp {
    Closed,
    Invited,
    Open,
}

impl Default for AuthSettings {
    fn default() -> Self {
        let auth = auth::Settings::default();
        Self {
            access_token_ttl: auth.access_token_ttl.into(),
            refresh_token_ttl: auth.refresh_token_ttl.into(),
            sign_up: SignUp::Invited,
            sign_up_domains: Vec::new(),
            starting_organization: false,
            session_idle: auth.sessions.idle.into(),
            session_lifetime: auth.sessions.longest.into(),
            sealing_key: SecretString::from(""),
            sealing_keys_before: Vec::new(),
            internal_issuers: Vec::new(),
            issuer_refresh_interval: auth.issuer_refresh_interval.into(),
            providers: BTreeMap::new(),
        }
    }
}

impl AuthSettings {
    /// Whether the key is configured rather than in a file.
    pub(super) fn has_sealing_key(&self) -> bool {
        !self.sealing_key.expose_secret().is_empty()
    }

    pub(super) fn check(&self, public_url: &str, mail: &MailSettings) -> anyhow::Result<()> {
        // Clients of the Docker lineage take anything shorter for a minute.
        anyhow::ensure!(
            self.access_token_ttl.duration() >= Duration::from_mins(1),
            "auth.access_token_ttl has to be at least 60s"
        );
        anyhow::ensure!(
            self.session_idle.duration() >= Duration::from_mins(1),
            "auth.session_idle has to be at least 60s"
        );
        anyhow::ensure!(
            self.session_lifetime.duration() >= self.session_idle.duration(),
            "auth.session_lifetime = {:?} is shorter than auth.session_idle = {:?}; make it at least as long",
            self.session_lifetime.to_string(),
            self.session_idle.to_string()
        );
        self.check_sign_up(mail)?;
        self.check_keys()?;
        for origin in &self.internal_issuers {
            check_origin(origin)?;
        }
        anyhow::ensure!(
            self.providers.is_empty() || !public_url.is_empty(),
            "auth.providers is set and server.public_url is not; providers send people back to {{public_url}}/api/v1/auth/providers/{{name}}/callback, and have to know that URL beforehand"
        );
        for (name, provider) in &self.providers {
            check_name(name)?;
            provider.check(name, &self.internal_issuers)?;
            // People are recognized by issuer and subject, whichever of the two they came through.
            let same =
                self.providers.iter().find(|(other, settings)| *other < name && provider.is_same(settings));
            if let Some((other, _)) = same {
                anyhow::bail!(
                    "auth.providers.{other} and auth.providers.{name} have the same issuer; one provider has one section"
                );
            }
        }
        Ok(())
    }

    fn check_sign_up(&self, mail: &MailSettings) -> anyhow::Result<()> {
        for domain in &self.sign_up_domains {
            let is_domain = !domain.is_empty()
                && !domain.contains(['@', '*', '/'])
                && !domain.contains(char::is_whitespace);
            anyhow::ensure!(
                is_domain,
                "auth.sign_up_domains holds {domain:?}; it is the part of an address after the @, such as example.org"
            );
        }
        if self.sign_up_domains.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(
            self.sign_up == SignUp::Open,
            "auth.sign_up_domains is set, and counts only with auth.sign_up = \"open\"; set that, or remove the domains"
        );
        // Anybody can type an address: only mail tells whose it is.
        anyhow::ensure!(
            mail.is_configured(),
            "auth.sign_up_domains is set and mail.url is not; without mail nobody can tell whether an address belongs to who typed it"
        );
        Ok(())
    }

    fn check_keys(&self) -> anyhow::Result<()> {
        if self.has_sealing_key() {
            sealing::parse(&self.sealing_key).context("auth.sealing_key is not usable")?;
        }
        for key in &self.sealing_keys_before {
            sealing::parse(key).context("auth.sealing_keys_before is not usable")?;
        }
        Ok(())
    }

    /// As the sign-in takes them. Without a configured key, that of the file in `folder` is taken, and made when
    /// there is none.
    pub(super) fn settings(
        &self,
        mail: &MailSettings,
        public_url: &str,
        folder: Option<&Path>,
    ) -> anyhow::Result<auth::Settings> {
        let sealing_key = match folder {
            Some(folder) if !self.has_sealing_key() => sealing::read_or_make(folder)?,
            _ => self.sealing_key.clone(),
        };
        let providers = self.providers.iter().map(|(name, provider)| provider.settings(name));
        Ok(auth::Settings {
            access_token_ttl: self.access_token_ttl.duration(),
            refresh_token_ttl: self.refresh_token_ttl.duration(),
            sign_up: match self.sign_up {
                SignUp::Closed => auth::SignUp::Closed,
                SignUp::Invited => auth::SignUp::Invited,
                SignUp::Open => auth::SignUp::Open,
            },
            sign_up_domains: self.sign_up_domains.clone(),
            sessions: auth::SessionLife {
                idle: self.session_idle.duration(),
                longest: self.session_lifetime.duration(),
            },
            sealing_key: Some(sealing_key),
            sealing_keys_before: self.sealing_keys_before.clone(),
            internal_issuers: self.internal_issuers.clone(),
            issuer_refresh_interval: self.issuer_refresh_interval.duration(),
            providers: providers.collect::<anyhow::Result<_>>()?,
            mail: mail.settings(public_url),
            ..auth::Settings::default()
        })
    }
}

/// Names end up in paths, in rows and in names of variables.
fn check_name(name: &str) -> anyhow::Result<()> {
    const LONGEST: usize = 32;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_acceptable = name.len() <= LONGEST
        && name.bytes().next().is_some_and(is_plain)
        && name.bytes().all(|byte| is_plain(byte) || byte == b'-');
    anyhow::ensure!(
        is_acceptable,
        "auth.providers.{name} has no usable name; it is 1 to 32 lower case letters, digits and dashes, beginning with a letter or digit"
    );
    Ok(())
}

fn check_origin(text: &str) -> anyhow::Result<()> {
    let is_origin = Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.origin().ascii_serialization() == text.trim_end_matches('/')
    });
    anyhow::ensure!(
        is_origin,
        "auth.internal_issuers holds {text:?}, which is no origin; it is scheme, host and port, such as http://keycloak.internal:8080"
    );
    Ok(())
}

#[cfg(test)]
mod tests;
