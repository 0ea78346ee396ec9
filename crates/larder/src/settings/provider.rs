//! One identity provider: `[auth.providers.<name>]`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use auth::{
    AudienceClaim, ClientAuthentication, Endpoints, PasswordGrant, ProviderAccessTokens, SigningAlgorithm,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::secret::mask;

/// What an identity provider is asked, and what of its answers counts. Differences between products are keys here.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProviderSettings {
    /// Name on the sign-in page; empty for the name of the section.
    label: String,
    /// The issuer, byte for byte as its tokens spell it.
    issuer: String,
    /// Our name at the provider.
    client_id: String,
    /// Our secret at the provider; empty for a public client.
    #[serde(serialize_with = "mask")]
    client_secret: SecretString,
    /// How the secret is shown: "basic" or "post".
    client_authentication: ClientAuthenticationName,
    /// What is asked for at sign-in.
    scopes: Vec<String>,
    /// Algorithms that its signatures may have.
    algorithms: Vec<String>,
    /// These five take the place of what the discovery document says.
    jwks_uri: String,
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    end_session_endpoint: String,
    /// Where browsers sign out, with `{client_id}` and `{return_to}` in it, when the discovery document names no
    /// end of session.
    logout_url: String,
    /// The claim that a new user is named after; empty for `preferred_username`, else the address up to the `@`.
    username_claim: String,
    /// The claim that lists groups; dots lead into objects.
    groups_claim: String,
    /// Whether somebody's first sign-in makes a user here.
    create_users: bool,
    /// When not empty: only members of one of these groups come in.
    allowed_groups: Vec<String>,
    /// When not empty: only who has a verified address in one of these domains comes in.
    allowed_domains: Vec<String>,
    /// Whether the provider's access tokens count as bearer tokens here.
    accept_access_tokens: bool,
    /// The claim of an access token that says whom it is for: `"aud"` or `"client_id"`.
    access_token_audience_claim: AudienceClaimName,
    /// What it has to say; empty for our client's name.
    access_token_audience: String,
    /// "oauth2" or "cognito" lets docker and others without a browser send the provider's passwords through this
    /// server, past any second factor; "off" does not.
    password_grant: PasswordGrantName,
    /// Where "cognito" asks; empty for the issuer's host.
    password_grant_endpoint: String,
    /// Claims that ID tokens have to have with exactly these values.
    required_claims: BTreeMap<String, String>,
    /// The same for access tokens.
    access_token_required_claims: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum ClientAuthenticationName {
    Basic,
    Post,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum AudienceClaimName {
    Aud,
    ClientId,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum PasswordGrantName {
    Off,
    OAuth2,
    Cognito,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        let usual = auth::ProviderSettings::new("", "", "");
        Self {
            label: String::new(),
            issuer: String::new(),
            client_id: String::new(),
            client_secret: SecretString::from(""),
            client_authentication: ClientAuthenticationName::Basic,
            scopes: usual.scopes,
            algorithms: usual.algorithms.into_iter().map(|algorithm| algorithm.as_str().to_owned()).collect(),
            jwks_uri: String::new(),
            authorization_endpoint: String::new(),
            token_endpoint: String::new(),
            userinfo_endpoint: String::new(),
            end_session_endpoint: String::new(),
            logout_url: String::new(),
            username_claim: String::new(),
            groups_claim: usual.groups_claim,
            create_users: usual.create_users,
            allowed_groups: Vec::new(),
            allowed_domains: Vec::new(),
            accept_access_tokens: false,
            access_token_audience_claim: AudienceClaimName::Aud,
            access_token_audience: String::new(),
            password_grant: PasswordGrantName::Off,
            password_grant_endpoint: String::new(),
            required_claims: BTreeMap::new(),
            access_token_required_claims: BTreeMap::new(),
        }
    }
}

impl ProviderSettings {
    /// Refuses what cannot work. `internal` are the origins that need no TLS.
    pub(super) fn check(&self, name: &str, internal: &[String]) -> anyhow::Result<()> {
        let key = |key: &str| format!("auth.providers.{name}.{key}");
        for (field, value, example) in [
            ("issuer", &self.issuer, "https://login.example.org/realms/main"),
            ("client_id", &self.client_id, "larder"),
        ] {
            anyhow::ensure!(
                !value.is_empty(),
                "{} is missing; the provider's own pages say what it is, such as {example}",
                key(field)
            );
        }
        for (field, url) in [
            ("issuer", &self.issuer),
            ("jwks_uri", &self.jwks_uri),
            ("authorization_endpoint", &self.authorization_endpoint),
            ("token_endpoint", &self.token_endpoint),
            ("userinfo_endpoint", &self.userinfo_endpoint),
            ("end_session_endpoint", &self.end_session_endpoint),
            ("password_grant_endpoint", &self.password_grant_endpoint),
            // The parts to be filled in are no parts of a URL yet.
            ("logout_url", &self.logout_url.replace(['{', '}'], "")),
        ] {
            if !url.is_empty() {
                check_url(&key(field), url, internal)?;
            }
        }
        anyhow::ensure!(
            self.scopes.iter().any(|scope| scope == "openid"),
            "{} lacks \"openid\", without which a provider says nothing about who signed in",
            key("scopes")
        );
        self.algorithms().with_context(|| format!("{} is not usable", key("algorithms"))).and_then(
            |algorithms| {
                anyhow::ensure!(
                    !algorithms.is_empty(),
                    "{} is empty; most providers sign with RS256",
                    key("algorithms")
                );
                Ok(())
            },
        )?;
        for domain in &self.allowed_domains {
            anyhow::ensure!(
                !domain.is_empty() && !domain.contains(['@', '*', '/', ' ']),
                "{} holds {domain:?}; it is the part of an address after the @, such as example.org",
                key("allowed_domains")
            );
        }
        let about_access_tokens =
            !self.access_token_audience.is_empty() || !self.access_token_required_claims.is_empty();
        anyhow::ensure!(
            self.accept_access_tokens || !about_access_tokens,
            "{} says which access tokens count, and none do; set {} = true or remove it",
            key("access_token_*"),
            key("accept_access_tokens")
        );
        anyhow::ensure!(
            self.password_grant_endpoint.is_empty() || self.password_grant == PasswordGrantName::Cognito,
            "{} is only for {} = \"cognito\"",
            key("password_grant_endpoint"),
            key("password_grant")
        );
        Ok(())
    }

    /// Whether both are about one issuer.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.issuer == other.issuer
    }

    fn algorithms(&self) -> Result<Vec<SigningAlgorithm>, auth::UnknownAlgorithm> {
        self.algorithms.iter().map(|name| name.parse()).collect()
    }

    /// As the sign-in takes them.
    pub(super) fn settings(&self, name: &str) -> anyhow::Result<auth::ProviderSettings> {
        let optional = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let access_tokens = self.accept_access_tokens.then(|| ProviderAccessTokens {
            audience_claim: match self.access_token_audience_claim {
                AudienceClaimName::Aud => AudienceClaim::Aud,
                AudienceClaimName::ClientId => AudienceClaim::ClientId,
            },
            audience: optional(&self.access_token_audience),
            required_claims: self.access_token_required_claims.clone(),
        });
        Ok(auth::ProviderSettings {
            label: optional(&self.label).unwrap_or_else(|| name.to_owned()),
            client_secret: Some(self.client_secret.clone())
                .filter(|secret| !secret.expose_secret().is_empty()),
            client_authentication: match self.client_authentication {
                ClientAuthenticationName::Basic => ClientAuthentication::Basic,
                ClientAuthenticationName::Post => ClientAuthentication::Post,
            },
            scopes: self.scopes.clone(),
            algorithms: self.algorithms()?,
            endpoints: Endpoints {
                jwks_uri: optional(&self.jwks_uri),
                authorization: optional(&self.authorization_endpoint),
                token: optional(&self.token_endpoint),
                userinfo: optional(&self.userinfo_endpoint),
                end_session: optional(&self.end_session_endpoint),
            },
            logout_url: optional(&self.logout_url),
            username_claim: optional(&self.username_claim),
            groups_claim: self.groups_claim.clone(),
            required_claims: self.required_claims.clone(),
            create_users: self.create_users,
            allowed_groups: self.allowed_groups.clone(),
            allowed_domains: self.allowed_domains.clone(),
            access_tokens,
            password_grant: match self.password_grant {
                PasswordGrantName::Off => PasswordGrant::Off,
                PasswordGrantName::OAuth2 => PasswordGrant::OAuth2,
                PasswordGrantName::Cognito => {
                    PasswordGrant::Cognito { endpoint: optional(&self.password_grant_endpoint) }
                }
            },
            ..auth::ProviderSettings::new(name, &self.issuer, &self.client_id)
        })
    }
}

/// What a provider says decides who comes in, so nobody on the way may change it.
fn check_url(key: &str, text: &str, internal: &[String]) -> anyhow::Result<()> {
    let url = Url::parse(text)
        .with_context(|| format!("{key} = {text:?} is not a URL; it begins with https://"))?;
    let is_on_this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let origin = url.origin().ascii_serialization();
    let is_internal = internal.iter().any(|internal| internal.trim_end_matches('/') == origin);
    let is_trusted = match url.scheme() {
        "https" => true,
        "http" => is_on_this_machine || is_internal,
        _ => anyhow::bail!("{key} = {text:?} is not a URL of the web; it begins with https://"),
    };
    anyhow::ensure!(
        is_trusted,
        "{key} = {text:?} is without TLS; use https, or add {origin:?} to auth.internal_issuers if nobody can change what the network carries"
    );
    Ok(())
}
