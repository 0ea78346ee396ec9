//! Identity providers and other issuers: whose tokens count here, and what they say.
//!
//! People sign in with a provider of the configuration; jobs bring the tokens that their platform gives them.
//! Both are tokens of somebody else (RFC 7519), so both go through one verifier.
//!
//! * `foreign_token`, `issuer`, `discovery`, `keys`: the verifier, which `Issuers::verify` is.
//! * `egress`: how anything outside is asked at all.
//! * `sign_in`, `client`, `admit`, `logout`: people with a browser.
//! * `password_grant`, `access`: people without one, and programs that they use.

mod access;
mod admit;
mod client;
mod discovery;
mod egress;
mod error;
mod foreign_token;
mod issuer;
mod keys;
mod logout;
mod password_grant;
mod settings;
mod sign_in;

#[cfg(test)]
mod testing;

use std::sync::Arc;

use clock::Clock;
use quick_cache::sync::Cache;

pub(crate) use self::discovery::check_issuer_url;
use self::egress::{Egress, Reach};
use self::issuer::{Issuer, Issuers};
use crate::{OpenError, Settings};

pub(crate) use self::foreign_token::{
    Claims, Expectation, ForeignTokenError, Keys, Peeked, check_jwks, looks_foreign,
};

pub use self::error::ProviderError;
pub use self::settings::{
    AudienceClaim, ClientAuthentication, Endpoints, PasswordGrant, ProviderAccessTokens, ProviderSettings,
    SigningAlgorithm, UnknownAlgorithm,
};
pub use self::sign_in::{Callback, Finished, ProviderView, Started};

/// How many verified access tokens of providers are remembered.
const REMEMBERED: usize = 10_000;

/// Providers of the configuration, and all issuers whose tokens may count.
pub(crate) struct Providers {
    list: Vec<Provider>,
    pub(crate) issuers: Issuers,
    /// Access tokens of providers that were verified, under the SHA-256 of the whole token.
    verified: Cache<[u8; 32], Arc<access::VerifiedToken>>,
}

/// One provider of the configuration.
pub(crate) struct Provider {
    settings: ProviderSettings,
    issuer: Arc<Issuer>,
}

impl Providers {
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Result<Self, OpenError> {
        let internal = Reach::of(settings.internal_issuers.iter().map(String::as_str));
        let mut list: Vec<Provider> = Vec::new();
        for provider in &settings.providers {
            let unusable = |reason| OpenError::Provider { name: provider.name.clone(), reason };
            let reach = reach(provider).and(&internal);
            check(provider, &reach).map_err(unusable)?;
            for other in &list {
                if other.settings.name == provider.name {
                    return Err(unusable("there is another one of this name"));
                }
                // Who somebody is there is known by issuer and subject alone.
                if other.settings.issuer == provider.issuer {
                    return Err(unusable("there is another one with this issuer"));
                }
            }
            let issuer = Issuer::new(
                provider.issuer.clone(),
                provider.algorithms.clone(),
                provider.endpoints.clone(),
                reach,
            );
            list.push(Provider { settings: provider.clone(), issuer: Arc::new(issuer) });
        }
        let egress = Egress::new(settings.egress_timeout).map_err(OpenError::Egress)?;
        let configured = list.iter().map(|provider| Arc::clone(&provider.issuer)).collect();
        let issuers = Issuers::new(egress, clock, settings.issuer_refresh_interval, internal, configured);
        Ok(Self { list, issuers, verified: Cache::new(REMEMBERED) })
    }

    fn find(&self, name: &str) -> Option<&Provider> {
        self.list.iter().find(|provider| provider.settings.name == name)
    }
}

/// What the operator has named by writing it into a provider's settings.
fn reach(provider: &ProviderSettings) -> Reach {
    let Endpoints { jwks_uri, authorization, token, userinfo, end_session } = &provider.endpoints;
    let password = match &provider.password_grant {
        PasswordGrant::Cognito { endpoint } => endpoint.as_deref(),
        PasswordGrant::Off | PasswordGrant::OAuth2 => None,
    };
    let endpoints = [jwks_uri, authorization, token, userinfo, end_session].map(Option::as_deref);
    Reach::of([Some(provider.issuer.as_str()), password].into_iter().chain(endpoints).flatten())
}

fn check(provider: &ProviderSettings, reach: &Reach) -> Result<(), &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let name = provider.name.as_bytes();
    if !(1..=32).contains(&name.len())
        || !is_plain(name[0])
        || !name.iter().all(|byte| is_plain(*byte) || *byte == b'-')
    {
        return Err(
            "its name has to be 1 to 32 lower case letters, digits and dashes, beginning with a letter or digit",
        );
    }
    discovery::check_issuer(&provider.issuer, reach).map_err(
        |_| "its issuer has to be an address such as https://issuer.example.com, as the issuer spells it",
    )?;
    if provider.client_id.is_empty() {
        return Err("it needs a client_id");
    }
    if !provider.scopes.iter().any(|scope| scope == "openid") {
        return Err("its scopes have to include openid");
    }
    if provider.algorithms.is_empty() {
        return Err("its algorithms have to include at least one, such as RS256");
    }
    let Endpoints { jwks_uri, authorization, token, userinfo, end_session } = &provider.endpoints;
    let endpoints = [jwks_uri, authorization, token, userinfo, end_session, &provider.logout_url];
    // Those that are addresses were taken into the reach.
    if endpoints
        .into_iter()
        .flatten()
        .any(|endpoint| !reach.contains(endpoint) && !endpoint.starts_with("https://"))
    {
        return Err("its endpoints have to be addresses that begin with https://");
    }
    Ok(())
}
